"""Replay: recorded traffic against a configuration, in simulated time; nothing is sent.

The same core decides as in earnest: routing, keys, plans, stretching, and the arithmetic of limits.
What is simulated of the provider: it answers 200 at once, and counts what it is said to cost.
Members of lists share calls; what different requests would share in flight is not counted on, nor
are refreshes ahead, so the real figures are rather better. A request that finds no quota waits as
long as it would, in order.
"""

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Annotated, Any, Final, assert_never

import msgspec

from proxy.asked import Asked, asked
from proxy.batching.compositions import composition
from proxy.core import batches, plans, storing
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
from proxy.freshening.stretches import Stretches
from proxy.planning.simulation import Ledger, Spent

TICK: Final = 0.05
"""Seconds after which one who waits asks again at the earliest."""
UNMET: Final = "(none)"
"""Stands for the upstream of requests that meet none."""


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


@dataclass(slots=True)
class Served:
    """What the requests of one endpoint got."""

    verdicts: dict[Verdict, int] = field(default_factory=dict)
    calls: int = 0
    ages: float = 0.0
    answered: int = 0
    worst_age: float = 0.0

    def count(self, verdict: Verdict, age: float = 0.0) -> None:
        """Count one request."""
        self.verdicts[verdict] = self.verdicts.get(verdict, 0) + 1
        if verdict is not Verdict.REFUSED:
            self.answered += 1
            self.ages += age
            self.worst_age = max(self.worst_age, age)


class Replay:
    """One run of a trace."""

    def __init__(self, upstreams: tuple[Upstream, ...]) -> None:
        """Take the configuration to try."""
        self.routes = Routes(upstreams)
        self.ledger = Ledger(upstreams)
        self.served: dict[tuple[str, str], Served] = {}
        self.duration = 0.0
        self._stretches = Stretches(self.ledger)
        self._entries: dict[str, Entry] = {}
        self._order = count()
        self._waiting: list[tuple[float, int, float, Asked]] = []
        self._awaited: dict[str, int] = {}

    def run(self, lines: Iterable[Line]) -> None:
        """Serve the requests in the order of their times."""
        began = None
        for line in sorted(lines, key=lambda each: each.at):
            if began is None:
                began = self.ledger.began = line.at
            self._until(line.at)
            self.ledger.now = line.at
            self.duration = line.at - began
            self._serve(line)
        self._until(float("inf"))

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

    # ── One request ──

    def _one(self, ask: Asked) -> None:
        plan, now = self._plan(ask), self.ledger.now
        match plan:
            case Serve(entry, verdict):
                self._of(ask).count(verdict, entry.age(now))
            case ServeThenRefresh(entry):
                self._of(ask).count(Verdict.STALE, entry.age(now))
                if ask.key not in self._awaited:
                    self._called(ask)
            case Fetch():
                self._fetch(ask, plan, now + ask.max_wait)
            case Forward():
                granted = self._called(ask, keep=False) is None
                self._of(ask).count(Verdict.BYPASS if granted else Verdict.REFUSED)
            case Refuse():
                self._of(ask).count(Verdict.REFUSED)
            case _:
                assert_never(plan)

    def _plan(self, ask: Asked) -> Plan:
        now, match = self.ledger.now, ask.match
        stored = self._entries.get(ask.key)
        by = self._stretches.factor(match.upstream, match.endpoint, now)
        entries = () if stored is None else (stored,)
        return plans.plan(
            match.endpoint, ask.request, entries, now, private=ask.private, stretch=by
        )

    def _fetch(self, ask: Asked, plan: Fetch, deadline: float) -> None:
        now, served = self.ledger.now, self._of(ask)
        if ask.key in self._awaited:
            self._awaited[ask.key] += 1
            return
        wait = self._called(ask)
        if wait is None:
            served.count(Verdict.MISS)
        elif plan.fallback is not None:
            served.count(Verdict.RESCUED, plan.fallback.age(now))
        elif now + wait <= deadline:
            self._awaited.setdefault(ask.key, 0)
            heapq.heappush(self._waiting, (now + wait, next(self._order), deadline, ask))
        else:
            served.count(Verdict.REFUSED)

    def _until(self, now: float) -> None:
        """Let those who wait for quota ask again, up to `now`."""
        while self._waiting and self._waiting[0][0] <= now:
            at, _, deadline, ask = heapq.heappop(self._waiting)
            self.ledger.now = max(self.ledger.now, at)
            joined = self._awaited.pop(ask.key, 0)
            wait, served = self._called(ask), self._of(ask)
            if wait is not None and at + max(wait, TICK) <= deadline:
                self._awaited[ask.key] = joined
                heapq.heappush(
                    self._waiting, (at + max(wait, TICK), next(self._order), deadline, ask)
                )
                continue
            served.count(Verdict.MISS if wait is None else Verdict.REFUSED)
            for _ in range(joined):
                served.count(Verdict.JOINED if wait is None else Verdict.REFUSED)

    def _called(self, ask: Asked, *, keep: bool = True) -> float | None:
        """Make one call; None: it went, else the seconds until it could."""
        wait = self.ledger.spend(ask.bill())
        if wait is None:
            self._of(ask).calls += 1
            if keep:
                self._store(ask)
        return wait

    def _store(self, ask: Asked) -> None:
        endpoint, now = ask.match.endpoint, self.ledger.now
        kind = endpoint.content_type or "application/json"
        reply = Reply(200, "OK", (("Content-Type", kind),), b"{}")
        made = storing.entry(
            endpoint, ask.request, Fetched(reply, now, now), ask.lifetimes, ask.key
        )
        if isinstance(made, Entry):
            self._entries[ask.key] = made

    def _of(self, ask: Asked) -> Served:
        name = (ask.match.upstream.name, ask.match.endpoint.name)
        return self.served.setdefault(name, Served())

    # ── A list: what is missing of it goes in as few calls as the provider allows ──

    def _several(self, ask: Asked, members: list[Asked]) -> None:
        now, ages, missing, fallbacks = self.ledger.now, [0.0], [], 0
        verdict = Verdict.HIT
        for member in members:
            plan = self._plan(member)
            match plan:
                case Serve(entry, _) | ServeThenRefresh(entry, _, _):
                    ages.append(entry.age(now))
                    if isinstance(plan, ServeThenRefresh):
                        verdict = Verdict.STALE
                        missing.append(member)
                        fallbacks += 1
                case Fetch(fallback=entry):
                    verdict = Verdict.MISS
                    missing.append(member)
                    if entry is not None:
                        ages.append(entry.age(now))
                        fallbacks += 1
                case _:
                    self._one(ask)
                    return
        if not self._shared(ask, missing) and verdict is Verdict.MISS:
            verdict = Verdict.RESCUED if fallbacks == len(missing) else Verdict.REFUSED
        self._of(ask).count(verdict, max(ages))

    def _shared(self, ask: Asked, missing: list[Asked]) -> bool:
        """Fetch members in shared calls; return whether all were granted."""
        batch = ask.match.endpoint.batch
        if batch is None:
            raise TypeError("only an endpoint with a batch has lists")
        while missing:
            some, missing = missing[: batch.most], missing[batch.most :]
            names = [found[0] for each in some if (found := batches.members(batch, each.match))]
            request = batches.asking(batch, ask.match, ask.request, tuple(names))
            route = self.routes.match(request)
            if not isinstance(route, Match):
                raise TypeError("a list does not meet its own rule")
            call = asked(request, route, self.ledger.now, b"")
            if self._called(call, keep=False) is not None:
                return False
            for each in some:
                self._store(each)
        return True


