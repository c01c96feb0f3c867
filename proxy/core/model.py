"""The values that pass between the rooms: request, reply, entry, plan, outcome, settlement.

All are frozen. Times called `*_at` or `now` are seconds of the cache clock (Unix time that does
not step while a process lives); durations are seconds. What cannot be part of a cycle, which is
all but a request, is nothing that the collector need look at (`gc=False`).
"""

import math
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

from proxy.core.fields import Fields

if TYPE_CHECKING:
    from proxy.core.upstreams import Limit  # which stands on this file


class Verdict(StrEnum):
    """The one word for what happened to a request: header, metric label, log field, dashboard."""

    HIT = "HIT"
    STALE = "STALE"
    REVALIDATED = "REVALIDATED"
    MISS = "MISS"
    JOINED = "JOINED"
    RESCUED = "RESCUED"
    BYPASS = "BYPASS"
    REFUSED = "REFUSED"


class Policy(StrEnum):
    """`upstream_cache_control`: whose word on freshness rules."""

    IGNORE = "ignore"
    CAP = "cap"
    OBEY = "obey"


class Client(Struct, frozen=True):
    """Who asks: a configured identity, or the anonymous one (empty name)."""

    name: str = ""
    """Label for metrics; only ever a name from the configuration."""
    identity: str = ""
    """What queueing is fair between: the name, or for unlisted clients their own marker."""
    weight: float = 1.0
    priority: int | None = None
    """Urgency 0 (first) to 7 (RFC 9218), where the configuration sets it."""
    upstreams: frozenset[str] | None = None
    """Names of the upstreams that it may use; None: all."""
    limits: "tuple[Limit, ...]" = ()
    """Its own budget: spent together with the upstream's limits, for each upstream by itself."""


ANONYMOUS = Client()


class Request(Struct, frozen=True):
    """A client's request, after the listener's own matters (`/~name/`, framing) are cut off."""

    method: str
    path: str
    """Raw path as written, percent-encoding kept, upstream prefix included; no query."""
    query: str
    """Raw query as written, without the `?`."""
    fields: Fields
    host: str = ""
    """Host without its port, in lower case."""
    port: int = 0
    """Local port of the listener that accepted it."""
    client: Client = ANONYMOUS
    body: bytes | None = None
    """The whole body where an endpoint keys on it; a streamed body stays at the edge."""
    has_body: bool = False
    inform: Callable[[int, Fields], Awaitable[None]] | None = None
    """Relays a 1xx answer to the client (RFC 9110 section 15.2): goes into the outbound request."""
    secure: bool = False
    """Whether it came over TLS: links that lead back to the proxy say so."""


class Lifetimes(Struct, frozen=True, gc=False):
    """How long an entry may be used, in seconds from its generation (age 0)."""

    ttl: float
    stale_while_revalidate: float = 0.0
    stale_if_error: float = 0.0
    keep: float = 0.0
    """After `ttl`: how long its validators may still confirm it (a 304 costs no body)."""
    most: float | None = None
    """Age beyond which it is neither fresh nor stale, whatever stretches: a candle has closed."""

    @property
    def usable(self) -> float:
        """Age up to which any of these can use the entry: how long the store keeps it."""
        return self.ttl + max(self.stale_while_revalidate, self.stale_if_error, self.keep, 0.0)


class Entry(Struct, frozen=True, gc=False):
    """A stored reply with its lifetimes.

    `fields` hold nothing hop-by-hop and no Set-Cookie (unless `obey` lets it); `body` is the
    reply's whole content in `encoding`.
    """

    key: str
    status: int
    reason: str
    fields: Fields
    body: bytes
    encoding: str
    """Form in which `body` is kept: `""` (identity) or `"gzip"`."""
    requested_at: float
    received_at: float
    initial_age: float
    """`corrected_initial_age` of RFC 9111 section 4.2.3, at `received_at`."""
    lifetimes: Lifetimes
    request_fields: Fields = ()
    """Under `obey`: the selecting fields of the request that got it (RFC 9111 section 4.1)."""
    tags: tuple[str, ...] = ()
    flags: frozenset[str] = frozenset()
    """What freshness found when it stored: `must-revalidate`, `no-cache`, `proxy-revalidate`, …"""

    def age(self, now: float) -> float:
        """Return `current_age` (RFC 9111 section 4.2.3); a clock that stepped back adds none."""
        return self.initial_age + max(0.0, now - self.received_at)


class Reply(Struct, frozen=True, gc=False):
    """An answer: the provider's, one built from an entry, or the proxy's own problem."""

    status: int
    reason: str
    fields: Fields
    body: bytes
    encoding: str = ""
    """Form of `body` as in `Entry.encoding`; the front makes the form that the client takes."""


# ── Plan: what to do about a request, decided from what is stored ──


class Serve(Struct, frozen=True, gc=False):
    """Answer from `entry` now. `verdict` is HIT, or RESCUED/STALE where a client allowed it."""

    entry: Entry
    verdict: Verdict
    detail: str = ""


