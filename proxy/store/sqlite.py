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
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

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
    ),
)

_GET: Final = "SELECT value FROM entries WHERE key = ? AND expires_at > ?"
_PUT: Final = """
    INSERT INTO entries (key, received_at, expires_at, value)
    VALUES (:key, :received, :ends, :value)
    ON CONFLICT (key) DO UPDATE
    SET received_at = excluded.received_at, expires_at = excluded.expires_at, value = excluded.value
    WHERE excluded.received_at >= received_at OR received_at > :now OR expires_at <= :now
"""
_SWEEP: Final = """
    DELETE FROM entries WHERE id IN
        (SELECT id FROM entries WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)
"""
_STEP: Final = 200
"""Rows that go in one transaction: a few milliseconds."""
_PAUSE: Final = 5.0
"""Seconds between two looks at what has ended."""
_MOST_STEPS: Final = 5
"""Steps that one put may take to make room."""


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
        return (await self.get_many((key,)))[0]

    async def get_many(self, keys: Sequence[str]) -> tuple[Entry | None, ...]:
        """Return what is stored under each key, in their order, from one moment."""
        now = self._now()

        def look_up(connection: sqlite3.Connection) -> list[bytes | None]:
            rows = [connection.execute(_GET, (key, now)).fetchone() for key in keys]
            return [row and row[0] for row in rows]

        coming = [self._on_their_way.get(key) for key in keys]
        values = await self._operations.attempt(
            "get", lambda: self._database.read(look_up), [None] * len(keys)
        )
        entries = tuple(
            _newer(codec.decode(value, key), put)
            for key, value, put in zip(keys, values, coming, strict=True)
        )
        for entry in entries:
            self._operations.looked_up(found=entry is not None)
        return entries

    async def put(self, entry: Entry, keep: float) -> None:
        """Store an entry for at most `keep` seconds."""
        value = await codec.packed(entry)
        now = self._now()
        row = {
            "key": entry.key,
            "received": entry.received_at,
            "ends": now + keep,
            "value": value,
            "now": now,
        }
        if len(value) > self._max_size // 4:
            return

        def upsert(connection: sqlite3.Connection) -> None:
            _make_room(connection, self._max_size - len(value))
            connection.execute(_PUT, row)

        self._on_their_way[entry.key] = entry
        try:
            await self._operations.attempt(
                "put", lambda: self._database.write(upsert, behind=True), None
            )
        finally:
            if self._on_their_way.get(entry.key) is entry:
                del self._on_their_way[entry.key]

    async def delete(self, key: str) -> None:
        """Forget what is stored under `key`."""

        def remove(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM entries WHERE key = ?", (key,))

        self._on_their_way.pop(key, None)

        await self._operations.attempt("delete", lambda: self._database.write(remove), None)

    async def sweep(self) -> int:
        """Remove some of the rows that have ended; return how many."""
        now = self._now()
        return await self._operations.attempt(
            "sweep",
            lambda: self._database.write(
                lambda connection: connection.execute(_SWEEP, (now, _STEP)).rowcount
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

    async def _keep_house(self) -> None:
        """Sweep for as long as the store is open."""
        while True:
            full = await self.sweep() == _STEP
            pause = _PAUSE / 100 if full else _PAUSE
            await asyncio.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - jitter


def _newer(kept: Entry | None, coming: Entry | None) -> Entry | None:
    """Return what is to be believed: what is in the file, or what is about to be."""
    if kept is None or coming is None:
        return kept or coming
    return coming if coming.received_at > kept.received_at else kept


def _standing(connection: sqlite3.Connection) -> tuple[int | None, int | None]:
    return connection.execute("SELECT entries FROM tally").fetchone()[0], _used(connection)


def _used(connection: sqlite3.Connection) -> int:
    """Return the bytes of the pages that hold something; takes no scan."""
    count, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size")
    )
    return int((count - free) * size)


def _make_room(connection: sqlite3.Connection, most: int) -> None:
    """Evict what ends soonest, while more than `most` bytes are used."""
    for _ in range(_MOST_STEPS):
        if _used(connection) <= most:
            return
        connection.execute(_SWEEP, (float("inf"), _STEP))
