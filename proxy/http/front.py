"""The traffic listener: bytes to requests, answers to bytes.

- aiohttp's low-level server stands under it; no router, no access log, no aiohttp response.
- Path, query and body go on exactly as they were written.
- `Flow.serve` is cancelled when the client goes; what must live on is the flow's to shield.
- An ordinary hit costs one head, one look-up of its fixed bytes and one write.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from aiohttp import web
from aiohttp.http import HttpVersion10

from proxy import clock
from proxy.answer import Account, Answer, Problem
from proxy.core.model import Request, Verdict
from proxy.forms import UNKEPT, Forms
from proxy.http.accelerator import Accelerator, H, Hits
from proxy.http.answers import Wire, informer
from proxy.http.bodies import BodyError, RequestBody
from proxy.http.clients import Clients, OpenClients, Refusal
from proxy.http.connection import Connection
from proxy.http.heads import decoded
from proxy.http.inbound import CLOSE, KEEP, Finished, Inbound
from proxy.http.patience import Patience
from proxy.http.private_names import SHORT
from proxy.http.rows import Row
from proxy.http.senders import Sender, accepts_gzip, is_decided, is_short
from proxy.http.targets import Target, parse_host, parse_target

_HTTP_1_0 = HttpVersion10


class Flow(Hits[H], Protocol[H]):
    """What the front asks of the house: of each request, and first whether it is a known hit."""

    async def again_from_store(self, handle: H) -> Answer | None:
        """Return the answer of a known hit that only the store has, and count it."""
        ...

    async def serve(self, request: Request, body: AsyncIterator[bytes] | None) -> Answer:
        """Answer a request. `body` is its body, unread; None where it has none."""
        ...


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the front takes at once."""

    max_body: int = 16 * 1024 * 1024
    """Bytes of a request's body."""
    max_requests: int = 10_000
    """Requests under way; one more is told 503."""
    max_connections: int = 50_000


