"""SQLite for a loop: one thread with one connection, and one transaction for what meets in a tick.

Rules
- Calls that are submitted in one tick of the loop go to the thread together. Reads run first,
  outside any transaction, and are answered first; then all writes in one `BEGIN IMMEDIATE …
  COMMIT`, each in a savepoint of its own, so that one that fails undoes only itself.
- Calls of one kind that follow each other are joined: they are one call of their work, in one
  savepoint. Where it fails, they are done one by one.
- A write is answered after the commit, never before.
- A write that nobody waits for goes a moment later: behind the answer that made it, and together
  with others.
- Another process may hold the lock: the thread waits by short sleeps with jitter, at most
  `timeout` seconds, then the calls fail as lost. What arrives meanwhile joins the transaction. The
  loop never waits.
- A file that was removed or replaced under us (its inode says so) is opened anew.
"""

import asyncio
import os
import random
import sqlite3
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from time import perf_counter, sleep
from typing import Any, TypeVar

from proxy.backends.database import Schema, is_busy, is_damage, open_file, set_aside, translated
from proxy.backends.errors import BackendError, BackendLostError
from proxy.backends.sqlite_calls import Call, Heard, alone, ended_all, in_savepoint, tell_all

T = TypeVar("T")
A = TypeVar("A")

_SHORTEST_WAIT = 0.0002
_LONGEST_WAIT = 0.01
_BEHIND = 0.002
"""Seconds that a write waits for others, where nobody waits for it."""

_TURN = 0.001
"""Seconds after which a busy loop lets the thread go on: it asks a dozen times in a transaction."""


