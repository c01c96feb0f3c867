"""A call: one paid exchange with an upstream. Spend, send, read what it says of itself, settle.

One spend is one request on the wire. What was granted and never sent is refunded; what was sent
stays spent, whatever came of it. A hold is in the ledger before anyone hears of the answer; other
settling goes on behind the answer.

The interleaving that `_read` defends against:
    1. the head has come, and the pump takes the body in;
    2. the caller goes while the first bytes are awaited, so nobody will ever read the body;
    3. the body is endless, or too large to be kept: its pump would wait for a reader for ever, and
       hold the upstream's connection.
    So whoever leaves without handing the arrival on releases it, and the pump drops the rest.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from proxy.arrival import Arrival
from proxy.body_memory import BodyMemory
from proxy.core import links
from proxy.core.codings import GZIP, content, gunzip, is_gzip
from proxy.core.fields import Fields, without
from proxy.core.model import Denied, Failed, Failure
from proxy.core.routing import Match
from proxy.core.signals import NOTHING, Signals, own_date, reads_body, signals
from proxy.core.spending import Bill, Granted, Level, Receipt, Settled
from proxy.observation import CallObservation, HoldObservation, Observer
from proxy.ports import BrokenExchangeError, Exchange, Ledger, Outbound, UpstreamClient
from proxy.queues import UNSENT, Overloaded, Patience, Queues
from proxy.tasks import Tasks

OFF_LOOP = 256 * 1024
"""Bytes above which a body is decompressed in a thread, so that others do not wait."""
CLEANED = 16 * 1024 * 1024
"""Bytes of a body that can be cleaned of keys; a larger one is not given at all."""
ABANDONED = "abandoned"
"""The failure of a call whose caller went before its answer came."""
AT_ONCE = 0.02
"""Seconds that asking a ledger may take: what takes longer has waited for quota."""


class Call(Struct, frozen=True):
    """All that one paid exchange needs."""

    match: Match
    outbound: Outbound
    bill: Bill
    patience: Patience
    deadline: float
    """Time of the loop by which waiting and exchange together must be over."""
    decode: bool
    """The proxy asked for gzip itself: it may undo it, and checks that the body is whole."""
    buffer: float
    """Bytes up to which the body is taken in before anyone is answered."""
    buffer_unknown: float
    """The same, where the head does not say how long the body will be."""
    keep: float
    """Bytes up to which a body can be stored."""
    own_credentials: bool = False
    """The proxy's own key goes with it."""

    @property
    def cost(self) -> float:
        """What it spends of the first of its limits: tokens, or 1 where there is none."""
        return self.bill.charges[0].cost if self.bill.charges else 1.0


class Answered(Struct, frozen=True):
    """The upstream answered. `body` is whole (`bytes`), or still arriving."""

    status: int
    reason: str
    fields: Fields
    body: bytes | Arrival
    encoding: str
    content_length: int | None
    requested_at: float
    received_at: float
    rejected: str = ""
    """As in `Signals`: why this answer is none."""

    def with_body(self, body: bytes) -> "Answered":
        """Return the same answer, its body come whole."""
        return replace(self, body=body)

    def with_fields(self, fields: Fields) -> "Answered":
        """Return the same answer with other fields."""
        return replace(self, fields=fields)


CallResult: TypeAlias = Answered | Denied | Overloaded | Failed


@dataclass(frozen=True, slots=True)
class CallParts:
    """What calls stand on."""

    queues: Queues
    ledger: Ledger
    client: UpstreamClient
    observer: Observer
    tasks: Tasks
    time: Callable[[], float]
    """A clock that never steps, for durations."""
    wall: Callable[[], float]
    """Unix time, for the dates that providers name."""


