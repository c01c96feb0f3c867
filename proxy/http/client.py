"""The upstream client: one call of `send` is at most one request on the wire.

- aiohttp repeats an idempotent request when a pooled connection drops under it. A provider may
  have counted the first, so the repeat is refused here; whether to try again is the flow's to say.
- A failure before the first byte left is told apart from every later one: only it is refunded.
- Redirects are answers. There is no cookie jar, no proxy from the environment, no decoding.
- `Outbound.timeout` bounds the wait for the head. A body may take as long again, and a second more
  for each 64 KiB that came: a large body goes on while it flows, one that drips is cut. Time that
  the reader of the body takes is not counted.
- A connection is used again only if its last answer ended exactly where it said, and nothing has
  come since: no answer can leak into the next (see `framing`).
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import aiohttp
from aiohttp.client_reqrep import ClientRequest, ClientResponse
from aiohttp.connector import Connection
from multidict import CIMultiDict
from yarl import URL

from proxy import clock
from proxy.core.fields import Fields, values
from proxy.core.model import Failed, Failure
from proxy.http.fields import end_to_end
from proxy.http.heads import decoded
from proxy.http.private_names import frame, relay_informational
from proxy.ports import BrokenExchangeError, Exchange, Outbound

PROGRESS: Final = 64 * 1024
"""Bytes of a body that earn it another second."""

_OWN_MATTERS: Final = frozenset({"host", "expect", "connection", "keep-alive", "transfer-encoding"})
_AUTOMATIC: Final = ("Accept", "Accept-Encoding", "User-Agent", "Content-Type")
_MAX_LINE: Final = 64 * 1024
_CHUNK: Final = 128 * 1024
_AS_WRITTEN: Final = "".join(map(chr, range(0x21, 0x7F))).replace("#", "")


@dataclass(frozen=True, slots=True)
class Pool:
    """Connections to upstreams."""

    most: int = 512
    most_per_host: int = 128
    keep_alive: float = 15.0
    """Seconds that an idle connection is kept."""
    dns_ttl: int = 60
    """Seconds that a look-up of a name is kept."""


def open_client(pool: Pool | None = None) -> "Client":
    """Open a client. Must be called where the event loop runs; `close` it in the end."""
    pool = pool or Pool()
    connector = aiohttp.TCPConnector(
        limit=pool.most,
        limit_per_host=pool.most_per_host,
        keepalive_timeout=pool.keep_alive,
        ttl_dns_cache=pool.dns_ttl,
    )
    session = aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=_AUTOMATIC,
        request_class=_WireRequest,
        timeout=aiohttp.ClientTimeout(total=None),
        max_line_size=_MAX_LINE,
        max_field_size=_MAX_LINE,
        max_headers=256,
        read_bufsize=_CHUNK,
    )
    return Client(session)


class Client:
    """Sends requests to upstreams."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        """Take a session as `open_client` makes it."""
        self._session = session
        self._contexts: dict[str, ssl.SSLContext] = {}

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def send(self, outbound: Outbound) -> Exchange | Failed:
        """Send one request; return when the head of its answer has come, or why none does."""
        passage = _Passage(outbound.on_informational)
        requested_at = clock.steady_wall()
        try:
            options = self._options(outbound)
            async with asyncio.timeout(outbound.timeout):
                response = await self._session.request(
                    outbound.method,
                    request_url(outbound.upstream.base_url, outbound.target),
                    middlewares=(passage,),
                    allow_redirects=False,
                    **options,
                )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return _failure(error, sent=passage.sent)
        if (lie := _framing_lie(response)) is not None:
            response.close()
            return Failed(Failure.PROTOCOL, sent=True, detail=lie)
        return Answering(response, outbound.timeout, requested_at)

    def _options(self, outbound: Outbound) -> dict[str, Any]:
        upstream = outbound.upstream
        headers = CIMultiDict(
            (name, _utf8(value))
            for name, value in outbound.fields
            if name.lower() not in _OWN_MATTERS
        )
        options: dict[str, Any] = {
            "headers": headers,
            "data": outbound.body,
            "timeout": aiohttp.ClientTimeout(
                total=None, connect=outbound.timeout, sock_connect=upstream.connect_timeout
            ),
        }
        if upstream.outbound_proxy:
            options["proxy"] = upstream.outbound_proxy
        if upstream.tls_ca:
            options["ssl"] = self._context(upstream.tls_ca)
        return options

    def _context(self, bundle: str) -> ssl.SSLContext:
        context = self._contexts.get(bundle)
        if context is None:
            context = self._contexts[bundle] = ssl.create_default_context(cafile=bundle)
        return context


class Answering:
    """An answer whose head has come; `proxy.ports.Exchange`."""

    def __init__(self, response: ClientResponse, timeout: float, requested_at: float) -> None:
        """Take the response, and how many seconds its body may be waited for."""
        fields = decoded(response.raw_headers)
        self.status = response.status
        self.reason = response.reason or ""
        self.fields = end_to_end(fields)
        self.content_length = _content_length(fields)
        self.requested_at = requested_at
        self.received_at = clock.steady_wall()
        self._response = response
        self._timeout = timeout

    async def body(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives.

        Raises:
            BrokenExchangeError: it was cut short, lies about its length, or is too late.

        """
        whole = False
        content = self._response.content
        try:
            with _noticing_the_end(self._response, content):
                async for chunk in _arriving(content, self._timeout):
                    yield chunk
            whole = True
        except TimeoutError:
            raise BrokenExchangeError(Failure.TIMEOUT, "the body did not come in time") from None
        except aiohttp.ClientPayloadError as error:
            raise BrokenExchangeError(Failure.PROTOCOL, "the body was cut short") from error
        except (aiohttp.ClientError, OSError) as error:
            raise BrokenExchangeError(Failure.DISCONNECTED, _said(error)) from error
        finally:
            if not whole:
                self.abort()

    def abort(self) -> None:
        """Drop the connection; what has not been read is lost."""
        self._response.close()


