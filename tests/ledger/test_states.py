"""Accounts in a SQLite file."""

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.backends.database import open_file
from proxy.backends.errors import BackendCorruptError, BackendVersionError
from proxy.core.limits import VERSION, Booked, Ending, Head, Order
from proxy.core.rules import SLIDING, Rule
from proxy.ledger.questions import Look, Prune, Question, Settle, Spend
from proxy.ledger.states import SCHEMA, States

RULES = {"m": Rule(SLIDING, 3, 64.0, 0.25)}


@dataclass
class Clocks:
    """A machine's clocks."""

    boottime: float = 500.0
    wall: float = 1_700_000_000.0


@pytest.fixture
def clocks() -> Clocks:
    """Give the machine's clocks."""
    return Clocks()


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Give an empty ledger."""
    made, _ = open_file(tmp_path / "ledger.db", SCHEMA, replace_damaged=False)
    yield made
    made.close()


def _states(clocks: Clocks, boot: str = "first") -> States:
    return States(lambda: clocks.boottime, lambda: clocks.wall, boot)


def _spend(number: int, upstream: str = "up") -> Question:
    order = Order(f"r{number}", 8.0, urgent=False, charges=(("m", 1.0),))
    return Spend(upstream, order, RULES)


def _used(states: States, connection: sqlite3.Connection) -> float:
    _, account, _ = states.run(connection, [Look("up", RULES)])[0]
    return account.counts["m"].own.total if "m" in account.counts else 0.0


def test_questions_are_answered_in_order(connection: sqlite3.Connection, clocks: Clocks) -> None:
    """Four spends of three, and one of another upstream between them."""
    questions = [_spend(1), _spend(2), _spend(9, "other"), _spend(3), _spend(4)]
    results = _states(clocks).run(connection, questions)

    assert [isinstance(decision, Booked) for decision, _, _ in results] == [True] * 4 + [False]
    assert results[0][1].counts["m"].own.total == 1
    assert results[3][1].counts["m"].own.total == 3


def test_what_was_counted_is_in_the_file(connection: sqlite3.Connection, clocks: Clocks) -> None:
    """Another process, with nothing in its memory, reads it."""
    _states(clocks).run(connection, [_spend(1), _spend(2)])

    assert _used(_states(clocks), connection) == 2


def test_two_that_write_in_turn_see_each_other(
    connection: sqlite3.Connection, clocks: Clocks
) -> None:
    """What is remembered of the file counts only while the file says the same."""
    one, two = _states(clocks), _states(clocks)
    for number in range(3):
        (one, two)[number % 2].run(connection, [_spend(number)])

    assert _used(one, connection) == _used(two, connection) == 3


def test_two_processes_that_write_in_turn_see_each_other(
    connection: sqlite3.Connection, clocks: Clocks, tmp_path: Path
) -> None:
    """Each has a connection of its own: what another has written is read before it is counted."""
    other, _ = open_file(tmp_path / "ledger.db", SCHEMA, replace_damaged=False)
    both = ((_states(clocks), connection), (_states(clocks), other))
    granted = []
    for number in range(4):
        states, file = both[number % 2]
        granted.append(isinstance(states.run(file, [_spend(number)])[0][0], Booked))
    other.close()

    assert granted == [True] * 3 + [False]
    assert _used(*both[0]) == 3


def test_what_was_written_last_is_not_read_again(
    connection: sqlite3.Connection, clocks: Clocks
) -> None:
    """As long as nobody else has written, a spend only writes."""
    states = _states(clocks)
    states.run(connection, [_spend(1)])
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    states.run(connection, [_spend(2)])

    assert [each.split()[0] for each in statements] == ["PRAGMA", "INSERT"]


def test_what_was_undone_is_not_remembered(connection: sqlite3.Connection, clocks: Clocks) -> None:
    """A batch that fails takes back what was counted before it failed."""
    states = _states(clocks)
    states.run(connection, [_spend(1)])
    connection.execute("INSERT INTO states VALUES ('other', 'm', x'c1')")
    for number in (2, 3):
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(BackendCorruptError):
            states.run(connection, [_spend(number), _spend(9, "other")])
        connection.execute("ROLLBACK")

    assert _used(states, connection) == 1


_STEPS = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from(("spend", "settle", "look", "prune", "undo", "wait")),
        st.sampled_from(("up", "other")),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(steps=_STEPS)
def test_what_is_remembered_is_what_would_be_read(steps: list[tuple[int, str, str]]) -> None:
    """Two processes, in any turn, one batch undone now and then: as if each read all each time."""
    clocks = Clocks()
    with TemporaryDirectory() as folder, ExitStack() as stack:

        def opened(name: str) -> sqlite3.Connection:
            file, _ = open_file(Path(folder) / name, SCHEMA, replace_damaged=False)
            stack.callback(file.close)
            return file

        both = [(_states(clocks), opened("remembered")) for _ in range(2)]
        read = opened("read")
        booked: list[tuple[str, float]] = []
        for number, (who, what, upstream) in enumerate(steps):
            if what == "wait":
                clocks.boottime, clocks.wall = clocks.boottime + 7.0, clocks.wall + 7.0
                continue
            asked = _asked(number, what, upstream, booked)
            states, file = both[who]
            if what == "undo":
                for each, connection in ((states, file), (_states(clocks), read)):
                    _undone(each, connection, asked)
                continue
            got = states.run(file, [asked])
            assert got == _states(clocks).run(read, [asked])
            if isinstance(got[0][0], Booked):
                booked.append((f"r{number}", got[0][0].until))


def _asked(number: int, what: str, upstream: str, booked: list[tuple[str, float]]) -> Question:
    if what == "settle" and booked:
        receipt, until = booked.pop()
        ending = Ending(receipt, until, 8.0, sent=True, answered=True, charges=(("m", 1.0, 1.0),))
        return Settle(upstream, ending, RULES)
    if what == "prune":
        return Prune(upstream, RULES)
    return Look(upstream, RULES) if what == "look" else _spend(number, upstream)


def _undone(states: States, connection: sqlite3.Connection, asked: Question) -> None:
    """Have a batch fail at a state that cannot be read, after it has counted."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO states VALUES ('spoilt', 'm', x'c1')")
    with pytest.raises(BackendCorruptError):
        states.run(connection, [asked, _spend(0, "spoilt")])
    connection.execute("ROLLBACK")


