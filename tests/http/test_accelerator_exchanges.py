"""With the accelerator and without, every exchange is byte for byte the same."""

import asyncio
import math
import os
import re
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.answer import Answer
from proxy.core.model import Request
from proxy.http.connection import Connection
from tests.http.conftest import KnownHit, Standing, standing, whole
from tests.http.known_hits import GET, entry, hit
from tests.values import replace

LONG = int(os.environ.get("QUOTA_PROXY_LONG") or 0)


class World:
    """What a provider's answers depend on, moved by the test: two of these move alike."""

    def __init__(self, house: Standing, size: int = 40) -> None:
        self.house = house
        self.entries = {name: entry(name, name.encode() * size) for name in ("a", "b")}
        self.hits = {name: hit(each, until=math.inf) for name, each in self.entries.items()}
        self.age = 1.0
        self.fresh = True
        house.flow.hit = self.known
        house.flow.answer = self.serve

    def known(self, asked: Request) -> KnownHit | None:
        special = {"cache-control", "range", "x-key"}
        if asked.method != "GET" or special & {name.lower() for name, _ in asked.fields}:
            return None
        return self.hits.get(asked.path.strip("/"))

    async def serve(self, asked: Request, body: AsyncIterator[bytes] | None) -> Answer:
        content = b"".join([chunk async for chunk in body]) if body is not None else b""
        known = self.known(asked)
        if known is not None and known.answer is not None:
            return known.answer
        said = f"{asked.method} {asked.path} {asked.fields}".encode() + content
        return whole(said)

    def do(self, step: str) -> None:
        self.house.flow.changes.count += 1
        if step == "tick":
            self.age += 1
        elif step == "expire":
            self.fresh = False
        elif step == "store":
            self.fresh, self.age = True, 0.0
            for name, old in self.entries.items():
                self.entries[name] = replace(old, body=old.body[::-1] + b"!")
                self.hits[name].answer = None
                self.hits[name] = hit(self.entries[name], until=math.inf)
        for name, known in self.hits.items():
            known.answer = hit(self.entries[name], self.age).answer if self.fresh else None


_KNOWN = GET % (b"/a", b"")
_TARGETS = st.sampled_from([*[b"/a"] * 8, b"/b", b"/c", b"//a", b"/a?"])
_EXTRA = st.sampled_from(
    [
        *[b""] * 4,
        b"User-Agent: x\r\n",
        b"Accept-Encoding: gzip\r\n",
        *[b"X-Request-Id: %d\r\n" % number for number in range(3)],
        *[b"X-Key: 1\r\n"] * 5,
        b"Cache-Control: no-cache\r\n",
        b"Connection: keep-alive\r\n",
        b"Connection: close\r\n",
    ]
)
_PLAIN = st.builds(lambda target, extra: GET % (target, extra), _TARGETS, _EXTRA)
_BODY = st.builds(
    lambda target, inner: (
        b"POST %b HTTP/1.1\r\nHost: P\r\nContent-Length: %d\r\n\r\n%b" % (target, len(inner), inner)
    ),
    _TARGETS,
    _PLAIN,
)
_CHUNKED = st.builds(
    lambda inner: (
        b"POST /a HTTP/1.1\r\nHost: P\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"%x\r\n%b\r\n0\r\n\r\n" % (len(inner), inner)
    ),
    _PLAIN,
)
_ODD = st.sampled_from(
    [
        b"garbage\r\n\r\n",
        b"GET /c HTTP/1.1\r\nX: y\r\n" + _KNOWN,
        b"\r\n",
        b"HEAD /a HTTP/1.1\r\nHost: P\r\n\r\n",
        b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        b"GET /a HTTP/1.1\r\n\r\n",
        b"GET /../a HTTP/1.1\r\nHost: P\r\n\r\n",
        b"GET http://P/a HTTP/1.1\r\nHost: P\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: P\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    ]
)
_MESSAGE = st.one_of(*[st.just(_KNOWN)] * 8, _PLAIN, _PLAIN, _BODY, _CHUNKED, _ODD)
_MOVE = st.sampled_from(["tick", "expire", "store", "none", "none"])
_CUTS = st.lists(st.tuples(st.booleans(), st.integers(0, 400)), max_size=4)
_BURST = st.tuples(_MOVE, st.lists(_MESSAGE, min_size=1, max_size=4), st.none() | _CUTS)
"""What happens first, what is sent then, and where that is cut; None: between the messages."""
BURSTS = st.lists(_BURST, min_size=1, max_size=9)


def pieces(data: bytes, cuts: list[tuple[bool, int]]) -> list[bytes]:
    """Cut data at these places: anywhere, or where a head ends or the known one begins."""
    lines = [met.end() for met in re.finditer(rb"\r\n\r\n|(?=GET /a HTTP)", data)]
    places = {0, len(data)}
    for at_line, place in cuts:
        places.add(lines[place % len(lines)] if at_line and lines else min(place, len(data)))
    return [data[start:end] for start, end in pairwise(sorted(places))]


class Pipe(asyncio.Transport):
    """A connection without a network: what is written is heard at once, nothing waits."""

    def __init__(self, connection: Connection) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 8080)})
        self.connection = connection
        self.heard = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Hear it."""
        if not self.closed:
            self.heard += data

    def is_closing(self) -> bool:
        """Whether it has ended."""
        return self.closed

    def close(self) -> None:
        """End."""
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().call_soon(self.connection.connection_lost, None)

    abort = close

    def get_write_buffer_size(self) -> int:
        """Nothing waits."""
        return 0

    def pause_reading(self) -> None:
        """The test goes on regardless."""

    def resume_reading(self) -> None:
        """Likewise."""


async def turns(number: int, done: Callable[[], bool] = lambda: False) -> None:
    """Let the loop turn so many times, or until it is done."""
    for _ in range(number):
        if done():
            return
        await asyncio.sleep(0)


async def played(
    bursts: list[Any], *, accelerate: bool, size: int = 40, kind: type[Pipe] = Pipe
) -> bytes:
    """Return what a client hears that sends these bursts, each cut where it says.

    It stops when the proxy has ended the connection: what is sent after that is for nobody.
    `size` is that of the bodies, `kind` what the connection goes over.
    """
    async with standing(accelerate=accelerate) as house:
        world = World(house, size)
        connection = house.front.accept()
        pipe = kind(connection)
        connection.connection_made(pipe)
        await turns(5)

        def settled() -> bool:
            return pipe.closed or connection.is_parked()

        async def say(piece: bytes) -> None:
            if not pipe.closed:
                connection.data_received(piece)
                await turns(30, settled)

        for _ in range(2):
            await say(_KNOWN)
        for move, messages, cuts in bursts:
            world.do(move)
            together = messages if cuts is None else pieces(b"".join(messages), cuts)
            for piece in together:
                await say(piece)
            await turns(2000, settled)
            assert settled()
        await say(GET % (b"/end", b"Connection: close\r\n"))
        await turns(2000, lambda: pipe.closed)
        assert pipe.closed
    return pipe.heard


@settings(max_examples=5000 if LONG else 200)
@given(BURSTS)
def test_with_and_without_every_exchange_is_the_same(bursts: list[Any]) -> None:
    """Pipelined, split, joined, expired, replaced, POST after GET, garbage: byte for byte."""

    async def both() -> tuple[bytes, bytes]:
        return await played(bursts, accelerate=False), await played(bursts, accelerate=True)

    without, with_ = asyncio.run(both())
    assert with_ == without, with_.decode("latin-1")
