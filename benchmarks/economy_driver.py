"""The bots: questions put at their time over kept connections, as cheaply as can be.

At a question of each bot every half second, ten times as fast, a thousand leave in a second beside
the provider on the same core. So this speaks HTTP/1.1 over sockets by itself, and tells how late
questions left (`Driven.lag`): where that is no longer little, the driver is what is measured.
"""

import asyncio
import re
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, cast
from urllib.parse import urlsplit

from economy_provider import moment
from economy_table import Heard
from economy_trace import BOTS, COMPRESSION, Kind, Question

PATIENCE: Final = 12.0
"""Seconds after which a bot gives up: SDKs do after 10."""
CONNECTIONS: Final = 10 * BOTS
"""As many as the clients of Python keep for each bot: a question waits for one, as there."""
HEADERS: Final = "Accept-Encoding: identity\r\nx-cg-demo-api-key: bench\r\n"
OK: Final = 200
_NUMBER = re.compile(rb'(?:"usd":|"price":")([0-9.]+)')
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_CLOSES = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
_HIT = re.compile(rb"\r\nx-cache: *HIT\r\n", re.IGNORECASE)


@dataclass(slots=True)
class Driven:
    """What a run heard, and how well it was driven."""

    heard: list[Heard] = field(default_factory=list)
    lag: list[float] = field(default_factory=list)
    """By how many seconds each question left after its time."""
    busy: float = 0.0
    """Seconds of CPU that the driver used."""
    took: float = 0.0


class _Answer:
    """One exchange: what is asked, and what has come of it so far."""

    __slots__ = (
        "began", "body", "connection", "hit", "is_again", "is_over", "patience", "question", "sent",
        "status",
    )  # fmt: skip

    def __init__(self, question: Question, sent: bytes, began: float) -> None:
        self.question, self.sent, self.began = question, sent, began
        self.status, self.body, self.hit = 0, b"", False
        self.patience: asyncio.TimerHandle | None = None
        self.connection: _Connection | None = None
        self.is_again = self.is_over = False


