"""SQLite as a loop uses it, in real files."""

import asyncio
import os
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from proxy.backends.database import Schema
from proxy.backends.errors import BackendCorruptError, BackendError, BackendLostError
from proxy.backends.sqlite import Sqlite

SCHEMA = Schema(7, ("CREATE TABLE t (a UNIQUE)",))


@asynccontextmanager
async def opened(path: Path, **settings: float) -> AsyncIterator[Sqlite]:
    database = Sqlite(path, SCHEMA, **settings)  # type: ignore[arg-type]
    await database.open()
    try:
        yield database
    finally:
        await database.close()


def insert(connection: sqlite3.Connection, value: object) -> None:
    connection.execute("INSERT INTO t VALUES (?)", (value,))


def remove_all(folder: Path) -> None:
    for part in folder.iterdir():
        part.unlink()


def count(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM t").fetchone()[0])


async def test_what_meets_in_a_tick_shares_one_transaction(tmp_path: Path) -> None:
    """A hundred writes submitted together are one commit: the log grows by a few frames."""
    async with opened(tmp_path / "a.db") as database:
        changes = await asyncio.gather(
            *(
                database.write(lambda c, n=n: (insert(c, n), c.total_changes)[1])  # type: ignore[misc]
                for n in range(100)
            )
        )
        statements: list[str] = []
        await database.read(lambda c: c.set_trace_callback(statements.append))
        await asyncio.gather(
            *(database.write(lambda c, n=n: insert(c, n)) for n in range(100, 200))  # type: ignore[misc]
        )

        assert len(set(changes)) == 100
        assert [each for each in statements if each in {"BEGIN IMMEDIATE", "COMMIT"}] == [
            "BEGIN IMMEDIATE",
            "COMMIT",
        ]
        assert await database.read(count) == 200


async def test_a_write_that_fails_undoes_only_itself(tmp_path: Path) -> None:
    """Its neighbours in the same transaction are kept, and it gets its own error."""

    def half(connection: sqlite3.Connection) -> None:
        insert(connection, "half")
        raise LookupError("changed its mind")

    async with opened(tmp_path / "a.db") as database:
        results = await asyncio.gather(
            database.write(lambda c: insert(c, 1)),
            database.write(half),
            database.write(lambda c: insert(c, 1)),
            database.write(lambda c: insert(c, 2)),
            return_exceptions=True,
        )

        assert [type(each) for each in results] == [
            type(None),
            LookupError,
            sqlite3.IntegrityError,
            type(None),
        ]
        assert await database.read(count) == 2
        assert database.up


async def test_two_processes_write_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    """Contention is met by waiting: 2 x 200 writes, each in a transaction of its own."""
    path = tmp_path / "a.db"
    program = (
        "import asyncio, sys, pathlib\n"
        "from proxy.backends.sqlite import Sqlite\n"
        "from proxy.backends.database import Schema\n"
        "async def main(path, mark):\n"
        "    database = Sqlite(path, Schema(7, ('CREATE TABLE t (a UNIQUE)',)))\n"
        "    await database.open()\n"
        "    for n in range(200):\n"
        "        await database.write(lambda c: c.execute('INSERT INTO t VALUES (?)',"
        " (f'{mark}{n}',)))\n"
        "    await database.close()\n"
        "asyncio.run(main(*sys.argv[1:]))\n"
    )
    processes = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", program, str(path), mark)
        for mark in "ab"
    ]
    codes = [await process.wait() for process in processes]
    async with opened(path) as database:
        assert codes == [0, 0]
        assert await database.read(count) == 400


