"""One client's connection, on aiohttp's own server protocol.

aiohttp parses heads, keeps connections alive and closes them. A head without a body that comes to
an idle connection is answered at once where that can be, else in a turn: a task of its own, during
which whatever else comes is held. What has a body, ends its connection or is of HTTP/1.0
goes to aiohttp's loop, which queues and drains it. All meet in `Reception.handle`.

- A head that has begun must end within `head_timeout` and within `max_head` bytes.
- Writing waits while the client does not read; one that reads nothing at all is cut off.
- A broken answer ends with a reset, never with what looks like a clean end.
"""

import asyncio
from collections.abc import Sequence

from aiohttp import EMPTY_PAYLOAD, StreamReader
from aiohttp.http import StreamWriter
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestPayloadError

from proxy.answer import Problem
from proxy.http.accelerator import Accelerator
from proxy.http.head_problems import MAX_FIELD, MAX_FIELDS, MAX_TARGET, own_problem, parse_problem
from proxy.http.inbound import CLOSE, Finished, Inbound
from proxy.http.patience import Watch
from proxy.http.private_names import SHORT, OpenHandler
from proxy.http.reception import Reception
from proxy.http.rows import Row
from proxy.http.senders import Sender

HEAD_END = b"\r\n\r\n"
MOST_HELD = 64 * 1024
"""Bytes that are held before a client is read no further."""
GIVEN_UP = 16
"""Unknown heads in a row after which only one in so many is looked up: this client varies them."""
COPIED = 8 * 1024
"""Bytes up to which a body is copied into one buffer with its head: beyond, the system gathers."""


