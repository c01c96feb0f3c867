"""Storing: which replies are kept, and what of them.

- `obey`: RFC 9111 section 3, as a shared cache: no-store, private, Authorization, must-understand;
  a status that may be kept without being told, or an explicit lifetime. Parts (206) are forwarded.
- `ignore` and `cap`: the contract's statuses, of the declared content type, and nothing else; `cap`
  heeds what the origin forbids besides.
- Whatever the policy: nothing rejected by a body check, nothing larger than the endpoint's limit.
- Never kept: fields of the connection, Content-Length, Age (it is computed), what names the
  provider's own way here (Via, Alt-Svc, …), its usage figures; and Set-Cookie, but under `obey`.
"""

from collections.abc import Container
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from proxy.core import candles, dates, directives, freshness, stretching, variants
from proxy.core.fields import Fields, first, names, values, without
from proxy.core.model import Entry, Fetched, Lifetimes, Policy, Reply, Request
from proxy.core.upstreams import Endpoint

STORABLE: Final = frozenset({200, 203, 301, 308})
NEGATIVE: Final = frozenset({404, 410})
UNDERSTOOD: Final = frozenset(
    {200, 203, 204, 300, 301, 302, 303, 307, 308, 400, 401, 402, 403, 404, 405, 406, 407, 408, 409}
    | set(range(410, 418))
    | {421, 422, 426, 428, 429, 431, 451, 500, 501, 502, 503, 504, 505, 511}
)
"""Final statuses whose rules for caching this cache knows (must-understand); 206 and 304 apart."""
COOKIES: Final = frozenset({"set-cookie", "set-cookie2"})
CONNECTION: Final = frozenset(
    {
        "connection", "keep-alive", "proxy-authenticate", "proxy-authentication-info",
        "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
        "http2-settings",
    }
)  # fmt: skip
UNREPLAYED: Final = frozenset(
    {"age", "content-length", "via", "alt-svc", "nel", "report-to", "strict-transport-security"}
)
_IGNORE: Final = Policy.IGNORE
_OBEY: Final = Policy.OBEY
"""A look at a member of an enumeration is dear where it is taken for each reply."""
_WITHHELD: Final = CONNECTION | COOKIES
_UNSTORED: Final = _WITHHELD | UNREPLAYED
_UNSTORED_OBEYING: Final = CONNECTION | UNREPLAYED
_KEPT: Final = STORABLE | NEGATIVE
_NO_FLAGS: Final[frozenset[str]] = frozenset()
_PARTIAL: Final = 206
_NOT_MODIFIED: Final = 304
_REDIRECTS: Final = range(300, 400)
_SHARES_AUTHORIZED: Final = ("public", "must-revalidate", "s-maxage")


class Unstorable(Struct, frozen=True):
    """The reply is not kept."""

    reason: str
    """A word or two for Cache-Status and the log."""


def entry(
    endpoint: Endpoint,
    request: Request,
    fetched: Fetched,
    own: Lifetimes,
    key: str,
    *,
    dropped: Container[str] = frozenset(),
) -> Entry | Unstorable:
    """Return what is stored of a reply to `request`, or why nothing is.

    `own` are the endpoint's lifetimes for this request, `dropped` further fields never replayed.
    """
    reply, policy = fetched.reply, endpoint.policy
    if obstacle := _obstacle(endpoint, request, fetched):
        return Unstorable(obstacle)
    lives = _lives(endpoint, request, fetched, own)
    if lives is None:
        return Unstorable("no lifetime")
    fields = _dated(stored_fields(policy, reply.fields, dropped), fetched)
    obey = policy is _OBEY
    return Entry(
        variants.variant_key(key, reply.fields, request) if obey else key,
        reply.status,
        reply.reason,
        fields,
        reply.body,
        reply.encoding,
        fetched.requested_at,
        fetched.received_at,
        freshness.initial_age(policy, fetched),
        lives,
        variants.selecting(reply.fields, request) if obey else (),
        endpoint.tags,
        _NO_FLAGS if policy is _IGNORE else flags(policy, reply.fields),
    )


