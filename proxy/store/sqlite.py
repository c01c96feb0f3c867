"""Entries in a SQLite file that all workers of a machine share and that survives a restart.

Rules
- Look-ups never see an entry past its end; the rows themselves are swept in small steps, one of
  which never holds the lock for long. Nothing scans the table, at the start or later.
- The file's used pages are held below `max_size`: what ends soonest goes first, so what has ended
  already goes before all else.
- A newer entry is never replaced by an older one (two workers may have fetched at once), unless it
  claims to come from the future: then some clock was wrong.
- A damaged file is set aside and a new one begun: it is only a cache.
"""

import asyncio
import random
import sqlite3
from collections.abc import Callable, Coroutine, Sequence
from functools import lru_cache
from itertools import chain
from pathlib import Path
from time import perf_counter
from typing import Any, Final, TypeAlias

import msgspec

from proxy import clock
from proxy.backends.database import Schema
from proxy.backends.errors import BackendError
from proxy.backends.sqlite import Sqlite
from proxy.core.model import Entry
from proxy.store import codec
from proxy.store.operations import Observe, Operations, StoreFigures, Watcher
from proxy.tasks import Tasks

SCHEMA: Final = Schema(
    application_id=0x51504331,  # "QPC1"
    steps=(
        """
        CREATE TABLE entries (
            id INTEGER PRIMARY KEY,
            key TEXT NOT NULL UNIQUE,
            received_at REAL NOT NULL,
            expires_at REAL NOT NULL,
            value BLOB NOT NULL
        );
        CREATE INDEX entries_by_end ON entries (expires_at);
        CREATE TABLE tally (entries INTEGER NOT NULL);
        INSERT INTO tally VALUES (0);
        CREATE TRIGGER entry_came AFTER INSERT ON entries
            BEGIN UPDATE tally SET entries = entries + 1; END;
        CREATE TRIGGER entry_went AFTER DELETE ON entries
            BEGIN UPDATE tally SET entries = entries - 1; END;
        """,
        # Whoever writes counts for all rows at once: the triggers were a quarter of each put.
        "DROP TRIGGER entry_came; DROP TRIGGER entry_went;",
    ),
)

_INSERT: Final = "INSERT OR IGNORE INTO entries (key, received_at, expires_at, value) VALUES "
_UPDATE: Final = """
    UPDATE entries SET received_at = ?2, expires_at = ?3, value = ?4
    WHERE key = ?1 AND (?2 >= received_at OR received_at > ?5 OR expires_at <= ?5)
"""
_DELETE: Final = "DELETE FROM entries WHERE key = ?"
_COUNT: Final = "UPDATE tally SET entries = entries + ?"
_SWEEP: Final = """
    DELETE FROM entries WHERE id IN
        (SELECT id FROM entries WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)
"""
_STEP: Final = 200
"""Rows that go in one transaction: a few milliseconds."""
_PAUSE: Final = 5.0
"""Seconds between two looks at what has ended."""
_MOST_STEPS: Final = 5
"""Steps that may be taken at a time to make room."""
_TOGETHER: Final = 32
"""Entries that are looked up, or put, by one statement, or after one look at the room."""

_Row: TypeAlias = tuple[str, float, float, bytes]
"""Key, received at, ends, and value."""


class _Put(msgspec.Struct):
    """An entry on its way into the file."""

    entry: Entry
    row: _Row
    started: float
    done: "asyncio.Future[None]"