async def test_a_lock_that_is_never_given_up_is_a_lost_backend(tmp_path: Path) -> None:
    """Who waits longer than `timeout` fails; reads go on; when the lock is free, writes do too."""
    async with opened(tmp_path / "a.db", timeout=0.05) as database:
        other = sqlite3.connect(database.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        read, write = await asyncio.gather(
            database.read(count), database.write(lambda c: insert(c, 1)), return_exceptions=True
        )
        other.execute("COMMIT")
        other.close()

        assert read == 0
        assert isinstance(write, BackendLostError)
        await database.write(lambda c: insert(c, 1))
        assert database.up


async def test_what_arrives_while_the_lock_is_awaited_joins(tmp_path: Path) -> None:
    """Calls of later ticks that find the thread waiting go in its transaction."""
    async with opened(tmp_path / "a.db") as database:
        statements: list[str] = []
        await database.read(lambda c: c.set_trace_callback(statements.append))
        other = sqlite3.connect(database.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        first = database.write(lambda c: insert(c, 1))
        await asyncio.sleep(0.01)  # several ticks: the thread is waiting by now
        late = [database.write(lambda c: insert(c, 2)), database.read(count)]
        await asyncio.sleep(0)
        other.execute("COMMIT")
        other.close()
        await asyncio.gather(first, *late)

        assert statements.count("COMMIT") == 1
        assert await database.read(count) == 2


async def test_a_file_that_was_removed_is_begun_anew(tmp_path: Path) -> None:
    """Writes never vanish into a file that has no name any more."""
    async with opened(tmp_path / "a.db") as database:
        await database.write(lambda c: insert(c, 1))
        remove_all(tmp_path)
        await database.write(lambda c: insert(c, 2))

        assert (tmp_path / "a.db").exists()
        assert await database.read(count) == 1


async def test_damage_found_in_use_sets_a_cache_aside(tmp_path: Path) -> None:
    """The call under way fails; the next one meets a new file."""
    path = tmp_path / "a.db"
    async with opened(path) as database:
        await database.write(lambda c: insert(c, "x" * 10_000))
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))  # the schema is readable
    told: list[bool] = []
    async with opened(path, replace_damaged=True) as database:
        database.on_change(lambda up, _reason: told.append(up))
        with pytest.raises(BackendCorruptError):
            await database.write(lambda c: insert(c, 1))
        await database.write(lambda c: insert(c, 1))

        assert told == [False, True]
        assert await database.read(count) == 1
    assert "a.db.damaged-" in " ".join(os.listdir(tmp_path))  # noqa: PTH208 - names alone


async def test_a_file_that_cannot_be_opened_is_told_and_tried_again(tmp_path: Path) -> None:
    """Opening fails; once the obstacle is gone, the next call opens it."""
    folder = tmp_path / "var"
    folder.touch()
    database = Sqlite(folder / "a.db", SCHEMA)
    with pytest.raises(BackendLostError):
        await database.open()
    assert not database.up
    folder.unlink()

    assert await database.read(count) == 0
    assert database.up
    await database.close()


async def test_an_error_that_nobody_foresaw_does_not_end_the_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call under way fails as lost, and the next one is served."""
    async with opened(tmp_path / "a.db") as database:
        with monkeypatch.context() as patched:
            patched.setattr(database, "_connected", lambda: 1 / 0)
            with pytest.raises(BackendLostError):
                await database.read(count)

        assert await database.read(count) == 0


async def test_close_does_what_was_submitted_and_takes_no_more(tmp_path: Path) -> None:
    """The last write is in the file; a call after the end fails at once."""
    database = Sqlite(tmp_path / "a.db", SCHEMA)
    await database.open()
    last = database.write(lambda c: insert(c, 1))
    await database.close()
    await last

    with pytest.raises(BackendError):
        database.read(count)
    async with opened(tmp_path / "a.db") as again:
        assert await again.read(count) == 1


async def test_a_caller_that_goes_away_does_no_harm(tmp_path: Path) -> None:
    """A cancelled call is carried out or not; the others are."""
    async with opened(tmp_path / "a.db") as database:
        gone = database.write(lambda c: insert(c, 1))
        here = database.write(lambda c: insert(c, 2))
        gone.cancel()
        await here

        assert await database.read(count) == 2


async def test_a_write_behind_goes_with_the_next_that_is_waited_for(tmp_path: Path) -> None:
    """It waits for a moment at most, keeps its place in the order, and shares the transaction."""
    async with opened(tmp_path / "a.db") as database:
        order: list[object] = []
        first, second = Hearing(1), Hearing(1)
        database.write_behind(lambda _, asked: order.extend(asked), "behind", first)
        await database.write(lambda _: order.append("waited for"))
        assert order == ["behind", "waited for"]
        assert first.all.is_set()
        database.write_behind(insert_all, 1, second)
        await asyncio.wait_for(second.all.wait(), 5)
        assert await database.read(count) == 1


def insert_all(connection: sqlite3.Connection, values: list[object]) -> None:
    for value in values:
        insert(connection, value)
        if value == "half":
            raise LookupError("changed its mind")


def look_up(connection: sqlite3.Connection, values: list[object]) -> list[tuple[int, object]]:
    found = {
        row[0]
        for value in values
        for row in connection.execute("SELECT a FROM t WHERE a = ?", (value,))
    }
    return [(len(values), value if value in found else None) for value in values]


class Hearing:
    """Hears what became of what was written behind, and lets it be waited for."""

    def __init__(self, number: int) -> None:
        self.heard: list[tuple[object, type[BaseException] | None]] = []
        self.all = asyncio.Event()
        self._number = number

    def __call__(self, asked: object, error: BaseException | None) -> None:
        self.heard.append((asked, type(error) if error else None))
        if len(self.heard) == self._number:
            self.all.set()


async def test_look_ups_of_one_kind_are_joined(tmp_path: Path) -> None:
    """They are one call of their work, and each gets its own answer."""
    async with opened(tmp_path / "a.db") as database:
        await database.write(lambda c: insert_all(c, [3, 7]))
        found = await asyncio.gather(
            *(database.read_joined(look_up, value) for value in (3, "none", 7))
        )

        assert found == [(3, 3), (3, None), (3, 7)]


async def test_writes_of_one_kind_are_joined(tmp_path: Path) -> None:
    """They are one call of their work; who hears of them hears of each."""
    sizes = []

    def counted(connection: sqlite3.Connection, values: list[object]) -> None:
        sizes.append(len(values))
        insert_all(connection, values)

    async with opened(tmp_path / "a.db") as database:
        hearing = Hearing(9)
        for number in range(9):
            database.write_behind(counted, number, hearing)
        await hearing.all.wait()

        assert sizes == [9]
        assert hearing.heard == [(number, None) for number in range(9)]
        assert await database.read(count) == 9


async def test_joined_calls_stay_in_their_order(tmp_path: Path) -> None:
    """One that comes after another kind's does not overtake it by joining."""
    async with opened(tmp_path / "a.db") as database:
        hearing = Hearing(2)
        database.write_behind(insert_all, 1, hearing)
        removed = database.write(lambda c: c.execute("DELETE FROM t").rowcount)
        database.write_behind(insert_all, 1, hearing)
        await hearing.all.wait()

        assert hearing.heard == [(1, None)] * 2
        assert await removed == 1
        assert await database.read(count) == 1


