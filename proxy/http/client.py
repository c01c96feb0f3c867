"""The upstream client: one call of `send` is at most one request on the wire.

It stands on aiohttp's connector and parser of answers, and not on its session: that repeats an
idempotent request when a pooled connection drops under it, and a provider may have counted the
first. Whether to try again is the flow's to say.

- A failure before the first byte left is told apart from every later one: only it is refunded.
- Redirects are answers. There are no cookies, no proxy from the environment, no decoding.
- `Outbound.timeout` bounds the wait for the head, connecting included.
- An answer that comes whole and plain is read at once (`whole_answers`), any other as it arrives.
- A connection is used again only if its last answer ended exactly where it said, and nothing has
  come since: no answer can leak into the next (see `framing` and `warm`).
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Mapping
from typing import Final, TypeAlias

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import Connection
from aiohttp.http import HttpVersion11, RawResponseMessage, StreamWriter
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from proxy import clock
from proxy.core.fields import Fields
from proxy.core.model import Failed, Failure
from proxy.core.upstreams import Upstream
from proxy.deadlines import Deadlines
from proxy.http.arrivals import Answering, parsed_head
from proxy.http.departures import declared_length, request_head, send_body, sendable
from proxy.http.heads import decoded
from proxy.http.private_names import AHEAD, OpenResponses, frame
from proxy.http.warm import Pool, Warm
from proxy.http.whole_answers import PlainHead, WholeAnswer
from proxy.ports import Exchange, Outbound

_MAX_LINE: Final = 64 * 1024
_INTERIM: Final = range(102, 200)
_FINAL: Final = 200


def open_client(pool: Pool | None = None) -> "Client":
    """Open a client. Must be called where the event loop runs; `close` it in the end."""
    return Client(Warm(pool or Pool()))


class _Route:
    """The way to an upstream, which its requests share."""

    __slots__ = ("fields", "host", "path", "place", "timeouts", "to")

    def __init__(self, upstream: Upstream, warm: Warm) -> None:
        base = URL(upstream.base_url, encoded=True)
        secure = True if not upstream.tls_ca else ssl.create_default_context(cafile=upstream.tls_ca)
        proxy = URL(upstream.outbound_proxy) if upstream.outbound_proxy else None
        loop = asyncio.get_running_loop()
        self.to = ClientRequest("GET", base, loop=loop, ssl=secure, proxy=proxy)
        """What aiohttp's connector wants to know of a connection."""
        self.place = warm.place(self.to)
        self.host = self.to.headers["Host"]
        asked = proxy if base.scheme == "http" else None  # else it opens a tunnel, and no more
        self.path = (str(base.origin()) if asked else "") + base.raw_path.rstrip("/")
        """What stands before every target."""
        self.fields: Fields = _introduction(asked) if asked else ()
        """What the outbound proxy wants of every request."""
        self.timeouts = aiohttp.ClientTimeout(total=None, sock_connect=upstream.connect_timeout)


def _introduction(proxy: URL) -> Fields:
    """Return the credentials that stand in the address of an outbound proxy, as a field."""
    to_itself = ClientRequest("GET", proxy, loop=asyncio.get_running_loop())
    credentials = to_itself.headers.get("Authorization")
    return () if credentials is None else (("Proxy-Authorization", credentials),)


class Client:
    """Sends requests to upstreams."""

    def __init__(self, warm: Warm) -> None:
        """Take the connections."""
        self._warm = warm
        self._routes: dict[tuple[object, ...], _Route] = {}
        self._deadlines = Deadlines()
        self._now = warm.loop.time

    async def close(self) -> None:
        """Close all connections."""
        self._deadlines.close()
        await self._warm.close()

    async def send(self, outbound: Outbound) -> Exchange | Failed:
        """Send one request; return when the head of its answer has come, or why none does."""
        due = self._now() + outbound.timeout
        connection: Connection | None = None
        sending: asyncio.Task[None] | None = None
        answer: Answering | WholeAnswer | Failed | None = None
        sent = False  # whether a first byte may have left
        try:
            route = self._route(outbound.upstream)
            connection = route.place.take() or await _connected(route, due)
            head = _head(outbound, route)
            protocol = _expecting(connection, outbound)
            requested_at = clock.steady_wall()
            sent = True
            sending = _write(protocol, head, outbound)
            self._deadlines.set(protocol, due)
            try:
                came: _Came = await protocol.read()
            finally:
                self._deadlines.clear(protocol)
            if not isinstance(came, WholeAnswer):
                came = await self._final(protocol, came, outbound, due)
            answer = self._answering(came, connection, route, outbound, requested_at, sending)
        except (aiohttp.ClientError, HttpProcessingError, OSError, ValueError) as error:
            return _failure(error, sent=sent)
        else:
            return answer
        finally:
            if connection is not None and (answer is None or isinstance(answer, Failed)):
                if sending is not None:
                    sending.cancel()
                connection.close()

    async def _final(
        self, protocol: ResponseHandler, came: "_Came", outbound: Outbound, due: float
    ) -> "_Came":
        """Return the final answer, or its head; interim ones are passed on."""
        inform = outbound.on_informational
        while not isinstance(came, WholeAnswer):
            message = came[0]
            if isinstance(message, PlainHead):
                break
            code = message.code
            if code >= _FINAL or code not in {100, *_INTERIM}:
                break
            if inform is not None and code in _INTERIM:
                async with asyncio.timeout_at(due):
                    await inform(code, decoded(message.raw_headers))
            self._deadlines.set(protocol, due)
            try:
                came = await protocol.read()
            finally:
                self._deadlines.clear(protocol)
        return came

    def _answering(
        self,
        came: "_Came",
        connection: Connection,
        route: "_Route",
        outbound: Outbound,
        requested_at: float,
        sending: "asyncio.Task[None] | None",
    ) -> Answering | WholeAnswer | Failed:
        """Return the answer that has come; of one that has come whole the connection goes back."""
        if isinstance(came, WholeAnswer):
            came.requested_at, came.received_at = requested_at, clock.steady_wall()
            route.place.give_back(connection)
            return came
        message, content = came
        if not isinstance(message, PlainHead):
            if (lie := _framing_lie(message)) is not None:
                return Failed(Failure.PROTOCOL, sent=True, detail=lie)
            message = parsed_head(message)
        return Answering(
            message,
            content,
            connection,
            route.place.give_back,
            self._deadlines,
            patience=outbound.timeout,
            requested_at=requested_at,
            sending=sending,
        )

    def _route(self, upstream: Upstream) -> _Route:
        key = (
            upstream.base_url,
            upstream.outbound_proxy,
            upstream.tls_ca,
            upstream.connect_timeout,
        )
        route = self._routes.get(key)
        if route is None:
            route = self._routes[key] = _Route(upstream, self._warm)
        return route


