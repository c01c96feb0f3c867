"""What is passed through: private, live and unmatched requests, and what may not be stored.

A private request never waits for quota, and once begun it goes on without its client: an order
that was sent is sent. Others wait as a fetch does, and end with their client while they wait.
A body goes through as it comes.

The interleaving that `forward` defends against:
    1. an order has been sent, and its client goes;
    2. the answer comes, larger than what is taken in at once, and nobody will ever read it;
    3. its pump would wait for a reader for ever, and hold the upstream's connection.
    So what was begun ends by itself: it settles, invalidates, and lets the body go.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TypeAlias

from msgspec import Struct

from proxy.arrival import Arrival
from proxy.asked import Asked
from proxy.cache import Cache
from proxy.calls import Answered, Call, Calls
from proxy.core import outbound, plans
from proxy.core.model import Denied, Failed, Forward, Invalidate, Settlement, Write
from proxy.fetches import HAND_THROUGH, fetched
from proxy.ports import BrokenExchangeError, Outbound
from proxy.queues import Overloaded
from proxy.tasks import Tasks


class Forwarded(Struct, frozen=True):
    """What came of it: an answer to pass on, or a settlement that says why there is none."""

    answered: Answered | None
    settlement: Settlement
    denied: Denied | None = None
    failed: Failed | None = None


ForwardResult: TypeAlias = Forwarded | Overloaded


Find: TypeAlias = Callable[[str], str]
"""Return the key under which a GET of an upstream's absolute URI is stored; empty: none."""


class Forwards:
    """Passes requests through."""

    def __init__(self, calls: Calls, cache: Cache, tasks: Tasks, now: Callable[[], float]) -> None:
        """Take the calls to make, the cache, and the clock of entries."""
        self._calls = calls
        self._cache = cache
        self._tasks = tasks
        self._now = now

    async def forward(
        self, ask: Asked, plan: Forward, body: AsyncIterator[bytes] | None, find: Find
    ) -> ForwardResult:
        """Make the call that a plan to forward asks for; `find` knows what it may invalidate."""
        call = self._prepared(ask, plan, body)
        if not ask.private:
            return await self._passed(ask, plan, call, find)
        going = self._tasks.start(self._passed(ask, plan, call, find), "private request")
        try:
            return await asyncio.shield(going)
        except asyncio.CancelledError:
            going.add_done_callback(_let_go)
            raise

    async def _passed(self, ask: Asked, plan: Forward, call: Call, find: Find) -> ForwardResult:
        result = await self._calls.make(call, lambda: None)
        if isinstance(result, Overloaded):
            return result
        key = find(ask.uri) if plan.storable else ask.key
        if not isinstance(result, Answered):
            settlement = self._settle(ask, plan, result, key)
            denied = result if isinstance(result, Denied) else None
            failed = result if isinstance(result, Failed) else None
            return Forwarded(None, settlement, denied, failed)
        if plan.storable and isinstance(result.body, Arrival):
            result = await _taken_in(result, result.body, ask.match.endpoint.max_size)
        settlement = self._settle(ask, plan, result, key)
        self._write(settlement.write, result, find)
        return Forwarded(result, settlement)

    def _write(self, write: Write, result: Answered, find: Find) -> None:
        """Store what came whole; forget what a change has made untrue."""
        if isinstance(write, Invalidate):
            stale = filter(None, map(find, write.targets))
            self._cache.write(write, self._now(), stale)
        elif isinstance(result.body, bytes):
            self._cache.write(write, self._now())

    def _settle(
        self, ask: Asked, plan: Forward, result: Answered | Denied | Failed, key: str
    ) -> Settlement:
        outcome = fetched(result, result.body) if isinstance(result, Answered) else result
        return plans.settle(
            ask.match.endpoint,
            ask.request,
            plan,
            outcome,
            ask.lifetimes,
            key,
            self._now(),
            uri=ask.uri,
        )

    def _prepared(self, ask: Asked, plan: Forward, body: AsyncIterator[bytes] | None) -> Call:
        match, request = ask.match, ask.request
        out = outbound.outgoing(match, request, outbound.manner(match, plan), said=ask.said)
        upstream = match.upstream
        return Call(
            match=match,
            outbound=Outbound(
                upstream,
                out.method,
                out.target,
                out.fields,
                request.body if request.body is not None else body,
                upstream.timeout,
                request.inform,
            ),
            bill=ask.bill(),
            patience=ask.patience(waits=not (ask.private or match.endpoint.live)),
            deadline=ask.deadline,
            decode=False,
            buffer=HAND_THROUGH,
            buffer_unknown=0,  # an endless body is passed on from its first byte
            keep=0,
            own_credentials=out.own_credentials,
        )


async def _taken_in(result: Answered, arrival: Arrival, at_most: float) -> Answered:
    """Return the answer with its body whole, where it comes whole and is not too large."""
    taken = False
    try:
        whole = await arrival.whole(at_most)
        taken = True
    except BrokenExchangeError:
        taken = True
        return result
    finally:
        if not taken:
            arrival.release()
    return result if whole is None else result.with_body(whole)


def _let_go(going: asyncio.Task[ForwardResult]) -> None:
    """Drop a body that nobody will read."""
    if going.cancelled() or going.exception() is not None:
        return
    result = going.result()
    if isinstance(result, Forwarded) and result.answered is not None:
        body = result.answered.body
        if isinstance(body, Arrival):
            body.release()