class SqliteStore:
    """The store in a file."""

    def __init__(
        self,
        path: Path | str,
        *,
        max_size: int,
        observe: Observe,
        now: Callable[[], float] = clock.wall,
    ) -> None:
        """Take the file, the most bytes it may use, and whom to tell of each operation."""
        self._database = Sqlite(path, SCHEMA, replace_damaged=True)
        self._max_size = max_size
        self._now = now
        self._operations = Operations(observe)
        self._measured: sqlite3.Connection | None = None
        self._page = 0
        """Bytes of a page of the file behind that connection."""
        self._on_their_way: dict[str, Entry] = {}
        """Entries that are being put: whoever asks before they are in the file gets them too."""
        self._tasks = Tasks(self._operations.stumbled)
        self._database.on_change(self._operations.note)

    @property
    def up(self) -> bool:
        """Whether the last use of the file went well."""
        return self._database.up

    def on_change(self, watcher: Watcher) -> None:
        """Have `watcher(up, reason)` called whenever the file is lost or found."""
        self._operations.watch(watcher)

    async def open(self) -> bool:
        """Open the file, and begin to sweep; return whether it is up. Later calls try again."""
        try:
            await self._database.open()
        except BackendError as error:
            self._operations.note(False, str(error))  # noqa: FBT003 - the watcher's shape
        self._tasks.start(self._keep_house(), "sweep the store")
        return self.up

    async def close(self) -> None:
        """Stop sweeping, write what was submitted, and close the file."""
        await self._tasks.close()
        await self._database.close()

    async def get(self, key: str) -> Entry | None:
        """Return what is stored under `key`; None for nothing, unreadable, or a lost store."""
        started = perf_counter()
        coming = self._on_their_way.get(key)
        value, error = None, None
        try:
            value = await self._database.read_joined(self._look_up, key)
        except BackendError as lost:
            error = lost
        finally:
            self._operations.ended("get", started, error)
        entry = None if value is None else codec.decode(value, key)
        if coming is not None:
            entry = _newer(entry, coming)
        self._operations.looked_up(found=entry is not None)
        return entry

    async def get_many(self, keys: Sequence[str]) -> tuple[Entry | None, ...]:
        """Return what is stored under each key, in their order."""
        return tuple(await asyncio.gather(*(self.get(key) for key in keys)))

    def put(self, entry: Entry, keep: float) -> "Coroutine[Any, Any, None] | asyncio.Future[None]":
        """Store an entry for at most `keep` seconds; under way on return, unless it is large."""
        if len(entry.body) >= codec.BIG and codec.is_slow(entry):
            return self._put_slowly(entry, keep)
        return self._put(entry, codec.packed_now(entry), keep)

    async def _put_slowly(self, entry: Entry, keep: float) -> None:
        await self._put(entry, await codec.packed(entry), keep)

    def _put(self, entry: Entry, value: bytes, keep: float) -> "asyncio.Future[None]":
        """Write an entry; what is returned ends when it is in the file, or will not be."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if len(value) > self._max_size // 4:
            done.set_result(None)
            return done
        row = (entry.key, entry.received_at, self._now() + keep, value)
        put = _Put(entry, row, perf_counter(), done)
        self._on_their_way[entry.key] = entry
        try:
            self._database.write_behind(self._write, put, self._written)
        except BackendError as lost:
            self._written(put, lost)
        return done

    def _written(self, put: _Put, error: BaseException | None) -> None:
        if self._on_their_way.get(put.entry.key) is put.entry:
            del self._on_their_way[put.entry.key]
        if not put.done.done():
            put.done.set_result(None)
        self._operations.ended("put", put.started, error)

    async def delete(self, key: str) -> None:
        """Forget what is stored under `key`."""

        def remove(connection: sqlite3.Connection) -> None:
            _removed(connection, _DELETE, (key,))

        self._on_their_way.pop(key, None)

        await self._operations.attempt("delete", lambda: self._database.write(remove), None)

    async def sweep(self) -> int:
        """Remove some of the rows that have ended; return how many."""
        now = self._now()
        return await self._operations.attempt(
            "sweep",
            lambda: self._database.write(
                lambda connection: _removed(connection, _SWEEP, (now, _STEP))
            ),
            0,
        )

    async def health(self) -> tuple[bool, float]:
        """Return `(up, seconds that a look at the file took)`."""
        await self._operations.attempt(
            "health", lambda: self._database.read(lambda _connection: None), None
        )
        return self.up, self._database.latency

    async def figures(self) -> StoreFigures:
        """Return how the store stands; operations, hits and misses are this process's."""
        keys, used = await self._operations.attempt(
            "figures", lambda: self._database.read(_standing), (None, None)
        )
        done = self._operations
        return StoreFigures(
            "sqlite",
            up=self.up,
            keys=keys,
            memory=used,
            operations=done.done,
            keyspace_hits=done.hits,
            keyspace_misses=done.misses,
            errors=dict(done.errors),
        )

    async def warnings(self) -> tuple[str, ...]:
        """Return none: a file has no settings of its own."""
        return ()

    def _look_up(self, connection: sqlite3.Connection, keys: list[str]) -> list[bytes | None]:
        """Read what is stored under each key, as of one moment for some at a time."""
        now = self._now()
        found: dict[str, bytes] = {}
        for at in range(0, len(keys), _TOGETHER):
            some = keys[at : at + _TOGETHER]
            found.update(connection.execute(_select(len(some)), (*some, now)))
        return [found.get(key) for key in keys]

    def _write(self, connection: sqlite3.Connection, puts: list[_Put]) -> None:
        """Write rows, and make room for some at a time."""
        for at in range(0, len(puts), _TOGETHER):
            some = [put.row for put in puts[at : at + _TOGETHER]]
            self._make_room(connection, self._max_size - sum([len(row[3]) for row in some]))
            added = connection.execute(_insert(len(some)), tuple(chain(*some))).rowcount
            if added:
                connection.execute(_COUNT, (added,))
            if added < len(some):
                now = self._now()
                connection.executemany(_UPDATE, [(*row, now) for row in some])

    def _make_room(self, connection: sqlite3.Connection, most: int) -> None:
        """Evict what ends soonest, while more than `most` bytes are used."""
        if connection is not self._measured:
            self._measured, self._page = connection, _pragma(connection, "page_size")
        for _ in range(_MOST_STEPS):
            if _pragma(connection, "page_count") * self._page <= most or _used(connection) <= most:
                return
            _removed(connection, _SWEEP, (float("inf"), _STEP))

    async def _keep_house(self) -> None:
        """Sweep for as long as the store is open."""
        while True:
            full = await self.sweep() == _STEP
            pause = _PAUSE / 100 if full else _PAUSE
            await asyncio.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - jitter


