"""What goes upstream: the method, the target and the fields.

- KEYED (cacheable, under `ignore` and `cap`): what is in the key and what the proxy sets itself,
  and nothing else; so nothing that is not keyed can change what is stored. HEAD asks as GET.
- OBEDIENT (under `obey`): end-to-end fields go through, and Vary rules.
- FORWARDED (bypass): end-to-end fields go through. Accept-Encoding is held to gzip or identity,
  since some clients claim codings that they cannot decode.
- PRIVATE: end-to-end fields, path and query exactly as they came, with the client's credentials.

Hop-by-hop fields are RFC 9110 section 7.6.1's. Host is the upstream client's own matter; so is
Expect, which the front has met. Content-Length goes with a body that passes through as it came.
"""

from enum import StrEnum
from typing import Final
from urllib.parse import quote

from msgspec import Struct

from proxy.core import parameters
from proxy.core.fields import Fields, replaced, values
from proxy.core.marks import SIGNATURE_PARAMETERS
from proxy.core.model import Fetch, Forward, Policy, Request
from proxy.core.privacy import client_keys, is_secret_parameter
from proxy.core.routing import Match
from proxy.core.upstreams import Upstream
from proxy.core.wordings import Wording, own_header, wording

HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "http2-settings",
    }
)
_NEVER: Final = HOP_BY_HOP | {"host", "expect"}
_CONDITIONS: Final = frozenset({"if-none-match", "if-modified-since"})


class Manner(StrEnum):
    """How much of what the client wrote goes upstream."""

    KEYED = "keyed"
    OBEDIENT = "obedient"
    FORWARDED = "forwarded"
    PRIVATE = "private"


class Outgoing(Struct, frozen=True, gc=False):
    """The head of a request as it goes upstream. The target may hold a key: log `redacted`."""

    method: str
    target: str
    """Raw path and query, without the base URL's own path."""
    fields: Fields
    own_credentials: bool = False
    """The proxy's own key goes with it."""


_KEYED: Final = Manner.KEYED
_OBEDIENT: Final = Manner.OBEDIENT
_PRIVATE: Final = Manner.PRIVATE
_OBEY: Final = Policy.OBEY
"""A look at a member of an enumeration is dear where it is taken for each request."""


def manner(match: Match, plan: Fetch | Forward) -> Manner:
    """Return in what manner a planned exchange goes upstream."""
    if isinstance(plan, Forward) and plan.private:
        return _PRIVATE
    if match.endpoint.policy is _OBEY:
        return _OBEDIENT
    return Manner.FORWARDED if isinstance(plan, Forward) else _KEYED


def outgoing(
    match: Match,
    request: Request,
    how: Manner,
    validators: Fields = (),
    said: Wording | None = None,
) -> Outgoing:
    """Return the request that goes upstream.

    `validators` are the proxy's own conditions; `said` is the request's wording, where that is
    known already.
    """
    if said is None:
        said = wording(match.upstream, match.endpoint, request.method, request.fields)
    private, upstream = how is _PRIVATE, match.upstream
    theirs = private or said.forwards
    own = not private and not (theirs and client_keys(match, request))
    method = "GET" if how is _KEYED and request.method == "HEAD" else request.method
    if how is _KEYED:
        fields = said.sent_as_own if own else said.sent + said.key_fields
    else:
        fields = _fields(upstream, request, how, theirs=theirs)
        if own:
            fields = replaced(fields, own_header(upstream))
    if validators:
        fields = tuple(each for each in fields if each[0].lower() not in _CONDITIONS) + validators
    keyed = own and bool(upstream.credentials.value)
    target = match.path
    if private or match.query or keyed:
        target = _target(match, how, theirs=theirs, own=own)
    return Outgoing(method, target, fields, keyed)


def redacted(target: str, upstream: Upstream) -> str:
    """Return a raw target with the values of keys and signatures hidden: fit for a log."""
    path, mark, query = target.partition("?")
    return path + mark + "&".join(_hidden(piece, upstream) for piece in query.split("&"))


def end_to_end(fields: Fields) -> Fields:
    """Return the fields that go beyond this connection."""
    named = {
        token.strip().lower() for line in values(fields, "connection") for token in line.split(",")
    }
    framed = {"content-length"} if values(fields, "transfer-encoding") else set()
    dropped = _NEVER | named | framed
    return tuple(pair for pair in fields if pair[0].lower() not in dropped)


# ── Target ──


def _target(match: Match, how: Manner, *, theirs: bool, own: bool) -> str:
    upstream, query = match.upstream, match.query
    if how is _PRIVATE:
        return f"{match.written}?{query}" if query else match.written
    if query:
        query = _less_keys_in(query, upstream.keys_in_query, theirs=theirs)
    credentials = upstream.credentials
    if own and credentials.query and credentials.value:
        key = f"{quote(credentials.query, safe='')}={quote(credentials.value, safe='')}"
        query = f"{query}&{key}" if query else key
    return f"{match.path}?{query}" if query else match.path


def _less_keys_in(query: str, keys: frozenset[str], *, theirs: bool) -> str:
    """Return `query` less the client's keys, or less the empty ones where its keys go out."""
    return parameters.without(
        query, lambda name, value: name.lower() in keys and not (theirs and value)
    )


def _hidden(piece: str, upstream: Upstream) -> str:
    name, value = parameters.pair(piece)
    secret = (
        is_secret_parameter(upstream, name)
        or name in SIGNATURE_PARAMETERS
        or name in upstream.private_parameters
    )
    return f"{piece.partition('=')[0]}=***" if secret and value else piece


# ── Fields ──


def _fields(upstream: Upstream, request: Request, how: Manner, *, theirs: bool) -> Fields:
    if how is _PRIVATE:
        return end_to_end(request.fields)
    fields = _less_keys(upstream, end_to_end(request.fields), theirs=theirs)
    return fields if how is _OBEDIENT else tuple(_decodable(pair) for pair in fields)


def _less_keys(upstream: Upstream, fields: Fields, *, theirs: bool) -> Fields:
    """Return `fields` less the client's keys, or less the empty ones where its keys go out."""
    return tuple(
        (name, value)
        for name, value in fields
        if name.lower() not in upstream.keys_in_fields or (theirs and value.strip())
    )


def _decodable(pair: tuple[str, str]) -> tuple[str, str]:
    """Return an Accept-Encoding that asks for nothing but gzip or identity."""
    name, value = pair
    if name.lower() != "accept-encoding":
        return pair
    return name, "gzip" if _takes_gzip(value) else "identity"


def _takes_gzip(value: str) -> bool:
    for part in value.lower().split(","):
        coding, _, quality = part.partition(";")
        if coding.strip() in {"gzip", "x-gzip", "*"}:
            return quality.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False