class Connection(OpenHandler):
    """One client's connection."""

    __slots__ = (
        "_between",
        "_head_clock",
        "_head_size",
        "_held",
        "_last",
        "_reception",
        "_row",
        "_turn",
        "_unknown",
        "peer",
        "port",
        "reading",
        "secure",
        "sender",
        "settled",
    )

    def __init__(self, manager: object, front: Reception, loop: asyncio.AbstractEventLoop) -> None:
        """Take aiohttp's server, and the front that answers."""
        patience = front.patience
        super().__init__(
            manager,  # type: ignore[arg-type]  # a web.Server, which knows its own kind only
            loop=loop,
            keepalive_timeout=patience.keep_alive,
            access_log=None,  # type: ignore[arg-type]  # aiohttp's word for "none"
            max_line_size=MAX_TARGET,
            max_field_size=MAX_FIELD,
            max_headers=MAX_FIELDS,
            lingering_time=patience.lingering,
            auto_decompress=False,
        )
        self._reception = front
        self._head_clock: asyncio.TimerHandle | None = None
        self._head_size = 0
        self._between = SHORT
        """Whether the parser is exactly between two messages, and nothing of a head is with it."""
        self._last = b""
        self._row: Row | None = None
        """The chunk that was answered by one row last, and the row."""
        self._unknown = 0
        """Heads in a row that the accelerator did not know."""
        self._held = b""
        """What came during a turn, or before aiohttp's loop was back."""
        self._turn: asyncio.Task[None] | None = None
        """The request that is answered beside aiohttp's loop."""
        self.settled = SHORT
        """Whether no request is under way, be aiohttp's loop back or not."""
        self.peer = ""
        """The client's address."""
        self.secure = False
        """Whether it is encrypted."""
        self.sender: Sender | None = None
        """Who sent the last head, where its fields alone say it."""
        self.reading: StreamReader | None = None
        """The body that somebody waits for."""
        self.port = 0
        """The local port that it came to."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or refuse where there is no more room."""
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        local = transport.get_extra_info("sockname")
        self.peer = peer[0] if isinstance(peer, tuple) else ""
        self.port = local[1] if isinstance(local, tuple) else 0
        self.secure = transport.get_extra_info("sslcontext") is not None
        if not self._reception.admit(self):
            self._refuse(own_problem(503, "Overloaded", "There are too many connections."))

    def connection_lost(self, exc: BaseException | None) -> None:
        """End."""
        self._stop_head_clock()
        self._held, self.sender = b"", None
        if self._turn is not None:
            self._turn.cancel()
        super().connection_lost(exc)

    async def shutdown(self, timeout: float | None = 15.0) -> None:  # noqa: ASYNC109 - aiohttp's shape
        """Let the turn end, for `timeout` seconds at most; then close."""
        if self._turn is not None:
            began = self._loop.time()
            await asyncio.wait((self._turn,), timeout=timeout)
            if timeout is not None:
                timeout = max(0.0, began + timeout - self._loop.time())
        await super().shutdown(timeout)

    def data_received(self, data: bytes) -> None:
        """Take bytes in: by the accelerator, else at once, else by aiohttp's loop."""
        if (self._held or self._turn is not None) and data:
            self._hold(data)
        elif not (data == self._last and self._between and self._repeated()):
            self._take_in(data, waits=True)

    def _take_in(self, data: bytes, *, waits: bool) -> None:
        """Take bytes in; a head that comes before aiohttp's loop is back `waits` for it one turn.

        The loop is back a turn or two after an answer was written, or the client accepted. Who
        asks again sooner would find it away each time, and never come to the shorter ways.
        """
        rest = data
        while rest:
            if self._turn is not None:
                self._hold(rest)
                break
            if self._between:
                if waits and self.settled and not self.is_parked():
                    self._held = rest
                    self._loop.call_soon(self._take_held)
                    return
                rest = self._by_heads(rest)
            else:
                self._feed(rest, parked=self.is_parked())
                break
        if not data:  # aiohttp parses what it held back
            super().data_received(data)
        self._mind_the_head(data)
        if self.reading is not None and self.is_garbled():
            self.reading.set_exception(RequestPayloadError("not framed as HTTP"))

    def _hold(self, data: bytes) -> None:
        """Keep what comes too soon; a client that goes on and on is not read meanwhile."""
        self._held += data
        if len(self._held) > MOST_HELD and self.transport is not None:
            self.transport.pause_reading()

    def _take_held(self) -> None:
        held, self._held = self._held, b""
        if held and self.transport is not None:
            if len(held) > MOST_HELD:
                self.transport.resume_reading()
            self._take_in(held, waits=False)

    def _by_heads(self, data: bytes) -> bytes:
        """Take in one head, or all that the accelerator knows; return the rest.

        Heads go to the parser one by one, so that what follows cannot undo what came before it.
        """
        parked = self.is_parked()
        if parked and (self._unknown < GIVEN_UP or self._unknown % GIVEN_UP == 0):
            taken = self._accelerated(data)
            if taken:
                return data[taken:]
        self._unknown += 1
        end = data.find(HEAD_END) + len(HEAD_END)
        if end < len(HEAD_END):
            end = len(data)
        self._feed(data[:end], parked=parked)
        return data[end:]

    def _accelerated(self, data: bytes) -> int:
        """Answer what the accelerator knows; return how many bytes that took."""
        accelerator = self._reception.accelerator()
        if accelerator is None:
            return 0
        parts, taken, number = accelerator.answer(self.port, self.peer, data)
        if number:
            self._unknown = 0
            row = accelerator.last if number == 1 else None
            if row is None or not self._sent_from_file(accelerator, row):
                self.write_all(parts)
            self.count_answered(number, parsed=False)
            alone = row is not None and taken == len(data)
            self._last, self._row = (data, row) if alone else (b"", None)
        elif accelerator.familiar:
            self._unknown = 0
            if accelerator.passing is not None and data.find(HEAD_END) == len(data) - len(HEAD_END):
                self._turn = self._loop.create_task(self._look_up(accelerator.passing, data))
                return len(data)
        return taken

    async def _look_up(self, row: Row, data: bytes) -> None:
        """Answer a known head from the store, or, if it is not known any more, as any other."""
        try:
            answered = await self._reception.look_up(self, row)
        finally:
            self._turn = None
        if not self.awaits_head():
            self.force_close()
            return
        if answered:
            self.count_answered(1, parsed=False)
        else:  # parsed, for it may still be known, and would be looked up for ever
            self._feed(data, parked=self.is_parked())
        self._take_held()

    def is_in_a_turn(self) -> bool:  # noqa: D102 - see `OpenHandler`
        return self._turn is not None

    def _repeated(self) -> bool:
        """Answer the very bytes that came last, as they were answered then, if that still holds."""
        accelerator, row, transport = self._reception.accelerator(), self._row, self.transport
        if accelerator is None or row is None or transport is None or not self.is_parked():
            return False
        if not accelerator.repeat(row):
            return False
        if not transport.is_closing() and len(row.body) <= COPIED:
            transport.write(row.head + row.body)
        elif not self._sent_from_file(accelerator, row):
            self.write_all((row.head, row.body))
        self.count_answered(1, parsed=False)
        return True

    def _sent_from_file(self, accelerator: Accelerator, row: Row) -> bool:
        """Send a large answer that is given often without copying it; False: nothing was sent."""
        transport = self.transport
        if self.secure or transport is None or transport.is_closing():
            return False
        return accelerator.files.send(transport, row)

    def _feed(self, data: bytes, *, parked: bool) -> None:
        """Parse; answer at once what can be, and give aiohttp's loop what can not."""
        whole, self._between = self._between, False
        if not parked:
            self.settled = False
            super().data_received(data)
            self._between = SHORT and self.ended_with_a_head(data)
            return
        try:
            parsed = self.parse(data)
        except HttpProcessingError as error:
            self._refuse(parse_problem(error.code, error))
            return
        if len(parsed) == 1 and parsed[0][1] is EMPTY_PAYLOAD and data.endswith(HEAD_END):
            inbound = Inbound(parsed[0][0], EMPTY_PAYLOAD, self)
            if inbound.takes_a_turn:
                learns = self._unknown < GIVEN_UP or self._unknown % GIVEN_UP <= 1
                answered = self._reception.at_once(inbound, data if whole and learns else None)
                self.count_answered(1, parsed=True)
                self._between = True
                if not answered:
                    self._turn = self._loop.create_task(self._take_turn(inbound))
                return
        self.settled = False
        self.hand_over(parsed)
        self._between = self.ended_with_a_head(data)

    async def _take_turn(self, inbound: Inbound) -> None:
        """Answer one request; then go on with what came meanwhile, or close."""
        finished = CLOSE
        try:
            finished = await self._reception.handle(inbound)
        finally:
            self._turn = None
            if finished.keep_alive and self.awaits_head():
                self.count_answered(0, parsed=False)
                self._take_held()
            else:
                self.force_close()

    def _mind_the_head(self, data: bytes) -> None:
        """Keep the clock of a head that has begun, and stop it when it has ended."""
        if not self._between and self.awaits_head() and data.strip(b"\r\n"):
            self._head_size += len(data)
            if self._head_clock is None:
                self._head_clock = self._loop.call_later(self._reception.patience.head, self._late)
            if self._head_size > self._reception.patience.max_head:
                self._refuse(own_problem(431, "Request Header Fields Too Large", "The head is."))
        elif self._head_clock is not None:
            self._stop_head_clock()

    def handle_error(  # type: ignore[override]  # ours is no StreamResponse, but all that is asked
        self,
        request: Inbound,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> Finished:
        """Answer what is not HTTP, and close: where the next request begins is not known."""
        del request, message
        self._reception.refuse(self, parse_problem(status, exc))
        return CLOSE

    def abort(self) -> None:
        """Cut the connection, so that nobody takes what was written for the whole."""
        if self.transport is not None:
            self.transport.abort()

    def write(self, data: bytes) -> bool:
        """Write; False where the client has gone."""
        transport = self.transport
        if transport is None or transport.is_closing():
            return False
        transport.write(data)
        return True

    def write_all(self, parts: Sequence[bytes]) -> bool:
        """Write answers: in one buffer while their parts are small, else without copying them."""
        transport = self.transport
        if transport is None or transport.is_closing():
            return False
        if max(map(len, parts)) <= COPIED:
            transport.write(b"".join(parts))
        else:
            transport.writelines(parts)
        return True

    async def write_and_drain(self, parts: tuple[bytes, bytes]) -> None:
        """Write an answer, and wait until the client has read most of it."""
        self.write_all(parts)
        if self.writing_paused:
            await self.drain()

    async def drain(self) -> bool:
        """Wait until the client has read most of what was written; False where it has gone."""
        transport = self.transport
        if transport is None:
            return False
        watch = Watch(transport, self._reception.patience.sending, self._loop)
        try:
            await StreamWriter(self, self._loop).drain()
        except ConnectionError:
            return False
        finally:
            watch.end()
        return self.transport is not None

    def _late(self) -> None:
        self._head_clock = None
        self._refuse(own_problem(408, "Request Timeout", "The head of the request did not end."))

    def _refuse(self, problem: Problem) -> None:
        self._reception.refuse(self, problem)
        self.force_close()

    def _stop_head_clock(self) -> None:
        self._head_size = 0
        if self._head_clock is not None:
            self._head_clock.cancel()
            self._head_clock = None
