"""The cache over its two levels."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from proxy.cache import Cache
from proxy.core.model import Entry, Invalidate, Lifetimes, Nothing, Put, Touch
from proxy.core.variants import index
from proxy.tasks import Tasks
from tests.house import DictLevel, DictStore
from tests.values import replace

NOW = 1000.0


def entry(key: str, received_at: float = NOW, ttl: float = 60.0, body: bytes = b"1") -> Entry:
    return Entry(key, 200, "OK", (), body, "", received_at, received_at, 0.0, Lifetimes(ttl))


class Levels:
    def __init__(self) -> None:
        self.first = DictLevel()
        self.store = DictStore()
        self.tasks = Tasks(lambda *_: None)
        self.cache = Cache(self.first, self.store, self.tasks)

    async def settled(self) -> None:
        while len(self.tasks):  # noqa: ASYNC110 - a plain figure, no event
            await asyncio.sleep(0)


class SlowStore(DictStore):
    """Reads at once, and answers when the test lets it."""

    def __init__(self, gate: asyncio.Event) -> None:
        super().__init__()
        self.gate = gate

    async def get(self, key: str) -> Entry | None:
        found = self.level.get(key)
        await self.gate.wait()
        return found


@pytest.fixture
async def levels() -> AsyncIterator[Levels]:
    made = Levels()
    yield made
    await made.tasks.close()


async def test_what_was_made_of_an_entry_goes_with_it(levels: Levels) -> None:
    """When there is a newer one, written here or found in the store; not what is newer itself."""
    for made, at in (("part", NOW), ("newer", NOW + 9)):
        levels.cache.adopt(entry(made, at), "whole")
    levels.cache.adopt(entry("part of part", NOW), "part")
    levels.cache.write(Put(entry("whole", NOW + 5)), NOW + 5)
    await levels.settled()

    assert [None, None, entry("newer", NOW + 9)] == [
        *map(levels.cache.peek, ("part", "part of part", "newer"))
    ]
    levels.cache.adopt(entry("part", NOW + 5), "whole")
    levels.store.level.put(entry("whole", NOW + 8))
    await levels.cache.stored("whole", NOW + 8, anew=True)

    assert levels.cache.peek("part") is None


async def test_what_was_made_is_known_however_often_its_whole_is_read(levels: Levels) -> None:
    """The whole, evicted and read from the store again, takes along what was cut of it before."""
    levels.cache.write(Put(entry("whole")), NOW)
    await levels.settled()
    levels.cache.adopt(entry("part"), "whole")
    levels.first.delete("whole")
    assert await levels.cache.read("whole", NOW) is not None
    levels.cache.write(Put(entry("whole", NOW + 5)), NOW + 5)

    assert levels.cache.peek("part") is None


async def test_what_was_made_of_something_older_meanwhile_is_not_kept(levels: Levels) -> None:
    """While it was cut, the whole was fetched anew; or what it stands for was, by itself."""
    levels.cache.write(Put(entry("whole", NOW + 5)), NOW + 5)
    levels.cache.write(Put(entry("own", NOW + 7)), NOW + 7)
    for made, at in (("late", NOW), ("own", NOW + 5), ("new", NOW + 5)):
        levels.cache.adopt(entry(made, at), "whole")

    assert [None, entry("own", NOW + 7), entry("new", NOW + 5)] == [
        *map(levels.cache.peek, ("late", "own", "new"))
    ]


async def test_how_much_is_known_of_what_was_made_is_bounded(
    levels: Levels, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not known any more ends with its own TTL."""
    monkeypatch.setattr("proxy.cache.MOST_MADE_OF", 1)
    monkeypatch.setattr("proxy.cache.MOST_MADE", 1)
    for made, of in (("a1", "a"), ("b1", "b"), ("b2", "b")):
        levels.cache.adopt(entry(made), of)
    for of in "ab":
        levels.cache.write(Put(entry(of, NOW + 5)), NOW + 5)

    assert [True, False, True] == [
        levels.cache.peek(made) is not None for made in ("a1", "b1", "b2")
    ]


async def test_what_the_store_has_comes_to_the_first_level(levels: Levels) -> None:
    """An entry that another process stored is found, and the next look-up needs no store."""
    levels.store.level.put(entry("a"))

    assert (entry("a"),) == await levels.cache.stored("a", NOW)
    assert levels.cache.peek("a") == entry("a")


async def test_the_newer_of_both_levels_wins(levels: Levels) -> None:
    """What has expired here may have been refreshed by another worker."""
    levels.first.put(entry("a", NOW - 100))
    levels.store.level.put(entry("a", NOW - 10, body=b"2"))
    [found] = await levels.cache.stored("a", NOW)

    assert found.body == b"2"


async def test_an_older_one_in_the_store_does_not(levels: Levels) -> None:
    """A store that lags behind never takes a newer entry away."""
    levels.first.put(entry("a", NOW - 100, body=b"new"))
    levels.store.level.put(entry("a", NOW - 200))
    [found] = await levels.cache.stored("a", NOW)

    assert found.body == b"new"