class Front:
    """Accepts clients' connections and answers what they ask."""

    def __init__(
        self,
        flow: Flow[Any],
        clients: Clients | None = None,
        *,
        bounds: Bounds | None = None,
        patience: Patience | None = None,
        on_error: Callable[[BaseException], None] | None = None,
        on_refused: Callable[[str], None] | None = None,
        accelerate: bool = True,
        forms: Forms = UNKEPT,
        wall: Callable[[], float] = clock.wall,
    ) -> None:
        """Take the flow, who decides who asks, and what is told of bugs and of those refused here.

        `on_refused` gets the fixed word of the problem; what the flow refuses is its own to tell.
        `forms` is the first level, where what is made of entries is kept.
        Must be made where the event loop runs.
        """
        self.patience = patience or Patience()
        self._flow = flow
        self._clients = clients or OpenClients()
        self._bounds = bounds or Bounds()
        self._on_error = on_error or (lambda _: None)
        self._on_refused = on_refused or (lambda _: None)
        self._wire = Wire(wall, forms)
        accelerates = accelerate and SHORT
        self._accelerator = Accelerator(flow, self._wire, forms) if accelerates else None
        self._generation = self._clients.generation
        self._under_way = 0
        self._draining = False
        self._loop = asyncio.get_running_loop()
        handler: Any = self.handle  # ours is no StreamResponse, but all that is asked of one
        self._server = web.Server(handler, request_factory=Inbound, handler_cancellation=True)  # type: ignore[arg-type]  # likewise: no BaseRequest

    def accept(self) -> Connection:
        """Make the protocol of a new connection: `loop.create_server(front.accept, …)`."""
        return Connection(self._server, self, self._loop)

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._server.connections)

    @property
    def under_way(self) -> int:
        """How many requests are being answered."""
        return self._under_way

    async def close(self, grace: float = 10.0) -> None:
        """Close idle connections, and the others when they have been answered, or after `grace`.

        The listening sockets must be closed before.
        """
        self._draining = True
        self.gather()
        self._server.pre_shutdown()
        await self._server.shutdown(grace)
        if self._accelerator is not None:
            self._accelerator.files.clear()

    # ── for connections: the short ways ──

    def accelerator(self) -> Accelerator | None:
        """Return what knows heads, emptied where the clients' rules have changed; None: no one."""
        if self._draining:
            return None
        if self._generation != self._clients.generation and self._accelerator is not None:
            self._generation = self._clients.generation
            self._accelerator.clear()
        return self._accelerator

    def gather(self) -> None:
        """Have all hits counted: before anyone is shown the counts."""
        if self._accelerator is not None:
            self._accelerator.gather()

    def at_once(self, inbound: Inbound, head: bytes | None) -> bool:
        """Answer what takes a turn, if it is a known hit; `head` is all of its head."""
        message, connection = inbound.message, inbound.connection
        if message.method != "GET" or self._draining:
            return False
        request = inbound.request = self._request(inbound)
        handle = None if isinstance(request, Answer) else self._flow.known(request)
        if handle is None or isinstance(request, Answer):
            return False
        gzip = inbound.accepts_gzip
        if handle.passing or not self._wire.ready(handle.entry, wants_gzip=gzip):
            inbound.known, inbound.head = (handle, head) if handle.passing else (None, None)
            return False
        answer = self._flow.again(handle)
        made = None if answer is None else self._wire.at_once(answer, wants_gzip=gzip)
        if made is None or answer is None:
            return False
        connection.write_all(made)
        if head is not None and self._accelerator is not None:
            peer, port = connection.peer, connection.port
            self._accelerator.learn(port, peer, head, request, handle, answer)
        return True

    # ── for connections ──

    def admit(self, connection: Connection) -> bool:
        """Return whether there is room for one more connection."""
        del connection
        return self.connections <= self._bounds.max_connections

    def refuse(self, connection: Connection, problem: Problem) -> None:
        """Write a problem to a connection that is about to be closed."""
        connection.write(self._wire.problem(_refused(problem), close=True))

    # ── one request ──

    async def handle(self, inbound: Inbound) -> Finished:
        """Answer a request; cancelled where its client goes."""
        if self._under_way >= self._bounds.max_requests or self._draining:
            return await self._say(inbound, _BUSY if not self._draining else _LEAVING)
        self._under_way += 1
        try:
            body = self._body(inbound) if inbound.has_body else None
            request = inbound.request or self._request(inbound)
            if isinstance(request, Answer):
                return await self._say(inbound, request)
            if body is not None and (problem := body.refused()) is not None:
                return await self._say(inbound, _refused(problem))
            try:
                if inbound.known is not None and await self._again_from_store(inbound):
                    return KEEP
                answer = await self._flow.serve(request, body)
            except BodyError as error:  # it is broken, too
                answer = _refused(error.problem)
            except Exception as error:  # noqa: BLE001 - a bug in the house ends one request, not all
                self._on_error(error)
                answer = _refused(_BUG)
            if body is not None and body.broken is not None:
                return await self._say(inbound, _refused(body.broken))
            return await self._send(inbound, answer)
        finally:
            self._under_way -= 1

    async def _again_from_store(self, inbound: Inbound) -> bool:
        """Answer a known hit that only the store has; False: it is none any more."""
        gzip, known, head = inbound.accepts_gzip, inbound.known, inbound.head
        if self._draining or not self._wire.ready(known.entry, wants_gzip=gzip):
            return False
        answer = await self._flow.again_from_store(known)
        made = None if answer is None else self._wire.at_once(answer, wants_gzip=gzip)
        if made is None or answer is None:
            return False
        connection, request = inbound.connection, inbound.request
        await connection.write_and_drain(made)
        if head is not None and self._accelerator is not None and isinstance(request, Request):
            peer, port = connection.peer, connection.port
            self._accelerator.learn(port, peer, head, request, known, answer)
        return True

    async def look_up(self, connection: Connection, row: Row) -> bool:
        """Answer a known head whose entry only the store has; False: it is not known any more."""
        accelerator = self.accelerator()
        if accelerator is None or self._under_way >= self._bounds.max_requests:
            return False
        self._under_way += 1
        try:
            made = accelerator.written(row, await self._flow.again_from_store(row.handle))
            if made is not None:
                await connection.write_and_drain(made)
        except Exception as error:  # noqa: BLE001 - a bug: the ordinary way says what came of it
            self._on_error(error)
            return False
        finally:
            self._under_way -= 1
        return made is not None

    async def _say(self, inbound: Inbound, answer: Answer) -> Finished:
        """Answer with a problem and close: what else the client sends is not wanted."""
        self._on_refused(answer.account.detail)
        sent = self._wire.send(inbound, answer, close=True)
        if sent is not None and not isinstance(sent, Finished):
            await sent
        return CLOSE

    async def _send(self, inbound: Inbound, answer: Answer) -> Finished:
        close = inbound.message.should_close or self._draining or inbound.message.upgrade
        try:
            sent = self._wire.send(inbound, answer, close=close)
            finished = sent if sent is None or isinstance(sent, Finished) else await sent
        except Exception as error:  # noqa: BLE001 - likewise; what was written is no whole answer
            self._on_error(error)
            finished = None
        if finished is None:
            inbound.connection.abort()
        return finished or CLOSE

    def _body(self, inbound: Inbound) -> RequestBody:
        return RequestBody(inbound, self._bounds.max_body, self.patience.body)

    def _request(self, inbound: Inbound) -> Request | Answer:
        """Return what a head asks, or why it cannot be asked."""
        message, connection = inbound.message, inbound.connection
        if message.method == "CONNECT":
            return _refused(_NO_TUNNEL)
        target = parse_target(message.path)
        if target is None:
            return _refused(_OUT_OF_BOUNDS)
        path, sender, decided = target.path, connection.sender, is_decided(message, target)
        if sender is None or not decided or not sender.sends(message, self._clients.generation):
            read = self._read(inbound, target)
            if isinstance(read, Answer):
                return read
            sender, path = read
            if decided:
                connection.sender = sender if is_short(message) else None
        inbound.sender = sender
        return Request(
            message.method,
            path,
            target.query,
            sender.fields,
            sender.host,
            connection.port,
            sender.client,
            None,
            inbound.has_body,
            sender.inform,
            connection.secure,
        )

    def _read(self, inbound: Inbound, target: Target) -> tuple[Sender, str] | Answer:
        """Return who sends a head and the path they ask for; or why that cannot be asked."""
        message, connection, clients = inbound.message, inbound.connection, self._clients
        authority, fields = target.authority, decoded(message.raw_headers)
        if authority is None:
            authority = message.headers.get("Host", "")
        host, old = parse_host(authority), message.version == _HTTP_1_0
        if host is None or not (host or old):
            return _refused(_BAD_HOST)
        if message.upgrade and message.headers.get("Upgrade", "").lower() == "websocket":
            return _refused(_NO_TUNNEL)
        generation = clients.generation
        who = clients.identify(fields, connection.peer, connection.port, target.path)
        if isinstance(who, Refusal):
            return _turned_away(who)
        sender = Sender(
            message.raw_headers,
            generation,
            who.client,
            who.fields,
            host,
            accepts_gzip(message),
            None if old else informer(connection),
        )
        return sender, who.path


