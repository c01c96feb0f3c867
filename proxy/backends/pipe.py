"""One connection to a Redis server, on which commands travel without waiting for each other.

Rules
- What is submitted in one tick of the loop leaves in one write, and what nobody waits for goes
  along; replies come in the order of the commands (RESP2), so a queue of who waits, or hears, is
  all the bookkeeping there is, and no lock.
- Every command has the same deadline, so only the oldest is watched: when it is late, the
  connection is dropped and all that waits on it fails. Replies cannot be skipped, only awaited.
- A late timer may only mean that this loop was busy: the oldest gets a second look.
- hiredis packs and parses; an error reply becomes an exception of this room.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias, cast

import hiredis

from proxy.backends.errors import BackendError, BackendLostError, BackendReplyError

Argument: TypeAlias = bytes | str | int | float

MOMENT = 0.001
"""Seconds after which what nobody waits for leaves by itself."""
_SECOND_LOOK = 0.02
_NO_SCRIPT = "NOSCRIPT"
_QUIET = 4
"""Turns of the loop in which whoever waited for a reply has sent what follows from it."""
_UNAVAILABLE = frozenset({"LOADING", "MASTERDOWN", "CLUSTERDOWN", "READONLY", "TRYAGAIN"})
"""Codes that say "not here, or not now": nothing was done."""
_INCOMPLETE = object()

Heard: TypeAlias = Callable[[Any, BackendError | None], None]
"""Hears a command's reply, or why there is none, at once when it comes."""

_Waiting: TypeAlias = "tuple[float, int, asyncio.Future[Any] | Heard, Callable[[], bytes] | None]"
"""Deadline and size of a command, what waits for its reply, and its script's text."""


def packed(command: tuple[Argument, ...]) -> bytes:
    """Return a command as it goes over the wire."""
    return bytes(hiredis.pack_command(command))  # type: ignore[arg-type]  # its stub forbids bytes


def bulk(argument: bytes) -> bytes:
    """Return one argument as it goes over the wire."""
    return b"$%d\r\n%b\r\n" % (len(argument), argument)


