"""What happens in a flight: call the upstream, settle, store; and the landing that all then get.

A landing is settled anew for each who waited, with its own plan: one may take what another's
`max-age` forbids. Only the flight writes. A body larger than `HAND_THROUGH` is handed on while it
still arrives, and stored behind that; with an entry to fall back on it is taken in whole first,
so that what breaks on the way can still be rescued.

The interleaving that `_let_go` defends against:
    1. a large body's head lands, and each who waited is woken in its turn;
    2. the last of them has gone in that very tick: it never says that it was the last;
    3. the body's start would be held for it for ever, and those who read it would get no further
       than what may run ahead.
    So the start is let go by the flight, as soon as nobody waits for it any more.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias, assert_never

from msgspec import Struct
from msgspec.structs import replace

from proxy.arrival import Arrival
from proxy.asked import Asked
from proxy.batching.compositions import is_member
from proxy.batching.gatherings import GatheringParts, Gatherings
from proxy.batching.lists import Lists
from proxy.batching.riders import Riders
from proxy.batching.spacing import Spacing
from proxy.cache import Cache
from proxy.calls import Answered, Call, CallResult, Calls
from proxy.core import outbound, plans, variants
from proxy.core.codings import GZIP, verify
from proxy.core.landings import Ending
from proxy.core.model import (
    Denied,
    Entry,
    Failed,
    Failure,
    Fetch,
    Fetched,
    Nothing,
    Outcome,
    Policy,
    Reply,
    Settlement,
    Verdict,
)
from proxy.core.spending import is_own
from proxy.flights import Flight
from proxy.freshening.heats import Heats
from proxy.leads import Leads, Led
from proxy.ports import BrokenExchangeError, Fleet, Outbound
from proxy.queues import Overloaded
from proxy.tasks import Tasks
from proxy.urgency import Urgency

HAND_THROUGH = 256 * 1024
"""Bytes above which a body is handed on as it arrives."""
NOT_MODIFIED = 304
RETRIED = frozenset({Failure.DISCONNECTED, Failure.CONNECT})


class Settled(Struct, frozen=True):
    """The fetch has ended; `settlement` is the one of the request that began it."""

    outcome: Outcome
    settlement: Settlement
    begun_by: Asked
    """The request that began it."""


class Arriving(Struct, frozen=True):
    """The head has come, and a large body is on its way."""

    answered: Answered
    arrival: Arrival
    settled: Settled
    """What the head alone means; nothing is written of it."""


Landing: TypeAlias = Settled | Arriving | Overloaded


class Fetches:
    """Fetches for flights."""

    def __init__(
        self,
        calls: Calls,
        cache: Cache,
        tasks: Tasks,
        time: Callable[[], float],
        now: Callable[[], float],
        fleet: Fleet,
    ) -> None:
        """Take what makes calls, the cache, both clocks (of durations, of entries), the fleet."""
        self._calls = calls
        self._cache = cache
        self._tasks = tasks
        self._time = time
        self._now = now
        self._arriving: dict[str, Arriving] = {}
        self._leads = Leads(fleet, cache, time, now)
        self.heats = Heats()
        riders = Riders(self.heats, cache.peek, now)
        self.lists = Lists(riders, calls.levels)
        self.gatherings = Gatherings(
            GatheringParts(
                calls=calls,
                tasks=tasks,
                prepared=self._prepared,
                lists=self.lists,
                riders=riders,
                spacing=Spacing(calls.levels, time),
                kept=self._keep,
            )
        )

    def arriving(self, key: str) -> Arriving | None:
        """Return the large body that is on its way under a key, if its start is still there."""
        found = self._arriving.get(key)
        return found if found is not None and found.arrival.joinable else None

    async def fly(self, flight: Flight[Landing], asked: Asked, plan: Fetch) -> Landing:
        """Fetch for everyone who waits for `flight`, or take what another process has fetched."""
        own = self._leads.unasked(asked, plan)
        led = own or await self._leads.lead(flight.key, asked, plan)
        match led:
            case Entry():
                return _followed(asked, led, self._now())
            case Failed():
                return self._settled(asked, plan, led)
            case Led():
                try:
                    result = await self._once(flight, asked, plan)
                    if self._again(result, asked, plan):
                        result = await self._once(flight, asked, plan)
                    return self._landed(flight, asked, plan, result, led)
                except BaseException:
                    led.land(Ending.FAILED)
                    raise
            case _:
                assert_never(led)

    def _landed(
        self, flight: Flight[Landing], asked: Asked, plan: Fetch, result: CallResult, led: Led
    ) -> Landing:
        if isinstance(result, Overloaded):
            led.land(Ending.FAILED)
            return result
        if isinstance(result, Answered) and isinstance(result.body, Arrival):
            return self._handed_on(flight, asked, plan, result, result.body, led)
        settled = self._settled(asked, plan, result)
        led.settled(settled.settlement, self._cache.write(settled.settlement.write, self._now()))
        return settled

    def _again(self, result: CallResult, asked: Asked, plan: Fetch) -> bool:
        """Whether the connection was lost, nothing else is at hand, and time is."""
        return (
            isinstance(result, Failed)
            and result.failure in RETRIED
            and plan.fallback is None
            and self._time() < asked.deadline
        )

    def _once(
        self, flight: Flight[Landing], asked: Asked, plan: Fetch
    ) -> Coroutine[Any, Any, CallResult]:
        if is_member(asked):
            return self.gatherings.call(flight, asked, plan)
        return self._calls.make(self._prepared(asked, plan, flight.urgency), flight.mark_sent)

    def _prepared(self, asked: Asked, plan: Fetch, urgency: Urgency | None = None) -> Call:
        match, request = asked.match, asked.request
        manner = outbound.manner(match, plan)
        out = outbound.outgoing(match, request, manner, plan.validators, asked.said)
        upstream, endpoint = match.upstream, match.endpoint
        decode = endpoint.policy is not Policy.OBEY
        waits_whole = plan.fallback is not None
        buffer = endpoint.max_size if waits_whole else min(HAND_THROUGH, endpoint.max_size)
        return Call(
            match=match,
            outbound=Outbound(
                upstream,
                out.method,
                out.target,
                out.fields,
                request.body,
                upstream.timeout,
                request.inform,
            ),
            bill=asked.bill(),
            patience=asked.patience(waits=True, urgency=urgency),
            deadline=asked.deadline,
            decode=decode,
            buffer=buffer,
            buffer_unknown=buffer,
            keep=endpoint.max_size,
            own_credentials=out.own_credentials,
        )

    def _settled(self, asked: Asked, plan: Fetch, result: Answered | Denied | Failed) -> Settled:
        outcome = fetched(result, result.body) if isinstance(result, Answered) else result
        return Settled(outcome, self.settle(asked, plan, outcome), asked)

    def _keep(self, asked: Asked, answered: Answered) -> None:
        """Store what a shared call has brought for one whom nobody waits for."""
        if isinstance(answered.body, bytes):
            settlement = self.settle(asked, Fetch(), fetched(answered, answered.body))
            self._cache.write(settlement.write, self._now())

    def shared(self, asked: Asked, plan: Fetch, landing: Settled) -> Settlement | None:
        """Return what a landing means to one who joined; None: nothing, it must ask for itself."""
        settlement, outcome = landing.settlement, landing.outcome
        if not settlement.shareable:
            return None
        if settlement.stored:
            entry = settlement.shared
            obey = asked.match.endpoint.policy is Policy.OBEY
            if obey and isinstance(entry, Entry) and not variants.matches(entry, asked.request):
                return None
            return replace(settlement, reply=entry)
        if isinstance(outcome, Fetched) and outcome.reply.status == NOT_MODIFIED:
            return settlement  # a 304 that confirmed nothing confirms nothing of anyone's
        if isinstance(outcome, Denied) and _another_may(asked, plan, landing, outcome):
            return None
        return self.settle(asked, plan, outcome)

    def settle(self, asked: Asked, plan: Fetch, outcome: Outcome) -> Settlement:
        """Decide what an outcome means to one request."""
        return plans.settle(
            asked.match.endpoint,
            asked.request,
            plan,
            outcome,
            asked.lifetimes,
            asked.key,
            self._now(),
        )

    def _handed_on(
        self,
        flight: Flight[Landing],
        asked: Asked,
        plan: Fetch,
        head: Answered,
        arrival: Arrival,
        led: Led,
    ) -> Arriving:
        landing = Arriving(head, arrival, self._settled(asked, plan, head))
        self._tasks.start(_let_go(flight, arrival), f"let go {flight.key}")
        storing = self._store_when_whole(flight.key, asked, plan, landing, led)
        self._tasks.start(storing, f"store {flight.key}")
        if landing.settled.settlement.stored:
            self._arriving[flight.key] = landing
        else:
            led.land(Ending.OWN)
        return landing

    async def _store_when_whole(
        self, key: str, asked: Asked, plan: Fetch, landing: Arriving, led: Led
    ) -> None:
        """Store a body that was handed on, if it comes whole and is not too large."""
        head, arrival = landing.answered, landing.arrival
        try:
            whole = await arrival.whole(asked.match.endpoint.max_size)
            if whole is not None and head.encoding == GZIP:
                await asyncio.to_thread(verify, whole)
        except (BrokenExchangeError, ValueError):
            return  # nothing broken is stored; its readers have seen it break
        else:
            if whole is not None:
                settlement = self.settle(asked, plan, fetched(head, whole))
                led.settled(settlement, self._cache.write(settlement.write, self._now()))
        finally:
            led.land(Ending.OWN)  # unless it is stored: too large, or broken
            if self._arriving.get(key) is landing:
                del self._arriving[key]


def _another_may(asked: Asked, plan: Fetch, landing: Settled, denied: Denied) -> bool:
    """Whether what was denied to whoever began a flight may be granted to one who joined it."""
    if is_own(denied.limit):
        return denied.limit not in {limit.name for limit in asked.request.client.limits}
    return plan.fallback is None and asked.waits_until > landing.begun_by.waits_until


def _followed(asked: Asked, entry: Entry, now: float) -> Settled:
    """Return the landing of a flight that took what another process has fetched."""
    reply = Reply(entry.status, entry.reason, entry.fields, entry.body, entry.encoding)
    return Settled(
        Fetched(reply, entry.requested_at, entry.received_at),
        Settlement(entry, Nothing(), Verdict.JOINED, stored=True, age=entry.age(now)),
        asked,
    )


async def _let_go(flight: Flight[Landing], arrival: Arrival) -> None:
    await flight.left()
    arrival.release()


def fetched(answered: Answered, body: bytes | Arrival) -> Fetched:
    """Return an answer as an outcome; a body that is still on its way is left out of it."""
    content = body if isinstance(body, bytes) else b""
    reply = Reply(answered.status, answered.reason, answered.fields, content, answered.encoding)
    return Fetched(
        reply,
        answered.requested_at,
        answered.received_at,
        answered.rejected,
        answered.content_length,
    )
