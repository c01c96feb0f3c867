"""Entries in a SQLite file."""

import asyncio
import gzip
import os
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from proxy.backends import database
from proxy.observation import StoreObservation
from proxy.store import codec
from proxy.store.sqlite import SCHEMA, SqliteStore
from tests.store.entries import ENTRY, NOW, entry


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def opened(
    path: Path, clock: Clock | None = None, max_size: int = 10**8
) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(
        path, max_size=max_size, observe=lambda _told: None, now=clock or (lambda: NOW)
    )
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def test_what_is_stored_is_found_by_another_worker_and_after_a_restart(
    tmp_path: Path,
) -> None:
    """Two workers share the file, and it outlives both."""
    path = tmp_path / "var" / "a.db"
    async with opened(path) as one, opened(path) as two:
        await one.put(ENTRY, 60.0)
        assert await two.get(ENTRY.key) == ENTRY
        assert await two.get("another") is None
    async with opened(path) as later:
        assert await later.get(ENTRY.key) == ENTRY


async def test_a_large_body_comes_back_as_gzip(tmp_path: Path) -> None:
    """It is compressed on the way in, and stays so on the way out."""
    body = b'{"a":1}' * 1000
    async with opened(tmp_path / "a.db") as store:
        await store.put(entry("k", body), 60.0)
        found = await store.get("k")

    assert found is not None
    assert found.encoding == "gzip"
    assert gzip.decompress(found.body) == body


async def test_an_entry_is_kept_as_long_as_was_said(tmp_path: Path) -> None:
    """A look-up never sees one past its end, swept or not."""
    clock = Clock()
    async with opened(tmp_path / "a.db", clock) as store:
        await store.put(ENTRY, 60.0)
        clock.now = NOW + 59.9
        before = await store.get(ENTRY.key)
        clock.now = NOW + 60.0
        after = await store.get(ENTRY.key)

    assert (before, after) == (ENTRY, None)


async def test_several_are_looked_up_at_once_in_their_order(tmp_path: Path) -> None:
    """Found and missing ones stand where they were asked for."""
    async with opened(tmp_path / "a.db") as store:
        await store.put(entry("a"), 60.0)
        await store.put(entry("c"), 60.0)

        assert await store.get_many(("c", "b", "a")) == (entry("c"), None, entry("a"))


async def test_what_was_deleted_is_gone(tmp_path: Path) -> None:
    """Deleting what is not there does nothing."""
    async with opened(tmp_path / "a.db") as store:
        await store.put(ENTRY, 60.0)
        await store.delete(ENTRY.key)
        await store.delete(ENTRY.key)

        assert await store.get(ENTRY.key) is None


async def test_a_newer_entry_is_not_replaced_by_an_older_one(tmp_path: Path) -> None:
    """Two workers fetched at once and the slower writes last: what was received later stays."""
    clock = Clock()
    clock.now = NOW + 10
    async with opened(tmp_path / "a.db", clock) as store:
        await store.put(entry("k", b"new", NOW + 1), 60.0)
        await store.put(entry("k", b"old", NOW), 60.0)
        assert await store.get("k") == entry("k", b"new", NOW + 1)


async def test_an_entry_from_the_future_or_past_its_end_gives_way(tmp_path: Path) -> None:
    """A clock was wrong once: that must not keep out what is received now."""
    clock = Clock()
    async with opened(tmp_path / "a.db", clock) as store:
        await store.put(entry("future", b"wrong", NOW + 1000), 6000.0)
        await store.put(entry("future", b"right", NOW), 60.0)
        await store.put(entry("ended", b"first", NOW), 1.0)
        clock.now = NOW + 2
        await store.put(entry("ended", b"second", NOW - 1), 60.0)

        assert await store.get("future") == entry("future", b"right", NOW)
        assert await store.get("ended") == entry("ended", b"second", NOW - 1)


