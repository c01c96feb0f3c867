"""The line in front of an empty limit: who goes next, and who could not be served in time.

Priority classes first (RFC 9218: urgency 0 before 7). Within a class, self-clocked fair queueing
(Golestani 1994) between clients by weight: each waiter gets a finish tag, the later of the class's
virtual time (the tag that was served last) and its client's last tag, plus cost / weight; the
smallest goes first. So nobody gains by coming under ever new names, nor is left behind by them.
Who comes to a full line takes the place of whoever stands last, if it would go before that one.
One client's waiters therefore keep their order, and with a single client the line is
first come, first served. Joining, leaving and being served cost O(log n), and what is remembered
of those who have gone is no more than of those who wait.
"""

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from proxy.core.model import Client

_FEW: Final = 64
"""Places and clients that are not worth sweeping."""


@dataclass(eq=False, slots=True)
class Waiter:
    """One bill's place in the line."""

    client: Client
    priority: int
    cost: float
    """What it will spend of the limit that is waited for; orders the clients of a class."""
    deadline: float
    """When it gives up, on the clock of whoever owns the line."""
    gone: bool = False
    tag: float = field(default=0.0)


class _Backlog:
    """What the clients of a class wait for, in sum, without a look at each of them.

    Clients are summed by the power of two of their rounds (cost / weight): those of a sum all wait
    for more than a newcomer's rounds, or all for less, but in one sum at the most.
    """

    def __init__(self) -> None:
        self._clients: dict[str, tuple[int, float, float]] = {}
        self._sums: dict[int, tuple[int, float, float]] = {}

    def change(self, client: Client, places: int, cost: float) -> bool:
        """Count `places` of a client, of `cost` together, to or off; return if it still waits."""
        had, waited, weight = self._clients.pop(client.identity, (0, 0.0, client.weight))
        if had:
            self._count(-1, waited, weight)
        if had + places > 0:
            waited = max(0.0, waited + cost)
            self._clients[client.identity] = (had + places, waited, weight)
            self._count(1, waited, weight)
        return had + places > 0

    def _count(self, sign: int, cost: float, weight: float) -> None:
        step = _step(cost, weight)
        clients, costs, weights = self._sums.get(step, (0, 0.0, 0.0))
        if clients + sign == 0:
            del self._sums[step]
        else:
            self._sums[step] = (clients + sign, costs + sign * cost, weights + sign * weight)

    def cost(self) -> float:
        """Return what all wait for."""
        return sum(cost for _, cost, _ in self._sums.values())

    def ahead(self, client: Client, cost: float) -> float:
        """Return what goes before a newcomer: its own, and of others as many rounds at most."""
        _, own, weight = self._clients.get(client.identity, (0, 0.0, client.weight))
        rounds, apart = (own + cost) / client.weight, _step(own, weight)
        ahead = own
        for step, (_, costs, weights) in self._sums.items():
            if own and step == apart:
                costs, weights = costs - own, weights - weight  # noqa: PLW2901 - less its own
            ahead += max(0.0, min(costs, weights * rounds))
        return ahead


def _step(cost: float, weight: float) -> int:
    return math.frexp(cost / weight)[1]