class Calls:
    """Makes calls."""

    def __init__(self, parts: CallParts) -> None:
        self._parts = parts
        self._memory = BodyMemory()

    def levels(self, upstream: str) -> tuple[Level, ...]:
        """Return how the upstream's counts stand, as last known here; makes no call."""
        return self._parts.ledger.levels(upstream)

    async def make(self, call: Call, on_sent: Callable[[], "Call | None"]) -> CallResult:
        """Make one call. `on_sent` is told when quota is granted and the request leaves.

        It may give a call to make in place of the one that was granted, at no greater cost.
        Cancelled before that, nothing is spent; cancelled after, the spend stands as it was
        booked, which is what the ledger takes a receipt for that nobody settles.
        """
        parts = self._parts
        began = parts.time()
        decision = await parts.queues.spend(call.bill, call.patience)
        sent_at = parts.time()
        if sent_at - began > AT_ONCE:
            parts.observer.observe_wait(call.bill.upstream, sent_at - began)
        if not isinstance(decision, Granted):
            return decision
        call, receipt = on_sent() or call, decision.receipt
        left = call.deadline - sent_at
        if left <= 0:
            self._settle(receipt, UNSENT)
            return Failed(Failure.TIMEOUT, sent=False, detail="no time was left to ask")
        result: Answered | Failed | None = None
        try:
            head = await parts.client.send(call.outbound.within(left))
            if isinstance(head, Failed):
                result = head
                self._settle(receipt, Settled(sent=head.sent, answered=False))
            else:
                result = await self._read(call, receipt, head)
        finally:
            parts.observer.observe_call(_observation(call, result, parts.time() - sent_at))
        return result

    async def _read(self, call: Call, receipt: Receipt, exchange: Exchange) -> Answered | Failed:
        """Take in the body as far as it must be known before anyone is answered."""
        upstream = call.match.upstream
        needed = reads_body(upstream, call.match.endpoint, exchange.status)
        if not needed:
            self._settle(receipt, self._told(call, exchange, b"")[1])
        length = exchange.content_length
        bound = call.buffer_unknown if length is None else call.buffer
        if upstream.rewrite_links or needed:
            bound = max(bound, CLEANED if upstream.rewrite_links else OFF_LOOP)
        whole = exchange.arrived()
        if whole is not None and len(whole) <= bound:
            if not (needed or upstream.rewrite_links or is_gzip(exchange.fields)):
                return _answered(call, exchange, whole)
            return await self._heard(call, receipt, exchange, whole, needed=needed)
        if whole is None and length is not None and length <= min(bound, self._memory.floor):
            # Nobody can join in its middle, and it may be held whatever else is: no pump for it.
            read = await _read_whole(exchange)
            return await self._heard(call, receipt, exchange, read, needed=needed)
        cleans = CLEANED if upstream.rewrite_links else 0
        arrival = Arrival(exchange, max(call.keep, cleans), self._memory)
        if whole is not None:
            arrival.take(whole)
        else:
            self._parts.tasks.start(arrival.pump(), f"body {call.bill.upstream}")
        result: Answered | Failed | None = None
        try:
            taken = await _taken(call, exchange, arrival, bound)
            result = await self._heard(call, receipt, exchange, taken, needed=needed)
        finally:
            if not isinstance(result, Answered) or result.body is not arrival:
                arrival.release()
        return result

    async def _heard(
        self,
        call: Call,
        receipt: Receipt,
        exchange: Exchange,
        body: bytes | Arrival | Failed,
        *,
        needed: bool,
    ) -> Answered | Failed:
        """Return the answer, its body whole as it came, or too large to be waited for."""
        upstream = call.match.upstream
        plain: bytes | Failed = b""
        if isinstance(body, bytes):
            wanted = call.decode or needed or upstream.rewrite_links
            undone = wanted and is_gzip(exchange.fields)
            plain = await _plain(body) if undone else body
        said = NOTHING
        if needed:
            said = await self._heed(
                call, receipt, exchange, plain if isinstance(plain, bytes) else b""
            )
        if isinstance(body, Failed):
            return body
        if isinstance(plain, Failed):
            return plain
        answered = _answered(call, exchange, body, said.rejected)
        if upstream.rewrite_links and isinstance(body, bytes):
            return _cleaned(answered, links.neutral(plain, upstream))
        return answered

    async def _heed(
        self, call: Call, receipt: Receipt, exchange: Exchange, content: bytes
    ) -> Signals:
        """Settle with what the answer says in its body too; a hold is in force on return."""
        said, settled = self._told(call, exchange, content)
        if said.hold is not None:
            hold = HoldObservation(call.bill.upstream, said.hold.reason, said.hold.seconds)
            self._parts.observer.observe_hold(hold)
        if said.hold is None:
            self._settle(receipt, settled)
        else:  # waited for, not awaited: an error is the group's to tell, and takes nobody's answer
            await asyncio.wait((self._parts.tasks.start(self._held(receipt, settled), "settle"),))
        return said

    def _told(self, call: Call, exchange: Exchange, content: bytes) -> tuple[Signals, Settled]:
        """Return what an answer says of the provider's state, and what of it settles the spend."""
        match, wall = call.match, self._parts.wall()
        status, fields = exchange.status, exchange.fields
        said = signals(match.upstream, match.endpoint, status, fields, content, wall)
        date = own_date(fields, wall)
        settled = Settled(
            sent=True, answered=True, status=status, reports=said.reports, hold=said.hold, date=date
        )
        return said, settled

    def _settle(self, receipt: Receipt, settled: Settled) -> None:
        """Settle behind the answer."""
        self._parts.ledger.settle_soon(receipt, settled, self._parts.queues.changed)

    async def _held(self, receipt: Receipt, settled: Settled) -> None:
        await self._parts.ledger.settle(receipt, settled)
        self._parts.queues.changed(receipt.bill.upstream)


