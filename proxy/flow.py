"""The only orchestrator: a request's way from the door to its answer (see `proxy`).

All that is decided is decided in `core`; what the flow does is ask, wait, and do what came of it.
What it needs of the edge is declared in `proxy.ports` and `proxy.calls`.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import assert_never
from urllib.parse import urlsplit

from msgspec.structs import replace

from proxy import refusals
from proxy.accounts import Accounts
from proxy.answer import Answer, Problem
from proxy.asked import Asked, asked
from proxy.batching.compositions import composition
from proxy.batching.cuts import Cuts, cut
from proxy.batching.families import Families
from proxy.cache import Cache
from proxy.changes import Changes
from proxy.core import conditions, keys, plans, privacy, variants
from proxy.core.model import (
    Entry,
    Fetch,
    Forward,
    Policy,
    Refuse,
    Request,
    Serve,
    ServeThenRefresh,
    Settlement,
    Verdict,
)
from proxy.core.routing import Match, Routes
from proxy.fetches import Arriving, Fetches, Landing, Settled
from proxy.flights import Flight, Flights
from proxy.forwards import Forwards
from proxy.hits import Hit, Hits
from proxy.observation import Observation, Observer
from proxy.planning.recording import Recording
from proxy.queues import Overloaded

BODY_KEYED = 1024 * 1024
"""Bytes of a request's body that can be part of a key; more is refused (413)."""


@dataclass(frozen=True, slots=True)
class FlowParts:
    """What the flow stands on."""

    cache: Cache
    flights: Flights[Landing]
    fetches: Fetches
    forwards: Forwards
    accounts: Accounts
    hits: Hits
    observer: Observer
    time: Callable[[], float]
    """A clock that never steps, for durations (seconds)."""
    now: Callable[[], float]
    """The clock of entries."""
    secret: bytes
    """Keys the HMAC of credentials that clients bring."""


