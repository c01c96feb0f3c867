"""Errands: what is to be fetched in simulated time, which calls it goes in, and who waits for it.

Who shares a call, who rides along, and how far apart calls go is decided by what decides it in
earnest (`batching`). A call is under way for as long as the provider is said to take: who asks for
what it brings waits for it, and what else could have gone with it gathers for the next. What finds
no quota, or is kept back for others to come, is tried again when there may be some, with all who
have come by then.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from proxy.asked import Asked
from proxy.batching.compositions import is_member
from proxy.batching.lists import Lists, batch_of
from proxy.batching.riders import Riders
from proxy.batching.spacing import Spacing
from proxy.core import batches
from proxy.core.model import Entry
from proxy.core.routing import Routes
from proxy.freshening.heats import Heats
from proxy.planning.simulation import Ledger

TICK: Final = 0.05
"""Seconds after which what waits is tried again at the earliest."""


@dataclass(eq=False, slots=True)
class Waiting:
    """A request that waits for what is fetched; what becomes of it is told once."""

    keys: frozenset[str]
    """Of the answers that it waits for."""
    until: float
    """When it goes without them, unless they are under way by then."""
    told: Callable[[bool], None]
    """Takes whether it got them."""
    hurried: bool = False
    """It goes without them even then: it has something to fall back on."""


@dataclass(eq=False, slots=True)
class _Errand:
    """What can go in the same calls, has not gone yet, or has not come back."""

    open: dict[str, Asked] = field(default_factory=dict)
    flying: dict[str, Asked] = field(default_factory=dict)
    """What the call under way brings."""
    sent_at: float = 0.0
    waiting: list[Waiting] = field(default_factory=list)
    at: float = 0.0
    """When it is tried again, or lands."""


class Errands:
    """All that is to be fetched."""

    def __init__(
        self,
        routes: Routes,
        ledger: Ledger,
        heats: Heats,
        entries: dict[str, Entry],
        came: Callable[[Asked, float], None],
        called: Callable[[Asked], None],
        *,
        takes: float = 0.0,
    ) -> None:
        """Take routes, limits, what is used, what is stored; who stores, and who counts calls.

        `came` is told what came and when it was sent for; `takes`: seconds of every call.
        """
        self._takes = takes
        self._ledger = ledger
        self._came = came
        self._called = called
        self._riders = Riders(heats, entries.get, lambda: ledger.now)
        self._lists = Lists(self._riders, ledger.levels)
        self._lists.configure(routes)
        self._spacing = Spacing(ledger.levels, lambda: ledger.now)
        self._errands: dict[str, _Errand] = {}
        self._due: list[tuple[float, int, str]] = []
        self._order = count()

    def is_awaited(self, ask: Asked) -> bool:
        """Whether an answer is to be fetched already."""
        errand = self._errands.get(self._name(ask))
        return errand is not None and (ask.key in errand.open or ask.key in errand.flying)

    def waits(self, upstream: str) -> bool:
        """Return whether anything waits for an upstream's quota."""
        return any(
            next(iter(errand.open.values())).match.upstream.name == upstream
            for errand in self._errands.values()
            if errand.open and not errand.flying
        )

    def run(self, asks: list[Asked], *waiting: Waiting) -> None:
        """Fetch answers that can go in the same calls, now if they may go now."""
        name = self._name(asks[0])
        errand = self._errands.get(name)
        is_new = errand is None
        if errand is None:
            errand = self._errands[name] = _Errand()
        coming = errand.open.keys() | errand.flying.keys()
        errand.open.update({each.key: each for each in asks if each.key not in coming})
        errand.waiting += waiting
        if not errand.flying and (is_new or self._is_full(errand)):
            wait = self._made(name, errand)
            if errand.flying or (is_new and errand.open):
                self._wait(name, errand, wait)
            self._close(name, errand)

    def until(self, now: float) -> None:
        """Make the calls that can be made up to `now`."""
        while self._due and self._due[0][0] <= now:
            at, _, name = heapq.heappop(self._due)
            errand = self._errands.get(name)
            if errand is None or errand.at != at:
                continue
            self._ledger.now = max(self._ledger.now, at)
            self._land(errand)
            _tell(errand, self._ledger.now)
            wait = self._made(name, errand) if errand.waiting else 0.0
            if errand.flying:
                self._wait(name, errand, wait)
            elif errand.open and errand.waiting:
                self._wait(name, errand, max(wait, TICK))
            self._close(name, errand)

    def _wait(self, name: str, errand: _Errand, wait: float) -> None:
        errand.at = self._ledger.now + wait
        heapq.heappush(self._due, (errand.at, next(self._order), name))

    def _close(self, name: str, errand: _Errand) -> None:
        """Forget an errand that is done, or for which nobody waits any more."""
        _tell(errand, self._ledger.now)
        if not errand.flying and (not errand.open or not errand.waiting):
            self._errands.pop(name, None)

    def _made(self, name: str, errand: _Errand) -> float:
        """Make the calls that may go now; return in how long there is more to be done."""
        while errand.open:
            chosen, wait = self._attempt(name, list(errand.open.values()))
            if wait > 0:
                return wait
            errand.sent_at = self._ledger.now
            errand.flying = {each.key: each for each in chosen}
            for each in chosen:
                errand.open.pop(each.key, None)
            if self._takes > 0:
                return self._takes
            self._land(errand)
        return 0.0

    def _land(self, errand: _Errand) -> None:
        """Take what the call under way brings."""
        for each in errand.flying.values():
            self._came(each, errand.sent_at)
        errand.flying = {}

    def _attempt(self, name: str, asks: list[Asked]) -> tuple[list[Asked], float]:
        """Make a call for as many as may share one: who has come, or for how long it cannot go."""
        first = asks[0]
        if not is_member(first):
            wait = self._spent(first, self._ledger.spend(first.bill()))
            return [first], wait
        most = batch_of(first).most
        wait = self._spacing.wait(first.bill(), asks)
        if wait > 0 and len(asks) < most:
            return [], wait
        chosen = asks[:most]
        for each in chosen:
            self._riders.note(name, _member(each), each)
        riders = self._lists.riders(name, first, tuple(map(_member, chosen)))
        if not riders and self._lists.is_cheaper_alone(first, len(chosen)):
            chosen = [first]
        members = (*map(_member, chosen), *(rider.member for rider in riders))
        bill = self._lists.bill(first, members)
        wait = self._spent(first, self._ledger.spend(bill))
        if not wait:
            self._spacing.sent(bill)
        return [*chosen, *(rider.asked for rider in riders)], wait

    def _spent(self, ask: Asked, wait: float | None) -> float:
        """Count a call that went; return for how long it could not."""
        if wait is None:
            self._called(ask)
            return 0.0
        return max(wait, TICK)

    def _name(self, ask: Asked) -> str:
        return self._lists.family(ask) if is_member(ask) else ask.key

    def _is_full(self, errand: _Errand) -> bool:
        first = next(iter(errand.open.values()), None)
        return first is not None and is_member(first) and len(errand.open) >= batch_of(first).most


def _member(ask: Asked) -> str:
    found = batches.members(batch_of(ask), ask.match)
    if found is None:
        raise TypeError("a member names itself")
    return found[0]


def _tell(errand: _Errand, now: float) -> None:
    """Tell those whose answers have come, and those who wait no longer."""
    left = []
    for each in errand.waiting:
        open_ = bool(each.keys & errand.open.keys())
        is_late = now > each.until and (open_ or each.hurried)
        if is_late or not (open_ or each.keys & errand.flying.keys()):
            each.told(not is_late)
        else:
            left.append(each)
    errand.waiting = left
