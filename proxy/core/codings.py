"""The gzip content coding (RFC 9110 section 8.4.1.3): what came, checked to be whole."""

import zlib
from typing import Final

from proxy.core.fields import Fields, first

GZIP = "gzip"
_WINDOW = 16 + zlib.MAX_WBITS
_NAMES = frozenset({"gzip", "x-gzip"})


def is_gzip(fields: Fields) -> bool:
    """Whether gzip is the one coding of the body that these fields describe."""
    return (first(fields, "content-encoding") or "").strip().lower() in _NAMES


_REMEMBERED: Final = 1024 * 1024
"""Bytes of content that are worth remembering for the moment."""
_MOST_REMEMBERED: Final = 8


class _Recent:
    """Bodies that were undone last, and what they were."""

    pairs: tuple[tuple[bytes, bytes], ...] = ()
    """Never changed, but replaced: threads may ask."""


def content(body: bytes) -> bytes:
    """Return what `gunzip` does; the very body that was undone just now is not undone again.

    A fresh answer is undone to see that it is whole, and a moment later for the client who waits.

    Raises:
        ValueError: it is not gzip, or was cut short.

    """
    for known, undone in _Recent.pairs:
        if known is body:
            return undone
    undone = gunzip(body)
    if len(undone) <= _REMEMBERED:
        _Recent.pairs = ((body, undone), *_Recent.pairs[: _MOST_REMEMBERED - 1])
    return undone


def gunzip(body: bytes) -> bytes:
    """Return the content of a gzip body, of all its members.

    Raises:
        ValueError: it is not gzip, or was cut short.

    """
    parts = []
    try:
        while body:
            stream = zlib.decompressobj(_WINDOW)
            parts.append(stream.decompress(body))
            if not stream.eof:
                raise ValueError("the gzip body was cut short")
            body = stream.unused_data.lstrip(b"\0")
    except zlib.error as error:
        raise ValueError(f"not a gzip body: {error}") from error
    return b"".join(parts)
