"""Answers that come whole and plain, read without aiohttp's parser: what most of them are.

One chunk of octets, and in it: a final status line of HTTP/1.1 with its reason in ASCII, field
lines as RFC 9112 section 5 has them (no folding, no blank before the colon), one Content-Length,
and just so many octets behind the head; or chunks (section 7.1) without extensions and trailers, to
the last; or nothing, where the status or a HEAD says that there is no body. Of the connection no
more is said than that it is kept. Of a body that says its length the rest may still be to come: it
needs no parser either. All else is aiohttp's parser's to read, from the first octet on: what is cut
within its head or its chunks, interim, longer than it says, or no HTTP.

Lines come again from answer to answer, so what was read of short ones is remembered.
"""

import re
from collections.abc import AsyncIterator
from functools import lru_cache
from typing import Final

from msgspec import Struct

from proxy.core.fields import Fields
from proxy.core.outbound import HOP_BY_HOP

_HEAD_END: Final = b"\r\n\r\n"
_LONGEST_HEAD: Final = 32 * 1024
_MOST_FIELDS: Final = 128
_SHORT: Final = 512
"""Bytes of a line that is worth remembering."""
_REMEMBERED: Final = 1024
"""Lines that are remembered: those that were met last."""
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.1 ([2-5][0-9]{2}) ([!-~]+(?: [!-~]+)*)")
_FIELD_LINE: Final = re.compile(
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\t\x20-\x7e\x80-\xff]*)"
)  # RFC 9110 sections 5.1 and 5.5
_LENGTH: Final = re.compile(r"[0-9]{1,15}")
_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,8})\r\n")
_MOST_CHUNKS: Final = 256
_CHUNKED: Final = -1
"""In place of a length."""
_BODILESS: Final = frozenset({204, 304})
_NOT_PLAIN: Final = (HOP_BY_HOP - {"connection", "keep-alive"}) | {"sec-websocket-key1"}


class PlainHead(Struct):
    """The head of an answer, and what came with it of the body."""

    status: int
    reason: str
    fields: Fields
    """End-to-end fields only."""
    content_length: int | None
    whole: bytes
    """All of the body, or its beginning."""


class WholeAnswer(PlainHead):
    """An answer all of which has come; `proxy.ports.Exchange`."""

    requested_at: float = 0.0
    received_at: float = 0.0

    async def body(self) -> AsyncIterator[bytes]:
        """Yield the body."""
        if self.whole:
            yield self.whole

    def arrived(self) -> bytes:
        """Return the body."""
        return self.whole

    def abort(self) -> None:
        """Do nothing: its connection has gone back already."""


def whole_answer(data: bytes, *, bodiless: bool) -> WholeAnswer | PlainHead | None:
    """Return the plain answer that these octets are, or its head where more of the body follows.

    None: they are no plain answer, or more than one. `bodiless`: the request was a HEAD.
    """
    end = data.find(_HEAD_END, 0, _LONGEST_HEAD)
    lines = data[:end].split(b"\r\n") if end >= 0 else ()
    if not lines or len(lines) > _MOST_FIELDS or (status := _status(lines[0])) is None:
        return None
    fields = []
    length = None
    for index in range(1, len(lines)):
        line = lines[index]
        field = _known(line) if len(line) <= _SHORT else _read(line)
        if type(field) is tuple:
            fields.append(field)
        elif field is None or (type(field) is int and length is not None):
            return None
        elif type(field) is int:
            length = field
    empty = status[0] in _BODILESS or (bodiless and length is not None)
    if length == _CHUNKED:
        joined = None if empty else _joined(data, end + len(_HEAD_END))
        return None if joined is None else WholeAnswer(*status, tuple(fields), None, joined)
    body = data[end + len(_HEAD_END) :]
    expected = 0 if empty else length
    if expected is None or len(body) > expected:
        return None
    kind = WholeAnswer if len(body) == expected else PlainHead
    return kind(*status, tuple(fields), length, body)


def _joined(data: bytes, at: int) -> bytes | None:
    """Return what the chunks hold that begin here; None: they are not plain, or not all here."""
    parts: list[bytes] = []
    while (size := _SIZE.match(data, at)) is not None and len(parts) < _MOST_CHUNKS:
        begin = size.end()
        at = begin + int(size[1], 16)
        if data[at : at + 2] != b"\r\n":
            return None
        if at == begin:
            return b"".join(parts) if len(data) == at + 2 else None
        parts.append(data[begin:at])
        at += 2
    return None


@lru_cache(maxsize=64)
def _status(line: bytes) -> tuple[int, str] | None:
    found = _STATUS_LINE.fullmatch(line) if len(line) <= _SHORT else None
    return None if found is None else (int(found[1]), found[2].decode("ascii"))


def _read(line: bytes) -> tuple[str, str] | int | str | None:
    """Return a field that goes further, the length, "" of the connection's own; None: not plain."""
    found = _FIELD_LINE.fullmatch(line)
    if found is None:
        return None
    name, value = found[1].decode("ascii"), found[2].decode("latin-1").strip(" \t")
    lower = name.lower()
    if lower == "content-length":
        return int(value) if _LENGTH.fullmatch(value) else None
    if lower == "keep-alive" or (lower == "connection" and value.lower() == "keep-alive"):
        return ""
    if lower == "transfer-encoding" and value.lower() == "chunked":
        return _CHUNKED
    if lower == "connection" or lower in _NOT_PLAIN:
        return None
    return name, value


_known = lru_cache(maxsize=_REMEMBERED)(_read)