@pytest.mark.parametrize(("passed", "used"), [(30.0, 3), (60.0, 3), (75.0, 0), (-7200.0, 3)])
def test_a_reboot_takes_as_long_as_the_wall_says(
    connection: sqlite3.Connection, clocks: Clocks, passed: float, used: int
) -> None:
    """The boot-time clock begins anew; a wall that went back passes no time."""
    _states(clocks).run(connection, [_spend(number) for number in range(3)])
    clocks.boottime, clocks.wall = 3.0, clocks.wall + passed
    states = _states(clocks, "second")
    granted = states.run(connection, [_spend(9)])[0][0]

    assert isinstance(granted, Booked) == (used == 0)
    clocks.boottime += 1.0
    assert _used(_states(clocks, "second"), connection) == max(used, 1)


def test_a_wall_that_steps_changes_no_duration(
    connection: sqlite3.Connection, clocks: Clocks
) -> None:
    """An hour forward or back on the wall: a minute's window takes its minute."""
    states = _states(clocks)
    states.run(connection, [_spend(number) for number in range(3)])
    for step in (3600.0, -7200.0):
        clocks.wall += step
        assert not isinstance(states.run(connection, [_spend(9)])[0][0], Booked)


def test_the_clocks_are_noted_now_and_then(connection: sqlite3.Connection, clocks: Clocks) -> None:
    """Not with each spend, but often enough for a reboot."""
    states = _states(clocks)
    noted = []
    for _ in range(4):
        states.run(connection, [_spend(1)])
        noted.append(connection.execute("SELECT wall FROM clock").fetchone()[0])
        clocks.boottime, clocks.wall = clocks.boottime + 6.0, clocks.wall + 6.0

    assert [each - noted[0] for each in noted] == [0.0, 0.0, 12.0, 12.0]


def test_a_denial_writes_nothing(connection: sqlite3.Connection, clocks: Clocks) -> None:
    """Who asks in vain does not wear the disk out."""
    states = _states(clocks)
    states.run(connection, [_spend(number) for number in range(3)])
    before = connection.total_changes
    states.run(connection, [_spend(9), Look("up", RULES)])

    assert connection.total_changes == before


@pytest.mark.parametrize(
    ("bucket", "state", "error"),
    [
        ("m", b"\xc1", BackendCorruptError),
        ("m", msgspec.msgpack.encode(["x"]), BackendCorruptError),
        ("", msgspec.msgpack.encode(Head(version=VERSION + 1)), BackendVersionError),
    ],
)
def test_what_cannot_be_read_is_never_nothing(
    connection: sqlite3.Connection,
    clocks: Clocks,
    bucket: str,
    state: bytes,
    error: type[Exception],
) -> None:
    """Damage, or a newer version, is an error and not a count of 0."""
    connection.execute("INSERT INTO states VALUES ('up', ?, ?)", (bucket, state))

    with pytest.raises(error):
        _states(clocks).run(connection, [_spend(1)])
