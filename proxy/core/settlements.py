"""Settlements: what came of asking the upstream.

One rescue rule. Where nothing of use came (no answer, 500, 502, 503, 504, 418, 429, an answer that
a block or body check rejects, a hold, an empty quota) a fallback that is young enough is given:
RESCUED. Else the provider's own answer, unchanged, where there is one; else 429, 502 or 504.

Under `obey` the origin decides: an error's status is rescued only where `stale-if-error` said so;
an upstream that gives no answer, or may not be asked, wherever nothing forbids it (RFC 9111 section
4.2.4), and where it is forbidden the answer is 504 (section 5.2.2.2).
"""

from collections.abc import Container
from typing import Final, assert_never

from msgspec import Struct
from msgspec.structs import replace

from proxy.core import conditions, directives, freshness, invalidation, storing, variants
from proxy.core.fields import first
from proxy.core.model import (
    Denied,
    Entry,
    Failed,
    Failure,
    Fetch,
    Fetched,
    Forward,
    Invalidate,
    Lifetimes,
    Nothing,
    Outcome,
    Policy,
    Put,
    Refuse,
    Reply,
    Request,
    Settlement,
    Touch,
    Verdict,
    Write,
)
from proxy.core.spending import LOST
from proxy.core.storing import Unstorable
from proxy.core.upstreams import Endpoint
from proxy.core.wishes import granted, wishes

ERRORS: Final = frozenset({500, 502, 503, 504})
"""What `stale-if-error` speaks of (RFC 5861 section 4)."""
RESCUED: Final = ERRORS | {418, 429}
KEY_REFUSED: Final = frozenset({401, 402})
"""To the proxy's own key; rescued only where the endpoint says how old an answer may ever be."""
_TROUBLE: Final = RESCUED | KEY_REFUSED
_OBEY: Final = Policy.OBEY
_MISS: Final = Verdict.MISS
"""A look at a member of an enumeration is dear where it is taken for each answer."""
_NOTHING: Final = Nothing()
_OK: Final = 200
_NOT_MODIFIED: Final = 304
_SUCCESS: Final = range(200, 300)


class _Exchange(Struct, frozen=True):
    """What was asked, and how its answer would be stored."""

    endpoint: Endpoint
    request: Request
    own: Lifetimes
    key: str
    now: float
    uri: str
    dropped: Container[str]

    @property
    def obey(self) -> bool:
        return self.endpoint.policy is _OBEY

    @property
    def target(self) -> str:
        """The absolute URI that was asked of the upstream."""
        if self.uri:
            return self.uri
        request = self.request
        path = f"{request.path}?{request.query}" if request.query else request.path
        return f"http://{request.host or 'upstream'}{path}"


def settle(
    endpoint: Endpoint,
    request: Request,
    plan: Fetch | Forward,
    outcome: Outcome,
    lifetimes: Lifetimes,
    key: str,
    now: float,
    *,
    uri: str = "",
    dropped: Container[str] = frozenset(),
) -> Settlement:
    """Return what to answer and to write now that the outcome is known.

    `lifetimes` are the endpoint's for this request; `key` is the primary key (of the GET, where a
    POST's reply is storable; empty: nothing is stored); `uri` is the absolute URI that was asked
    of the upstream; `dropped` are further fields, lower case, that are never replayed.
    """
    exchange = _Exchange(endpoint, request, lifetimes, key, now, uri, dropped)
    if isinstance(plan, Forward):
        return _forwarded(exchange, plan, outcome)
    match outcome:
        case Fetched():
            return _answered(exchange, plan, outcome)
        case Denied():
            rescued = _rescue(exchange, plan, _why(outcome))
            return rescued or _denied(exchange, outcome)
        case Failed():
            rescued = _rescue(exchange, plan, outcome.failure.value)
            return rescued or _failed(outcome, late=_forbidden(exchange, plan))
        case _:
            assert_never(outcome)


# ── Fetch ──


def _answered(exchange: _Exchange, plan: Fetch, fetched: Fetched) -> Settlement:
    status, request = fetched.reply.status, exchange.request
    if fetched.rejected or status in _TROUBLE:
        why = _useless(exchange, fetched)
        rescued = _rescue(exchange, plan, why, status=status) if why else None
        if rescued is not None:
            return rescued
    if status == _NOT_MODIFIED:
        return _not_modified(exchange, plan, fetched)
    if request.method == "HEAD" and exchange.obey:
        return _head(exchange, plan, fetched)
    endpoint, key = exchange.endpoint, exchange.key
    stored = storing.entry(endpoint, request, fetched, exchange.own, key, dropped=exchange.dropped)
    if isinstance(stored, Unstorable):
        return Settlement(
            storing.unstored(endpoint, request, fetched, key),
            _NOTHING,
            _MISS,
            detail=stored.reason,
            shareable=not exchange.obey,
            forward_status=status,
        )
    whole = storing.unstored(endpoint, request, fetched, key, stored.initial_age)
    write = _put(exchange, plan.stored, stored)
    return Settlement(whole, write, _MISS, stored=True, forward_status=status)