class Sqlite:
    """A SQLite file that is used from an event loop.

    `up` says whether the last batch could be done; `latency` how long it took, in seconds.
    """

    def __init__(
        self,
        path: Path | str,
        schema: Schema,
        *,
        replace_damaged: bool = False,
        timeout: float = 5.0,
    ) -> None:
        """Take the file's path (relative to the working directory) and what is in it.

        `replace_damaged`: a damaged or newer file is set aside and a new one begun (caches only).
        `timeout`: longest wait for another process's lock, in seconds.
        """
        self.path = Path(path)
        self._name = os.fspath(self.path)
        self.up = False
        self.latency = 0.0
        self._schema = schema
        self._replace_damaged = replace_damaged
        self._timeout = timeout
        self._submitted: list[Call] = []
        self._last_read: Call | None = None
        self._last_write: Call | None = None
        """What was submitted last: others may join it."""
        self._soon = False
        """Whether what is submitted goes in the loop's next tick."""
        self._inbox: SimpleQueue[list[Call] | None] = SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._closing = False
        self._watchers: list[Callable[[bool, str], None]] = []

    def on_change(self, watcher: Callable[[bool, str], None]) -> None:
        """Have `watcher(up, reason)` called in the loop whenever `up` changes."""
        self._watchers.append(watcher)

    async def open(self) -> None:
        """Start the thread and open the file; where that fails, later calls try again.

        Raises:
            BackendError: it cannot be opened (see `database.open_file`); the object can be used.

        """
        self._loop = asyncio.get_running_loop()
        sys.setswitchinterval(min(sys.getswitchinterval(), _TURN))
        self._thread = threading.Thread(
            target=self._serve, name=f"sqlite {self.path.name}", daemon=True
        )
        self._thread.start()
        await self.read(lambda _connection: None)

    async def close(self) -> None:
        """Do what was submitted, close the file, and end the thread."""
        if self._thread is None:
            return
        self._closing = True
        self._flush()
        self._inbox.put(None)
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join)
        self._thread = None
        self.up = False

    def read(self, work: Callable[[sqlite3.Connection], T]) -> "asyncio.Future[T]":
        """Run `work` in the thread; it must not write.

        Raises (when awaited):
            BackendError: the file is lost or damaged; whatever else `work` raises comes as it is.

        """
        return self._submit(alone(work), writes=False)

    def write(self, work: Callable[[sqlite3.Connection], T]) -> "asyncio.Future[T]":
        """Run `work` inside a transaction shared with what meets in this tick; see `read`.

        `work` neither begins nor ends a transaction; what it raises undoes only what it did.
        """
        return self._submit(alone(work), writes=True)

    def read_joined(
        self, work: Callable[[sqlite3.Connection, list[A]], Sequence[T]], asked: A
    ) -> "asyncio.Future[T]":
        """Have `work` read what is asked, and what others ask of the same `work` just now.

        It returns an answer for each, in their order; see `read`.
        """
        call = self._last_read
        if call is None or call.work != work:
            call = self._last_read = self._call(work, None, writes=False)
            self._flush_soon()
        future: asyncio.Future[T] = self._running().create_future()
        call.asked.append(asked)
        call.futures.append(future)
        return future

    def write_behind(
        self,
        work: Callable[[sqlite3.Connection, list[A]], object],
        asked: A,
        heard: Callable[[A, BaseException | None], None],
    ) -> None:
        """Have `work` write what is asked, and what others ask of it in this moment; see `write`.

        Nobody waits for it: it goes with the next call, or a moment later. `heard` is told in the
        loop what was asked when that is committed, or with the error why it is not.
        """
        call = self._last_write
        if call is None or call.work != work or call.heard != heard:
            if not self._submitted:
                self._running().call_later(_BEHIND, self._flush)
            call = self._last_write = self._call(work, heard, writes=True)
        call.asked.append(asked)

    # ── in the loop ──

    def _submit(
        self, work: Callable[[sqlite3.Connection, list[Any]], Sequence[Any]], *, writes: bool
    ) -> "asyncio.Future[Any]":
        call = self._call(work, None, writes=writes)
        if writes:  # nothing that comes later may join what came before it
            self._last_write = None
        else:
            self._last_read = None
        self._flush_soon()
        future: asyncio.Future[Any] = self._running().create_future()
        call.asked.append(None)
        call.futures.append(future)
        return future

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._loop is None or self._closing:
            raise BackendLostError(f"{self.path} is closed", sent=False)
        return self._loop

    def _call(
        self,
        work: Callable[[sqlite3.Connection, list[Any]], Any],
        heard: Heard | None,
        *,
        writes: bool,
    ) -> Call:
        """Submit a call of which nothing is asked yet."""
        self._running()
        call = Call(work, writes, [], [], heard)
        self._submitted.append(call)
        return call

    def _flush_soon(self) -> None:
        if not self._soon:
            self._soon = True
            self._running().call_soon(self._flush)

    def _flush(self) -> None:
        self._soon = False
        if self._submitted:
            self._inbox.put(self._submitted)
            self._submitted = []
            self._last_read = self._last_write = None

    def _deliver(self, calls: list[Call], lost: BackendError | None, took: float) -> None:
        self.latency = took
        self._note(up=lost is None, reason="" if lost is None else str(lost))
        tell_all(calls)

    def _note(self, *, up: bool, reason: str) -> None:
        if up is self.up:
            return
        self.up = up
        for watcher in self._watchers:
            watcher(up, reason)

    # ── in the thread ──

    def _serve(self) -> None:
        while (calls := self._inbox.get()) is not None:
            started = perf_counter()
            lost = self._attempt(calls)
            self._in_loop(self._deliver, calls, lost, perf_counter() - started)
        self._disconnect()

    def _in_loop(self, action: Callable[..., None], *arguments: object) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(action, *arguments)

    def _attempt(self, calls: list[Call]) -> BackendError | None:
        """Do all that is asked; return why the file is lost, where it is."""
        try:
            connection = self._connected()
            reads = [call for call in calls if not call.writes]
            self._read_all(connection, reads)
            if len(reads) < len(calls):
                self._write_all(connection, calls, reads)
        except sqlite3.Error as error:
            lost = self._recovered(error)
        except BackendError as error:
            lost = error
        except Exception as error:  # noqa: BLE001 - whatever it is, the thread must live on
            lost = BackendLostError(f"{self.path}: {error!r}")
        else:
            return None
        for call in calls:
            if not call.done:
                call.error = lost
        return lost

    def _connected(self) -> sqlite3.Connection:
        if self._connection is not None and self._replaced():
            self._disconnect()
        if self._connection is None:
            self._connection, self._inode = self._patiently(
                lambda: open_file(self.path, self._schema, replace_damaged=self._replace_damaged)
            )
        return self._connection

    def _replaced(self) -> bool:
        try:
            return os.stat(self._name).st_ino != self._inode  # noqa: PTH116 - a third of its cost
        except OSError:
            return True

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _recovered(self, error: sqlite3.Error) -> BackendError:
        """Leave nothing behind that the next batch could trip over: it opens the file anew."""
        self._disconnect()
        if self._replace_damaged and is_damage(error):
            try:
                set_aside(self.path, self._inode, str(error))
            except OSError as refused:
                return BackendLostError(f"{self.path} is damaged and in the way: {refused}")
        return translated(error, self.path)

    def _read_all(self, connection: sqlite3.Connection, calls: list[Call]) -> None:
        for call in calls:
            try:
                call.answers = self._patiently(partial(call.work, connection, call.asked))
            except sqlite3.Error:
                raise
            except Exception as error:  # noqa: BLE001 - the caller's own; it gets it back
                if len(call.asked) > 1:
                    self._read_all(connection, call.split())
                else:
                    call.error = error
            call.done = True

    def _write_all(
        self, connection: sqlite3.Connection, calls: list[Call], reads: list[Call]
    ) -> None:
        """Write in one transaction; the reads, which were done, are answered before."""
        if reads:
            self._in_loop(tell_all, reads)
        self._patiently(partial(connection.execute, "BEGIN IMMEDIATE"))
        try:
            late = self._latecomers(calls)
            if late:
                self._read_all(connection, late)
                self._in_loop(tell_all, late)
            together = [call for call in calls if call.writes]
            if len(together) > 1 or not self._at_once(connection, together[0]):
                for call in together:
                    in_savepoint(connection, call)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            self._disconnect()  # its users may remember it as they had left it
            raise
        for call in together:
            call.done = True

    def _at_once(self, connection: sqlite3.Connection, call: Call) -> bool:
        """Do a transaction's only work, without the cost of a savepoint.

        Return False where it is to be done by parts; the transaction is then as when it began.
        """
        try:
            call.answers = call.work(connection, call.asked)
        except Exception as error:
            if ended_all(connection, error):
                raise
            connection.execute("ROLLBACK")
            self._patiently(partial(connection.execute, "BEGIN IMMEDIATE"))
            if len(call.asked) > 1:
                return False
            call.error = error
        return True

    def _latecomers(self, calls: list[Call]) -> list[Call]:
        """Take what arrived while the lock was awaited into this transaction; return the reads."""
        late: list[Call] = []
        while True:
            try:
                more = self._inbox.get_nowait()
            except Empty:
                break
            if more is None:
                self._inbox.put(None)
                break
            late += more
        calls += late
        return [call for call in late if not call.writes]

    def _patiently(self, action: Callable[[], T]) -> T:
        """Do `action`, again and again while another process holds the lock."""
        deadline = perf_counter() + self._timeout
        longest = _SHORTEST_WAIT
        while True:
            try:
                return action()
            except sqlite3.OperationalError as error:
                if not is_busy(error) or perf_counter() > deadline:
                    raise
            sleep(random.uniform(_SHORTEST_WAIT / 2, longest))  # noqa: S311 - jitter
            longest = min(_LONGEST_WAIT, longest * 2)
