"""An entry as bytes, and back.

    version (1 byte) · received_at (8 bytes, big-endian double) · MessagePack map

Rules
- What this version cannot read, in whole or in part, is nothing: a miss, never an error.
- The map is `Entry` by the names of its fields: one that is new is given a default there, one that
  is unknown is overlooked; whatever else changes needs a new version.
- `received_at` stands at a fixed place, so that a store can see which of two is newer.
- A body over 1 KiB is kept as gzip where that is smaller: clients that take gzip are answered from
  it as it is. A body that came in a coding of its own, or that may not be transformed, stays.
- Field lines are text that may hold bytes which are no UTF-8 (surrogate escapes); such entries
  carry theirs as Latin-1, which can spell any byte, and the version's highest bit says so.
"""

import asyncio
import struct
import zlib
from collections.abc import Callable
from math import isfinite
from typing import Final

import msgspec
from msgspec.structs import replace

from proxy.core.codings import GZIP
from proxy.core.fields import combined, first
from proxy.core.model import Entry

VERSION: Final = 1
COMPRESSED_FROM: Final = 1024
"""Bytes of a body; a smaller one gains nothing."""
BIG: Final = 32 * 1024
"""Bytes of a body whose compression would hold up a loop (more than half a millisecond)."""

_ESCAPED: Final = VERSION | 0x80
_READABLE: Final = frozenset({VERSION, _ESCAPED})
_HEADER: Final = struct.Struct(">Bd")
_LEVEL: Final = 5
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS
_FORMS: Final = frozenset({"", GZIP})


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Entry)


def encode(entry: Entry) -> bytes:
    """Return an entry as bytes; its body goes in as it is (see `packed`)."""
    try:
        return _HEADER.pack(VERSION, entry.received_at) + _encoder.encode(entry)
    except UnicodeEncodeError:
        escaped = _spelt(entry, _as_latin)
        return _HEADER.pack(_ESCAPED, entry.received_at) + _encoder.encode(escaped)


def decode(data: bytes | None, key: str) -> Entry | None:
    """Return the entry that `data` holds for `key`; None for anything else at all."""
    if not data or data[0] not in _READABLE:
        return None
    try:
        entry = _decoder.decode(memoryview(data)[_HEADER.size :])
        if entry.key != key or not _plausible(entry):
            return None
        return entry if data[0] == VERSION else _spelt(entry, _from_latin)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


async def packed(entry: Entry) -> bytes:
    """Return an entry as bytes with its body compressed, a big one in a thread of its own."""
    if not is_slow(entry):
        return packed_now(entry)
    return encode(await asyncio.to_thread(compressed, entry))


def is_slow(entry: Entry) -> bool:
    """Whether an entry is one to pack in a thread."""
    return len(entry.body) >= BIG and compressible(entry)


def packed_now(entry: Entry) -> bytes:
    """Return an entry as bytes with its body compressed, where that does not take long."""
    if len(entry.body) > COMPRESSED_FROM and compressible(entry):
        return encode(compressed(entry))
    return encode(entry)


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


def _plausible(entry: Entry) -> bool:
    """Whether the figures can be those of an entry: no NaN must ever be compared."""
    lives = entry.lifetimes
    return (
        100 <= entry.status < 1000  # noqa: PLR2004 - three digits (RFC 9110 section 15)
        and entry.encoding in _FORMS
        and isfinite(entry.requested_at + entry.received_at + entry.initial_age)
        and lives.ttl >= 0.0
        and lives.stale_while_revalidate >= 0.0
        and lives.stale_if_error >= 0.0
        and lives.keep >= 0.0
        and (lives.most is None or lives.most >= 0.0)
    )


def _as_latin(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


def _from_latin(text: str) -> str:
    return text.encode("latin-1").decode("utf-8", "surrogateescape")


def _spelt(entry: Entry, spell: Callable[[str], str]) -> Entry:
    return replace(
        entry,
        reason=spell(entry.reason),
        fields=tuple((spell(name), spell(value)) for name, value in entry.fields),
        request_fields=tuple((spell(name), spell(value)) for name, value in entry.request_fields),
    )
