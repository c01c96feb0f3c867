"""Refresh ahead: what is used is fetched anew before it ends, from surplus alone.

Once a second it looks at the answers that are used, and at those of the `warm:` lists. What is due
is fetched, that first which saves most for its cost, as long as every limit has room to spare
(`core.surplus`), nobody waits for the upstream, and it is not on hold. A refresh never waits for
quota; where members share a call, it takes the family along (`riders`). What is due says `dues`.
How counts stand is asked of the ledger where anything is due: what others spent, or who was here
before, this process may not know.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from msgspec.structs import replace

from proxy.asked import Asked, asked
from proxy.batching.compositions import composition
from proxy.cache import Cache
from proxy.core import surplus
from proxy.core.model import Request
from proxy.core.routing import Match, Routes
from proxy.core.spending import Level
from proxy.core.upstreams import Upstream
from proxy.flow import Flow
from proxy.freshening import dues
from proxy.freshening.heats import Heat

PERIOD: Final = 1.0


class Counts(Protocol):
    """Where limits are counted."""

    async def snapshot(self, upstream: str) -> tuple[Level, ...]:
        """Return how the upstream's counts stand now; as last known where they are lost."""
        ...

    def held_for(self, upstream: str) -> float:
        """Return for how many more seconds the upstream is held, as last known; else 0."""
        ...


@dataclass(frozen=True, slots=True)
class AheadParts:
    """What refreshing ahead stands on."""

    flow: Flow
    cache: Cache
    ledger: Counts
    waiting: Callable[[str], int]
    """How many requests wait for an upstream's quota."""
    time: Callable[[], float]
    """A clock that never steps, for durations (seconds)."""
    now: Callable[[], float]
    """The clock of entries."""


class Ahead:
    """Refreshes what is hot and what is to be kept warm."""

    def __init__(self, parts: AheadParts) -> None:
        self._parts = parts
        self._routes: Routes | None = None

    async def run(self) -> None:
        """Look once a second, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(PERIOD)

    async def look(self) -> None:
        """Refresh what is due now and can be afforded."""
        parts = self._parts
        if parts.flow.routes is not self._routes:
            self._routes = parts.flow.routes
            self._warm(self._routes)
        levels: dict[str, tuple[Level, ...]] = {}
        planned: dict[str, dict[str, float]] = {}
        due = [heat for heat in parts.flow.heats if dues.is_kept(heat) and await self._is_due(heat)]
        for heat in sorted(due, key=dues.worth, reverse=True):
            bill = heat.asked.bill()
            if bill.upstream not in levels:
                levels[bill.upstream] = await parts.ledger.snapshot(bill.upstream)
            spent = planned.setdefault(bill.upstream, {})
            if self._is_free(bill.upstream) and surplus.spare(bill, levels[bill.upstream], spent):
                dues.tried(heat, parts.now())
                for charge in bill.charges:
                    spent[charge.bucket] = spent.get(charge.bucket, 0.0) + charge.cost
                await parts.flow.refresh(replace(heat.asked, began=parts.time()))

    def _warm(self, routes: Routes) -> None:
        """Learn what the lists name; what was learnt by other routes is forgotten."""
        self._parts.flow.heats.clear()
        for upstream in routes.upstreams.values():
            for path in () if upstream.disabled else upstream.warm:
                for ask in wanted(routes, upstream, path, self._parts.flow.secret):
                    self._parts.flow.heats.learn(self._parts.flow.fetched_for(ask), warm=True)

    async def _is_due(self, heat: Heat) -> bool:
        parts, now = self._parts, self._parts.now()
        if now < heat.not_before:
            return False
        key = heat.asked.key
        entry = parts.cache.peek(key)
        if entry is None or dues.is_old(heat, entry, now):
            entry = next(iter(await parts.cache.stored(key, now, anew=True)), None)
        dues.note(heat, entry)
        if dues.is_due(heat, entry, now):
            return True
        if dues.is_over(heat, entry, now):
            parts.flow.heats.forget(heat)
        return False

    def _is_free(self, upstream: str) -> bool:
        """Return whether nobody waits for the upstream, and it is not on hold."""
        return not self._parts.waiting(upstream) and self._parts.ledger.held_for(upstream) <= 0


def wanted(routes: Routes, upstream: Upstream, path: str, secret: bytes = b"") -> Iterable[Asked]:
    """Return the requests for a path of an upstream; of a list, those of its members."""
    target, _, query = path.partition("?")
    request = Request("GET", upstream.prefix.rstrip("/") + target, query, ())
    route = routes.match(request)
    if not isinstance(route, Match) or route.upstream is not upstream:
        return ()
    if not route.endpoint.refreshable:
        return ()
    ask = asked(request, route, 0.0, secret)
    composed = composition(ask, routes)
    return (ask,) if composed is None else tuple(member for _, member in composed.members)