async def test_rows_that_have_ended_are_swept_in_steps(tmp_path: Path) -> None:
    """A sweep removes at most a step of rows, and only those that have ended."""
    clock = Clock()
    async with opened(tmp_path / "a.db", clock) as store:
        await asyncio.gather(*(store.put(entry(f"k{n}"), 10.0) for n in range(250)))
        await store.put(entry("lasting"), 100.0)
        clock.now = NOW + 10.0
        swept = [await store.sweep(), await store.sweep(), await store.sweep()]

        assert swept == [200, 50, 0]
        assert (await store.figures()).keys == 1


async def test_the_file_is_bounded_and_what_ends_soonest_goes_first(tmp_path: Path) -> None:
    """A thousand bodies of 4 KB into 1 MB: the longest-lived are there, the bound holds."""
    bound = 1_000_000
    async with opened(tmp_path / "a.db", max_size=bound) as store:
        for number in range(1000):
            await store.put(entry(f"k{number}", os.urandom(4000)), 10.0 + number)
            if number % 100 == 0:
                used = (await store.figures()).memory
                assert used is not None
                assert used <= bound
        found = await store.get_many(tuple(f"k{n}" for n in range(1000)))

    present = [number for number, each in enumerate(found) if each is not None]
    assert present[-1] == 999
    assert present == list(range(present[0], 1000))
    assert len(present) > 50


async def test_an_entry_too_large_for_the_file_is_not_kept(tmp_path: Path) -> None:
    """One that would push out a quarter of all others stays in the first level alone."""
    async with opened(tmp_path / "a.db", max_size=100_000) as store:
        await store.put(entry("k", os.urandom(60_000)), 60.0)

        assert await store.get("k") is None


async def test_a_lost_file_misses_and_is_told_once_and_found_again(tmp_path: Path) -> None:
    """Nothing is raised; errors are counted by operation."""
    folder = tmp_path / "var"
    folder.touch()
    told: list[bool] = []
    observed: list[StoreObservation] = []
    store = SqliteStore(folder / "a.db", max_size=10**6, observe=observed.append, now=lambda: NOW)
    store.on_change(lambda up, _reason: told.append(up))
    assert not await store.open()
    await store.put(ENTRY, 60.0)
    assert await store.get(ENTRY.key) is None
    assert (await store.health())[0] is False
    folder.unlink()
    await store.put(ENTRY, 60.0)

    assert await store.get(ENTRY.key) == ENTRY
    assert told == [False, True]
    assert {each.operation for each in observed if each.failed} >= {"put", "get"}
    assert (await store.figures()).errors["put"] == 1
    await store.close()


async def test_a_value_of_another_version_is_a_miss(tmp_path: Path) -> None:
    """What a newer proxy stored in the same file is overlooked, and replaced by what is fetched."""
    async with opened(tmp_path / "a.db") as store:
        await store.put(ENTRY, 60.0)
        with sqlite3.connect(tmp_path / "a.db") as other:
            other.execute("UPDATE entries SET value = x'ff' || value")
        other.close()
        assert await store.get(ENTRY.key) is None
        await store.put(ENTRY, 60.0)
        assert await store.get(ENTRY.key) == ENTRY


async def test_figures_tell_keys_bytes_hits_and_misses(tmp_path: Path) -> None:
    """Keys are counted without a scan, replacements once."""
    async with opened(tmp_path / "a.db") as store:
        for _ in range(2):
            await store.put(entry("a"), 60.0)
        await store.put(entry("b"), 60.0)
        await store.get("a")
        await store.get("c")
        figures = await store.figures()

    assert (figures.kind, figures.up, figures.keys) == ("sqlite", True, 2)
    assert (figures.keyspace_hits, figures.keyspace_misses) == (1, 1)
    assert figures.memory
    assert await store.warnings() == ()


async def test_keys_are_counted_however_they_come_and_go(tmp_path: Path) -> None:
    """New, known, twice at once, replaced, forgotten, swept."""
    clock = Clock()
    async with opened(tmp_path / "a.db", clock) as store:
        counts = []
        for keys in ("abc", "bcd", "eee", "f"):
            await asyncio.gather(*(_put(store, key) for key in keys))
            counts.append((await store.figures()).keys)
        await store.delete("a")
        await store.delete("a")
        counts.append((await store.figures()).keys)
        clock.now = NOW + 60.0
        await store.sweep()
        counts.append((await store.figures()).keys)

    assert counts == [3, 4, 5, 6, 5, 0]


