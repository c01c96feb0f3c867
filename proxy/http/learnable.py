"""Which heads may be remembered, and what of one decides the answer.

The rest of a head (all but its request line) must decide everything that the answer depends on:
who asks, of which host, in which encoding, with what in the fields that matter. What matters is
all that is not known to be of no matter.
"""

import re
from typing import Final

from proxy.core.fields import Fields, combined
from proxy.core.model import Request
from proxy.http.encodings import takes_gzip

LONGEST_HEAD: Final = 4096

NEVER: Final = frozenset(
    {
        "authorization",
        "cache-control",
        "content-encoding",
        "content-length",
        "cookie",
        "expect",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "pragma",
        "proxy-authorization",
        "range",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""A head with one of these is never learnt."""

NO_MATTER: Final = frozenset(
    {
        "accept-encoding",  # in the class as what is made of it
        "baggage",
        "connection",
        "host",  # likewise
        "request-id",
        "sentry-trace",
        "traceparent",
        "tracestate",
        "user-agent",
        "x-amzn-trace-id",
        "x-correlation-id",
        "x-request-id",
    }
)
"""Fields that tell no two classes apart, unless an endpoint keys them."""

_NEW_EACH_TIME: Final = re.compile(
    rb"\r\n(?:traceparent|tracestate|x-request-id|x-correlation-id|request-id|x-amzn-trace-id"
    rb"|sentry-trace|baggage):[\x20-\x7e]*(?=\r\n[^ \t])",
    re.IGNORECASE,
)
"""Lines that a client writes anew with each request. A head is looked up without them too."""


def is_plain(head: bytes, request: Request) -> bool:
    """Return whether a head is a short GET of somebody whom nobody counts by name."""
    return len(head) <= LONGEST_HEAD and head.startswith(b"GET /") and not request.client.name


def is_decided(request: Request, depends_on: frozenset[str]) -> bool:
    """Return whether nothing in the head asks for another answer than what is stored.

    `depends_on` are the fields that the answer may depend on: none of those of no matter.
    """
    names = {name.lower() for name, _ in request.fields}
    return not names & NEVER and not depends_on & NO_MATTER


def lasting(rest: bytes) -> bytes:
    """Return the rest of a head without the lines that are written anew each time."""
    return _NEW_EACH_TIME.sub(b"", rest)


def varies(rest: bytes) -> bool:
    """Return whether there are such lines in it."""
    return _NEW_EACH_TIME.search(rest) is not None


def matters(request: Request) -> Fields:
    """Return the fields that tell two classes of clients apart, in a fixed order."""
    fields = ((name.lower(), value) for name, value in request.fields)
    return tuple(sorted((pair for pair in fields if pair[0] not in NO_MATTER), key=_by_name))


def _by_name(pair: tuple[str, str]) -> str:
    return pair[0]


def wants_gzip(fields: Fields) -> bool:
    """Return whether the client takes gzip."""
    return takes_gzip(combined(fields, "accept-encoding"))
