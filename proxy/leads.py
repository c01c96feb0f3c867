"""Leads: whether a flight fetches, or takes what another process of the fleet fetches meanwhile.

- Only what may be joined and stored is led; all else goes its own way, and so does what proves to
  be for one alone.
- Where another's flight came to nothing, one after the other leads, not all at once; after `MOST`
  of them each goes for itself.
- A landing is told when the store has what it brought, so that whoever is woken by it finds it.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from proxy.asked import Asked
from proxy.cache import Cache
from proxy.core import plans, variants
from proxy.core.landings import NONE, Ending, Landed
from proxy.core.model import (
    Entry,
    Failed,
    Failure,
    Fetch,
    Policy,
    Put,
    Serve,
    Settlement,
    Touch,
    Verdict,
)
from proxy.fleet.alone import Alone
from proxy.ports import Fleet, Lead

MOST: Final = 2
"""Flights of others that may come to nothing before each goes for itself."""
MOST_ROUNDS: Final = 8
"""Times that one asks for a lead at all: another version in the fleet may speak otherwise."""
LATE: Final = Failed(Failure.TIMEOUT, sent=False, detail="another's fetch did not land in time")


class Led:
    """A flight that fetches: its landing is told once, whatever becomes of it."""

    __slots__ = ("_lead",)

    def __init__(self, lead: Lead | None) -> None:
        """Take the lead, where there is anybody to tell."""
        self._lead = lead

    def land(
        self,
        ending: Ending,
        stamp: float = NONE,
        writes: Iterable["asyncio.Future[None]"] = (),
    ) -> None:
        """Tell how it ended, behind the answer, once the store has what is written."""
        lead, self._lead = self._lead, None
        if lead is None:
            return
        pending = {each for each in writes if not each.done()}
        if not pending:
            lead.land(ending, stamp)
            return

        def written(write: "asyncio.Future[None]") -> None:
            pending.discard(write)
            if not pending:
                lead.land(ending, stamp)

        for each in tuple(pending):
            each.add_done_callback(written)

    def settled(
        self, settlement: Settlement, writes: Iterable["asyncio.Future[None]"] = ()
    ) -> None:
        """Tell what a settlement means to those who wait elsewhere."""
        if isinstance(settlement.write, Put | Touch):
            self.land(Ending.STORED, settlement.write.entry.received_at, writes)
        else:
            self.land(Ending.FAILED if settlement.shareable else Ending.OWN)


class Leads:
    """The leads of this process."""

    def __init__(
        self,
        fleet: Fleet,
        cache: Cache,
        time: Callable[[], float],
        now: Callable[[], float],
    ) -> None:
        """Take the fleet, the cache that it shares, and the clocks of durations and of entries."""
        self._fleet = fleet
        self._alone = isinstance(fleet, Alone)
        self._cache = cache
        self._time = time
        self._now = now

    def unasked(self, ask: Asked, plan: Fetch) -> Led | None:
        """Return the lead where nobody else could have it; None: it must be asked for."""
        if self._alone or not plan.joinable or not ask.key:
            return Led(None)
        return None

    async def lead(self, key: str, ask: Asked, plan: Fetch) -> Led | Entry | Failed:
        """Return the lead, or what another's flight has stored, or that this came too late."""
        known = _newest(plan.stored)
        until = asyncio.get_running_loop().time() + max(0.0, ask.deadline - self._time())
        in_vain = rounds = 0
        try:
            while in_vain < MOST and rounds < MOST_ROUNDS:
                rounds += 1
                said = await self._fleet.lead(key, known, until)
                if said is None:
                    break
                if not isinstance(said, Landed):
                    return await self._inherited(said, ask, plan) if said.inherited else Led(said)
                if said.ending is Ending.OWN:
                    break
                if said.ending is Ending.STORED:
                    entry = await self._found(ask, plan, awaited=said.awaited)
                    if entry is not None:
                        return entry
                    known = said.stamp
                in_vain += said.awaited
        except TimeoutError:
            return LATE
        return Led(None)

    async def _inherited(self, lead: Lead, ask: Asked, plan: Fetch) -> Led | Entry:
        """Take a lead that another had before, not without a look at what that one left."""
        led = Led(lead)
        try:
            entry = await self._found(ask, plan, awaited=True)
        except BaseException:
            led.land(Ending.FAILED)
            raise
        if entry is None:
            return led
        led.land(Ending.STORED, entry.received_at)
        return entry

    async def _found(self, ask: Asked, plan: Fetch, *, awaited: bool) -> Entry | None:
        """Return what is in the store for a request now, if it will do.

        What came while it was waited for is taken as it is, as from a flight of this process.
        """
        endpoint, request, now = ask.match.endpoint, ask.request, self._now()
        stored = await self._cache.stored(ask.key, now, anew=True)
        again = plans.plan(endpoint, request, stored, now, private=ask.private)
        if isinstance(again, Serve) and again.verdict is Verdict.HIT:
            return again.entry
        if not awaited:
            return None
        obey = endpoint.policy is Policy.OBEY
        chosen = variants.select(stored, request) if obey else next(iter(stored), None)
        newer = chosen is not None and chosen.received_at > _newest(plan.stored)
        return chosen if newer else None


def _newest(stored: tuple[Entry, ...]) -> float:
    return max(entry.received_at for entry in stored) if stored else NONE
