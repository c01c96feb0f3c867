"""Answers that are read without aiohttp's parser are what it reads: mutated ones, in every cut."""

import asyncio
import random
from typing import Any, Final, cast

import pytest

from proxy.http.arrivals import parsed_head
from proxy.http.client import _framing_lie, _parse
from proxy.http.heads import decoded
from proxy.http.private_names import OpenResponses
from proxy.http.whole_answers import PlainHead, WholeAnswer

STATUS: Final = [
    "HTTP/1.1 200 OK",
    "HTTP/1.1 404 Not Found",
    "HTTP/1.1 204 No Content",
    "HTTP/1.1 304 Not Modified",
    "HTTP/1.1 200 ",
    "HTTP/1.1 200",
    "HTTP/1.0 200 OK",
    "HTTP/1.1 100 Continue",
    "HTTP/1.1 101 X",
    "HTTP/1.1 103 X",
    "HTTP/1.1 600 X",
    "HTTP/1.1 2000 X",
    "HTTP/1.1  200 OK",
    "HTTP/1.1 200  OK",
    "HTTP/1.1 200 Oé",
    "HTTP/1.1 200 O\tK",
    "http/1.1 200 OK",
    "HTTP/1.2 200 OK",
    "HTTP/2.0 200 OK",
    " HTTP/1.1 200 OK",
    "HTTP/1.1\t200 OK",
    "HTTP/1.1 200 a\x00b",
    "\r\nHTTP/1.1 200 OK",
]
NAMES: Final = [
    "Content-Length",
    "Transfer-Encoding",
    "Connection",
    "Keep-Alive",
    "Set-Cookie",
    "ETag",
    "Trailer",
    "Upgrade",
    "Proxy-Connection",
    "Sec-WebSocket-Key1",
    "X A",
    "X-é",
    "Content_Length",
    " Content-Length",
    "Content-Length ",
    "X!#$%&'*+-.^_`~",
    "X(A)",
    "X-A",
    "",
]
VALUES: Final = [
    "",
    "5",
    "05",
    "+5",
    "-5",
    "5_0",
    "5 ",
    "5, 5",
    "0x5",
    "99999999999999999999",
    "chunked",
    "Chunked",
    "gzip, chunked",
    "identity",
    "xchunked",
    "chunked;q=1",
    "close",
    "keep-alive",
    "keep-alive, close",
    "X-A",
    "upgrade",
    "a\x00b",
    "a\x01b",
    "a\x7fb",
    "a\tb",
    "a\rb",
    "a\nb",
    "\x0b",
    "5\x0b",
    "a\r\n b",
    "\xa05",
    "5\x85",
    "cafÃ©",
    "  in   it  ",
]
BODIES: Final = [
    "",
    "hello",
    "hell",
    "hello!",
    "5\r\nhello\r\n0\r\n\r\n",
    "a\r\n0123456789\r\n1\r\nx\r\n0\r\n\r\n",
    "5;a=b\r\nhello\r\n0\r\n\r\n",
    "5\r\nhello\r\n0\r\nX: y\r\n\r\n",
    "05\r\nhello\r\n00\r\n\r\n",
    "5 \r\nhello\r\n0\r\n\r\n",
    "+5\r\nhello\r\n0\r\n\r\n",
    "0x5\r\nhello\r\n0\r\n\r\n",
    "5\nhello\n0\n\n",
    "5\r\nhello0\r\n\r\n",
    "5\r\nhello\r\n0\r\n\r\nX",
    "4\r\nhello\r\n0\r\n\r\n",
    "6\r\nhello\r\n0\r\n\r\n",
    "000000005\r\nhello\r\n0\r\n\r\n",
    "5_\r\nhello\r\n0\r\n\r\n",
]
OCTETS: Final = b"\r\n \t\0:,;0159afAF-+_\x7f\x80\xff"
NUMBER: Final = 4000


class Wire:
    """A transport that is only closed."""

    closed = False

    def get_extra_info(self, name: str) -> None:
        pass

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


