"""A SQLite file: how it is made, opened, brought to the present schema, and set aside.

Rules
- The file is made with mode 0600 (SQLite gives its -wal and -shm the same).
- `application_id` says whose file it is: another program's is never touched.
- `user_version` counts the steps of the schema that were taken; a newer one is refused.
- Only where the owner allows it (a cache; never a ledger) a damaged or newer file is renamed to
  `NAME.damaged-<time>` and a new one begun. Several workers may find the damage at once, so the
  renaming is done under a lock on the directory, and only if the path still names the file that
  was found damaged.
- No waiting in SQLite: `busy_timeout` is 0, and who meets SQLITE_BUSY comes back.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from proxy import clock
from proxy.backends.errors import (
    BackendCorruptError,
    BackendError,
    BackendLostError,
    BackendVersionError,
)

_log = structlog.get_logger("store")

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_LOG_SIZE = 64 * 1024 * 1024
"""Bytes to which the write-ahead log is cut back after a burst."""
_LOG_PAGES = 4000
"""Pages of the log after which it is written back: pages that change often are so less often."""
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


@dataclass(frozen=True, slots=True)
class Schema:
    """The tables of one kind of file.

    `steps[n]` is the SQL that leads from version n to n + 1, so the version is their number.
    """

    application_id: int
    """Any number of 31 bits that no other kind of file uses (`PRAGMA application_id`)."""
    steps: tuple[str, ...]

    @property
    def version(self) -> int:
        """`user_version` of a file that is up to date."""
        return len(self.steps)


def is_busy(error: sqlite3.Error) -> bool:
    """Whether somebody else holds the lock, so that coming back helps."""
    return _primary(error) in _BUSY


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file itself is broken."""
    return _primary(error) in _DAMAGED


def translated(error: sqlite3.Error, path: Path) -> BackendError:
    """Return the house's word for an error of SQLite."""
    if is_damage(error):
        return BackendCorruptError(f"{path}: {error}")
    return BackendLostError(f"{path}: {error}")


def open_file(
    path: Path, schema: Schema, *, replace_damaged: bool
) -> tuple[sqlite3.Connection, int]:
    """Open `path`, made where there is none, with `schema` in force; return it and its inode.

    Raises:
        sqlite3.Error: busy; nothing is changed, the caller comes back.
        BackendCorruptError: damaged or another program's, and not to be replaced.
        BackendVersionError: of a newer version, and not to be replaced.
        BackendLostError: the file cannot be made or opened.

    """
    try:
        return _opened(path, schema)
    except OSError as error:
        raise BackendLostError(f"{path}: {error.strerror}", sent=False) from error
    except (sqlite3.DatabaseError, BackendVersionError) as error:
        if isinstance(error, sqlite3.DatabaseError) and not is_damage(error):
            if is_busy(error):
                raise
            raise translated(error, path) from error
        if not replace_damaged:
            raise _refusal(error, path) from error
        return _begun_anew(path, schema, str(error))


def _begun_anew(path: Path, schema: Schema, reason: str) -> tuple[sqlite3.Connection, int]:
    try:
        set_aside(path, path.stat().st_ino, reason)
        return _opened(path, schema)
    except OSError as error:
        raise BackendLostError(f"{path} is damaged and in the way: {error}") from error


def _refusal(error: sqlite3.Error | BackendVersionError, path: Path) -> BackendError:
    return error if isinstance(error, BackendVersionError) else translated(error, path)


def set_aside(path: Path, inode: int, reason: str) -> None:
    """Rename the damaged file and its log, unless another worker has done so already."""
    with _directory_lock(path.parent):
        if not path.exists() or path.stat().st_ino != inode:
            return
        aside = path.with_name(f"{path.name}.damaged-{int(clock.wall())}")
        for suffix in ("", "-wal", "-shm"):
            part = path.with_name(path.name + suffix)
            if part.exists():
                part.rename(aside.with_name(aside.name + suffix))
    _log.error("store_set_aside", path=str(path), kept_as=str(aside), reason=reason)


def _primary(error: sqlite3.Error) -> int:
    """Return the primary result code, which is the low byte of the extended one."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _opened(path: Path, schema: Schema) -> tuple[sqlite3.Connection, int]:
    _make(path)
    inode = path.stat().st_ino  # before it is opened: if it is replaced meanwhile, we notice later
    connection = sqlite3.connect(path, timeout=0.0, isolation_level=None, cached_statements=256)
    try:
        _require_ours(connection, schema, path)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA trusted_schema=OFF")
        connection.execute("PRAGMA temp_store=MEMORY")  # savepoints are no files
        connection.execute(f"PRAGMA journal_size_limit={_LOG_SIZE}")
        connection.execute(f"PRAGMA wal_autocheckpoint={_LOG_PAGES}")
        _migrate(connection, schema, path)
    except BaseException:
        connection.close()
        raise
    return connection, inode


def _require_ours(connection: sqlite3.Connection, schema: Schema, path: Path) -> None:
    """Refuse a file with tables that are not this schema's: it is never set aside either.

    The tables are looked at first: another process may be making them, and commits them together
    with the id. Asked the other way round, the id could be missing and the tables there.
    """
    with closing(connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1")) as rows:
        empty = rows.fetchone() is None
    found = _pragma(connection, "application_id")
    if found != schema.application_id and not empty:
        raise BackendLostError(f"{path} is another program's database, or of another kind")


def _migrate(connection: sqlite3.Connection, schema: Schema, path: Path) -> None:
    if _pragma(connection, "user_version") == schema.version:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        _take_steps(connection, schema, path)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _take_steps(connection: sqlite3.Connection, schema: Schema, path: Path) -> None:
    version = _pragma(connection, "user_version")  # under the lock: another worker may be first
    if version > schema.version:
        raise BackendVersionError(
            f"{path} has schema {version}, newer than {schema.version}, the newest known here"
        )
    for step in schema.steps[version:]:
        for statement in _statements(step):
            connection.execute(statement)
    connection.execute(f"PRAGMA application_id={schema.application_id:d}")
    connection.execute(f"PRAGMA user_version={schema.version:d}")


def _statements(step: str) -> Iterator[str]:
    """Split SQL into statements (`executescript` would commit between them)."""
    pending = ""
    for piece in step.split(";"):
        pending += piece + ";"
        if sqlite3.complete_statement(pending):
            if pending.strip(" \n;"):
                yield pending
            pending = ""


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    with closing(connection.execute(f"PRAGMA {name}")) as rows:
        return int(rows.fetchone()[0])


@contextmanager
def _directory_lock(directory: Path) -> Iterator[None]:
    handle = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