def unstored(
    endpoint: Endpoint, request: Request, fetched: Fetched, key: str, age: float | None = None
) -> Entry:
    """Return a reply in the shape of an entry, whole, so that it is presented like one.

    `age` is its initial one, where that is known already.
    """
    reply, policy = fetched.reply, endpoint.policy
    return Entry(
        key,
        reply.status,
        reply.reason,
        passed_fields(policy, reply.fields),
        reply.body,
        reply.encoding,
        fetched.requested_at,
        fetched.received_at,
        freshness.initial_age(policy, fetched) if age is None else age,
        _NO_LIFETIME,
        variants.selecting(reply.fields, request) if policy is _OBEY else (),
    )


_NO_LIFETIME: Final = Lifetimes(0.0)


def freshened(
    endpoint: Endpoint,
    stored: Entry,
    fetched: Fetched,
    own: Lifetimes,
    *,
    request: Request | None = None,
    dropped: Container[str] = frozenset(),
) -> Entry:
    """Return `stored` as a 304, or a HEAD's 200, leaves it (RFC 9111 sections 3.2, 4.3.4, 4.3.5).

    The new fields replace the stored ones, but for those that describe the body we hold.
    """
    new = _dated(stored_fields(endpoint.policy, fetched.reply.fields, dropped), fetched)
    new = without(new, _DESCRIBE_BODY)
    named = {name.lower() for name, _ in new}
    fields = stored_fields(endpoint.policy, without(stored.fields, named) + new, dropped)
    mine = _for_status(endpoint, own, stored.status)
    lives = freshness.lifetimes(endpoint.policy, mine, stored.status, fields, fetched.received_at)
    if request is not None:
        lives = _aligned(endpoint, request, fetched, stored.status, lives)
        lives = stretching.kept(endpoint, lives)
    return replace(
        stored,
        fields=fields,
        requested_at=fetched.requested_at,
        received_at=fetched.received_at,
        initial_age=freshness.initial_age(endpoint.policy, fetched),
        lifetimes=lives,
        flags=flags(endpoint.policy, fields),
    )


_DESCRIBE_BODY: Final = frozenset(
    {
        "content-encoding", "content-length", "content-md5", "content-range", "content-digest",
        "repr-digest", "digest", "etag",
    }
)  # fmt: skip


def flags(policy: Policy, fields: Fields) -> frozenset[str]:
    """Return the flags of an entry: only where the origin's word counts."""
    return _NO_FLAGS if policy is _IGNORE else freshness.flags(fields)


# ── Fields ──


def passed_fields(policy: Policy, fields: Fields) -> Fields:
    """Return the fields that go to the client who asked: those of the connection go no further."""
    dropped = CONNECTION if policy is _OBEY else _WITHHELD
    if "connection" in names(fields):
        dropped = _and_named(dropped, values(fields, "connection"))
    return without(fields, dropped)


def stored_fields(policy: Policy, fields: Fields, dropped: Container[str]) -> Fields:
    """Return the fields that are kept for others."""
    never = _UNSTORED_OBEYING if policy is _OBEY else _UNSTORED
    if "connection" in names(fields):
        never = _and_named(never, values(fields, "connection"))
    kept = without(fields, never)
    if dropped:
        kept = without(kept, dropped)
    if policy is _IGNORE:
        return kept
    control = directives.of_reply(fields)
    return without(kept, control.names("private") | control.names("no-cache"))


def _and_named(dropped: frozenset[str], lines: tuple[str, ...]) -> frozenset[str]:
    return dropped | {token.strip().lower() for line in lines for token in line.split(",")}


def _dated(fields: Fields, fetched: Fetched) -> Fields:
    """Return the fields, dated when they came where they do not say (RFC 9110 section 6.6.1)."""
    if first(fields, "date") is not None:
        return fields
    return (*fields, ("Date", dates.format_date(fetched.received_at)))


# ── Obstacles ──


