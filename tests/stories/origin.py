"""An origin that says, octet by octet, what a story has lined up, and a client that hears as much.

An answer is octets, or a function that plays with the connection. Each is given once, in order, to
whoever asks for its target; what nobody has lined up is 599, which no cache keeps.
"""

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TypeAlias

from proxy import clock

Play: TypeAlias = Callable[[asyncio.StreamWriter], Awaitable[None]]
Answer: TypeAlias = bytes | Play


def date(seconds: float = 0.0) -> str:
    """Return the date so many seconds from now, as HTTP writes it."""
    return formatdate(clock.wall() + seconds, usegmt=True)


def answer(body: str, *fields: str, status: str = "200 OK") -> bytes:
    """Return an answer of these lines, which says Date and Content-Length besides."""
    lines = (f"HTTP/1.1 {status}", f"Date: {date()}", f"Content-Length: {len(body)}", *fields)
    return "\r\n".join((*lines, "", body)).encode()


def hanging_up(octets: bytes = b"") -> Play:
    """Return an answer after which the connection ends."""

    async def play(writer: asyncio.StreamWriter) -> None:
        writer.write(octets)
        writer.close()

    return play


@dataclass(frozen=True)
class Heard:
    """A message as it came over a connection."""

    first_line: str
    fields: tuple[tuple[str, str], ...]
    body: bytes = b""
    whole: bool = True
    """Whether the body was as long as its head said."""
    interim: tuple["Heard", ...] = ()
    """The 1xx answers before it."""
    connection: int = 0
    """Which of the origin's connections a request came over."""

    def get(self, name: str) -> str | None:
        """Return the field's lines, joined; None where there is none."""
        found = [value for key, value in self.fields if key.lower() == name.lower()]
        return ", ".join(found) if found else None

    @property
    def method(self) -> str:
        """What a request asked to do."""
        return self.first_line.split()[0]

    @property
    def target(self) -> str:
        """What a request asked for."""
        return self.first_line.split()[1]

    @property
    def status(self) -> int:
        """How a request was answered."""
        return int(self.first_line.split()[1])

    @property
    def verdict(self) -> str | None:
        """What `X-Cache` says."""
        return self.get("X-Cache")


async def hear_head(reader: asyncio.StreamReader) -> Heard:
    """Read the head of a message."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first_line, *lines = head.split("\r\n")[:-2]
    pairs = [line.partition(":") for line in lines]
    return Heard(first_line, tuple((name, value.strip()) for name, _, value in pairs))


async def _hear_body(reader: asyncio.StreamReader, head: Heard) -> tuple[bytes, bool]:
    """Read a body; return what came of it, and whether it was whole."""
    body = b""
    try:
        if head.get("Transfer-Encoding") == "chunked":
            while size := int(await reader.readuntil(b"\r\n"), 16):
                body += (await reader.readexactly(size + 2))[:-2]
            await reader.readexactly(2)
        else:
            body = await reader.readexactly(int(head.get("Content-Length") or 0))
    except asyncio.IncompleteReadError as error:
        return body + error.partial, False
    return body, True


async def hear(reader: asyncio.StreamReader, *, bodiless: bool = False) -> Heard:
    """Read an answer, and the interim ones before it."""
    interim: list[Heard] = []
    while (head := await hear_head(reader)).status < 200:
        interim.append(head)
    body, whole = b"", True
    if not bodiless and head.status not in {204, 304}:
        body, whole = await _hear_body(reader, head)
    return Heard(head.first_line, head.fields, body, whole, tuple(interim))


@dataclass
class Origin:
    """What was lined up, and what was asked."""

    port: int = 0
    asked: list[Heard] = field(default_factory=list)
    _connections: int = 0
    _lines: dict[str, deque[Answer]] = field(default_factory=lambda: defaultdict(deque))

    def line_up(self, target: str, *answers: Answer) -> None:
        """Give these next to whoever asks for the target."""
        self._lines[target].extend(answers)

    def calls(self, target: str) -> int:
        """Return how often the target was asked for."""
        return [each.target for each in self.asked].count(target)

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until one of the two ends it."""
        self._connections += 1
        connection = self._connections
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while not writer.is_closing():
                head = await hear_head(reader)
                body, _ = await _hear_body(reader, head)
                self.asked.append(Heard(head.first_line, head.fields, body, connection=connection))
                await self._answer(head.target, writer)
        writer.close()

    async def _answer(self, target: str, writer: asyncio.StreamWriter) -> None:
        lined_up = self._lines[target]
        said = lined_up.popleft() if lined_up else answer("", status="599 Nothing Lined Up")
        if isinstance(said, bytes):
            writer.write(said)
            await writer.drain()
        else:
            await said(writer)


@asynccontextmanager
async def origin() -> AsyncIterator[Origin]:
    """Open an origin on a free port."""
    it = Origin()
    server = await asyncio.start_server(it.converse, "127.0.0.1", 0)
    it.port = server.sockets[0].getsockname()[1]
    try:
        yield it
    finally:
        server.close()


@dataclass(frozen=True)
class Client:
    """Asks, each time over a connection of its own."""

    port: int

    @asynccontextmanager
    async def asking(
        self, target: str, method: str = "GET", body: bytes = b"", **fields: str
    ) -> AsyncIterator[asyncio.StreamReader]:
        """Ask, and leave the hearing to the caller; `if_none_match` is If-None-Match."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=64 * 1024)
        named = {name.replace("_", "-"): value for name, value in fields.items()}
        if body:
            named["Content-Length"] = str(len(body))
        lines = [f"{name}: {value}\r\n" for name, value in named.items()]
        head = f"{method} {target} HTTP/1.1\r\nHost: origin.test\r\n{''.join(lines)}\r\n"
        writer.write(head.encode() + body)
        try:
            yield reader
        finally:
            writer.close()

    async def ask(
        self, target: str, method: str = "GET", body: bytes = b"", **fields: str
    ) -> Heard:
        """Ask, and return the answer."""
        async with self.asking(target, method, body, **fields) as reader:
            return await hear(reader, bodiless=method == "HEAD")