class Pipe(asyncio.Protocol):
    """A connection, and who waits for its replies."""

    def __init__(self, timeout: float, on_lost: Callable[["Pipe", str], None]) -> None:
        """Take the deadline of each command, and what to call once when the connection ends."""
        self.backlog = 0
        """Bytes of commands that have no reply yet."""
        self.refused = ""
        """Code of the last reply that said the server cannot serve (`READONLY`, …)."""
        self._loop = asyncio.get_running_loop()
        self._timeout = timeout
        self._on_lost = on_lost
        self._reader = hiredis.Reader(notEnoughData=_INCOMPLETE)
        self._transport: asyncio.Transport | None = None
        self._outgoing: list[bytes] = []
        self._flushing = False
        """What is outgoing leaves in this tick."""
        self._later: asyncio.TimerHandle | None = None
        self._waiting: deque[_Waiting] = deque()
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._lost = ""
        self._drained: asyncio.Future[None] | None = None

    def submit(
        self, command: bytes, text: Callable[[], bytes] | None = None
    ) -> "asyncio.Future[Any]":
        """Send a packed command with the others of this tick; return what its reply resolves.

        `text` gives the command that is sent instead where the server does not know its script.

        Raises:
            BackendLostError: the connection has ended.

        """
        if self._lost:
            raise BackendLostError(self._lost, sent=False)
        future: asyncio.Future[Any] = self._loop.create_future()
        self._put(command, future, text)
        if not self._flushing:
            self._flush_soon()
        return future

    def tell(self, command: bytes, heard: Heard, text: Callable[[], bytes] | None = None) -> None:
        """Send a packed command that nobody waits for: `heard` hears its reply.

        It leaves with the next one that somebody waits for, or after `MOMENT`.

        Raises:
            BackendLostError: the connection has ended; `heard` hears nothing.

        """
        if self._lost:
            raise BackendLostError(self._lost, sent=False)
        self._put(command, heard, text)
        if self._later is None:
            self._later = self._loop.call_later(MOMENT, self._flush_late)

    def _put(
        self,
        command: bytes,
        waiting: "asyncio.Future[Any] | Heard",
        text: Callable[[], bytes] | None,
    ) -> None:
        if not self._outgoing:
            self._deadline = self._loop.time() + self._timeout
        self._outgoing.append(command)
        size = len(command)
        self.backlog += size
        self._waiting.append((self._deadline, size, waiting, text))

    async def drained(self) -> None:
        """Return when all that was sent has its reply, or the connection has ended.

        What is sent because of a reply (a landing after a write) counts as well.
        """
        quiet = 0
        while quiet < _QUIET:
            if self._waiting:
                self._drained = self._loop.create_future()
                await self._drained
                quiet = 0
            else:
                await asyncio.sleep(0)
                quiet += 1

    def drop(self, reason: str) -> None:
        """End the connection; all that waits on it fails."""
        if self._lost:
            return
        self._lost = reason
        for timer in (self._timer, self._later):
            if timer is not None:
                timer.cancel()
        if self._transport is not None:
            self._transport.abort()
        self._outgoing.clear()
        waiting, self._waiting = self._waiting, deque()
        for _, _, each, _ in waiting:
            if not isinstance(each, asyncio.Future):
                self._be_heard(each, None, BackendLostError(reason))
            elif not each.done():
                each.set_exception(BackendLostError(reason))
                each.exception()  # seen, where the caller has gone
        self._note_drained()
        self._on_lost(self, reason)

    # ── asyncio.Protocol ──

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport (called by the loop)."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what waits (called by the loop)."""
        self.drop(str(exc) if exc else "connection closed by the server")

    def data_received(self, data: bytes) -> None:
        """Hand each reply to whom it belongs (called by the loop)."""
        reader = self._reader
        waiting = self._waiting
        try:
            reader.feed(data)
            while (reply := reader.gets()) is not _INCOMPLETE:
                _, size, each, text = waiting.popleft()
                self.backlog -= size
                if isinstance(reply, hiredis.ReplyError):
                    self._refused(str(reply), each, text)
                elif not isinstance(each, asyncio.Future):
                    self._be_heard(each, reply, None)
                elif not each.done():
                    each.set_result(reply)
        except (hiredis.ProtocolError, IndexError) as error:
            self.drop(f"not the Redis protocol: {error}")
        self._note_drained()

    # ── inside ──

    def _refused(
        self,
        message: str,
        waiting: "asyncio.Future[Any] | Heard",
        text: Callable[[], bytes] | None,
    ) -> None:
        """Take an error reply: to whom it belongs, unless the script is only to be told whole."""
        gone = isinstance(waiting, asyncio.Future) and waiting.done()
        if gone:
            return
        if text is not None and message.startswith(_NO_SCRIPT):
            self._put(text(), waiting, None)
            self._flush_soon()
        elif isinstance(waiting, asyncio.Future):
            waiting.set_exception(self._translated(message))
        else:
            self._be_heard(waiting, None, self._translated(message))

    def _be_heard(self, heard: Heard, reply: object, error: BackendError | None) -> None:
        try:
            heard(reply, error)
        except Exception as wrong:  # noqa: BLE001 - the replies behind it are for others
            told = {"message": "a reply was not heard", "exception": wrong}
            self._loop.call_exception_handler(told)

    def _note_drained(self) -> None:
        drained = self._drained
        if drained is not None and not drained.done() and not self._waiting:
            drained.set_result(None)

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush_late(self) -> None:
        self._later = None
        self._flush()

    def _flush(self) -> None:
        self._flushing = False
        if self._transport is None or not self._outgoing:
            return
        self._transport.write(b"".join(self._outgoing))
        self._outgoing.clear()
        if self._timer is None:
            self._timer = self._loop.call_at(self._deadline, self._look)

    def _look(self) -> None:
        """See whether the oldest command is late."""
        self._timer = None
        if not self._waiting or self._lost:
            return
        deadline, _, oldest, _ = self._waiting[0]
        if self._loop.time() < deadline:
            self._timer = self._loop.call_at(deadline, self._look)
        else:
            self._timer = self._loop.call_later(_SECOND_LOOK, self._look_again, oldest)

    def _look_again(self, oldest: "asyncio.Future[Any] | Heard") -> None:
        self._timer = None
        if self._waiting and self._waiting[0][2] is oldest:
            self.drop(f"no reply within {self._timeout:g} s")
        else:
            self._look()

    def _translated(self, message: str) -> BackendError:
        code = message.split(" ", 1)[0]
        if code not in _UNAVAILABLE:
            return BackendReplyError(message)
        self.refused = code
        if code == "READONLY":  # a master that became a replica: whoever owns us asks again where
            self._loop.call_soon(self.drop, message)
        return BackendLostError(message, sent=False)
