"""Replay: recorded traffic against a configuration, in simulated time; nothing is sent.

The same core decides as in earnest: routing, keys, plans, stretching, which requests share a call,
who rides along, which answer holds which, and the arithmetic of limits. What is simulated of the
provider: it answers 200 after as long as it is said to take (`takes`), as much as it was asked for,
and counts what it is said to cost. So the real figures differ by little: tests hold both together.
A request that finds no quota waits as long as it would, in order.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any, Final, assert_never

import msgspec
from msgspec import structs

from proxy.asked import Asked, asked
from proxy.batching.compositions import composition
from proxy.batching.families import Families
from proxy.core import plans, storing
from proxy.core.model import (
    Entry,
    Fetch,
    Fetched,
    Forward,
    Plan,
    Refuse,
    Reply,
    Request,
    Serve,
    ServeThenRefresh,
    Verdict,
)
from proxy.core.routing import Match, Routes
from proxy.core.tables import Table
from proxy.core.upstreams import Upstream
from proxy.freshening.heats import Heats
from proxy.freshening.stretches import Stretches
from proxy.planning.errands import Errands, Waiting
from proxy.planning.refreshes import Refreshes
from proxy.planning.reports import Served, report
from proxy.planning.simulation import Ledger

UNMET: Final = "(none)"
"""Stands for the upstream of requests that meet none."""
OK: Final = 200
LATEST: Final = 250_000_000_000
"""Unix time up to which traces are understood: dates are written with four digits of the year."""


class Line(msgspec.Struct):
    """One recorded request."""

    at: Annotated[float, msgspec.Meta(ge=0, le=LATEST)]
    target: str
    method: str = "GET"
    client: str = ""


def read(lines: Iterable[bytes]) -> Iterator[Line]:
    """Yield the requests of a trace.

    Raises:
        ValueError: a line is none; the message says which.

    """
    decoder = msgspec.json.Decoder(Line)
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                yield decoder.decode(line)
            except msgspec.MsgspecError as error:
                raise ValueError(f"line {number}: {error}") from None


def changed(upstreams: Iterable[Upstream], ttls: Mapping[str, Table]) -> tuple[Upstream, ...]:
    """Return the upstreams with other TTLs, by `upstream.endpoint`.

    Raises:
        ValueError: there is no such endpoint.

    """
    left = dict(ttls)
    made = []
    for upstream in upstreams:
        endpoints = []
        for endpoint in upstream.endpoints:
            ttl = left.pop(f"{upstream.name}.{endpoint.name}", endpoint.ttl)
            endpoints.append(replace(endpoint, ttl=ttl))
        made.append(replace(upstream, endpoints=tuple(endpoints)))
    if left:
        raise ValueError(f"there is no endpoint {next(iter(left))!r} (upstream.endpoint)")
    return tuple(made)


class Replay:
    """One run of a trace."""

    def __init__(self, upstreams: tuple[Upstream, ...], takes: float = 0.0) -> None:
        """Take the configuration to try, and how long a provider takes (seconds)."""
        self.routes = Routes(upstreams)
        self.ledger = Ledger(upstreams)
        self.served: dict[tuple[str, str], Served] = {}
        self.duration = 0.0
        self._stretches = Stretches(self.ledger)
        self._entries: dict[str, Entry] = {}
        self._heats = Heats()
        self._families = Families()
        self._errands = Errands(
            self.routes, self.ledger, self._heats, self._entries, self._store, self._called,
            takes=takes,
        )  # fmt: skip
        self._cut: dict[str, set[str]] = {}
        """Keys of what was cut from the answer under a key."""
        self._refreshes = Refreshes(
            self.ledger, self._heats, self._entries, self._errands.waits, self._refresh
        )

    def run(self, lines: Iterable[Line]) -> None:
        """Serve the requests in the order of their times."""
        began = None
        for line in sorted(lines, key=lambda each: each.at):
            if began is None:
                began = self.ledger.began = self.ledger.now = line.at
                self._refreshes.begin(self.routes, self._fetched_for)
            self._until(line.at)
            self.duration = line.at - began
            self._serve(line)
        self._errands.until(float("inf"))

    def _until(self, at: float) -> None:
        """Let pass what happens by itself up to a time."""
        while self._refreshes.next <= at:
            self._errands.until(self._refreshes.next)
            self.ledger.now = self._refreshes.next
            self._refreshes.look(at)
        self._errands.until(at)
        self.ledger.now = at

    def _serve(self, line: Line) -> None:
        path, _, query = line.target.partition("?")
        request = Request(line.method, path, query, ())
        route = self.routes.match(request)
        if not isinstance(route, Match):
            self.served.setdefault((UNMET, ""), Served()).count(Verdict.REFUSED)
            return
        ask = asked(request, route, line.at, b"")
        composed = composition(ask, self.routes)
        if composed is None:
            self._one(ask)
        else:
            self._several(ask, [member for _, member in composed.members])

    def _one(self, ask: Asked) -> None:
        plan, now = self._plan(ask), self.ledger.now
        match plan:
            case Serve(entry, verdict):
                self._used(ask)
                self._of(ask).count(verdict, entry.age(now))
            case ServeThenRefresh(entry):
                self._of(ask).count(Verdict.STALE, entry.age(now))
                self._behind(ask, [ask])
            case Fetch(fallback=fallback):
                longer = self._families.in_place_of(ask, self.routes, now)
                if longer is not None:
                    self._one(longer.asked)
                else:
                    self._fetch(ask, [ask], 0.0, None if fallback is None else fallback.age(now))
            case Forward():
                granted = self.ledger.spend(ask.bill()) is None
                if granted:
                    self._called(ask)
                self._of(ask).count(Verdict.BYPASS if granted else Verdict.REFUSED)
            case Refuse():
                self._of(ask).count(Verdict.REFUSED)
            case _:
                assert_never(plan)

    def _several(self, ask: Asked, members: list[Asked]) -> None:
        """Answer a list: as old as its oldest member, and its word is that of its least one."""
        now, ages, missing, stale = self.ledger.now, [0.0], [], []
        fallbacks = []
        for member in members:
            match self._plan(member):
                case Serve(entry, _):
                    self._used(member)
                    ages.append(entry.age(now))
                case ServeThenRefresh(entry, _, _):
                    ages.append(entry.age(now))
                    stale.append(member)
                case Fetch(fallback=entry):
                    missing.append(member)
                    if entry is not None:
                        fallbacks.append(entry.age(now))
                case _:
                    self._one(ask)
                    return
        age = max(ages)
        if missing:
            rescued = max(age, *fallbacks) if len(fallbacks) == len(missing) else None
            self._fetch(ask, missing, age, rescued, stale)
            return
        if stale:
            self._behind(ask, stale)
        self._of(ask).count(Verdict.STALE if stale else Verdict.HIT, age)

    def _plan(self, ask: Asked) -> Plan:
        now, match = self.ledger.now, ask.match
        by = self._stretches.factor(match.upstream, match.endpoint, now)
        return plans.plan(
            match.endpoint, ask.request, self._stored(ask), now, private=ask.private, stretch=by
        )

    def _stored(self, ask: Asked) -> tuple[Entry, ...]:
        """Return what is stored for a request, or what a longer answer holds of it."""
        own, now = self._entries.get(ask.key), self.ledger.now
        holders = self._families.holders(ask)
        if own is not None and own.age(now) < own.lifetimes.ttl:
            return (own,)
        for holder in holders:
            held = self._entries.get(holder.key)
            if held is None or held.age(now) >= held.lifetimes.ttl:
                continue
            if holder.reaches(ask, held.received_at):
                self._entries[ask.key] = structs.replace(held, key=ask.key)
                self._cut.setdefault(holder.key, set()).add(ask.key)
                return (self._entries[ask.key],)
        return () if own is None else (own,)

    def _used(self, ask: Asked) -> None:
        if ask.match.endpoint.refresh_ahead or ask.match.endpoint.batch is not None:
            self._heats.note(self._fetched_for(ask))

    def _fetched_for(self, ask: Asked) -> Asked:
        longer = self._families.in_place_of(ask, self.routes, self.ledger.now)
        return ask if longer is None else longer.asked

    # ── What is fetched ──

    def _fetch(
        self,
        ask: Asked,
        missing: list[Asked],
        age: float,
        rescued: float | None,
        stale: Iterable[Asked] = (),
    ) -> None:
        """Fetch what a request waits for, and what was stale with it.

        `age` is that of what it has, `rescued` of what it is given where it does not wait for long.
        """
        served, keys = self._of(ask), frozenset(each.key for each in missing)
        joined = all(map(self._errands.is_awaited, missing))
        got = Verdict.JOINED if joined else Verdict.MISS

        def tell(came: bool) -> None:  # noqa: FBT001 - what became of it
            served.count(got if came else Verdict.REFUSED, age if came else 0.0)

        asks, until = [*missing, *stale], ask.began + ask.max_wait
        if rescued is None:
            self._errands.run(asks, Waiting(keys, until, tell))
            return

        def tell_in_time(came: bool) -> None:  # noqa: FBT001 - likewise
            served.count(got if came else Verdict.RESCUED, age if came else rescued)

        hurry = min(until, ask.began + ask.match.endpoint.rescue_after)
        self._errands.run(
            asks, Waiting(keys, hurry, tell_in_time, hurried=True), Waiting(keys, until, _nobody)
        )

    def _behind(self, ask: Asked, stale: list[Asked]) -> None:
        """Fetch for nobody what was given stale, or the longer answers that hold it."""
        wanted = [self._fetched_for(each) for each in stale]
        for each in wanted:
            self._families.note(each)
        keys = frozenset(each.key for each in wanted)
        self._errands.run(wanted, Waiting(keys, ask.began + ask.max_wait, _nobody))

    def _refresh(self, ask: Asked) -> None:
        """Fetch for nobody what is to be refreshed, if it can go at once."""
        asking = self._fetched_for(ask)
        self._families.note(asking)
        self._errands.run([asking], Waiting(frozenset({asking.key}), self.ledger.now, _nobody))

    def _called(self, ask: Asked) -> None:
        self._of(ask).calls += 1

    def _store(self, ask: Asked, sent_at: float) -> None:
        endpoint, now = ask.match.endpoint, self.ledger.now
        kind = endpoint.content_type or "application/json"
        reply = Reply(OK, "OK", (("Content-Type", kind),), b"{}")
        made = storing.entry(
            endpoint, ask.request, Fetched(reply, sent_at, now), ask.lifetimes, ask.key
        )
        if isinstance(made, Entry):
            self._entries[ask.key] = made
            self._outdate(ask.key)

    def _outdate(self, key: str) -> None:
        """Forget what was cut from an answer that was fetched anew, and from that in turn."""
        for each in self._cut.pop(key, ()):
            self._entries.pop(each, None)
            self._outdate(each)

    def _of(self, ask: Asked) -> Served:
        name = (ask.match.upstream.name, ask.match.endpoint.name)
        return self.served.setdefault(name, Served())


def _nobody(_: object) -> None:
    """Take what becomes of what nobody waits for."""


def replayed(
    upstreams: tuple[Upstream, ...], lines: Iterable[Line], takes: float = 0.0
) -> dict[str, Any]:
    """Return what comes of a trace with these upstreams, which take so many seconds to answer."""
    replay = Replay(upstreams, takes)
    replay.run(lines)
    return report(replay.served, replay.ledger.spent, replay.duration, takes)