def made(chance: random.Random) -> bytes:
    """Return an answer, most of them with something odd about them."""
    body = chance.choice(BODIES) if chance.random() < 0.5 else chance.choice(BODIES[:6])
    lines = [chance.choice(STATUS[:4]) if chance.random() < 0.9 else chance.choice(STATUS)]
    framing = chance.random()
    if framing < 0.4:
        length = len(body) if chance.random() < 0.7 else chance.randrange(20)
        written = chance.choice(["{}"] * 9 + ["+{}", "0{}", "0_{}", "{}\x0b", "{0}, {0}"])
        lines.append("Content-Length: " + written.format(length))
    elif framing < 0.8:
        lines.append("Transfer-Encoding: chunked")
    for _ in range(chance.choice([0, 1, 1, 2])):
        name = chance.choice(["ETag", "X-A", chance.choice(NAMES)])
        value = chance.choice(["5", '"x"', chance.choice(VALUES)])
        between = chance.choice([": ", ":", ":\t"]) if chance.random() < 0.95 else " : "
        lines.insert(chance.randrange(1, len(lines) + 1), name + between + value)
    data = bytearray(("\r\n".join(lines) + "\r\n\r\n" + body).encode("latin-1"))
    if chance.random() < 0.15:
        at, how = chance.randrange(len(data)), chance.randrange(3)
        data[at : at + (how > 0)] = bytes([chance.choice(OCTETS)]) if how < 2 else b""
    return bytes(data)


async def read(parts: list[bytes], *, bodiless: bool, ends: bool, plain: bool) -> tuple[Any, str]:
    """Return all that can be told of what comes, and who has read it."""
    protocol, wire = OpenResponses(loop=asyncio.get_running_loop()), Wire()
    protocol.connection_made(cast("asyncio.Transport", wire))
    if plain:
        protocol.expect(_parse, bodiless=bodiless)
    else:
        _parse(protocol, bodiless=bodiless)
    for part in parts:
        if not wire.closed:
            protocol.data_received(part)
    closes, refused = protocol.should_close or wire.closed, protocol.exception()
    told: list[object] = [closes]
    while protocol._buffer:
        came: Any = await protocol.read()
        if isinstance(came, WholeAnswer):
            head = (came.status, came.reason, came.fields, came.content_length)
            return (*told, head, came.whole, "whole"), "whole"
        message, content = came
        if not isinstance(message, PlainHead):
            if message.code < 200 and message.code != 101:
                told.append((message.code, decoded(message.raw_headers)))
                continue
            if (lie := _framing_lie(message)) is not None:
                return (*told, lie), "parser"
        by = "counted" if isinstance(message, PlainHead) else "parser"
        message = message if isinstance(message, PlainHead) else parsed_head(message)
        if ends:
            protocol.connection_lost(None)
        error = content.exception()
        state = type(error).__name__ if error else "whole" if content.is_eof() else "open"
        body = b"".join(getattr(content, "_buffer", ()))
        head = (message.status, message.reason, message.fields, message.content_length)
        return (*told, head, body, state), by
    return (*told, type(refused).__name__), "nobody"


@pytest.mark.parametrize("seed", range(2))
async def test_what_is_read_at_once_is_what_the_parser_reads(seed: int) -> None:
    """The same heads and bodies, refusals and ends; a connection goes on in the same cases."""
    chance, by = random.Random(seed), dict[str, int]()
    for _ in range(NUMBER):
        data, bodiless, ends = made(chance), chance.random() < 0.1, chance.random() < 0.4
        cuts = sorted(chance.randrange(len(data)) for _ in range(chance.choice([0, 0, 1, 3])))
        parts = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True) if a < b]
        ways = [await read(parts, bodiless=bodiless, ends=ends, plain=way) for way in (True, False)]
        assert ways[0][0] == ways[1][0], (parts, bodiless, ends)
        by[ways[0][1]] = by.get(ways[0][1], 0) + 1
    assert min(by[each] for each in ("whole", "counted", "parser", "nobody")) > NUMBER / 400, by