@pytest.mark.parametrize("beside", [0, 1])
async def test_of_joined_writes_one_that_fails_undoes_only_itself(
    tmp_path: Path, beside: int
) -> None:
    """Alone in the transaction or beside others, the rest of them is done, and told so."""
    async with opened(tmp_path / "a.db") as database:
        hearing = Hearing(5)
        for value in (1, 2, 2, "half", 3):
            database.write_behind(insert_all, value, hearing)
        others = [database.write(lambda c: insert(c, "beside")) for _ in range(beside)]
        await asyncio.gather(hearing.all.wait(), *others)

        assert hearing.heard == [
            (1, None),
            (2, None),
            (2, sqlite3.IntegrityError),
            ("half", LookupError),
            (3, None),
        ]
        assert await database.read(count) == 3 + beside
        assert database.up


async def test_who_wrote_behind_hears_that_the_file_is_lost(tmp_path: Path) -> None:
    """Each of them, and nothing was written."""
    async with opened(tmp_path / "a.db", timeout=0.05) as database:
        other = sqlite3.connect(database.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        hearing = Hearing(2)
        for number in range(2):
            database.write_behind(insert_all, number, hearing)
        await hearing.all.wait()
        other.execute("COMMIT")
        other.close()

        assert hearing.heard == [(0, BackendLostError), (1, BackendLostError)]
        assert await database.read(count) == 0


async def test_a_look_up_that_fails_spoils_no_other(tmp_path: Path) -> None:
    """Joined or not, only who asked the impossible hears of it."""

    def checked(_connection: sqlite3.Connection, asked: list[int]) -> list[int]:
        return [12 // each for each in asked]

    async with opened(tmp_path / "a.db") as database:
        results = await asyncio.gather(
            *(database.read_joined(checked, each) for each in (3, 0, 4)), return_exceptions=True
        )

        assert (results[0], results[2]) == (4, 3)
        assert isinstance(results[1], ZeroDivisionError)


async def test_a_busy_loop_holds_the_thread_up_for_a_millisecond_at_most(tmp_path: Path) -> None:
    """It asks for its turn at each statement: with Python's 5 ms, misses beside hits took 40."""
    async with opened(tmp_path / "a.db"):
        assert sys.getswitchinterval() == pytest.approx(0.001)


async def test_look_ups_are_answered_before_what_is_written_with_them(tmp_path: Path) -> None:
    """A lock that another process holds keeps writes waiting, and no look-up."""
    async with opened(tmp_path / "a.db") as database:
        other = sqlite3.connect(database.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        write = database.write(lambda c: insert(c, 1))
        found = await asyncio.wait_for(database.read(count), 4)
        waits = not write.done()
        other.execute("COMMIT")
        other.close()
        await write

        assert (found, waits) == (0, True)
