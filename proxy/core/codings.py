"""The gzip content coding (RFC 9110 section 8.4.1.3): what came, checked to be whole."""

import zlib
from collections.abc import Iterator
from typing import Final

from proxy.core.fields import DIGESTS, Fields, first

GZIP = "gzip"
_WINDOW = 16 + zlib.MAX_WBITS
LARGEST: Final = 128 * 1024 * 1024
"""Bytes that a body may unpack to: a few kilobytes of gzip can say gigabytes."""
_PIECE: Final = 4 * 1024 * 1024
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
        ValueError: it is not gzip, was cut short, or unpacks to more than `LARGEST`.

    """
    return b"".join(_pieces(body))


def verify(body: bytes) -> None:
    """See that `gunzip` would return, in little memory.

    Raises:
        ValueError: as `gunzip` does.

    """
    for _ in _pieces(body):
        pass


def _pieces(body: bytes) -> Iterator[bytes]:
    unpacked = 0
    try:
        while body:
            stream = zlib.decompressobj(_WINDOW)
            while not stream.eof:
                piece = stream.decompress(body, _PIECE)
                body = stream.unconsumed_tail
                if not piece and not body and not stream.eof:
                    raise ValueError("the gzip body was cut short")
                unpacked += len(piece)
                if unpacked > LARGEST:
                    raise ValueError(f"the gzip body unpacks to more than {LARGEST} bytes")
                yield piece
            body = stream.unused_data.lstrip(b"\0")
    except zlib.error as error:
        raise ValueError(f"not a gzip body: {error}") from error


def negotiated(fields: Fields, coding: str, *, changed: bool) -> Fields:
    """Return the fields of a body whose form was chosen for this client.

    `coding` is the form that goes out; `changed` says that it is not the form that came.
    """
    kept = []
    for name, value in fields:
        lower = name.lower()
        if lower == "content-encoding" or (changed and lower in DIGESTS):
            continue
        weakened = changed and lower == "etag" and not value.startswith("W/")
        kept.append((name, f"W/{value}" if weakened else value))
    if coding:
        kept.append(("Content-Encoding", coding))
    if not _varies(fields):
        kept.append(("Vary", "Accept-Encoding"))
    return tuple(kept)


def _varies(fields: Fields) -> bool:
    named = {
        member.strip().lower()
        for name, value in fields
        if name.lower() == "vary"
        for member in value.split(",")
    }
    return not named.isdisjoint({"accept-encoding", "*"})