def _newer(kept: Entry | None, coming: Entry) -> Entry:
    """Return what is to be believed: what is in the file, or what is about to be."""
    return coming if kept is None or coming.received_at > kept.received_at else kept


@lru_cache(maxsize=_TOGETHER)
def _select(number: int) -> str:
    """Return the look-up of so many keys."""
    return (
        f"SELECT key, value FROM entries WHERE key IN ({', '.join('?' * number)})"  # noqa: S608
        " AND expires_at > ?"
    )


@lru_cache(maxsize=_TOGETHER)
def _insert(number: int) -> str:
    """Return what inserts so many rows: each statement lets go of the interpreter only once."""
    return _INSERT + ", ".join(["(?, ?, ?, ?)"] * number)


def _standing(connection: sqlite3.Connection) -> tuple[int | None, int | None]:
    return connection.execute("SELECT entries FROM tally").fetchone()[0], _used(connection)


def _used(connection: sqlite3.Connection) -> int:
    """Return the bytes of the pages that hold something; takes no scan."""
    free = _pragma(connection, "freelist_count")
    return (_pragma(connection, "page_count") - free) * _pragma(connection, "page_size")


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _removed(connection: sqlite3.Connection, statement: str, arguments: tuple[object, ...]) -> int:
    """Remove rows, and return how many went."""
    gone = connection.execute(statement, arguments).rowcount
    if gone:
        connection.execute(_COUNT, (-gone,))
    return gone