def replayed(upstreams: tuple[Upstream, ...], lines: Iterable[Line]) -> dict[str, Any]:
    """Return what comes of a trace with these upstreams."""
    replay = Replay(upstreams)
    replay.run(lines)
    return report(replay)


def report(replay: Replay) -> dict[str, Any]:
    """Return what came of a replay; plain JSON values, times in seconds."""
    return {
        "seconds": round(replay.duration, 3),
        "requests": sum(sum(each.verdicts.values()) for each in replay.served.values()),
        "calls": sum(each.calls for each in replay.served.values()),
        "limits": [
            _limit(name, bucket, spent, replay.duration)
            for (name, bucket), spent in sorted(replay.ledger.spent.items())
        ],
        "endpoints": [
            _endpoint(name, endpoint, served)
            for (name, endpoint), served in sorted(replay.served.items())
        ],
    }


def _limit(upstream: str, bucket: str, spent: Spent, duration: float) -> dict[str, Any]:
    lasts = None
    if spent.cost > 0 and duration > 0:
        seconds = spent.limit.limit * duration / spent.cost
        lasts = round(seconds, 1) if seconds < spent.window else None
    return {
        "upstream": upstream,
        "limit": bucket,
        "size": spent.limit.limit,
        "window": spent.window,
        "calls": spent.calls,
        "spent": round(spent.cost, 3),
        "peak": round(spent.peak, 4),
        "denied": spent.denied,
        "ran_out_after": None if spent.ran_out is None else round(spent.ran_out, 3),
        "lasts_at_this_rate": lasts,
    }


def _endpoint(upstream: str, endpoint: str, served: Served) -> dict[str, Any]:
    requests = sum(served.verdicts.values())
    hits = sum(served.verdicts.get(each, 0) for each in (Verdict.HIT, Verdict.STALE))
    return {
        "upstream": upstream,
        "endpoint": endpoint,
        "requests": requests,
        "calls": served.calls,
        "hit_ratio": round(hits / requests, 4) if requests else 0.0,
        "refused": served.verdicts.get(Verdict.REFUSED, 0),
        "mean_age": round(served.ages / served.answered, 3) if served.answered else 0.0,
        "worst_age": round(served.worst_age, 3),
        "verdicts": {verdict.value: number for verdict, number in sorted(served.verdicts.items())},
    }


def as_text(made: Mapping[str, Any]) -> str:
    """Return a report as tables for a terminal."""
    lines = [
        f"{made['requests']} requests in {made['seconds']:g} s, {made['calls']} calls",
        "",
        f"{'limit':<34}{'size':>9}{'window':>10}{'calls':>8}{'spent':>10}{'peak':>7}  runs out",
    ]
    for each in made["limits"]:
        name = f"{each['upstream']} {each['limit']}"
        lines.append(
            f"{name:<34}{each['size']:>9g}{each['window']:>10g}{each['calls']:>8}"
            f"{each['spent']:>10g}{each['peak']:>7.0%}  {_runs_out(each)}"
        )
    lines += [
        "",
        f"{'endpoint':<34}{'requests':>9}{'calls':>8}{'hits':>7}{'refused':>9}{'age':>10}{'worst':>8}",
    ]
    for each in made["endpoints"]:
        name = f"{each['upstream']} {each['endpoint']}"
        lines.append(
            f"{name:<34}{each['requests']:>9}{each['calls']:>8}{each['hit_ratio']:>7.0%}"
            f"{each['refused']:>9}{each['mean_age']:>10.1f}{each['worst_age']:>8.1f}"
        )
    return "\n".join(lines)


def _runs_out(limit: Mapping[str, Any]) -> str:
    if limit["ran_out_after"] is not None:
        return f"after {limit['ran_out_after']:g} s, {limit['denied']} times denied"
    if limit["lasts_at_this_rate"] is not None:
        return f"after {limit['lasts_at_this_rate']:g} s at this rate"
    return "never"