class _Connection(asyncio.Protocol):
    """A kept connection with at most one exchange on it."""

    def __init__(self, bots: "_Bots") -> None:
        self._bots = bots
        self._came = bytearray()
        self._needed = -1
        """Octets of head and body together; -1: not known yet, -2: it comes in chunks."""
        self._head = 0
        self._transport: asyncio.Transport | None = None
        self.answer: _Answer | None = None
        self.is_used = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def ask(self, answer: _Answer) -> None:
        """Send a request."""
        self.answer = answer
        if self._transport is not None:
            self._transport.write(answer.sent)

    def abort(self) -> None:
        """Give up what is on it."""
        self.answer = None
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._came += data
        if self._needed == -1:
            end = self._came.find(b"\r\n\r\n")
            if end < 0:
                return
            self._head = end + 4
            length = _LENGTH.search(self._came, 0, end)
            self._needed = self._head + int(length[1]) if length else self._of_no_length(end)
        if self._needed == -2:
            if self._came.endswith(b"0\r\n\r\n"):
                self._ended(_dechunked(self._came[self._head :]))
        elif len(self._came) >= self._needed:
            self._ended(bytes(self._came[self._head : self._needed]))

    def _of_no_length(self, end: int) -> int:
        return -2 if _CHUNKED.search(self._came, 0, end) else self._head

    def _ended(self, body: bytes) -> None:
        answer, self.answer = self.answer, None
        head = self._came[: self._head]
        self._came, self._needed = bytearray(), -1
        self.is_used = True
        if _CLOSES.search(head):
            self.abort()
        else:
            self._bots.free(self)
        if answer is not None:
            answer.status, answer.body = int(head[9:12]), body
            answer.hit = _HIT.search(head) is not None
            self._bots.heard(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        answer, self.answer = self.answer, None
        self._bots.closed(self)
        if answer is not None:
            self._bots.lost(answer, again=self.is_used and not self._came)


class _Bots:
    """All bots together."""

    def __init__(self, origin: str, epoch: float, driven: Driven) -> None:
        parts = urlsplit(origin)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._fields = f" HTTP/1.1\r\nHost: {parts.netloc}\r\n{HEADERS}\r\n"
        self._epoch = epoch
        self._driven = driven
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[None]] = set()
        self._open = 0
        """Questions of which nothing has been heard."""
        self._connections = 0
        self._waiting: deque[_Answer] = deque()
        self._all_heard = asyncio.Event()
        self.idle: list[_Connection] = []

    def ask(self, question: Question) -> None:
        """Put a question now, whatever became of those before."""
        began = time.time()  # noqa: TID251 - ages are told on the providers' clock
        since = f"&startTime={int(began * 1000) - question.since}" if question.since else ""
        sent = f"GET {question.target}{since}{self._fields}".encode()
        answer = _Answer(question, sent, began)
        answer.patience = self._loop.call_later(PATIENCE, self._gives_up, answer)
        self._open += 1
        self._put(answer)

    def _put(self, answer: _Answer) -> None:
        if self.idle:
            self._on(self.idle.pop(), answer)  # the one used last: those too many may be closed
        elif self._connections >= CONNECTIONS:
            self._waiting.append(answer)
        else:
            self._connections += 1
            opening = self._loop.create_task(self._on_new(answer))
            self._opening.add(opening)
            opening.add_done_callback(self._opening.discard)

    async def _on_new(self, answer: _Answer) -> None:
        try:
            _, connection = await self._loop.create_connection(
                lambda: _Connection(self), self._host, self._port
            )
        except OSError:
            self._connections -= 1
            self.heard(answer)
        else:
            self._on(connection, answer)

    def free(self, connection: _Connection) -> None:
        """Use a connection for whoever waits for one."""
        answer = self._next()
        if answer is None:
            self.idle.append(connection)
        else:
            self._on(connection, answer)

    def closed(self, connection: _Connection) -> None:
        """Let another take a connection's place."""
        self._connections -= 1
        if connection in self.idle:
            self.idle.remove(connection)
        answer = self._next()
        if answer is not None:
            self._put(answer)

    def _next(self) -> _Answer | None:
        while self._waiting:
            answer = self._waiting.popleft()
            if not answer.is_over:
                return answer
        return None

    def _on(self, connection: _Connection, answer: _Answer) -> None:
        if answer.is_over:  # it took too long to connect
            self.free(connection)
        else:
            answer.connection = connection
            connection.ask(answer)

    def _gives_up(self, answer: _Answer) -> None:
        if answer.connection is not None:
            answer.connection.abort()
        self.heard(answer)

    def lost(self, answer: _Answer, *, again: bool) -> None:
        """Hear of a connection that ended: one kept for long may have been closed meanwhile."""
        if again and not answer.is_again:
            answer.is_again, answer.connection = True, None
            self._put(answer)
        else:
            self.heard(answer)

    def heard(self, answer: _Answer) -> None:
        """Note what became of a question."""
        if answer.is_over:
            return
        answer.is_over = True
        ended = time.time()  # noqa: TID251 - ages are told on the providers' clock
        if answer.patience is not None:
            answer.patience.cancel()
        kind = answer.question.kind
        told = told_by(kind, answer.body) if answer.status == OK else None
        age = None if told is None else max(0.0, ended - moment(told, self._epoch)) * COMPRESSION
        latency = (ended - answer.began) * 1000
        self._driven.heard.append(Heard(kind, age, latency, hit=answer.hit))
        self._open -= 1
        if not self._open:
            self._all_heard.set()

    async def replay(self, questions: Iterable[Question]) -> None:
        """Put all questions at their time, and wait for what becomes of them."""
        began = self._loop.time()
        for question in questions:
            due = began + question.at / COMPRESSION
            ahead = due - self._loop.time()
            if ahead > 0:
                await asyncio.sleep(ahead)
            self._driven.lag.append(max(0.0, self._loop.time() - due))
            self.ask(question)
        while self._open:
            self._all_heard.clear()
            await self._all_heard.wait()
        for opening in self._opening:
            opening.cancel()
        for connection in tuple(self.idle):
            connection.abort()


async def replayed(origin: str, questions: Iterable[Question], epoch: float) -> Driven:
    """Put all questions to an origin at their time; return what was heard."""
    driven = Driven()
    cpu, clock = time.process_time(), time.monotonic()  # noqa: TID251 - what the driver itself costs
    await _Bots(origin, epoch, driven).replay(questions)
    driven.busy = time.process_time() - cpu
    driven.took = time.monotonic() - clock  # noqa: TID251 - likewise
    return driven


def told_by(kind: Kind, body: bytes) -> float | None:
    """Return the oldest price of an answer, or the last candle's close; None: there is none."""
    if kind is Kind.CANDLES:
        last = body[body.rfind(b"[") + 1 :].split(b",", 5)
        return float(last[4].strip(b'"')) if len(last) > 5 else None
    return min(map(float, _NUMBER.findall(body)), default=None)


def _dechunked(body: bytes | bytearray) -> bytes:
    parts, at = [], 0
    while True:
        end = body.index(b"\r\n", at)
        size = int(body[at:end].partition(b";")[0], 16)
        if not size:
            return b"".join(parts)
        parts.append(bytes(body[end + 2 : end + 2 + size]))
        at = end + 2 + size + 2