def _put(exchange: _Exchange, others: tuple[Entry, ...], entry: Entry) -> Put:
    if entry.key == exchange.key:
        return Put(entry)
    return Put(entry, variants.index(exchange.key, entry, others))


def _useless(exchange: _Exchange, fetched: Fetched) -> str:
    """Return why the answer is one that a fallback may stand in for; empty where it is not."""
    status = fetched.reply.status
    if fetched.rejected:
        return "rejected"
    if status in RESCUED:
        return f"status {status}"
    if status in KEY_REFUSED and exchange.endpoint.max_age is not None:
        return f"status {status}"
    return ""


def _not_modified(exchange: _Exchange, plan: Fetch, fetched: Fetched) -> Settlement:
    chosen = variants.select(plan.stored, exchange.request) if exchange.obey else None
    entry = conditions.confirmed(plan.stored, chosen, fetched.reply.fields)
    if not plan.validators or entry is None:
        return _unasked(exchange, plan, fetched)
    if exchange.obey and conditions.names_another(fetched.reply.fields, entry):
        known = chosen is not None  # else what is stored is for others' selections
        return _unchanged(exchange, entry) if known else _unasked(exchange, plan, fetched)
    fresh = storing.freshened(
        exchange.endpoint,
        entry,
        fetched,
        exchange.own,
        request=exchange.request,
        dropped=exchange.dropped,
    )
    if not exchange.obey:
        write: Write = Touch(fresh)
    elif variants.names(fresh.fields):
        key = variants.variant_key(exchange.key, fresh.fields, exchange.request)
        asked = variants.selecting(fresh.fields, exchange.request)
        fresh = replace(fresh, key=key, request_fields=asked)
        write = _put(exchange, plan.stored, fresh)
    else:
        write = Touch(fresh)
    return Settlement(
        fresh,
        write,
        Verdict.REVALIDATED,
        stored=True,
        forward_status=_NOT_MODIFIED,
        age=fresh.age(exchange.now),
    )


def _unchanged(exchange: _Exchange, entry: Entry) -> Settlement:
    """Settle a 304 that names another: it is no answer to others, and nothing is made of it."""
    return Settlement(
        entry,
        _NOTHING,
        Verdict.REVALIDATED,
        shareable=False,
        forward_status=_NOT_MODIFIED,
        age=entry.age(exchange.now),
    )


def _unasked(exchange: _Exchange, plan: Fetch, fetched: Fetched) -> Settlement:
    """Settle a 304 that confirms nothing stored: to the client's own condition, or out of place."""
    own = any(first(exchange.request.fields, name) for name in conditions.CONDITIONAL)
    if exchange.obey and own and not plan.validators:
        return _as_it_came(exchange, fetched, _MISS)
    broken = Failed(Failure.PROTOCOL, sent=True, detail="a 304 that confirms nothing stored")
    return replace(_failed(broken), forward_status=_NOT_MODIFIED)


def _head(exchange: _Exchange, plan: Fetch, fetched: Fetched) -> Settlement:
    """Settle a HEAD that went upstream: it updates the stored GET (RFC 9111 section 4.3.5)."""
    stored = variants.select(plan.stored, exchange.request)
    if stored is None or fetched.reply.status != _OK:
        return _as_it_came(exchange, fetched, _MISS)
    length = fetched.content_length
    same_length = length is None or bool(stored.encoding) or length == len(stored.body)
    if same_length and conditions.same_representation(stored, fetched.reply.fields):
        fresh = storing.freshened(
            exchange.endpoint, stored, fetched, exchange.own, dropped=exchange.dropped
        )
        return Settlement(fresh, Touch(fresh), _MISS, stored=True, forward_status=_OK)
    stale = replace(stored, lifetimes=Lifetimes(0.0, keep=stored.lifetimes.keep))
    return replace(_as_it_came(exchange, fetched, _MISS), write=Touch(stale))


def _as_it_came(exchange: _Exchange, fetched: Fetched, verdict: Verdict) -> Settlement:
    """Settle with the provider's own answer, for the one who asked."""
    fields = storing.passed_fields(exchange.endpoint.policy, fetched.reply.fields)
    return Settlement(
        replace(fetched.reply, fields=fields),
        _NOTHING,
        verdict,
        shareable=False,
        forward_status=fetched.reply.status,
    )


# ── Rescue ──


