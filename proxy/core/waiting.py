"""The line in front of an empty limit: who goes next, and who could not be served in time.

Priority classes first (RFC 9218: urgency 0 before 7); of a class, those who have not had their fair
share of the window before those who have (`core.fair_shares`). Within such a level, self-clocked
fair queueing (Golestani 1994) between clients by weight: the place at the front of each client's
has a finish tag, the later of the class's virtual time (the tag that was served last) and its
client's last tag, plus cost / weight; the smallest goes first. So nobody gains by coming under ever
new names, nor is left behind by them. Only places at the front have a tag, so one that is given up
costs its client nothing, and one client's places keep their order: with a single client the line is
first come, first served.

Who comes to a full line takes the last place of the client that waits for most, if it would go
before that one. Joining, leaving and being served cost O(log n), and what is remembered of those
who have gone is no more than of those who wait. A new window looks once at each client that waits.
"""

import heapq
import math
from collections.abc import Sequence
from typing import Final

from proxy.core.backlogs import Backlog, Flow, Waiter
from proxy.core.fair_shares import FairShares, Standing
from proxy.core.model import Client

_FEW: Final = 64
"""Clients that are not worth sweeping."""

_LEAST: Final = 1e-9
"""What costs nothing is ordered as if it cost this."""


class WaitingLine:
    """Waiters of one upstream's bills, in the order in which they are to be served."""

    def __init__(self, shares: FairShares | None = None) -> None:
        """Take who has had its share; None: nobody has."""
        self.shares = shares
        self._turns = 0 if shares is None else shares.turns
        self._heap: list[tuple[int, Standing, float, int, Flow]] = []
        self._flows: dict[tuple[int, str], Flow] = {}
        self._backlogs: dict[tuple[int, Standing], Backlog] = {}
        self._virtual: dict[int, float] = {}
        self._rows = 0
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    def share(self, shares: FairShares | None, now: float) -> None:
        """Take who has had its share of what is waited for now; None: it is not shared."""
        if shares is self.shares:
            return
        for flow in self._flows.values():
            self._wait(flow, -flow.cost, now)
        self.shares, self._turns = shares, -1
        for flow in self._flows.values():
            self._wait(flow, flow.cost, now)

    def _wait(self, flow: Flow, cost: float, now: float) -> None:
        if self.shares is not None:
            self.shares.wait(flow.client, flow.priority, cost, now)

    def join(self, waiter: Waiter, now: float = 0.0) -> None:
        """Take a place behind those of its own client and class."""
        priority = waiter.priority
        flow = self._flows.get((priority, waiter.client.identity))
        self._waiting += 1
        if flow is not None:
            self._uncount(flow)
            flow.join(waiter)
            self._wait(flow, waiter.cost, now)
            self._count(flow)
            return
        flow = Flow(waiter.client, priority, self._virtual.get(priority, 0.0))
        flow.standing = self._stands(flow.client, flow.priority, now)
        self._flows[priority, waiter.client.identity] = flow
        flow.join(waiter)
        self._wait(flow, waiter.cost, now)
        self._count(flow)
        self._tag(flow)

    def leave(self, waiter: Waiter, now: float = 0.0) -> None:
        """Give the place up: it got nothing, and its client owes nothing for it."""
        if not waiter.gone:
            flow = self._flows[waiter.priority, waiter.client.identity]
            self._go(flow, waiter, now, retag=flow.front() is waiter)

    def served(self, waiter: Waiter, now: float = 0.0) -> None:
        """Take `waiter` (the head) out; the virtual time of its class moves to its tag."""
        flow = self._flows[waiter.priority, waiter.client.identity]
        flow.start += _share(waiter)
        virtual = self._virtual.get(waiter.priority, 0.0)
        self._virtual[waiter.priority] = max(virtual, flow.start)
        self._go(flow, waiter, now, retag=True)

    def _go(self, flow: Flow, waiter: Waiter, now: float, *, retag: bool) -> None:
        self._waiting -= 1
        self._uncount(flow)
        self._wait(flow, -waiter.cost, now)
        flow.leave(waiter)
        if flow.waiting:
            self._count(flow)
            if retag:
                self._tag(flow)
            return
        flow.row = 0  # its last tag is not beyond the virtual time: nothing need be remembered
        del self._flows[flow.priority, flow.client.identity]
        if not self._waiting:
            self._heap.clear()
            self._virtual.clear()

    def head(self, now: float = 0.0) -> Waiter | None:
        """Return who is next, without serving it."""
        self._renew(now)
        while self._heap:
            *_, row, flow = self._heap[0]
            if flow.row != row:
                heapq.heappop(self._heap)
            elif not self._moved(flow, now):
                return flow.front()
        return None

    def waits(self, client: Client, priority: int) -> bool:
        """Whether the client has a place in the class."""
        return (priority, client.identity) in self._flows

    def standing(self, waiter: Waiter, now: float) -> Standing:
        """Return how the waiter's client stands."""
        return self._stands(waiter.client, waiter.priority, now)

    def behind(self, newcomer: Waiter, now: float = 0.0) -> Waiter | None:
        """Return the last place of the client that waits for most, if `newcomer` goes before it."""
        self._renew(now)
        if not self._backlogs:
            return None
        level, lowest = self._level(newcomer, now), max(self._backlogs)
        longest = self._backlogs[lowest].longest()
        if level != lowest:
            return longest.last() if level < lowest else None
        own = self._flows.get((newcomer.priority, newcomer.client.identity))
        waited = 0.0 if own is None else own.cost
        rounds = (waited + newcomer.cost) / newcomer.client.weight
        return longest.last() if longest is not own and rounds < longest.rounds else None

    def ahead(self, newcomer: Waiter, now: float = 0.0) -> float:
        """Return the cost of all that would go before a newcomer."""
        self._renew(now)
        level = self._level(newcomer, now)
        before = sum(each.cost() for other, each in self._backlogs.items() if other < level)
        same = self._backlogs.get(level)
        if same is None:
            return before
        own = self._flows.get((newcomer.priority, newcomer.client.identity))
        return before + same.ahead(newcomer.client, newcomer.cost, own)

    def _level(self, newcomer: Waiter, now: float) -> tuple[int, Standing]:
        own = self._flows.get((newcomer.priority, newcomer.client.identity))
        return newcomer.priority, self.standing(newcomer, now) if own is None else own.standing

    def _stands(self, client: Client, priority: int, now: float) -> Standing:
        return (
            Standing.BEHIND if self.shares is None else self.shares.standing(client, priority, now)
        )

    def _renew(self, now: float) -> None:
        """In a new window, who was over need not be: look at each once."""
        turns = 0 if self.shares is None else self.shares.turns
        if turns == self._turns:
            return
        self._turns = turns
        for flow in tuple(self._flows.values()):
            self._moved(flow, now)

    def _moved(self, flow: Flow, now: float) -> bool:
        """Put a client where it belongs by now; for the time elsewhere it has no credit."""
        standing = self._stands(flow.client, flow.priority, now)
        if standing is flow.standing:
            return False
        self._uncount(flow)
        flow.standing = standing
        flow.start = max(flow.start, self._virtual.get(flow.priority, 0.0))
        self._count(flow)
        self._tag(flow)
        return True

    def _tag(self, flow: Flow) -> None:
        self._rows += 1
        flow.row = self._rows
        tag = flow.start + _share(flow.front())
        heapq.heappush(self._heap, (flow.priority, flow.standing, tag, flow.row, flow))
        if len(self._heap) > 2 * len(self._flows) + _FEW:
            self._heap = [row for row in self._heap if row[-1].row == row[-2]]
            heapq.heapify(self._heap)

    def _count(self, flow: Flow) -> None:
        backlog = self._backlogs.get((flow.priority, flow.standing))
        if backlog is None:
            backlog = self._backlogs[flow.priority, flow.standing] = Backlog()
        backlog.add(flow)

    def _uncount(self, flow: Flow) -> None:
        backlog = self._backlogs[flow.priority, flow.standing]
        backlog.take(flow)
        if not len(backlog):
            del self._backlogs[flow.priority, flow.standing]


def _share(waiter: Waiter) -> float:
    return max(waiter.cost, _LEAST) / waiter.client.weight


def earliest(
    returns: Sequence[tuple[float, float]], needed: float, again: float = math.inf
) -> float | None:
    """Return in how many seconds `needed` tokens will have come back; None: not foreseen.

    `returns` is `Denied.returns`: `(seconds from now, tokens)`, in order; `again`: seconds after
    which all of them come once more.
    """
    total = sum(tokens for _, tokens in returns)
    later = 0.0
    if needed > total > 0 and again < math.inf:
        rounds = math.ceil(needed / total - _LEAST) - 1
        later, needed = rounds * again, needed - rounds * total
    for seconds, tokens in returns:
        needed -= tokens
        if needed <= _LEAST:
            return seconds + later
    return None
