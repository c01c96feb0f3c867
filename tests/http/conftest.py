"""A front on a real socket with a flow that the test writes, and raw connections to it."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvloop

from proxy.answer import Account, Answer
from proxy.changes import Changes
from proxy.core.model import Entry, Request, Verdict
from proxy.http.client import Client, open_client
from proxy.http.front import Bounds, Front
from proxy.http.listeners import Address, open_socket, serve_on
from proxy.http.patience import Patience
from tests.http.providing import Provider, providing
from tests.shelf import Shelf

ACCELERATE = os.environ.get("QUOTA_PROXY_ACCELERATOR", "true") == "true"
"""Whether fronts have the accelerator where a test does not say: the suite runs in both ways."""
MISS = Account(Verdict.MISS, forward_reason="uri-miss", forward_status=200, stored=True)
TEXT = (("Content-Type", "text/plain"), ("Date", "Tue, 15 Nov 1994 08:12:31 GMT"))


def whole(body: bytes = b"hello", **more: Any) -> Answer:
    """Return an answer with a whole body."""
    return Answer(
        **{"account": MISS, "status": 200, "reason": "OK", "fields": TEXT, "body": body} | more
    )


async def until(condition: Callable[[], object]) -> None:
    """Let the loop turn until the condition holds."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - states of sockets, which no event announces
            await asyncio.sleep(0.001)


@dataclass
class KnownHit:
    """A hit that the test may end, or answer otherwise."""

    entry: Entry
    answer: Answer | None
    depends_on: frozenset[str] = frozenset({"accept"})
    times: int = 0
    until: float = 0.0
    """Always over: each time it is asked for anew."""
    passing: bool = False

    def again(self) -> Answer | None:
        self.times += self.answer is not None
        return self.answer


@dataclass
class WrittenFlow:
    """Answers as the test says, and keeps what it was asked."""

    answer: Callable[[Request, AsyncIterator[bytes] | None], Awaitable[Answer]] | None = None
    asked: list[Request] = field(default_factory=list)
    hit: Callable[[Request], "KnownHit | None"] | None = None

    changes: Changes = field(default_factory=Changes)
    repeatable: bool = True

    def count(self, hit: "KnownHit", times: int) -> None:
        hit.times += times

    def known(self, request: Request) -> "KnownHit | None":
        return self.hit(request) if self.hit is not None else None

    def again(self, hit: "KnownHit") -> Answer | None:
        return hit.again()

    async def again_from_store(self, hit: "KnownHit") -> Answer | None:
        return hit.again()

    async def serve(self, request: Request, body: AsyncIterator[bytes] | None) -> Answer:
        self.asked.append(request)
        return whole() if self.answer is None else await self.answer(request, body)


@dataclass
class Raw:
    """A client that writes bytes."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, data: bytes) -> "Heard":
        """Write, and read one answer with a Content-Length."""
        self.writer.write(data)
        return await self.hear(bodyless=data.startswith(b"HEAD"))

    async def hear(self, *, bodyless: bool = False) -> "Heard":
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status_line, *lines = head.split("\r\n")[:-2]
        fields = [tuple(line.split(": ", 1)) for line in lines]
        heard = Heard(status_line, fields)  # type: ignore[arg-type]
        length = heard.first("content-length")
        if length is not None and not bodyless and heard.status != 304:
            heard.body = await self.reader.readexactly(int(length))
        return heard

    async def rest(self) -> bytes:
        """Read until the connection ends."""
        return await self.reader.read()


@dataclass
class Heard:
    """An answer as it came."""

    status_line: str
    fields: list[tuple[str, str]]
    body: bytes = b""

    @property
    def status(self) -> int:
        return int(self.status_line.split()[1])

    def first(self, name: str) -> str | None:
        return next((value for key, value in self.fields if key.lower() == name), None)


@dataclass
class Standing:
    """A front that accepts."""

    front: Front
    flow: WrittenFlow
    port: int
    errors: list[BaseException]

    @asynccontextmanager
    async def raw(self) -> AsyncIterator[Raw]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield Raw(reader, writer)
        finally:
            writer.close()


@asynccontextmanager
async def standing(
    bounds: Bounds | None = None, patience: Patience | None = None, **more: Any
) -> AsyncIterator[Standing]:
    """Open a front on a free port."""
    flow, errors = WrittenFlow(), []
    more.setdefault("wall", lambda: 784111777.0)
    more.setdefault("accelerate", ACCELERATE)
    more.setdefault("forms", Shelf())
    front = Front(flow, bounds=bounds, patience=patience, on_error=errors.append, **more)
    opened = open_socket(Address("127.0.0.1", 0))
    server = await serve_on(opened, front.accept)
    try:
        yield Standing(front, flow, opened.getsockname()[1], errors)
    finally:
        server.close()
        await front.close(0.1)


@pytest.fixture
async def house() -> AsyncIterator[Standing]:
    async with standing() as it:
        yield it


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run each test of the room on asyncio's own loop and on uvloop: the proxy runs on both."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with providing() as it:
        yield it


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    opened = open_client()
    yield opened
    await opened.close()
