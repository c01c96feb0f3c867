"""Calls of a SQLite file's thread: joined, split, answered."""

import asyncio
import sqlite3
from collections.abc import Iterator

import pytest

from proxy.backends.sqlite_calls import Call, alone, ended_all, in_savepoint, tell_all


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    """Give a table, and a transaction under way."""
    made = sqlite3.connect(":memory:", isolation_level=None)
    made.execute("CREATE TABLE t (a UNIQUE)")
    made.execute("BEGIN")
    yield made
    made.close()


def insert(connection: sqlite3.Connection, values: list[int]) -> list[int]:
    connection.executemany("INSERT INTO t VALUES (?)", [(value,) for value in values])
    return [-value for value in values]


def call(*values: int) -> Call:
    loop = asyncio.get_running_loop()
    return Call(insert, True, list(values), [loop.create_future() for _ in values])  # noqa: FBT003 - it writes


async def test_each_asker_gets_its_answer(connection: sqlite3.Connection) -> None:
    """In their order; who went away meanwhile is left alone."""
    asked = call(1, 2, 3)
    asked.futures[1].cancel()
    in_savepoint(connection, asked)
    tell_all([asked])

    assert [asked.futures[at].result() for at in (0, 2)] == [-1, -3]
    assert asked.futures[1].cancelled()


async def test_a_call_that_fails_is_done_for_each_asker(connection: sqlite3.Connection) -> None:
    """One value stands twice: the second is refused, the others are in the table."""
    asked = call(1, 2, 2, 3)
    in_savepoint(connection, asked)
    tell_all([asked])

    assert [future.exception() is None for future in asked.futures] == [True, True, False, True]
    assert [row[0] for row in connection.execute("SELECT a FROM t ORDER BY a")] == [1, 2, 3]


async def test_a_loss_is_told_to_all_of_a_split_call(connection: sqlite3.Connection) -> None:
    """What its parts did was not committed: nobody is told that it was."""
    asked = call(1, 1)
    in_savepoint(connection, asked)
    asked.error = lost = LookupError("the disk is full")
    tell_all([asked])

    assert [future.exception() for future in asked.futures] == [lost, lost]


async def test_who_was_answered_is_not_answered_again(connection: sqlite3.Connection) -> None:
    """Look-ups are told first, and once more with their batch."""
    asked = call(1)
    in_savepoint(connection, asked)
    tell_all([asked, asked])

    assert asked.futures[0].result() == -1


async def test_who_hears_badly_keeps_nothing_from_the_others(
    connection: sqlite3.Connection,
) -> None:
    """Its error goes to the loop."""
    reported: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, told: reported.append(told["exception"]))
    heard = []
    error = LookupError("deaf")

    def hear(asked: int, _error: BaseException | None) -> None:
        if asked == 1:
            raise error
        heard.append(asked)

    asked = Call(insert, True, [1, 2], [], hear)  # noqa: FBT003 - it writes
    in_savepoint(connection, asked)
    tell_all([asked])

    assert (heard, reported) == ([2], [error])


@pytest.mark.parametrize(
    ("error", "ended"),
    [
        (LookupError(), False),
        (sqlite3.IntegrityError(), False),
        (sqlite3.OperationalError("disk full"), True),
    ],
)
def test_what_ends_a_whole_transaction(
    connection: sqlite3.Connection, error: Exception, *, ended: bool
) -> None:
    """An error of SQLite's own does, but for a broken constraint."""
    assert ended_all(connection, error) is ended
    connection.execute("ROLLBACK")
    assert ended_all(connection, error)


def test_work_that_stands_alone_answers_one(connection: sqlite3.Connection) -> None:
    """It is asked nothing but to be done."""
    assert alone(lambda file: file.in_transaction)(connection, [None]) == (True,)
