"""A request as it leaves for an upstream: its bytes, and the sending of its body.

- The target goes out byte for byte as it was written: a client may have signed it just so. Only
  what cannot stand in a request line is percent-encoded: blanks, controls, and what is not ASCII.
- Fields go out in order and spelling, octet for octet; nothing is added but Host and framing.
"""

import asyncio
from collections.abc import AsyncIterator
from functools import lru_cache
from typing import Final
from urllib.parse import quote

from aiohttp.abc import AbstractStreamWriter

from proxy.core.fields import Fields, first
from proxy.http.heads import END, field_lines, latin1

OWN_MATTERS: Final = frozenset(
    {"host", "expect", "connection", "keep-alive", "transfer-encoding", "content-length"}
)
"""Fields of our own connection, whatever the request says."""

_ANTICIPATE_CONTENT: Final = frozenset({"POST", "PUT", "PATCH"})
"""Methods whose requests say a length even of nothing (RFC 9110 section 8.6)."""

_AS_WRITTEN: Final = "".join(map(chr, range(0x21, 0x7F))).replace("#", "")


def sendable(target: str) -> str:
    """Return a raw target as it can stand in a request line."""
    if target.isascii() and target.isprintable() and " " not in target and "#" not in target:
        return target
    return quote(target, safe=_AS_WRITTEN, errors="surrogateescape")


def request_head(
    method: str,
    target: str,
    host: str,
    fields: Fields,
    body: bytes | AsyncIterator[bytes] | None,
) -> bytes:
    """Return the head of a request, the empty line included."""
    line = latin1(f"{method} {target} HTTP/1.1\r\n")
    if body is None and method not in _ANTICIPATE_CONTENT:
        return line + _lines(host, fields) + END
    return line + _lines(host, fields) + field_lines(_framing(method, fields, body)) + END


@lru_cache(maxsize=256)
def _lines(host: str, fields: Fields) -> bytes:
    """Return the field lines but for the framing: what goes to an endpoint is much the same."""
    return field_lines([("Host", host), *[p for p in fields if p[0].lower() not in OWN_MATTERS]])


def declared_length(fields: Fields) -> int | None:
    """Return the length that a client gave of its body, where it is one."""
    given = (first(fields, "content-length") or "").strip()
    return int(given) if given.isascii() and given.isdigit() else None


def _framing(
    method: str, fields: Fields, body: bytes | AsyncIterator[bytes] | None
) -> list[tuple[str, str]]:
    if isinstance(body, bytes):
        return [("Content-Length", str(len(body)))]
    if body is None:
        return [("Content-Length", "0")] if method in _ANTICIPATE_CONTENT else []
    length = declared_length(fields)
    if length is not None:
        return [("Content-Length", str(length))]
    return [("Transfer-Encoding", "chunked")]


class BodyCutError(Exception):
    """A request's body ended before, or went beyond, the length that its head said."""


async def send_body(
    transport: asyncio.Transport,
    writer: AbstractStreamWriter,
    body: AsyncIterator[bytes],
    length: int | None,
) -> None:
    """Send a body as it comes, and no faster than the upstream takes it.

    Raises:
        BodyCutError: it is not as long as was said.
        Exception: what the body itself raises.

    """
    sent = 0
    async for chunk in body:
        sent += len(chunk)
        if length is not None and sent > length:
            raise BodyCutError
        if chunk and not transport.is_closing():
            transport.write(chunk if length is not None else b"%x\r\n%b\r\n" % (len(chunk), chunk))
            await writer.drain()
    if length is not None and sent != length:
        raise BodyCutError
    if length is None and not transport.is_closing():
        transport.write(b"0\r\n\r\n")