_Came: TypeAlias = WholeAnswer | tuple[RawResponseMessage | PlainHead, aiohttp.StreamReader]
"""What a protocol reads."""


async def _connected(route: _Route, due: float) -> Connection:
    async with asyncio.timeout_at(due):
        return await route.place.connect(route.to, route.timeouts)


def _head(outbound: Outbound, route: _Route) -> bytes:
    target = sendable(route.path + (outbound.target or "/"))
    fields = outbound.fields + route.fields if route.fields else outbound.fields
    return request_head(outbound.method, target, route.host, fields, outbound.body)


def _expecting(connection: Connection, outbound: Outbound) -> ResponseHandler:
    """Return the connection's protocol, which awaits the answer to a request now."""
    protocol, body = connection.protocol, outbound.body
    assert protocol is not None  # noqa: S101 - whoever gave the connection has looked
    bodiless = outbound.method == "HEAD"
    if isinstance(protocol, OpenResponses):
        protocol.used = True
        if body is None or isinstance(body, bytes):
            protocol.expect(_parse, bodiless=bodiless)
            return protocol
    _parse(protocol, bodiless=bodiless)
    return protocol


def _write(
    protocol: ResponseHandler, head: bytes, outbound: Outbound
) -> "asyncio.Task[None] | None":
    """Write a request; return what sends its body, where that is still to come."""
    transport, body = protocol.transport, outbound.body
    assert transport is not None  # noqa: S101 - likewise
    if body is None:
        transport.write(head)
        return None
    if isinstance(body, bytes):
        transport.write(head + body)
        return None
    transport.write(head)
    sending = _send(protocol, transport, body, declared_length(outbound.fields))
    return asyncio.get_running_loop().create_task(sending, name="request body")


async def _send(
    protocol: ResponseHandler,
    transport: asyncio.Transport,
    body: AsyncIterator[bytes],
    length: int | None,
) -> None:
    """Send a body while the answer is waited for: it may come before the body has gone."""
    writer = StreamWriter(protocol, asyncio.get_running_loop())
    try:
        await send_body(transport, writer, body, length)
    except Exception as error:  # noqa: BLE001 - whatever the body's own trouble was
        if protocol.exception() is None:
            protocol.set_exception(_BodyLostError(), error)
        transport.abort()


def _parse(protocol: ResponseHandler, *, bodiless: bool) -> None:
    """Have aiohttp's parser read the next answer."""
    protocol.set_response_params(
        skip_payload=bodiless,
        read_until_eof=True,
        auto_decompress=False,
        read_bufsize=AHEAD,
        max_line_size=_MAX_LINE,
        max_field_size=_MAX_LINE,
        max_headers=256,
    )
    frame(protocol, bodiless=bodiless)


class _BodyLostError(aiohttp.ClientConnectionError):
    """The body of the request did not come whole from its client."""


def _framing_lie(message: RawResponseMessage) -> str | None:
    """Return what is wrong with an answer's framing (RFC 9112 section 6); None: nothing."""
    if message.code < _FINAL:
        return "it switched protocols, which nobody asked for"
    codings = message.headers.getall("Transfer-Encoding", [])
    if codings and ",".join(codings).strip().lower() != "chunked":
        return "it has a transfer coding that is unknown"
    if codings and "Content-Length" in message.headers:
        return "it has two lengths"
    if codings and message.version < HttpVersion11:
        return "it has a transfer coding in HTTP/1.0"
    return None


def _failure(error: Exception, *, sent: bool) -> Failed:
    if not sent:
        return Failed(Failure.CONNECT, sent=False, detail=_said(error))
    if isinstance(error, TimeoutError):
        return Failed(Failure.TIMEOUT, sent=True, detail="no answer in time")
    if isinstance(error, aiohttp.ClientConnectionError | OSError):
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
    with contextlib.suppress(KeyError):
        return _WORDS[type(error)]
    return "the connection was lost"


_WORDS: Final[Mapping[type[Exception], str]] = {
    aiohttp.ServerDisconnectedError: "the connection was closed before an answer",
    aiohttp.ClientHttpProxyError: "the outbound proxy refused",
    aiohttp.InvalidURL: "the address is not a URL",
    ValueError: "the request cannot be written as HTTP",
    _BodyLostError: "the body of the request was cut short",
}
