"""Wordings: what the method and the fields of a request say to an upstream's endpoint.

A bot says the same each time, whatever it asks for: so it is worked out once, and remembered. A
wording depends on the two records of the configuration, on the method, and on those fields that
the upstream heeds (`Upstream.heeded`); on no other field, not on the target, the body or the time.
What it takes from the records is as they were when they were made: they are frozen.

Not remembered is what is signed, or carries a token: a signature is new each time, so it would only
push out what others say, and neither is ours to keep.
"""

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from proxy.core import preferences
from proxy.core.accepts import default_accept, normal_accept
from proxy.core.fields import Fields, combined, only, replaced
from proxy.core.marks import DESCRIBE_BODY, MARKS, SIGNATURE_HEADERS
from proxy.core.model import Policy
from proxy.core.parameters import quoted
from proxy.core.upstreams import Endpoint, Upstream

MOST: Final = 1024
"""Wordings that are remembered; beyond that all are forgotten."""
LONGEST: Final = 2048
"""Characters of fields beyond which a wording is not worth remembering: clients choose them."""

_SAFE: Final = frozenset({"GET", "HEAD"})
_OBEY: Final = Policy.OBEY


class Wording(Struct, frozen=True, eq=False):
    """What is said beside the target."""

    upstream: Upstream
    endpoint: Endpoint
    """They are held, so that no others have their ids."""
    private: str | None
    """Why the request is private whatever its target says, or None."""
    marked: str | None
    """Which field makes it private, or None."""
    keys: tuple[tuple[str, str], ...]
    """Keys that the client brought in fields: `header x-mbx-apikey`, and the secret value."""
    key_fields: Fields
    """The same as they were written."""
    variant: str
    """What is in the cache key of it: `;accept=text/csv;method=POST`."""
    sent: Fields
    """What goes upstream of it where nothing goes that is not in the key."""
    sent_as_own: Fields
    """The same with the proxy's own key, if that is one in a field."""
    forwards: bool
    """Keys that clients bring go upstream, be the request private or not."""
    urgency: int | None
    """What the client says of its urgency, 0 to 7; None: nothing."""
    wait: float | None
    """Seconds for which the client says it would wait; None: it does not say."""


_known: Final[dict[tuple[int, int, str, Fields], Wording]] = {}


def wording(upstream: Upstream, endpoint: Endpoint, method: str, fields: Fields) -> Wording:
    """Return what a method and fields say to an endpoint of an upstream."""
    heeded = only(fields, upstream.heeded)
    asked = (id(upstream), id(endpoint), method, heeded)
    known = _known.get(asked)
    if known is None:
        known = _worked_out(upstream, endpoint, method, heeded)
        if known.marked is None and _size(method, heeded) <= LONGEST:
            if len(_known) >= MOST:
                _known.clear()
            _known[asked] = known
    return known


def _size(method: str, fields: Fields) -> int:
    return len(method) + sum([len(name) + len(value) for name, value in fields])


def named(upstream: Upstream, fields: Fields, names: Iterable[str]) -> Fields:
    """Return the fields called `names` (lower case) that say something and hide nothing.

    The same are keyed and sent; several lines count as one.
    """
    return tuple(
        (name, value.strip())
        for name in names
        if (value := combined(fields, name))
        and value.strip()
        and name not in upstream.keys_in_fields
    )


def _worked_out(upstream: Upstream, endpoint: Endpoint, method: str, fields: Fields) -> Wording:
    brought = tuple(
        (name, value)
        for name, value in fields
        if name.lower() in upstream.keys_in_fields and value.strip()
    )
    sent = _sent(upstream, endpoint, method, fields)
    return Wording(
        upstream,
        endpoint,
        _private(endpoint, method),
        _marked(upstream, endpoint, fields),
        tuple((f"header {name.lower()}", value.strip()) for name, value in brought),
        brought,
        _variant(upstream, endpoint, method, fields),
        sent,
        replaced(sent, own_header(upstream)),
        endpoint.needs_client_key or upstream.client_credentials == "forward",
        preferences.urgency(fields),
        preferences.wait(fields),
    )


def own_header(upstream: Upstream) -> Fields:
    """Return the field that carries the proxy's own key, if there is one."""
    credentials = upstream.credentials
    if credentials.header and credentials.value:
        return ((credentials.header, credentials.value),)
    return ()


# ── Private ──


def _private(endpoint: Endpoint, method: str) -> str | None:
    if endpoint.private:
        return f"endpoint {endpoint.name} is private"
    if method not in _SAFE and not (endpoint.cache_body and method == "POST"):
        return f"method {method}"
    return None


def _marked(upstream: Upstream, endpoint: Endpoint, fields: Fields) -> str | None:
    for name, _ in fields:
        lowered = name.lower()
        if lowered in upstream.private_headers or _makes_private(upstream, endpoint, lowered):
            return f"header {lowered}"
    return None


def _makes_private(upstream: Upstream, endpoint: Endpoint, name: str) -> bool:
    """Say whether a signature or token by this name makes the request private."""
    if name not in MARKS or name in SIGNATURE_HEADERS:
        return name in MARKS
    if endpoint.policy is _OBEY:
        return False
    # A provider may take its plain key in Authorization: then that is a key, and no token.
    own = upstream.credentials.header
    return own is None or name != own.lower()


# ── Keyed, and sent ──


def _variant(upstream: Upstream, endpoint: Endpoint, method: str, fields: Fields) -> str:
    """Return what is keyed; each part begins with `;`."""
    parts = []
    if endpoint.policy is not _OBEY:
        accept = normal_accept(combined(fields, "accept"), endpoint.content_type)
        if accept != default_accept(endpoint.content_type):
            parts.append(f"accept={quoted(accept)}")
        said = named(upstream, fields, endpoint.headers)
        parts += [f"header-{quoted(name)}={quoted(value)}" for name, value in said]
    if method not in _SAFE:
        parts.append(f"method={quoted(method)}")
    return "".join([f";{part}" for part in parts])


def _sent(upstream: Upstream, endpoint: Endpoint, method: str, fields: Fields) -> Fields:
    accept = normal_accept(combined(fields, "accept"), endpoint.content_type)
    sent = [("Accept", accept), ("Accept-Encoding", "gzip")]
    if upstream.user_agent:
        sent.append(("User-Agent", upstream.user_agent))
    kept = endpoint.headers
    if endpoint.cache_body and method == "POST":
        kept += DESCRIBE_BODY
    said = named(upstream, fields, kept)
    return (*sent, *((_spelled(fields, name), value) for name, value in said))


def _spelled(fields: Fields, name: str) -> str:
    return next(key for key, _ in fields if key.lower() == name)
