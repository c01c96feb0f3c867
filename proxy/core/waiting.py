"""The line in front of an empty limit: who goes next, and who could not be served in time.

Priority classes first (RFC 9218: urgency 0 before 7). Within a class, self-clocked fair queueing
(Golestani 1994) between clients by weight: each waiter gets a finish tag, the later of the class's
virtual time (the tag that was served last) and its client's last tag, plus cost / weight; the
smallest goes first. So nobody gains by coming under ever new names, nor is left behind by them.
One client's waiters therefore keep their order, and with a single client the line is
first come, first served. Joining, leaving and being served cost O(log n), and what is remembered
of those who have gone is no more than of those who wait.
"""

import heapq
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


class WaitingLine:
    """Waiters of one upstream's bills, in the order in which they are to be served."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, float, int, Waiter]] = []
        self._arrivals = 0
        self._waiting = 0
        self._virtual: dict[int, float] = {}
        self._last: dict[tuple[int, str], float] = {}
        self._cost: dict[int, float] = {}
        self._sweep_at = _FEW

    def __len__(self) -> int:
        return self._waiting

    def join(self, waiter: Waiter) -> None:
        """Take a place behind those of its own client and class."""
        account = (waiter.priority, waiter.client.identity)
        start = max(self._virtual.get(waiter.priority, 0.0), self._last.get(account, 0.0))
        waiter.tag = start + _share(waiter)
        self._last[account] = waiter.tag
        self._arrivals += 1
        self._waiting += 1
        self._cost[waiter.priority] = self._cost.get(waiter.priority, 0.0) + waiter.cost
        heapq.heappush(self._heap, (waiter.priority, waiter.tag, self._arrivals, waiter))
        if len(self._heap) + len(self._last) > self._sweep_at:
            self._sweep()

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
        self._cost[waiter.priority] -= waiter.cost
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

    def ahead(self, priority: int) -> float:
        """Return the cost of all that goes before a newcomer of this priority, at the most."""
        return sum(cost for urgency, cost in self._cost.items() if urgency <= priority)

    def _sweep(self) -> None:
        """Forget places given up, and clients whose last tag says no more than the virtual time.

        As it is done again only when there is twice as much, it costs each who joins O(1).
        """
        self._heap = [row for row in self._heap if not row[3].gone]
        heapq.heapify(self._heap)
        virtual = self._virtual
        self._last = {key: tag for key, tag in self._last.items() if tag > virtual.get(key[0], 0.0)}
        self._sweep_at = _FEW + 2 * (len(self._heap) + len(self._last))

    def _clear(self) -> None:
        """An empty line forgets tags and virtual times, so that neither grows for ever."""
        self._heap.clear()
        self._virtual.clear()
        self._last.clear()
        self._cost.clear()
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