def _rescue(
    exchange: _Exchange, plan: Fetch, why: str, status: int | None = None
) -> Settlement | None:
    """Return the settlement that gives the fallback, or None where there is none to give."""
    entry = plan.fallback
    if entry is None and exchange.obey:
        entry = variants.select(plan.stored, exchange.request)
    if entry is None or freshness.MUST_REVALIDATE in entry.flags or not _young(exchange, entry):
        return None
    if status is not None and exchange.obey:
        told = freshness.STALE_IF_ERROR in entry.flags
        if not told or status not in ERRORS:
            return None
    return Settlement(
        entry,
        _NOTHING,
        Verdict.RESCUED,
        detail=why,
        forward_status=status,
        age=entry.age(exchange.now),
    )


def _young(exchange: _Exchange, entry: Entry) -> bool:
    age, lives, most = entry.age(exchange.now), entry.lifetimes, exchange.endpoint.max_age
    if age >= lives.ttl + lives.stale_if_error or (most is not None and age > most):
        return False
    asked = wishes(exchange.request.fields)
    return not asked.vetoes(age, granted=granted(exchange.endpoint), letter=exchange.obey)


def _forbidden(exchange: _Exchange, plan: Fetch) -> bool:
    """Return whether something is stored that must not be given unconfirmed."""
    entry = variants.select(plan.stored, exchange.request) if exchange.obey else None
    return entry is not None and freshness.MUST_REVALIDATE in entry.flags


# ── Problems of our own ──


def _why(denied: Denied) -> str:
    if denied.hold:
        return "hold"
    return "ledger lost" if denied.limit == LOST else f"limit {denied.limit}"


def _denied(exchange: _Exchange, denied: Denied) -> Settlement:
    name = exchange.endpoint.upstream
    if denied.limit == LOST:
        detail = f"what is left of {name}'s quota is not known: its counts cannot be reached"
        refuse = Refuse(503, "Quota unknown", detail, "ledger-lost")
    elif denied.hold:
        refuse = Refuse(429, "Upstream on hold", f"{name} asked to be left alone", "upstream-hold")
    else:
        detail = f"limit {denied.limit} of {name} is used up"
        refuse = Refuse(429, "Quota exhausted", detail, "quota-exhausted")
    return Settlement(refuse, _NOTHING, Verdict.REFUSED, retry_after=denied.retry_after)


def _failed(failed: Failed, *, late: bool = False) -> Settlement:
    match failed.failure:
        case Failure.TIMEOUT:
            refuse = Refuse(504, "Upstream too late", failed.detail, "upstream-timeout")
        case Failure.PROTOCOL:
            refuse = Refuse(502, "Upstream answer broken", failed.detail, "upstream-broken")
        case Failure.CONNECT | Failure.DISCONNECTED:
            refuse = Refuse(502, "Upstream unreachable", failed.detail, "upstream-unreachable")
        case _:
            assert_never(failed.failure)
    if late:
        refuse = replace(refuse, status=504)
    return Settlement(refuse, _NOTHING, Verdict.REFUSED, detail=failed.failure.value)


# ── Forward ──


def _forwarded(exchange: _Exchange, plan: Forward, outcome: Outcome) -> Settlement:
    match outcome:
        case Denied():
            return _denied(exchange, outcome)
        case Failed():
            return _failed(outcome)
        case Fetched():
            settlement = _as_it_came(exchange, outcome, Verdict.BYPASS)
            if plan.storable and (put := _posted(exchange, outcome)) is not None:
                return replace(settlement, write=put, stored=True)
            return replace(settlement, write=_invalidation(exchange, outcome.reply))
        case _:
            assert_never(outcome)


def _invalidation(exchange: _Exchange, reply: Reply) -> Write:
    method = exchange.request.method
    targets = invalidation.targets(method, exchange.target, reply.status, reply.fields)
    return Invalidate(targets) if targets else _NOTHING


def _posted(exchange: _Exchange, fetched: Fetched) -> Put | None:
    """Return the entry that a POST's reply is for later GETs, or None (RFC 9110 section 9.3.3).

    It must say how long it holds, and that it is the representation of the URI posted to.
    """
    reply, request = fetched.reply, exchange.request
    located = invalidation.resolved(exchange.target, first(reply.fields, "content-location"))
    control = directives.of_reply(reply.fields)
    explicit = freshness.explicit_lifetime(control, reply.fields, fetched.received_at)
    if located != exchange.target or explicit is None or reply.status not in _SUCCESS:
        return None
    if not exchange.key:
        return None
    stored = storing.entry(
        exchange.endpoint,
        request,
        fetched,
        exchange.own,
        exchange.key,
        dropped=exchange.dropped,
    )
    return None if isinstance(stored, Unstorable) else _put(exchange, (), stored)
