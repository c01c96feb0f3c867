"""Invalidation: what a successful unsafe request makes untrue (RFC 9111 section 4.4).

Its target, and what Location and Content-Location name, where they are of the same origin: nobody
may sweep another's cache. A method that is not known to be safe is taken for unsafe.
"""

from typing import Final
from urllib.parse import urldefrag, urljoin, urlsplit

from proxy.core.fields import Fields, first

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_SUCCESS: Final = range(200, 400)
_PORTS: Final = {"http": 80, "https": 443}


def targets(method: str, uri: str, status: int, fields: Fields) -> tuple[str, ...]:
    """Return the absolute URIs that are no longer true; none where the request changed nothing.

    `uri` is the absolute URI that was asked of the upstream.
    """
    if method in SAFE or status not in _SUCCESS:
        return ()
    named = [resolved(uri, first(fields, name)) for name in ("location", "content-location")]
    return tuple(dict.fromkeys([uri, *(each for each in named if each is not None)]))


def resolved(uri: str, reference: str | None) -> str | None:
    """Return the absolute URI that `reference` names, where it is of `uri`'s origin; else None."""
    if reference is None:
        return None
    try:
        absolute = urldefrag(urljoin(uri, reference.strip())).url
        return absolute if _origin(absolute) == _origin(uri) else None
    except ValueError:  # a port that is none, an unclosed bracket
        return None


def _origin(uri: str) -> tuple[str, str, int | None]:
    parts = urlsplit(uri)
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), parts.port or _PORTS.get(scheme)