async def test_variants_are_read_with_their_index(levels: Levels) -> None:
    """A primary key that only lists variants gives those that are still there."""
    one, two = entry("a~1"), entry("a~2")
    levels.cache.write(Put(one, index("a", one, [two])), NOW)

    assert (one,) == await levels.cache.stored("a", NOW)

    levels.cache.write(Touch(two), NOW)

    assert {one, two} == set(await levels.cache.stored("a", NOW))


async def test_writes_reach_both_levels(levels: Levels) -> None:
    """An entry is in the first level at once and in the store behind the answer."""
    levels.cache.write(Put(entry("a")), NOW)

    assert levels.cache.peek("a") is not None

    await levels.settled()

    assert levels.store.level.get("a") is not None


async def test_what_is_of_no_use_is_not_kept_beneath(levels: Levels) -> None:
    """An entry past all its lifetimes does not go into the store."""
    levels.cache.write(Put(entry("a", NOW - 100)), NOW)
    await levels.settled()

    assert levels.store.level.get("a") is None


async def test_invalidation_takes_both(levels: Levels) -> None:
    """An invalidated key is gone from both levels; doing nothing does nothing."""
    levels.cache.write(Put(entry("a")), NOW)
    await levels.settled()
    levels.cache.write(Nothing(), NOW)

    assert levels.cache.peek("a") is not None

    levels.cache.write(Invalidate(("http://provider/a",)), NOW, ["a"])
    await levels.settled()

    assert () == await levels.cache.stored("a", NOW)


async def test_a_fresh_entry_asks_no_store(levels: Levels) -> None:
    """A hit in the first level is answered from there alone."""
    levels.first.put(entry("a"))
    levels.store.level.put(replace(entry("a"), received_at=NOW + 1, body=b"2"))
    [found] = await levels.cache.stored("a", NOW)

    assert found.body == b"1"


async def test_a_slow_store_does_not_bring_back_the_past(levels: Levels) -> None:
    """What landed while the store was being asked is not overwritten by what it had."""
    gate = asyncio.Event()
    levels.store = SlowStore(gate)
    levels.cache = Cache(levels.first, levels.store, levels.tasks)
    levels.store.level.put(entry("a", NOW - 30, body=b"old"))
    asking = asyncio.get_running_loop().create_task(levels.cache.stored("a", NOW))
    await asyncio.sleep(0)
    levels.first.put(entry("a", NOW, body=b"new"))
    gate.set()
    [found] = await asking
    kept = levels.cache.peek("a")

    assert kept is not None
    assert b"new" == found.body == kept.body


async def test_a_slow_store_does_not_bring_back_what_was_invalidated(levels: Levels) -> None:
    """What was read before an invalidation is not stored after it."""
    gate = asyncio.Event()
    levels.store = SlowStore(gate)
    levels.cache = Cache(levels.first, levels.store, levels.tasks)
    levels.store.level.put(entry("a"))
    asking = asyncio.get_running_loop().create_task(levels.cache.stored("a", NOW))
    await asyncio.sleep(0)
    levels.cache.write(Invalidate(("http://provider/a",)), NOW, ["a"])

    assert () == await levels.cache.stored("a", NOW)

    gate.set()
    await asking
    await levels.settled()

    assert levels.cache.peek("a") is None
    assert {} == levels.cache._forgetting


async def test_what_is_late_takes_no_newer_entrys_place(levels: Levels) -> None:
    """A flight that lands after its successor's answer was read from the store is too late."""
    levels.store.level.put(entry("a", NOW - 1.0))
    await levels.cache.stored("a", NOW)
    levels.cache.write(Put(entry("a", NOW - 5.0)), NOW)

    assert entry("a", NOW - 1.0) == levels.cache.peek("a")


async def test_an_entry_from_the_future_makes_room(levels: Levels) -> None:
    """What some clock was wrong about does not stand in the way until that time has come."""
    levels.cache.write(Put(entry("a", NOW + 500.0)), NOW)
    levels.cache.write(Put(entry("a", NOW)), NOW)

    assert entry("a", NOW) == levels.cache.peek("a")


async def test_the_store_is_asked_anew_where_that_is_wanted(levels: Levels) -> None:
    """What another process stored is seen, though the first level has something fresh."""
    levels.first.put(entry("a", NOW - 5.0))
    levels.store.level.put(entry("a", NOW - 1.0))

    assert (entry("a", NOW - 1.0),) == await levels.cache.stored("a", NOW, anew=True)


async def test_who_writes_knows_when_the_store_has_it(levels: Levels) -> None:
    """What is returned ends with the write beneath."""
    writes = levels.cache.write(Put(entry("a")), NOW)
    assert levels.store.level.get("a") is None
    await asyncio.wait(writes)

    assert entry("a") == levels.store.level.get("a")