async def _put(store: SqliteStore, key: str) -> None:
    await store.put(entry(key), 60.0)


async def test_of_two_that_are_put_at_once_the_newer_stays(tmp_path: Path) -> None:
    """They go in one transaction, whichever was put first."""
    async with opened(tmp_path / "a.db") as store:
        older, newer = entry("k", b"old", NOW - 1), entry("k", b"new", NOW)
        other = entry("other")
        for first, second in ((older, newer), (newer, older)):
            await asyncio.gather(*(store.put(each, 60.0) for each in (first, other, second)))
            assert await store.get("k") == newer
            await store.delete("k")


async def test_a_file_of_the_version_before_goes_on(tmp_path: Path) -> None:
    """Its entries are there, and counted with those that come."""
    path = tmp_path / "a.db"
    before = database.Schema(SCHEMA.application_id, SCHEMA.steps[:1])
    connection, _ = database.open_file(path, before, replace_damaged=False)
    connection.execute(
        "INSERT INTO entries (key, received_at, expires_at, value) VALUES (?, ?, ?, ?)",
        (ENTRY.key, NOW, NOW + 60, codec.encode(ENTRY)),
    )
    connection.close()
    async with opened(path) as store:
        await store.put(entry("another"), 60.0)

        assert await store.get(ENTRY.key) == ENTRY
        assert (await store.figures()).keys == 2


@pytest.mark.skipif("QUOTA_PROXY_LONG" not in os.environ, reason="takes half a minute")
async def test_a_start_with_a_million_rows_scans_nothing(tmp_path: Path) -> None:
    """Open, look up, sweep and count, over a file of a million entries, in less than 2 s."""
    path = tmp_path / "a.db"
    connection, _ = database.open_file(path, SCHEMA, replace_damaged=True)
    value = codec.encode(ENTRY)
    connection.execute("BEGIN")
    connection.executemany(
        "INSERT INTO entries (key, received_at, expires_at, value) VALUES (?, ?, ?, ?)",
        ((f"k{n}", NOW, NOW + 10 + n, value) for n in range(1_000_000)),
    )
    connection.execute("UPDATE tally SET entries = 1000000")
    connection.execute("COMMIT")
    connection.close()
    started = time.perf_counter()
    async with opened(path, max_size=10**9) as store:
        await store.get("k500000")
        figures = await store.figures()

    assert figures.keys == 1_000_000
    assert time.perf_counter() - started < 2.0


def test_no_query_scans_the_table(tmp_path: Path) -> None:
    """SQLite's own plan of each statement names an index, so a million rows cost no more."""
    from proxy.store import sqlite as under_test  # noqa: PLC0415 - its statements are looked at

    connection, _ = database.open_file(tmp_path / "a.db", SCHEMA, replace_damaged=True)
    for statement, parameters in (
        (under_test._select(2), ("k", "l", 1)),
        (under_test._SWEEP, (1, 1)),
    ):
        plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
        assert not [row for row in plan if row[3].startswith("SCAN")]
    connection.close()


async def test_what_is_on_its_way_is_found_already(tmp_path: Path) -> None:
    """The next request may come before the file has it; what is newer in the file stays so."""
    async with opened(tmp_path / "a.db") as store:
        putting = store.put(ENTRY, 60.0)
        await asyncio.sleep(0)
        assert await store.get(ENTRY.key) == ENTRY
        await putting
        older = entry(ENTRY.key, b"[]", ENTRY.received_at - 1)
        putting = store.put(older, 60.0)
        await asyncio.sleep(0)
        assert await store.get(ENTRY.key) == ENTRY
        await putting
        assert await store.get(ENTRY.key) == ENTRY


async def test_what_is_on_its_way_can_be_forgotten(tmp_path: Path) -> None:
    """A change that comes before the write is no less a change."""
    async with opened(tmp_path / "a.db") as store:
        putting = store.put(ENTRY, 60.0)
        await asyncio.sleep(0)
        await store.delete(ENTRY.key)
        assert await store.get(ENTRY.key) is None
        await putting
        assert await store.get(ENTRY.key) is None
