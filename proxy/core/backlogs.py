"""Backlogs: what the clients of a level of a line wait for, without a look at each of them.

A flow is one client's places in a class, in the order of their coming. A backlog sums the flows of
a level by the power of two of their rounds (cost / weight): those of a sum all wait for more rounds
than a newcomer, or all for less, but in one sum at the most. So what goes before a newcomer, and
who waits for most, are found in O(log n).
"""

import heapq
import math
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from proxy.core.fair_shares import Standing
from proxy.core.model import Client

_FEW: Final = 64
"""Places and rows that are not worth sweeping."""


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


@dataclass(eq=False, slots=True)
class Flow:
    """One client's places in a class."""

    client: Client
    priority: int
    start: float
    """Virtual time from which the tag of its front place counts."""
    standing: Standing = Standing.BEHIND
    waiting: int = 0
    cost: float = 0.0
    """What its places wait for together."""
    row: int = 0
    """Number of its tag that is in force."""
    _places: deque[Waiter] = field(default_factory=deque)

    @property
    def rounds(self) -> float:
        """How much is served to a weight of 1 until all of its places are."""
        return self.cost / self.client.weight

    def join(self, waiter: Waiter) -> None:
        """Take a place behind the others."""
        self._places.append(waiter)
        self.waiting += 1
        self.cost += waiter.cost
        if len(self._places) > 2 * self.waiting + _FEW:
            self._places = deque(each for each in self._places if not each.gone)

    def leave(self, waiter: Waiter) -> None:
        """Give a place up; it is skipped when it comes to the front."""
        waiter.gone = True
        self.waiting -= 1
        self.cost = max(0.0, self.cost - waiter.cost)

    def front(self) -> Waiter:
        """Return the place that is served next."""
        while self._places[0].gone:
            self._places.popleft()
        return self._places[0]

    def last(self) -> Waiter:
        """Return the place that came last."""
        while self._places[-1].gone:
            self._places.pop()
        return self._places[-1]


class Backlog:
    """The flows of a level."""

    def __init__(self) -> None:
        self._sums: dict[int, tuple[int, float, float]] = {}
        self._longest: list[tuple[float, int, Flow]] = []
        self._rows: dict[Flow, int] = {}
        self._number = 0

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, flow: Flow) -> None:
        """Count a flow, as it is; before it changes it must be taken out."""
        self._sum(1, flow)
        self._number += 1
        self._rows[flow] = self._number
        heapq.heappush(self._longest, (-flow.rounds, self._number, flow))
        if len(self._longest) > 2 * len(self._rows) + _FEW:
            self._longest = [row for row in self._longest if self._rows.get(row[2]) == row[1]]
            heapq.heapify(self._longest)

    def take(self, flow: Flow) -> None:
        """Count a flow no more."""
        self._sum(-1, flow)
        del self._rows[flow]

    def _sum(self, sign: int, flow: Flow) -> None:
        step = _step(flow.rounds)
        flows, costs, weights = self._sums.get(step, (0, 0.0, 0.0))
        if flows + sign == 0:
            del self._sums[step]
        else:
            weight = sign * flow.client.weight
            self._sums[step] = (flows + sign, costs + sign * flow.cost, weights + weight)

    def cost(self) -> float:
        """Return what all wait for."""
        return sum(cost for _, cost, _ in self._sums.values())

    def ahead(self, client: Client, cost: float, own: Flow | None) -> float:
        """Return what goes before a newcomer: its own, and of others as many rounds at most."""
        waited = 0.0 if own is None else own.cost
        rounds, apart = (waited + cost) / client.weight, None if own is None else _step(own.rounds)
        ahead = waited
        for step, (_, costs, weights) in self._sums.items():
            if own is not None and step == apart:
                costs, weights = costs - waited, weights - own.client.weight  # noqa: PLW2901 - less its own
            ahead += max(0.0, min(costs, weights * rounds))
        return ahead

    def longest(self) -> Flow:
        """Return the flow that waits for most rounds (there must be one)."""
        while self._rows.get(self._longest[0][2]) != self._longest[0][1]:
            heapq.heappop(self._longest)
        return self._longest[0][2]


def _step(rounds: float) -> int:
    return math.frexp(rounds)[1]
