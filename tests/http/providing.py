"""A provider on a real socket, which counts what it is asked and answers as a test says."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from proxy.core.model import Failed
from proxy.core.upstreams import Upstream
from proxy.ports import Exchange, Outbound

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Handler = Callable[["Met"], Awaitable[None]]


@dataclass
class Met:
    """One request as the provider got it."""

    number: int
    head: bytes
    body: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def line(self) -> bytes:
        return self.head.split(b"\r\n")[0]


@dataclass
class Provider:
    """Reads requests and answers as the test says; what it answers nothing to, it drops."""

    port: int = 0
    asked: list[Met] = field(default_factory=list)
    connections: int = 0
    handler: Handler | None = None
    scheme: str = "http"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                met = Met(len(self.asked) + 1, head, await _body(head, reader), reader, writer)
                self.asked.append(met)
                if self.handler is None:
                    writer.write(OK)
                else:
                    await self.handler(met)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def outbound(self, target: str = "/x", method: str = "GET", **more: Any) -> Outbound:
        of_upstream = {"connect_timeout": 60.0} | more.pop("upstream", {})
        base = f"{self.scheme}://localhost:{self.port}"
        upstream = Upstream("u", base, "/u", (), None, **of_upstream)
        return Outbound(upstream, method, target, **{"fields": (), "timeout": 60.0} | more)


async def _body(head: bytes, reader: asyncio.StreamReader) -> bytes:
    if length := re.search(rb"(?i)content-length: (\d+)", head):
        return await reader.readexactly(int(length[1]))
    if b"chunked" not in head:
        return b""
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)
    return body


@asynccontextmanager
async def providing(tls: ssl.SSLContext | None = None) -> AsyncIterator[Provider]:
    provider = Provider(scheme="https" if tls else "http")
    server = await asyncio.start_server(provider.serve, "127.0.0.1", 0, ssl=tls)
    provider.port = server.sockets[0].getsockname()[1]
    try:
        yield provider
    finally:
        server.close()


def says(provider: Provider, data: bytes, *, close: bool = False) -> None:
    async def say(met: Met) -> None:
        met.writer.write(data)
        if close:
            await met.writer.drain()
            met.writer.close()

    provider.handler = say


async def read(exchange: Exchange | Failed) -> bytes:
    assert not isinstance(exchange, Failed), exchange
    return b"".join([chunk async for chunk in exchange.body()])