class Flow:
    """Serves requests."""

    def __init__(self, parts: FlowParts, routes: Routes) -> None:
        self._parts = parts
        self._families = Families()
        self._cuts = Cuts(self._families, parts.cache)
        self.heats = parts.fetches.heats
        self.recording: Recording | None = None
        """Where requests are recorded, if they are."""
        self.configure(routes)

    def configure(self, routes: Routes) -> None:
        """Take the routes in force from the next request on."""
        self.routes = routes
        self._parts.hits.configure(routes.upstreams.values())
        self._parts.fetches.lists.configure(routes)

    def known(self, request: Request) -> Hit | None:
        """Return the known hit that a request is, be it one now or not."""
        return self._parts.hits.find(request)

    def again(self, hit: Hit) -> Answer | None:
        """Return the answer of a known hit as of now, and count it; None: it is none any more."""
        return self._recorded(hit, self._parts.hits.answer(hit, self._parts.now()))

    async def again_from_store(self, hit: Hit) -> Answer | None:
        """Do the same for a hit that only the store has."""
        parts, began = self._parts, self._parts.time()
        entry = await parts.cache.read(hit.entry.key, parts.now())
        took = parts.time() - began
        return self._recorded(hit, parts.hits.answer_from(hit, entry, parts.now(), took))

    def _recorded(self, hit: Hit, answer: Answer | None) -> Answer | None:
        if self.recording is not None and answer is not None:
            self.recording.record(hit.asked)
        return answer

    @property
    def changes(self) -> Changes:
        """Counts whatever could end a known hit before its time."""
        return self._parts.hits.changes

    @property
    def repeatable(self) -> bool:
        """Whether a known hit may be answered again, unasked, until its time or a change."""
        return self.recording is None

    def count(self, hit: Hit, times: int) -> None:
        """Count further hits that had the present answer."""
        self._parts.hits.count(hit, times)

    async def serve(self, request: Request, body: AsyncIterator[bytes] | None) -> Answer:
        """Answer one request; a problem is an answer too."""
        began = self._parts.time()
        route = self.routes.match(request)
        if not isinstance(route, Match):
            answer = self._parts.accounts.problem(None, refusals.nowhere(route))
            return self._observed(None, answer, began)
        if route.endpoint.cache_body and request.method == "POST" and body is not None:
            whole = await _whole(body)
            if whole is None:
                problem = Problem(413, "Body too large", "too large to be a key", "body-too-large")
                return self._observed(None, self._parts.accounts.problem(None, problem), began)
            request, body = replace(request, body=whole), None
        ask = asked(request, route, began, self._parts.secret)
        if self.recording is not None:
            self.recording.record(ask)
        problem_met = self._refusal(ask)
        if problem_met is not None:
            answer = self._parts.accounts.problem(ask, problem_met)
        elif (composed := composition(ask, self.routes)) is None:
            answer = await self._answer(ask, body)
        else:  # a list: from its members, unless they make none
            listed = await composed.answer(lambda member: self._answer(member, None))
            answer = listed or await self._answer(ask, body)
        return self._observed(ask, answer, began)

    def _refusal(self, ask: Asked) -> Problem | None:
        """Return why the request is not let through at all, or None."""
        upstream, endpoint = ask.match.upstream, ask.match.endpoint
        client = ask.request.client
        if client.upstreams is not None and upstream.name not in client.upstreams:
            return refusals.client_not_let_in(upstream, client)
        if upstream.disabled:
            return refusals.disabled(upstream)
        if endpoint.methods is not None and ask.request.method not in endpoint.methods:
            return refusals.not_allowed(ask.match, ask.request, endpoint.methods)
        if upstream.client_credentials == "refuse":
            brought = privacy.client_keys(ask.match, ask.request)
            if brought:
                return refusals.client_key_refused(upstream, tuple(name for name, _ in brought))
        return None

    async def _answer(
        self, ask: Asked, body: AsyncIterator[bytes] | None, *, alone: bool = False
    ) -> Answer:
        """Answer what is let through; `alone`: by a fetch of its own, if it needs one."""
        endpoint, now = ask.match.endpoint, self._parts.now()
        stored: tuple[Entry, ...] = ()
        if ask.key and not endpoint.live:
            stored = await self._parts.cache.stored(ask.key, now)
            if endpoint.contains is not None:
                stored = await self._cuts.stored(ask, stored, now)
        accounts = self._parts.accounts
        stretch = accounts.stretches.factor(ask.match.upstream, endpoint, now)
        plan = plans.plan(endpoint, ask.request, stored, now, private=ask.private, stretch=stretch)
        match plan:
            case Serve(entry, verdict, detail):
                answer = accounts.entry(ask, entry, verdict, now, detail=detail)
                counted = endpoint.refresh_ahead or endpoint.batch is not None
                heat = self.heats.note(self.fetched_for(ask)) if counted else None
                self._parts.hits.learn(ask, answer, heat)
                return answer
            case ServeThenRefresh(entry, validators, detail):
                await self._refresh_behind(ask, Fetch(validators, stored, forward_reason="stale"))
                return accounts.entry(ask, entry, Verdict.STALE, now, detail=detail)
            case Fetch():
                held = endpoint.contains is not None and not alone
                longer = await self._from_longer(ask) if held else None
                plan = replace(plan, joinable=False) if alone else plan
                return longer or await self._fetch(ask, plan)
            case Forward():
                return await self._forward(ask, plan, body)
            case Refuse():
                return accounts.problem(ask, refusals.refused(ask.match.upstream, plan, None))
            case _:
                assert_never(plan)

    async def _from_longer(self, ask: Asked) -> Answer | None:
        """Answer what is missing by a call for more, at no greater cost; None: there is none."""
        longer = self._families.in_place_of(ask, self.routes, self._parts.now())
        if longer is None:
            return None
        return await cut(longer, ask.key, await self._answer(longer.asked, None))

    # ── Fetch: join a flight or begin one ──

    @property
    def secret(self) -> bytes:
        """What keys the HMAC of credentials that clients bring."""
        return self._parts.secret

    def fetched_for(self, ask: Asked) -> Asked:
        """Return the request that is made when a request's answer is fetched: it, or a longer."""
        longer = self._families.in_place_of(ask, self.routes, self._parts.now())
        return ask if longer is None else longer.asked

    async def refresh(self, ask: Asked) -> None:
        """Fetch an answer for nobody, be it stored or not, unless it is being fetched already."""
        ask = self.fetched_for(ask)
        self._families.note(ask)
        stored = await self._parts.cache.stored(ask.key, self._parts.now())
        asked_for = conditions.validators(stored, stored[0] if stored else None)
        self._refresh(ask, Fetch(asked_for, stored, forward_reason="stale"))

    async def _refresh_behind(self, ask: Asked, plan: Fetch) -> None:
        """Fetch what was given stale, or the longer answer that holds it."""
        longer = self.fetched_for(ask)
        if longer is ask:
            self._refresh(ask, plan)
        else:
            await self.refresh(longer)

    def _refresh(self, ask: Asked, plan: Fetch) -> None:
        """Fetch once behind an answer that was given already."""
        key = _flight_key(ask, plan)
        if self._parts.flights.find(key) is None and self._parts.fetches.arriving(key) is None:
            self._begin(key, ask, plan).pinned = True

    def _begin(self, key: str, ask: Asked, plan: Fetch) -> Flight[Landing]:
        return self._parts.flights.begin(
            key,
            lambda flight: self._parts.fetches.fly(flight, ask, plan),
            joinable=plan.joinable,
        )

    async def _fetch(self, ask: Asked, plan: Fetch) -> Answer:
        key = _flight_key(ask, plan)
        flight = self._parts.flights.find(key) if plan.joinable else None
        joined = flight is not None
        if flight is None and plan.joinable:
            arriving = self._parts.fetches.arriving(key)
            if arriving is not None:
                return await self._arrived(ask, plan, arriving, joined=True)
        if flight is not None:
            flight.urgency.join(ask.patience(waits=True).priority)
        flight = flight or self._begin(key, ask, plan)
        left = ask.deadline - self._parts.time()
        patience = min(ask.match.endpoint.rescue_after, left) if plan.fallback else left
        landing = await self._parts.flights.wait(
            flight, patience, leave_running=plan.fallback is not None
        )
        match landing:
            case None:
                return self._lost_patience(ask, plan)
            case Overloaded():
                return self._overloaded(ask, plan, landing)
            case Arriving():
                return await self._arrived(ask, plan, landing, joined=joined)
            case Settled() if joined:
                return await self._joined(ask, plan, landing)
            case Settled():
                return self._settled(ask, plan, landing.settlement, landing, joined=False)
            case _:
                assert_never(landing)

    async def _arrived(self, ask: Asked, plan: Fetch, landing: Arriving, *, joined: bool) -> Answer:
        """Hand on a large body to one of those who waited for it, or who come while it comes."""
        settled = landing.settled
        settlement: Settlement | None = settled.settlement
        if joined:
            settlement = self._parts.fetches.shared(ask, plan, settled)
        if settlement is None:
            return await self._answer(ask, None, alone=True)
        if isinstance(settlement.reply, Refuse) or settlement.verdict is Verdict.RESCUED:
            return self._settled(ask, plan, settlement, settled, joined=joined)
        head = landing.answered.with_fields(settlement.reply.fields)
        return self._parts.accounts.arriving(ask, plan, head, landing.arrival, joined=joined)

    async def _joined(self, ask: Asked, plan: Fetch, landing: Settled) -> Answer:
        """Answer one who joined a flight with what the landing means to it."""
        settlement = self._parts.fetches.shared(ask, plan, landing)
        if settlement is None:  # stored: another's variant, so that it is known what it varies by
            return await self._answer(ask, None, alone=not landing.settlement.shareable)
        return self._settled(ask, plan, settlement, landing, joined=True)

    def _settled(
        self, ask: Asked, plan: Fetch, settlement: Settlement, landing: Settled, *, joined: bool
    ) -> Answer:
        return self._parts.accounts.settled(
            ask, plan, settlement, landing.outcome, self._parts.now(), joined=joined
        )

    def _lost_patience(self, ask: Asked, plan: Fetch) -> Answer:
        accounts = self._parts.accounts
        if plan.fallback is not None:
            now = self._parts.now()
            return accounts.entry(ask, plan.fallback, Verdict.RESCUED, now, detail="slow")
        refuse = Refuse(
            504,
            "Too late",
            f"{ask.match.upstream.name} gave no answer within the deadline",
            "upstream-timeout",
        )
        return accounts.problem(ask, refusals.refused(ask.match.upstream, refuse, None))

    def _overloaded(self, ask: Asked, plan: Fetch, full: Overloaded) -> Answer:
        accounts = self._parts.accounts
        if plan.fallback is not None:
            now = self._parts.now()
            return accounts.entry(ask, plan.fallback, Verdict.RESCUED, now, detail="overloaded")
        return accounts.problem(ask, refusals.overloaded(ask.match.upstream, full))

    # ── Forward ──

    async def _forward(
        self, ask: Asked, plan: Forward, body: AsyncIterator[bytes] | None
    ) -> Answer:
        def find(uri: str) -> str:
            return self._key_at(ask, uri)

        result = await self._parts.forwards.forward(ask, plan, body, find)
        if isinstance(result, Overloaded):
            problem = refusals.overloaded(ask.match.upstream, result)
            return self._parts.accounts.problem(ask, problem)
        return self._parts.accounts.forwarded(ask, plan, result, self._parts.now())

    def _key_at(self, ask: Asked, uri: str) -> str:
        """Return the key under which a GET of an upstream's absolute URI is stored, if it is."""
        upstream, parts = ask.match.upstream, urlsplit(uri)
        base = urlsplit(upstream.base_url).path.rstrip("/")
        path = upstream.prefix.rstrip("/") + parts.path.removeprefix(base)
        asking = Request("GET", path, parts.query, fields=())
        route = self.routes.match(asking)
        return keys.key(route, asking, self._parts.secret) if isinstance(route, Match) else ""

    # ── Observation ──

    def _observed(self, ask: Asked | None, answer: Answer, began: float) -> Answer:
        account, problem = answer.account, answer.problem
        self._parts.observer.observe(
            Observation(
                upstream=account.upstream,
                endpoint=account.endpoint,
                verdict=account.verdict,
                duration=self._parts.time() - began,
                age=account.age,
                upstream_status=account.forward_status,
                reason=problem.kind if problem else account.detail,
                client=ask.request.client.name if ask else "",
                unmatched=ask.match.path if ask and ask.match.unmatched else "",
            )
        )
        return answer


def _flight_key(ask: Asked, plan: Fetch) -> str:
    """Return under which key a fetch may be joined: its variant's, where it is known to vary."""
    if ask.match.endpoint.policy is not Policy.OBEY or not plan.stored:
        return ask.key
    return variants.variant_key(ask.key, plan.stored[0].fields, ask.request)


async def _whole(body: AsyncIterator[bytes]) -> bytes | None:
    """Return a request's body, or None where it is too large to be part of a key."""
    content = b""
    async for chunk in body:
        content += chunk
        if len(content) > BODY_KEYED:
            return None
    return content
