"""What the flow answers: facts. `http/` alone turns them into fields and bytes."""

from collections.abc import AsyncIterator

from msgspec import Struct

from proxy.core.fields import Fields
from proxy.core.model import Entry, Verdict
from proxy.core.spending import Level


class Account(Struct, frozen=True):
    """Why this answer was given: what `X-Cache`, `Cache-Status`, `Age` and `RateLimit` say."""

    verdict: Verdict
    upstream: str = ""
    endpoint: str = ""
    key: str = ""
    """Cache key as shown to clients; no secret is ever in a key."""
    age: float | None = None
    """Seconds; None where nothing stored was used."""
    ttl: float | None = None
    """Seconds of freshness left (negative when stale)."""
    forward_reason: str = ""
    forward_status: int | None = None
    stored: bool = False
    collapsed: bool = False
    detail: str = ""
    levels: tuple[Level, ...] = ()


class Problem(Struct, frozen=True):
    """An error of the proxy's own (RFC 9457)."""

    status: int
    title: str
    detail: str
    kind: str
    """Last part of the problem's `type`: `quota-exhausted`, `upstream-unreachable`, …"""
    upstream: str = ""
    limit: str = ""
    retry_after: float | None = None
    """True seconds until it is worth coming back; the field is cut to `retry_after_max`."""
    retry_after_max: float = 60.0
    resets_in: float | None = None
    members: tuple[tuple[str, object], ...] = ()
    """Further members, e.g. `sent`, `outcome`, `upstreams`, or an SDK's `code` and `msg`."""
    sdk: str = ""
    """Whose error members to add: `Upstream.error_body`."""


class Answer(Struct, frozen=True):
    """A reply with its account; or a problem, which `http/` renders as the body."""

    account: Account
    status: int
    reason: str
    fields: Fields
    """The provider's own end-to-end fields, unchanged but for what the contract takes out."""
    body: bytes | AsyncIterator[bytes]
    encoding: str = ""
    """Form of a `bytes` body that the proxy chose itself (`gzip` or identity); the front makes the
    form that the client takes. A streamed body goes as the upstream coded it."""
    content_length: int | None = None
    """Of a streamed body, where known."""
    problem: Problem | None = None
    entry: Entry | None = None
    """What it was served from, fresh: what the accelerator may learn."""
    retry_after: float | None = None
    """True seconds until it is worth coming back, where the provider's own answer held us off;
    a problem carries its own."""
    retry_after_max: float = 60.0
    no_transform: bool = False
    """The body must go exactly as it came (obey, or Cache-Control: no-transform)."""