def _obstacle(endpoint: Endpoint, request: Request, fetched: Fetched) -> str:
    """Return why the reply may not be stored; empty where it may."""
    if fetched.rejected:
        return "rejected"
    if len(fetched.reply.body) > endpoint.max_size:
        return "too large"
    policy = endpoint.policy
    if policy is _OBEY:
        return _forbidden(request, fetched.reply) or _unbidden(fetched)
    undeclared = _undeclared(endpoint, fetched.reply)
    if policy is _IGNORE:
        return undeclared
    return undeclared or _forbidden(request, fetched.reply)


def _undeclared(endpoint: Endpoint, reply: Reply) -> str:
    status = reply.status
    if status not in _KEPT and status not in dict(endpoint.negative):
        return "status"
    declared = endpoint.content_type
    if declared is None or status in _REDIRECTS:
        return ""
    said = first(reply.fields, "content-type")
    return "" if said == declared or _essence(said) == _essence(declared) else "type"


def _essence(content_type: str | None) -> str:
    return (content_type or "").partition(";")[0].strip().lower()


def _forbidden(request: Request, reply: Reply) -> str:
    """Return what forbids a shared cache to store the reply (RFC 9111 sections 3 and 5.2)."""
    control = directives.of_reply(reply.fields)
    if "must-understand" in control:
        if reply.status not in UNDERSTOOD:
            return "must-understand"
    elif "no-store" in control:
        return "no-store"
    if "no-store" in directives.of_request(request.fields):
        return "request no-store"
    if control.bare("private"):
        return "private"
    authorized = first(request.fields, "authorization") is not None
    if authorized and not any(name in control for name in _SHARES_AUTHORIZED):
        return "authorization"
    return ""


def _unbidden(fetched: Fetched) -> str:
    """Return why nothing allows to store the reply (RFC 9111 section 3, last point)."""
    reply = fetched.reply
    if reply.status in {_PARTIAL, _NOT_MODIFIED}:
        return "partial" if reply.status == _PARTIAL else "not modified"
    if "*" in variants.names(reply.fields):
        return "vary"
    control = directives.of_reply(reply.fields)
    told = freshness.explicit_lifetime(control, reply.fields, fetched.received_at) is not None
    if told or "public" in control or reply.status in freshness.HEURISTIC_STATUSES:
        return ""
    return "status"


def _lives(
    endpoint: Endpoint, request: Request, fetched: Fetched, own: Lifetimes
) -> Lifetimes | None:
    """Return the lifetimes of a reply that may be stored; None: it has none."""
    policy, reply = endpoint.policy, fetched.reply
    lives = own
    if endpoint.negative or reply.status in NEGATIVE:
        lives = _for_status(endpoint, own, reply.status)
    if policy is not _IGNORE:
        lives = freshness.lifetimes(policy, lives, reply.status, reply.fields, fetched.received_at)
        if lives.usable <= 0.0:
            return None
    elif lives.ttl <= 0.0:
        return None
    if endpoint.align is not None:
        lives = _aligned(endpoint, request, fetched, reply.status, lives)
    return stretching.kept(endpoint, lives) if endpoint.stretch > 1.0 else lives


def _aligned(
    endpoint: Endpoint, request: Request, fetched: Fetched, status: int, lives: Lifetimes
) -> Lifetimes:
    """Return the lifetimes that the candles in a reply leave it."""
    if endpoint.align is None or status not in STORABLE:
        return lives
    generated_at = fetched.received_at - freshness.initial_age(endpoint.policy, fetched)
    return candles.lived(endpoint, request.query, lives, fetched.requested_at, generated_at)


def _for_status(endpoint: Endpoint, own: Lifetimes, status: int) -> Lifetimes:
    """Return the endpoint's lifetimes for a status: negative ones are short, and never stale."""
    if endpoint.negative and (declared := dict(endpoint.negative).get(status)) is not None:
        return Lifetimes(declared)
    if status in NEGATIVE:
        return Lifetimes(min(endpoint.negative_ttl, own.ttl))
    return own
