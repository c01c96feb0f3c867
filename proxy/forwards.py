"""What is passed through: private, live and unmatched requests, and what may not be stored.

A private request never waits for quota, and once begun it goes on without its client: an order
that was sent is sent. Others wait as a fetch does, and end with their client while they wait.
A body goes through as it comes.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TypeAlias

from proxy.arrival import Arrival
from proxy.asked import Asked
from proxy.cache import Cache
from proxy.calls import Answered, Call, Calls
from proxy.core import outbound, plans
from proxy.core.model import Denied, Failed, Forward, Settlement
from proxy.fetches import HAND_THROUGH, fetched
from proxy.ports import BrokenExchangeError, Outbound
from proxy.queues import Overloaded
from proxy.tasks import Tasks


@dataclass(frozen=True, slots=True)
class Forwarded:
    """What came of it: an answer to pass on, or a settlement that says why there is none."""

    answered: Answered | None
    settlement: Settlement
    denied: Denied | None = None
    failed: Failed | None = None


ForwardResult: TypeAlias = Forwarded | Overloaded


class Forwards:
    """Passes requests through. What they invalidate is the flow's to find, by its routes."""

    def __init__(self, calls: Calls, cache: Cache, tasks: Tasks, now: Callable[[], float]) -> None:
        """Take the calls to make, the cache, and the clock of entries."""
        self._calls = calls
        self._cache = cache
        self._tasks = tasks
        self._now = now

    async def forward(
        self, ask: Asked, plan: Forward, body: AsyncIterator[bytes] | None
    ) -> ForwardResult:
        """Make the call that a plan to forward asks for."""
        call = self._prepared(ask, plan, body)
        if not ask.private:
            result = await self._calls.make(call, lambda: None)
        else:
            going = self._tasks.start(self._calls.make(call, lambda: None), "private request")
            result = await asyncio.shield(going)
        if isinstance(result, Overloaded):
            return result
        if not isinstance(result, Answered):
            settlement = self._settle(ask, plan, result)
            denied = result if isinstance(result, Denied) else None
            failed = result if isinstance(result, Failed) else None
            return Forwarded(None, settlement, denied, failed)
        return await self._answered(ask, plan, result)

    async def _answered(self, ask: Asked, plan: Forward, result: Answered) -> Forwarded:
        if plan.storable and isinstance(result.body, Arrival):
            result = await _taken_in(result, result.body, ask.match.endpoint.max_size)
        settlement = self._settle(ask, plan, result)
        if isinstance(result.body, bytes):
            self._cache.write(settlement.write, self._now())
        return Forwarded(result, settlement)

    def _settle(self, ask: Asked, plan: Forward, result: Answered | Denied | Failed) -> Settlement:
        outcome = fetched(result, result.body) if isinstance(result, Answered) else result
        match = ask.match
        return plans.settle(
            match.endpoint,
            ask.request,
            plan,
            outcome,
            ask.lifetimes,
            ask.key,
            self._now(),
            uri=ask.uri,
        )

    def _prepared(self, ask: Asked, plan: Forward, body: AsyncIterator[bytes] | None) -> Call:
        match, request = ask.match, ask.request
        out = outbound.outgoing(match, request, outbound.manner(match, plan))
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
    try:
        whole = await arrival.whole(at_most)
    except BrokenExchangeError:
        return result
    return result if whole is None else result.with_body(whole)
