"""By how much the lifetimes of each endpoint are stretched now, in this process.

Worked out from the ledger's levels as last known here, at most once a second for each endpoint.
"""

from typing import Final, Protocol

from proxy.core import costs, stretching
from proxy.core.model import Entry, Lifetimes
from proxy.core.routing import Match
from proxy.core.spending import Level
from proxy.core.stretching import Pressure
from proxy.core.upstreams import Endpoint, Upstream

HOLDS: Final = 1.0
"""Seconds for which a factor is used."""


class Levels(Protocol):
    """A ledger, as far as stretching cares."""

    def levels(self, upstream: str) -> tuple[Level, ...]:
        """Return how the upstream's counts stand, as last known here; makes no call."""
        ...


class Stretches:
    """The pressure on each endpoint that may be stretched."""

    def __init__(self, ledger: Levels) -> None:
        """Take the ledger whose levels press."""
        self._ledger = ledger
        self._pressures: dict[tuple[str, str], Pressure] = {}
        self._factors: dict[tuple[str, str], float] = {}

    def factor(self, upstream: Upstream, endpoint: Endpoint, now: float) -> float:
        """Return by how much TTLs of an endpoint grow at `now`; 1: not at all."""
        if endpoint.stretch <= 1.0:
            return 1.0
        name = (upstream.name, endpoint.name)
        before = self._pressures.get(name)
        if before is None or not before.at <= now < before.at + HOLDS:
            scope = costs.buckets(upstream, endpoint)
            levels = (
                level for level in self._ledger.levels(upstream.name) if level.bucket in scope
            )
            pressing = stretching.pressing(levels, upstream.limits)
            before = stretching.held(before or Pressure(at=now), pressing, now)
            self._pressures[name] = before
            self._factors[name] = stretching.factor(endpoint.stretch, before.value)
        return self._factors[name]

    def lifetimes(self, match: Match, entry: Entry, now: float) -> Lifetimes:
        """Return the lifetimes of a stored entry as they are at `now`."""
        by = self.factor(match.upstream, match.endpoint, now)
        return stretching.stretched(match.endpoint, entry, by)

    @property
    def factors(self) -> dict[tuple[str, str], float]:
        """Factors by upstream and endpoint, of those that may be stretched and were asked for."""
        return dict(self._factors)
