"""A SQLite file: made, opened, brought to the present schema, set aside."""

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from proxy.backends.database import Schema, open_file, set_aside
from proxy.backends.errors import BackendCorruptError, BackendLostError, BackendVersionError

ONE = Schema(7, ("CREATE TABLE t (a); INSERT INTO t VALUES ('one; two')",))
TWO = Schema(7, (*ONE.steps, "ALTER TABLE t ADD COLUMN b; UPDATE t SET b = 2"))
GARBAGE = b"this was a database once " * 200


def rows(path: Path, schema: Schema, *, replace_damaged: bool = False) -> list[object]:
    connection, _ = open_file(path, schema, replace_damaged=replace_damaged)
    with closing(connection):
        return connection.execute("SELECT * FROM t").fetchall()


def test_a_file_is_made_with_its_folders_for_its_owner_only(tmp_path: Path) -> None:
    """Mode 0600, whatever the umask; the write-ahead log as well."""
    path = tmp_path / "var" / "deep" / "a.db"
    connection, inode = open_file(path, ONE, replace_damaged=False)
    connection.execute("INSERT INTO t VALUES (1)")

    modes = {stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    assert modes == {0o600}
    assert inode == path.stat().st_ino
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_only_the_steps_that_are_missing_are_taken(tmp_path: Path) -> None:
    """A file of version 1 becomes one of version 2 and keeps its rows; opened again, it stays."""
    path = tmp_path / "a.db"
    rows(path, ONE)

    assert rows(path, TWO) == [("one; two", 2)]
    assert rows(path, TWO) == [("one; two", 2)]


def test_a_newer_file_is_refused_where_nothing_may_be_lost(tmp_path: Path) -> None:
    """A ledger of a newer version is an error, and stays as it was."""
    path = tmp_path / "a.db"
    rows(path, TWO)

    with pytest.raises(BackendVersionError):
        rows(path, ONE)
    assert rows(path, TWO) == [("one; two", 2)]


def test_a_damaged_file_is_refused_where_nothing_may_be_lost(tmp_path: Path) -> None:
    """A damaged ledger is an error, and stays as it was."""
    path = tmp_path / "a.db"
    path.write_bytes(GARBAGE)

    with pytest.raises(BackendCorruptError):
        rows(path, ONE)
    assert path.read_bytes() == GARBAGE


@pytest.mark.parametrize("newer", [True, False])
def test_a_cache_that_cannot_be_read_is_set_aside(tmp_path: Path, *, newer: bool) -> None:
    """A damaged or newer cache is kept under another name, and a new one is begun."""
    path = tmp_path / "a.db"
    if newer:
        rows(path, TWO)
    else:
        path.write_bytes(GARBAGE)
    kept = path.read_bytes()

    assert rows(path, ONE, replace_damaged=True) == [("one; two",)]
    (aside,) = tmp_path.glob("a.db.damaged-*")
    assert aside.read_bytes() == kept


def test_another_programs_database_is_never_touched(tmp_path: Path) -> None:
    """Not even where a damaged file would be replaced."""
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as theirs:
        theirs.execute("CREATE TABLE letters (a)")

    with pytest.raises(BackendLostError):
        rows(path, ONE, replace_damaged=True)
    assert [each.name for each in tmp_path.iterdir()] == ["a.db"]


def test_a_file_that_was_replaced_meanwhile_is_not_set_aside(tmp_path: Path) -> None:
    """1. A finds the damage. 2. B finds it, renames it, begins anew. 3. A must leave B's alone."""
    path = tmp_path / "a.db"
    path.write_bytes(GARBAGE)
    found = path.stat().st_ino
    set_aside(path, found, "B found it")
    rows(path, ONE)
    if path.stat().st_ino == found:
        pytest.skip("this file system gives the number to the next file at once")
    set_aside(path, found, "A found it")

    assert rows(path, ONE) == [("one; two",)]


def test_a_folder_that_cannot_be_made_is_a_lost_backend(tmp_path: Path) -> None:
    """What the system refuses is an error of this room, and nothing was done."""
    (tmp_path / "file").touch()
    with pytest.raises(BackendLostError):
        rows(tmp_path / "file" / "a.db", ONE)


def test_a_step_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    """A migration is one transaction: all of its steps or none."""
    path = tmp_path / "a.db"
    rows(path, ONE)
    with pytest.raises(BackendLostError):
        rows(path, Schema(7, (*ONE.steps, "CREATE TABLE u (a); CREATE TABLE t (a)")))

    assert rows(path, ONE) == [("one; two",)]
