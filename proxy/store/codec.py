"""An entry as bytes, and back.

    version (1 byte) · received_at (8 bytes, big-endian double) · MessagePack array

Rules
- What this version cannot read, in whole or in part, is nothing: a miss, never an error.
- `received_at` stands at a fixed place, so that a store can see which of two is newer.
- A body over 1 KiB is kept as gzip where that is smaller: clients that take gzip are answered from
  it as it is. A body that came in a coding of its own, or that may not be transformed, stays.
- Field lines are text that may hold bytes which are no UTF-8 (surrogate escapes); such entries
  carry theirs as Latin-1, which can spell any byte.
"""

import asyncio
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from math import isfinite
from typing import Final

import msgspec

from proxy.core.codings import GZIP
from proxy.core.fields import Fields, combined, first
from proxy.core.model import Entry, Lifetimes

VERSION: Final = 1
COMPRESSED_FROM: Final = 1024
"""Bytes of a body; a smaller one gains nothing."""
BIG: Final = 32 * 1024
"""Bytes of a body whose compression would hold up a loop (more than half a millisecond)."""

_HEADER: Final = struct.Struct(">Bd")
_LEVEL: Final = 5
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS
_FORMS: Final = frozenset({"", GZIP})


class _Record(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What is written: grows at its end only, within a version."""

    key: str
    status: int
    reason: str
    fields: Fields
    body: bytes
    encoding: str
    requested_at: float
    received_at: float
    initial_age: float
    lifetimes: tuple[float, float, float, float]
    request_fields: Fields
    tags: tuple[str, ...]
    flags: tuple[str, ...]
    escaped: bool


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Record)


def encode(entry: Entry) -> bytes:
    """Return an entry as bytes; its body goes in as it is (see `compressed`)."""
    header = _HEADER.pack(VERSION, entry.received_at)
    try:
        return header + _encoder.encode(_record(entry))
    except UnicodeEncodeError:
        return header + _encoder.encode(_record(_escaped(entry), escaped=True))


def decode(data: bytes | None, key: str) -> Entry | None:
    """Return the entry that `data` holds for `key`; None for anything else at all."""
    if not data or data[0] != VERSION:
        return None
    try:
        record = _decoder.decode(memoryview(data)[_HEADER.size :])
        return _entry(record) if record.key == key and _plausible(record) else None
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


async def packed(entry: Entry) -> bytes:
    """Return an entry as bytes with its body compressed, a big one in a thread of its own."""
    if not compressible(entry):
        return encode(entry)
    if len(entry.body) < BIG:
        return encode(compressed(entry))
    return encode(await asyncio.to_thread(compressed, entry))


def compressible(entry: Entry) -> bool:
    """Whether the body is worth compressing, and may be."""
    return (
        not entry.encoding
        and len(entry.body) > COMPRESSED_FROM
        and (first(entry.fields, "content-encoding") or "identity").lower() == "identity"
        and "no-transform" not in (combined(entry.fields, "cache-control") or "").lower()
    )


def compressed(entry: Entry) -> Entry:
    """Return the entry with its body as gzip, where that is smaller."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    body = packer.compress(entry.body) + packer.flush()
    return replace(entry, body=body, encoding=GZIP) if len(body) < len(entry.body) else entry


def _record(entry: Entry, *, escaped: bool = False) -> _Record:
    lives = entry.lifetimes
    return _Record(
        entry.key,
        entry.status,
        entry.reason,
        entry.fields,
        entry.body,
        entry.encoding,
        entry.requested_at,
        entry.received_at,
        entry.initial_age,
        (lives.ttl, lives.stale_while_revalidate, lives.stale_if_error, lives.keep),
        entry.request_fields,
        entry.tags,
        tuple(sorted(entry.flags)),
        escaped,
    )


def _entry(record: _Record) -> Entry:
    entry = Entry(
        record.key,
        record.status,
        record.reason,
        record.fields,
        record.body,
        record.encoding,
        record.requested_at,
        record.received_at,
        record.initial_age,
        _lifetimes(*record.lifetimes),
        record.request_fields,
        record.tags,
        frozenset(record.flags),
    )
    return _unescaped(entry) if record.escaped else entry


@lru_cache(maxsize=1024)
def _lifetimes(
    ttl: float, stale_while_revalidate: float, stale_if_error: float, keep: float
) -> Lifetimes:
    """Return the one copy of lifetimes that an endpoint's entries all have."""
    return Lifetimes(ttl, stale_while_revalidate, stale_if_error, keep)


def _plausible(record: _Record) -> bool:
    """Whether the figures can be those of an entry: no NaN must ever be compared."""
    ttl, revalidate, error, keep = record.lifetimes
    return (
        100 <= record.status < 1000  # noqa: PLR2004 - three digits (RFC 9110 section 15)
        and record.encoding in _FORMS
        and isfinite(record.requested_at + record.received_at + record.initial_age)
        and ttl >= 0.0
        and revalidate >= 0.0
        and error >= 0.0
        and keep >= 0.0
    )


def _escaped(entry: Entry) -> Entry:
    """Spell every text of the provider's as Latin-1, byte for byte."""
    return _spelt(entry, lambda text: text.encode("utf-8", "surrogateescape").decode("latin-1"))


def _unescaped(entry: Entry) -> Entry:
    return _spelt(entry, lambda text: text.encode("latin-1").decode("utf-8", "surrogateescape"))


def _spelt(entry: Entry, spell: Callable[[str], str]) -> Entry:
    return replace(
        entry,
        reason=spell(entry.reason),
        fields=tuple((spell(name), spell(value)) for name, value in entry.fields),
        request_fields=tuple((spell(name), spell(value)) for name, value in entry.request_fields),
    )