class ServeThenRefresh(Struct, frozen=True, gc=False):
    """Answer from a stale `entry` now, and refresh it once behind the answer (RFC 5861)."""

    entry: Entry
    validators: Fields
    detail: str = ""


class Fetch(Struct, frozen=True, gc=False):
    """Ask the upstream, conditionally where `validators` stand, with an entry to fall back on."""

    validators: Fields = ()
    stored: tuple[Entry, ...] = ()
    """Variants that a 304 may confirm."""
    fallback: Entry | None = None
    forward_reason: str = "uri-miss"
    """`fwd=` of Cache-Status: uri-miss, vary-miss, stale, miss, request, method, bypass, …"""
    detail: str = ""
    joinable: bool = True
    """Whether other requests for the key may share this fetch."""
    method: str = ""
    """Method to send where it is not the request's own: a HEAD is fetched as a GET, and stored."""


class Forward(Struct, frozen=True, gc=False):
    """Pass through, byte for byte, and store nothing: private, live, unmatched or uncacheable."""

    forward_reason: str = "bypass"
    detail: str = ""
    private: bool = False
    storable: bool = False
    """A POST under `obey` whose reply may be stored for later GETs: read it whole, then settle."""


class Refuse(Struct, frozen=True, gc=False):
    """Answer with a problem of the proxy's own, and send nothing."""

    status: int
    title: str
    detail: str
    kind: str = ""
    """Last part of the problem's `type`: `quota-exhausted`, `upstream-unreachable`, …"""


Plan: TypeAlias = Serve | ServeThenRefresh | Fetch | Forward | Refuse


# ── Outcome: what came of a Fetch or Forward ──


class Fetched(Struct, frozen=True, gc=False):
    """The upstream answered, whole. `received_at` is when the head came."""

    reply: Reply
    requested_at: float
    received_at: float
    rejected: str = ""
    """Which declared block or body check makes an error of it (it is held for, never stored)."""
    content_length: int | None = None
    """What the answer to a HEAD says of the body it leaves out."""


class Denied(Struct, frozen=True, gc=False):
    """The ledger would not let the call go: quota out, or a hold."""

    limit: str
    """Name of the limit that denied; `hold` for a hold."""
    retry_after: float
    """Seconds until the spend could be granted, at the latest."""
    resets_in: float
    """Seconds until the limit is whole again (`resets_at`)."""
    soonest: float | None = None
    """Where what is in flight stands in the way: seconds until it is worth asking again."""
    hold: bool = False
    returns: tuple[tuple[float, float], ...] = ()
    """When tokens of that limit come back at the earliest: `(seconds from now, tokens)`, in order.
    Who waits behind others learns from it at once whether it could be served in time."""
    again: float = math.inf
    """Seconds after which as many as `returns` tells of come back once more, at the earliest."""


class Failure(StrEnum):
    """Why no whole answer came."""

    CONNECT = "connect"
    """Nothing was sent: refunded."""
    TIMEOUT = "timeout"
    PROTOCOL = "protocol"
    """Not HTTP, framing lies, or the body was cut short."""
    DISCONNECTED = "disconnected"


class Failed(Struct, frozen=True, gc=False):
    """No whole answer came. `sent` says whether the provider may have counted the call."""

    failure: Failure
    sent: bool
    detail: str = ""


Outcome: TypeAlias = Fetched | Denied | Failed


# ── Settlement: what the outcome means ──


class Put(Struct, frozen=True, gc=False):
    """Store `entry` (in place of what its key held)."""

    entry: Entry
    index: Entry | None = None
    """Under `obey`, where the reply varies: the list of variants, stored under the primary key."""


class Touch(Struct, frozen=True, gc=False):
    """A 304 confirmed `entry`: its fields and lifetimes as they stand now; the body is the same."""

    entry: Entry


class Invalidate(Struct, frozen=True, gc=False):
    """Remove what is stored under these absolute URIs of the upstream (RFC 9111 section 4.4)."""

    targets: tuple[str, ...]


class Nothing(Struct, frozen=True, gc=False):
    """Leave the store as it is."""


Write: TypeAlias = Put | Touch | Invalidate | Nothing


class Settlement(Struct, frozen=True, gc=False):
    """The end of a fetch: what to answer, what to write, and the word for it."""

    reply: Reply | Entry | Refuse
    """An entry is presented (conditions, ranges) for each client; a reply goes as it is; a refusal
    is a problem of the proxy's own: quota out, no answer, too late."""
    write: Write
    verdict: Verdict
    detail: str = ""
    stored: bool = False
    shareable: bool = True
    """Whether those who waited for the flight may take the same answer."""
    forward_status: int | None = None
    """`fwd-status` of Cache-Status: what the upstream said, where it said anything."""
    retry_after: float | None = None
    """Seconds, where a denial or a hold ended it."""
    age: float | None = None
    """Seconds, for the `Age` field, where something stored was used; None: as the upstream said."""

    @property
    def shared(self) -> Reply | Entry | Refuse:
        """What those who waited for the flight are answered: no field meant for one client alone.

        Whoever asks under `obey` first looks whether it matches (`variants.matches`).
        """
        return self.write.entry if isinstance(self.write, Put | Touch) else self.reply