class WaitingLine:
    """Waiters of one upstream's bills, in the order in which they are to be served."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, float, int, Waiter]] = []
        self._ends: list[tuple[int, float, int, Waiter]] = []
        self._arrivals = 0
        self._waiting = 0
        self._virtual: dict[int, float] = {}
        self._last: dict[tuple[int, str], float] = {}
        self._backlogs: dict[int, _Backlog] = {}
        self._sweep_at = _FEW

    def __len__(self) -> int:
        return self._waiting

    def join(self, waiter: Waiter) -> None:
        """Take a place behind those of its own client and class."""
        priority = waiter.priority
        waiter.tag = self._tag(waiter)
        self._last[priority, waiter.client.identity] = waiter.tag
        self._arrivals += 1
        self._waiting += 1
        self._backlogs.setdefault(priority, _Backlog()).change(waiter.client, 1, waiter.cost)
        heapq.heappush(self._heap, (priority, waiter.tag, self._arrivals, waiter))
        heapq.heappush(self._ends, (-priority, -waiter.tag, -self._arrivals, waiter))
        if len(self._heap) + len(self._ends) + len(self._last) > self._sweep_at:
            self._sweep()

    def _tag(self, waiter: Waiter) -> float:
        account = (waiter.priority, waiter.client.identity)
        start = max(self._virtual.get(waiter.priority, 0.0), self._last.get(account, 0.0))
        return start + _share(waiter)

    def leave(self, waiter: Waiter) -> None:
        """Give the place up; what is left in the heap is skipped when it comes to the front."""
        if waiter.gone:
            return
        account = (waiter.priority, waiter.client.identity)
        if self._last.get(account) == waiter.tag:  # it got nothing: its client owes nothing for it
            self._last[account] = waiter.tag - _share(waiter)
        self._gone(waiter)

    def _gone(self, waiter: Waiter) -> None:
        waiter.gone = True
        self._waiting -= 1
        waits_on = self._backlogs[waiter.priority].change(waiter.client, -1, -waiter.cost)
        if not waits_on:  # what was served is not beyond the virtual time; for the rest none owes
            self._last.pop((waiter.priority, waiter.client.identity), None)
        if not self._waiting:
            self._clear()

    def head(self) -> Waiter | None:
        """Return who is next, without serving it."""
        while self._heap and self._heap[0][3].gone:
            heapq.heappop(self._heap)
        return self._heap[0][3] if self._heap else None

    def served(self, waiter: Waiter) -> None:
        """Take `waiter` (the head) out; the virtual time of its class moves to its tag."""
        virtual = self._virtual.get(waiter.priority, 0.0)
        self._virtual[waiter.priority] = max(virtual, waiter.tag)
        self._gone(waiter)

    def behind(self, newcomer: Waiter) -> Waiter | None:
        """Return who stands last of all, if `newcomer` would go before it."""
        while self._ends and self._ends[0][3].gone:
            heapq.heappop(self._ends)
        if not self._ends:
            return None
        last = self._ends[0][3]
        first = (newcomer.priority, self._tag(newcomer)) < (last.priority, last.tag)
        return last if first else None

    def ahead(self, newcomer: Waiter) -> float:
        """Return the cost of all that would go before a newcomer."""
        priority = newcomer.priority
        urgent = sum(each.cost() for level, each in self._backlogs.items() if level < priority)
        same = self._backlogs.get(priority, _Backlog())
        return urgent + same.ahead(newcomer.client, newcomer.cost)

    def _sweep(self) -> None:
        """Forget places given up, and clients whose last tag says no more than the virtual time.

        As it is done again only when there is twice as much, it costs each who joins O(1).
        """
        self._heap = [row for row in self._heap if not row[3].gone]
        heapq.heapify(self._heap)
        self._ends = [row for row in self._ends if not row[3].gone]
        heapq.heapify(self._ends)
        virtual = self._virtual
        self._last = {key: tag for key, tag in self._last.items() if tag > virtual.get(key[0], 0.0)}
        self._sweep_at = _FEW + 2 * (len(self._heap) + len(self._ends) + len(self._last))

    def _clear(self) -> None:
        """An empty line forgets tags and virtual times, so that neither grows for ever."""
        self._heap.clear()
        self._ends.clear()
        self._virtual.clear()
        self._last.clear()
        self._backlogs.clear()
        self._sweep_at = _FEW


def _share(waiter: Waiter) -> float:
    return max(waiter.cost, 1e-9) / waiter.client.weight


def earliest(returns: Sequence[tuple[float, float]], needed: float) -> float | None:
    """Return in how many seconds `needed` tokens will have come back; None: not foreseen.

    `returns` is `Denied.returns`: `(seconds from now, tokens)`, in order.
    """
    for seconds, tokens in returns:
        needed -= tokens
        if needed <= 0:
            return seconds
    return None