def _refused(problem: Problem) -> Answer:
    account = Account(Verdict.REFUSED, detail=problem.kind)
    return Answer(account, problem.status, "", (), b"", problem=problem)


def _turned_away(refusal: Refusal) -> Answer:
    kind = refusal.title.lower().replace(" ", "-")
    problem = Problem(refusal.status, refusal.title, refusal.detail, kind)
    account = Account(Verdict.REFUSED, detail=kind)
    return Answer(account, refusal.status, "", refusal.fields, b"", problem=problem)


def _own(status: int, title: str, detail: str, kind: str, wait: float | None = None) -> Problem:
    return Problem(status, title, detail, kind, retry_after=wait)


_BUG = _own(500, "Internal Server Error", "The proxy met an error of its own.", "internal-error")
_NO_TUNNEL = _own(
    501, "Not Implemented", "Tunnels and WebSockets do not pass through here.", "no-tunnel"
)
_OUT_OF_BOUNDS = _own(
    400, "Bad Request", "The target is not a path within the proxy.", "bad-target"
)
_BAD_HOST = _own(400, "Bad Request", "Host is missing or is not a host.", "bad-host")
_BUSY = _refused(
    _own(503, "Service Unavailable", "Too many requests are under way.", "overloaded", 1.0)
)
_LEAVING = _refused(
    _own(503, "Service Unavailable", "The proxy is shutting down.", "shutting-down", 1.0)
)