def _answered(
    call: Call, exchange: Exchange, body: bytes | Arrival, rejected: str = ""
) -> Answered:
    return Answered(
        exchange.status,
        exchange.reason,
        exchange.fields,
        body,
        GZIP if call.decode and is_gzip(exchange.fields) else "",
        exchange.content_length,
        exchange.requested_at,
        exchange.received_at,
        rejected,
    )


def _observation(call: Call, result: Answered | Failed | None, duration: float) -> CallObservation:
    failure = ABANDONED if result is None else ""
    return CallObservation(
        upstream=call.bill.upstream,
        endpoint=call.match.endpoint.name,
        duration=duration,
        status=result.status if isinstance(result, Answered) else None,
        failure=result.failure.value if isinstance(result, Failed) else failure,
        cost=call.cost,
        method=call.outbound.method,
        sent=result.sent if isinstance(result, Failed) else True,
        own_credentials=call.own_credentials,
        client=call.patience.client.name,
    )


async def _read_whole(exchange: Exchange) -> bytes | Failed:
    """Return the body once all of it has come; who goes before that drops the connection."""
    ended = False
    try:
        whole = b"".join([chunk async for chunk in exchange.body()])
        ended = True
    except BrokenExchangeError as error:
        return Failed(error.failure, sent=True, detail=error.detail)
    finally:
        if not ended:
            exchange.abort()
    return whole


async def _taken(
    call: Call, exchange: Exchange, arrival: Arrival, bound: float
) -> bytes | Arrival | Failed:
    """Return the body whole, or as it arrives where it is larger than `bound`."""
    try:
        whole = await arrival.whole(bound)
    except BrokenExchangeError as error:
        return Failed(error.failure, sent=True, detail=error.detail)
    if whole is None and call.match.upstream.rewrite_links:
        exchange.abort()
        return Failed(Failure.PROTOCOL, sent=True, detail="too large to be cleaned of keys")
    return arrival if whole is None else whole


async def _plain(body: bytes) -> bytes | Failed:
    try:
        return await unpacked(body)
    except ValueError as error:
        return Failed(Failure.PROTOCOL, sent=True, detail=str(error))


def _cleaned(answered: Answered, body: bytes) -> Answered:
    """Return an answer whose body was rewritten, in its identity form."""
    fields = without(answered.fields, {"content-encoding"})
    return replace(answered, body=body, fields=fields, encoding="", content_length=None)


async def unpacked(body: bytes) -> bytes:
    """Return the content of a gzip body; a large one is undone in a thread.

    Raises:
        ValueError: it is not gzip, or was cut short.

    """
    if len(body) <= OFF_LOOP:
        return content(body)
    return await asyncio.to_thread(gunzip, body)