async def _arriving(content: aiohttp.StreamReader, patience: float) -> AsyncIterator[bytes]:
    """Yield what comes, while it comes fast enough; TimeoutError when it does not."""
    now = asyncio.get_running_loop().time
    waited, received = 0.0, 0
    while True:
        began = now()
        async with asyncio.timeout(patience + received / PROGRESS - waited):
            chunk = await content.readany()
        if not chunk:
            return
        waited += now() - began
        received += len(chunk)
        yield chunk


@contextlib.contextmanager
def _noticing_the_end(response: ClientResponse, content: aiohttp.StreamReader) -> Iterator[None]:
    """Break a body whose connection has ended before it.

    aiohttp closes the connection when chunks are none, and leaves the body waiting.
    """
    connection = response.connection
    protocol = None if content.is_eof() or connection is None else connection.protocol
    closed = None if protocol is None else protocol.closed

    def end(closed: asyncio.Future[None]) -> None:
        if not closed.cancelled():
            closed.exception()
        if not content.is_eof() and content.exception() is None:
            content.set_exception(aiohttp.ClientPayloadError("the connection has ended"))

    if closed is not None:
        closed.add_done_callback(end)
    try:
        yield
    finally:
        if closed is not None:
            closed.remove_done_callback(end)


class _StalePooledError(aiohttp.ClientError):
    """A pooled connection holds what nobody asked for; nothing was sent on it."""


class _SentBeforeError(aiohttp.ClientError):
    """aiohttp wants to send the same request a second time."""


class _Passage:
    """Watches one request on its way: a client middleware, which aiohttp calls for each attempt."""

    def __init__(self, inform: Callable[[int, Fields], Awaitable[None]] | None) -> None:
        self.inform = inform
        self.sent = False
        """Whether a first byte may have left."""

    async def __call__(
        self,
        request: ClientRequest,
        handler: Callable[[ClientRequest], Awaitable[ClientResponse]],
    ) -> ClientResponse:
        if self.sent:
            raise _SentBeforeError("the connection was lost after the request had been sent")
        if isinstance(request, _WireRequest):
            request.passage = self
        while True:
            try:
                return await handler(request)
            except _StalePooledError:
                continue


class _WireRequest(ClientRequest):
    """A request that says when it leaves, and looks at its connection before."""

    passage: _Passage | None = None

    async def send(self, conn: Connection) -> ClientResponse:
        """Write the request."""
        protocol = conn.protocol
        if protocol is None or protocol.should_close:
            raise _StalePooledError
        frame(protocol, bodiless=self.method == "HEAD")
        if self.passage is not None:
            self.passage.sent = True
            if self.passage.inform is not None:
                relay_informational(protocol, self.passage.inform)
        return await super().send(conn)


def request_url(base_url: str, target: str) -> URL:
    """Return the URL of a raw target, byte for byte as it was written.

    Only what cannot stand in a request line is percent-encoded: blanks, controls, and what is not
    ASCII. `["A","B"]` may stand there, and a client may have signed it just so.
    """
    if not target.isascii() or not target.isprintable() or " " in target or "#" in target:
        target = quote(target, safe=_AS_WRITTEN, errors="surrogateescape")
    return URL(base_url.rstrip("/") + target, encoded=True)


def _utf8(value: str) -> str:
    """Return ISO 8859-1 text such that aiohttp, which writes UTF-8, writes the same octets."""
    return (
        value if value.isascii() else value.encode("latin-1", "replace").decode("utf-8", "replace")
    )


def _content_length(fields: Fields) -> int | None:
    lengths = set(values(fields, "content-length"))
    if len(lengths) != 1 or values(fields, "transfer-encoding"):
        return None
    length = lengths.pop().strip()
    return int(length) if length.isascii() and length.isdigit() else None


def _framing_lie(response: ClientResponse) -> str | None:
    """Return what is wrong with an answer's framing (RFC 9112 section 6); None: nothing."""
    if response.status < 200:  # noqa: PLR2004 - RFC 9110 section 15: interim answers
        return "it switched protocols, which nobody asked for"
    codings = response.headers.getall("Transfer-Encoding", [])
    if codings and ",".join(codings).strip().lower() != "chunked":
        return "it has a transfer coding that is unknown"
    if codings and "Content-Length" in response.headers:
        return "it has two lengths"
    return None


def _failure(error: Exception, *, sent: bool) -> Failed:
    if not sent:
        return Failed(Failure.CONNECT, sent=False, detail=_said(error))
    if isinstance(error, TimeoutError):
        return Failed(Failure.TIMEOUT, sent=True, detail="no answer in time")
    if isinstance(error, aiohttp.ClientConnectionError | OSError | _SentBeforeError):
        return Failed(Failure.DISCONNECTED, sent=True, detail=_said(error))
    return Failed(Failure.PROTOCOL, sent=True, detail="the answer is not HTTP")


def _said(error: Exception) -> str:
    """Return what an error says without what it may quote: addresses with keys in them."""
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot connect: {error.os_error.strerror or error.os_error}"
    if isinstance(error, TimeoutError):
        return "no connection in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return _WORDS.get(type(error), "the connection was lost")


_WORDS: Final[Mapping[type[Exception], str]] = {
    aiohttp.ServerDisconnectedError: "the connection was closed before an answer",
    aiohttp.ClientHttpProxyError: "the outbound proxy refused",
    aiohttp.InvalidURL: "the address is not a URL",
    ValueError: "the request cannot be written as HTTP",
}
