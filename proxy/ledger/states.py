"""The accounts in a SQLite file, and the arithmetic run on them inside one transaction.

All of it happens in the file's thread. A state that cannot be read, or is of a newer version, is an
error: nothing is ever counted from 0 for want of understanding. A file that was removed or replaced
under us is told what we know: it knows at least what this process saw.

What we read or wrote last is what the file holds for as long as its `data_version` says that no
other connection has written, and `total_changes` that nobody else has through this one: it need not
be read again. A transaction of ours that came to nothing was ended by an error of ours, after which
all is read anew, or the connection was given up.
"""

import sqlite3
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import chain

import msgspec

from proxy.backends.database import Schema
from proxy.backends.errors import BackendCorruptError, BackendVersionError
from proxy.core import limits, shares
from proxy.core.counts import Count, Moment
from proxy.core.limits import VERSION, Account, Head
from proxy.core.rules import Rule
from proxy.core.shares import Telling
from proxy.ledger.questions import (
    Question,
    Result,
    answers,
    buckets,
    joint,
)

SCHEMA = Schema(
    application_id=0x514C4731,
    steps=(
        """
        CREATE TABLE states (
            upstream TEXT NOT NULL, bucket TEXT NOT NULL, state BLOB NOT NULL,
            PRIMARY KEY (upstream, bucket)
        ) WITHOUT ROWID;
        CREATE TABLE clock (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            boot TEXT NOT NULL, shift REAL NOT NULL, now REAL NOT NULL, wall REAL NOT NULL
        );
        """,
    ),
)

_HEAD = ""
"""Bucket under which an account's head stands."""

_NOTED = 10.0
"""Seconds after which the clocks are noted again, for the next reboot."""

_SELECT = "SELECT state FROM states WHERE upstream = ? AND bucket = ?"
_RESTORE = "INSERT OR IGNORE INTO states VALUES (?, ?, ?)"
_UPSERT = "INSERT INTO states VALUES {} ON CONFLICT DO UPDATE SET state = excluded.state"
_AT_ONCE = 32
"""States that are written by one statement: each lets go of the interpreter only once."""

_DELETE = "DELETE FROM states WHERE upstream = ? AND bucket = ?"
_NAMES = "SELECT bucket FROM states WHERE upstream = ? AND bucket != ?"

_NOTHING: Result = (None, Account(), Moment(0.0, 0.0))

_encode = msgspec.msgpack.Encoder().encode
_read_head = msgspec.msgpack.Decoder(Head).decode
_read_count = msgspec.msgpack.Decoder(Count).decode


