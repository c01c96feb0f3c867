"""What the flow needs of the edge: small protocols that the adapters fulfil.

The flow is their consumer and owner; they stand beside it in a file of their own only so that
flights and queues can name them too. Adapters do not import this file: they match its shapes.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, Protocol

from msgspec import Struct

from proxy.changes import Changes
from proxy.core.fields import Fields
from proxy.core.landings import NONE, Ending, Landed
from proxy.core.model import Denied, Entry, Failed, Failure
from proxy.core.spending import Bill, Granted, Level, Outlook, Receipt, Settled
from proxy.core.upstreams import Upstream


class Outbound(Struct, frozen=True):
    """A request as it goes upstream: end-to-end fields only, the proxy's credentials included."""

    upstream: Upstream
    method: str
    target: str
    """Path and query, raw, as it stands in the request line (after the base URL's own path)."""
    fields: Fields
    body: bytes | AsyncIterator[bytes] | None = None
    timeout: float = 8.0
    on_informational: Callable[[int, Fields], Awaitable[None]] | None = None
    """Called for each 1xx answer (but 100 and 101)."""

    def within(self, seconds: float) -> "Outbound":
        """Return the same request with no more time than `seconds`."""
        if seconds >= self.timeout:
            return self
        return Outbound(
            self.upstream,
            self.method,
            self.target,
            self.fields,
            self.body,
            seconds,
            self.on_informational,
        )


class BrokenExchangeError(Exception):
    """The body did not come whole: raised while it is read."""

    def __init__(self, failure: Failure, detail: str = "") -> None:
        super().__init__(detail or failure.value)
        self.failure = failure
        self.detail = detail


class Exchange(Protocol):
    """An answer whose head has come. The body is read once, or the exchange is aborted."""

    status: int
    reason: str
    fields: Fields
    """End-to-end fields only, as written; Content-Length and Transfer-Encoding taken out."""
    content_length: int | None
    requested_at: float
    received_at: float

    def body(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives (content codings untouched).

        Raises:
            BrokenExchangeError: it was cut short, lies about its length, or is too late.

        """
        ...

    def arrived(self) -> bytes | None:
        """Return the whole body where all of it came with the head; None: read `body`."""
        ...

    def abort(self) -> None:
        """Drop the connection; what has not been read is lost."""
        ...


class UpstreamClient(Protocol):
    """Sends one request on the wire for each call, never two."""

    async def send(self, outbound: Outbound) -> Exchange | Failed:
        """Send, and return when the head of the answer has come, or why none does."""
        ...


class FirstLevel(Protocol):
    """The cache in this process's memory."""

    changes: Changes
    """Counts whatever is stored, replaced or forgotten; not what is evicted, which stays true."""

    def get(self, key: str) -> Entry | None:
        """Return what is stored under `key`."""
        ...

    def put(self, entry: Entry) -> None:
        """Store an entry in place of what its key held."""
        ...

    def delete(self, key: str) -> None:
        """Forget what is stored under `key`."""
        ...


class Store(Protocol):
    """The level beneath, shared by workers or instances. A lost store never raises: it misses."""

    async def get(self, key: str) -> Entry | None:
        """Return what is stored under `key`; None for nothing, unreadable, or a lost store."""
        ...

    def put(self, entry: Entry, keep: float) -> "Coroutine[Any, Any, None] | asyncio.Future[None]":
        """Store an entry for at most `keep` seconds; a future is under way already."""
        ...

    async def delete(self, key: str) -> None:
        """Forget what is stored under `key`."""
        ...


class Ledger(Protocol):
    """Where limits are counted, for all processes and instances at once."""

    async def spend(self, bill: Bill) -> Granted | Denied:
        """Spend all that the bill names, or nothing."""
        ...

    async def settle(self, receipt: Receipt, settled: Settled) -> None:
        """Say how the exchange ended. A receipt never settled counts as spent when booked."""
        ...

    def settle_soon(
        self, receipt: Receipt, settled: Settled, counted: Callable[[str], None]
    ) -> None:
        """Say it behind the answer; `counted` is told the upstream when it is done."""
        ...

    def levels(self, upstream: str) -> tuple[Level, ...]:
        """Return how the upstream's counts stand, as last known here; makes no call."""
        ...

    def outlook(self, upstream: str, bucket: str) -> Outlook | None:
        """Return what may be spent of a count and when more comes, as last known; makes no call."""
        ...

    def held_for(self, upstream: str) -> float:
        """Return for how many more seconds the upstream is held, as last known here; else 0."""
        ...


class Lead(Protocol):
    """The lead of one flight among all processes that share a store, renewed until it lands."""

    inherited: bool
    """Another had it before and did not tell of a landing: what it left may be in the store."""

    def land(self, ending: Ending, stamp: float = NONE) -> "asyncio.Future[None]":
        """Wake those who follow, and give up the lead; what is returned ends when that is done.

        It need not be awaited. A lost fleet never raises.
        """
        ...


class Fleet(Protocol):
    """The processes that share a store: one of them flies for all who want the same key."""

    async def lead(self, key: str, known: float, until: float) -> Lead | Landed | None:
        """Return the lead of a key's flight, or how another's ended, once it has.

        `known`: `received_at` of the newest entry that the caller has (`NONE` for none): that
        landing is no news to it. None: there is nobody to tell, or the fleet cannot be asked.

        Raises:
            TimeoutError: another's flight has not ended at `until` (time of the loop).

        """
        ...