class States:
    """Reads, counts and writes accounts."""

    def __init__(self, boottime: Callable[[], float], wall: Callable[[], float], boot: str) -> None:
        """Take the clocks, and what tells this boot of the machine from others."""
        self._boottime = boottime
        self._wall = wall
        self._boot = boot
        self._decoded: dict[tuple[str, str], tuple[bytes, Head | Count]] = {}
        """What was read or written last: the same bytes need not be decoded again."""
        self._connection: sqlite3.Connection | None = None
        self._as_of: tuple[int, int] | None = None
        """`data_version` and `total_changes` when we were last in the file."""
        self._current: set[tuple[str, str]] = set()
        """What is in the file as it is in `_decoded`, or in neither."""
        self._clock_current = False
        self._clock: tuple[str, float, float, float] | None = None
        """The clocks as they were noted last."""
        self._better: dict[tuple[str, str], Head | Count] = {}
        """States of which a new file knows otherwise: both are held against each other."""

    def run(self, connection: sqlite3.Connection, questions: Sequence[Question]) -> list[Result]:
        """Answer questions, those about one upstream in their order, as of one moment."""
        version = connection.execute("PRAGMA data_version").fetchone()[0]
        if connection is not self._connection or self._as_of != (version, connection.total_changes):
            self._current.clear()
            self._clock_current = False
        self._as_of = None
        if connection is not self._connection:
            if self._connection is not None:
                self._restore(connection)
            self._connection = connection
        results = self._run(connection, questions)
        self._as_of = (version, connection.total_changes)
        return results

    def _run(self, connection: sqlite3.Connection, questions: Sequence[Question]) -> list[Result]:
        wall = self._wall()
        reading = self._reading(connection, wall)
        results: list[Result] = [_NOTHING] * len(questions)
        for upstream, places in _by_upstream(questions).items():
            group = [questions[place] for place in places]
            stored = self._load(connection, upstream, buckets(group))
            account, moment = limits.opened(stored, reading, wall)
            if self._better:
                account = self._recalled(upstream, account, joint(group), moment)
            said = answers(group, account, moment)
            for place, result in zip(places, said, strict=True):
                results[place] = result
            account = said[-1][1]
            self._save(connection, upstream, stored, account)
        return results

    # ── a file that was lost ──

    def _restore(self, connection: sqlite3.Connection) -> None:
        """Put back what we know and this file does not: another may stand where ours did."""
        rows = [(*key, packed) for key, (packed, _) in self._decoded.items()]
        connection.executemany(_RESTORE, rows)
        if self._clock is not None:
            connection.execute("INSERT OR IGNORE INTO clock VALUES (1, ?, ?, ?, ?)", self._clock)
        for key, (packed, state) in self._decoded.items():
            if connection.execute(_SELECT, key).fetchone()[0] != packed:
                self._better[key] = state

    def _recalled(
        self, upstream: str, account: Account, rules: dict[str, Rule], moment: Moment
    ) -> Account:
        """Return an account that knows at least what we saw before the file was lost."""
        head = self._better.pop((upstream, _HEAD), None)
        seen = [(name, self._better.pop((upstream, name), None)) for name in rules]
        telling = Telling(
            "",
            moment.now,
            (),
            head.holding if isinstance(head, Head) else account.head.holding,
            tuple((name, count) for name, count in seen if isinstance(count, Count)),
        )
        return shares.told(account, telling, rules, moment, known=True)

    # ── the ledger's time ──

    def _reading(self, connection: sqlite3.Connection, wall: float) -> float:
        """Return the ledger's clock: it goes on over a reboot as the wall did."""
        boottime = self._boottime()
        row = self._clock
        if row is None or not self._clock_current:
            row = connection.execute("SELECT boot, shift, now, wall FROM clock").fetchone()
        if row is None:
            shift = wall - boottime
        elif row[0] != self._boot:
            shift = row[2] + max(0.0, wall - row[3]) - boottime
        else:
            shift = row[1]
            if row[2] <= boottime + shift < row[2] + _NOTED:
                self._clock, self._clock_current = row, True
                return float(boottime + shift)
        self._clock = (self._boot, shift, boottime + shift, wall)
        connection.execute("INSERT OR REPLACE INTO clock VALUES (1, ?, ?, ?, ?)", self._clock)
        self._clock_current = True
        return float(boottime + shift)

    # ── accounts ──

    def _load(
        self, connection: sqlite3.Connection, upstream: str, named: tuple[str, ...]
    ) -> Account:
        head = self._state(connection, upstream, _HEAD)
        counts = {bucket: self._state(connection, upstream, bucket) for bucket in named}
        return Account(
            head if isinstance(head, Head) else Head(),
            {bucket: count for bucket, count in counts.items() if isinstance(count, Count)},
        )

    def _state(
        self, connection: sqlite3.Connection, upstream: str, bucket: str
    ) -> Head | Count | None:
        key = (upstream, bucket)
        kept = self._decoded.get(key)
        if key in self._current:
            return None if kept is None else kept[1]
        row = connection.execute(_SELECT, key).fetchone()
        if row is None:
            self._decoded.pop(key, None)
            kept = None
        elif kept is None or kept[0] != row[0]:
            kept = self._decoded[key] = (row[0], _read(row[0], bucket))
        self._current.add(key)
        return None if kept is None else kept[1]

    def _save(
        self, connection: sqlite3.Connection, upstream: str, before: Account, after: Account
    ) -> None:
        changed: dict[str, Head | Count] = {
            bucket: count
            for bucket, count in after.counts.items()
            if count is not before.counts.get(bucket)
        }
        if changed or after.head.holding != before.head.holding:
            changed[_HEAD] = after.head
        rows: list[tuple[str, str, bytes]] = []
        for bucket, state in changed.items():
            packed = _encode(state)
            self._decoded[upstream, bucket] = (packed, state)
            self._current.add((upstream, bucket))
            rows.append((upstream, bucket, packed))
        for at in range(0, len(rows), _AT_ONCE):
            some = rows[at : at + _AT_ONCE]
            connection.execute(_upsert(len(some)), tuple(chain(*some)))
        gone = [(upstream, bucket) for bucket in before.counts if bucket not in after.counts]
        for key in gone:
            self._decoded.pop(key, None)
        if gone:
            connection.executemany(_DELETE, gone)

    def names(self, connection: sqlite3.Connection, upstream: str) -> tuple[str, ...]:
        """Return the buckets that there are states of."""
        rows = connection.execute(_NAMES, (upstream, _HEAD))
        return tuple(bucket for (bucket,) in rows)


@lru_cache(maxsize=_AT_ONCE)
def _upsert(number: int) -> str:
    return _UPSERT.format(", ".join(["(?, ?, ?)"] * number))


def _by_upstream(questions: Sequence[Question]) -> dict[str, list[int]]:
    """Return where the questions about each upstream stand."""
    groups: dict[str, list[int]] = {}
    for index, question in enumerate(questions):
        groups.setdefault(question.upstream, []).append(index)
    return groups


def _read(packed: bytes, bucket: str) -> Head | Count:
    try:
        if bucket != _HEAD:
            return _read_count(packed)
        head = _read_head(packed)
    except msgspec.DecodeError as error:
        raise BackendCorruptError(f"the state of {bucket or 'an upstream'}: {error}") from error
    if head.version > VERSION:
        raise BackendVersionError(
            f"the counts are of version {head.version}, newer than {VERSION}, the newest known here"
        )
    return head
