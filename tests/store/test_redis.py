"""Entries in Redis, on real servers."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from proxy.backends.address import RedisOptions
from proxy.backends.redis import Redis
from proxy.observation import StoreObservation
from proxy.store.redis import RedisStore
from tests.fixtures.redis import RedisCluster, RedisServer, patient
from tests.store.entries import ENTRY, NOW, entry


@asynccontextmanager
async def opened(
    url: str, observed: list[StoreObservation] | None = None
) -> AsyncIterator[RedisStore]:
    redis = Redis(patient(url))
    told: list[StoreObservation] = [] if observed is None else observed
    store = RedisStore(redis, namespace="quota-proxy", observe=told.append, now=lambda: NOW + 10)
    await redis.open()
    await store.open()
    try:
        yield store
    finally:
        await store.close()
        await redis.close()


async def test_what_is_stored_is_found_under_the_key_of_the_contract(
    redis_server: RedisServer,
) -> None:
    """`{namespace}:{upstream}:{endpoint}:{parameters}`, with a time to live."""
    async with opened(redis_server.url) as store:
        await store.put(ENTRY, 60.0)
        assert await store.get(ENTRY.key) == ENTRY
        with redis_server.client() as client:
            assert client.keys() == [b"quota-proxy:coingecko:price:?ids=bitcoin"]
            assert 59_000 < client.pttl(client.keys()[0]) <= 60_000


@pytest.mark.parametrize(("keep", "at_most"), [(0.0001, 1), (1e12, 10 * 366 * 86_400_000)])
async def test_any_time_to_live_is_one_that_redis_takes(
    redis_server: RedisServer, keep: float, at_most: int
) -> None:
    """Neither nothing nor more than Redis can count is an error."""
    observed: list[StoreObservation] = []
    async with opened(redis_server.url, observed) as store:
        await store.put(ENTRY, keep)
        with redis_server.client() as client:
            assert client.pttl(f"quota-proxy:{ENTRY.key}") <= at_most

    assert not [each for each in observed if each.failed]


async def test_a_large_body_comes_back_as_gzip(redis_server: RedisServer) -> None:
    """It is compressed on the way in, and stays so on the way out."""
    body = b'{"a":1}' * 50_000
    async with opened(redis_server.url) as store:
        await store.put(entry("k", body), 60.0)
        found = await store.get("k")

    assert found is not None
    assert found.encoding == "gzip"
    assert gzip.decompress(found.body) == body


async def test_look_ups_of_one_tick_travel_together(redis_server: RedisServer) -> None:
    """A hundred concurrent look-ups are one read of the server's."""
    async with opened(redis_server.url) as store:
        await store.put(ENTRY, 60.0)
        with redis_server.client() as client:
            before = client.info("stats")["total_reads_processed"]
            found = await asyncio.gather(*(store.get(ENTRY.key) for _ in range(100)))
            after = client.info("stats")["total_reads_processed"]

    assert found == [ENTRY] * 100
    assert after - before <= 5  # ours, that of the client that looks, a heartbeat or two


async def test_several_are_looked_up_at_once_in_their_order(redis_server: RedisServer) -> None:
    """Found and missing ones stand where they were asked for."""
    async with opened(redis_server.url) as store:
        await store.put(entry("a"), 60.0)
        await store.put(entry("c"), 60.0)

        assert await store.get_many(("c", "b", "a")) == (entry("c"), None, entry("a"))


async def test_what_was_deleted_is_gone(redis_server: RedisServer) -> None:
    """Deleting what is not there does nothing."""
    async with opened(redis_server.url) as store:
        await store.put(ENTRY, 60.0)
        await store.delete(ENTRY.key)
        await store.delete(ENTRY.key)

        assert await store.get(ENTRY.key) is None


async def test_a_newer_entry_is_not_replaced_by_an_older_one(redis_server: RedisServer) -> None:
    """Two instances fetched at once and the slower writes last: what was received later stays."""
    async with opened(redis_server.url) as store:
        await store.put(entry("k", b"new", NOW + 1), 60.0)
        await store.put(entry("k", b"old", NOW), 60.0)
        assert await store.get("k") == entry("k", b"new", NOW + 1)


async def test_an_entry_from_the_future_gives_way(redis_server: RedisServer) -> None:
    """A clock was wrong once: that must not keep out what is received now."""
    async with opened(redis_server.url) as store:
        await store.put(entry("k", b"wrong", NOW + 1000), 6000.0)
        await store.put(entry("k", b"right", NOW), 60.0)

        assert await store.get("k") == entry("k", b"right", NOW)


@pytest.mark.parametrize("value", [b"", b"garbage", b"\x02" * 30, b"\x01", b"\x01" * 9])
async def test_what_cannot_be_read_is_a_miss_and_is_replaced(
    redis_server: RedisServer, value: bytes
) -> None:
    """Garbage and values of other versions are no errors."""
    observed: list[StoreObservation] = []
    async with opened(redis_server.url, observed) as store:
        with redis_server.client() as client:
            client.set(f"quota-proxy:{ENTRY.key}", value)
        assert await store.get(ENTRY.key) is None
        await store.put(ENTRY, 60.0)
        assert await store.get(ENTRY.key) == ENTRY

    assert not [each for each in observed if each.failed]


async def test_a_key_of_another_type_is_a_counted_error_and_a_miss(
    redis_server: RedisServer,
) -> None:
    """What somebody else put there raises nothing into the flow."""
    observed: list[StoreObservation] = []
    async with opened(redis_server.url, observed) as store:
        with redis_server.client() as client:
            client.rpush(f"quota-proxy:{ENTRY.key}", "x")
        assert await store.get(ENTRY.key) is None
        await store.put(ENTRY, 60.0)
        figures = await store.figures()

    assert [each.operation for each in observed if each.failed] == ["get", "put"]
    assert figures.errors == {"get": 1, "put": 1}


async def test_a_killed_server_misses_and_is_told_once_and_found_again(
    own_redis: RedisServer,
) -> None:
    """Nothing is raised while it is away; when it is back, entries are kept again."""
    told: asyncio.Queue[bool] = asyncio.Queue()
    async with opened(own_redis.url) as store:
        store.on_change(lambda up, _reason: told.put_nowait(up))
        await store.put(ENTRY, 60.0)
        own_redis.kill()
        assert not await told.get()
        await store.put(ENTRY, 60.0)
        assert await store.get(ENTRY.key) is None
        assert (await store.health())[0] is False
        own_redis.start()
        assert await told.get()
        await store.put(ENTRY, 60.0)
        assert await store.get(ENTRY.key) == ENTRY

    assert told.empty()


async def test_a_server_out_of_reach_at_the_start_is_told() -> None:
    """The proxy starts; whoever watches hears that the store is lost."""
    told: list[bool] = []
    redis = Redis(RedisOptions("redis://127.0.0.1:1"))
    store = RedisStore(redis, namespace="n", observe=lambda _told: None)
    store.on_change(lambda up, _reason: told.append(up))
    await redis.open()

    assert not await store.open()
    assert told == [False]
    assert not (await store.figures()).up
    assert await store.warnings() == ()
    await redis.close()


async def test_figures_are_those_of_the_server(redis_server: RedisServer) -> None:
    """Keys, memory, clients, operations, hits and misses, as INFO tells them."""
    async with opened(redis_server.url) as store:
        await store.put(ENTRY, 60.0)
        await store.get(ENTRY.key)
        await store.get("none")
        figures = await store.figures()

    assert (figures.kind, figures.up, figures.keys) == ("redis", True, 1)
    assert figures.memory
    assert figures.clients
    assert figures.operations
    assert figures.keyspace_hits
    assert figures.keyspace_misses


async def test_a_policy_that_evicts_counts_is_warned_of(
    start_redis: Callable[..., RedisServer], redis_server: RedisServer
) -> None:
    """`allkeys-*` may drop quota counts; the default policy is fine."""
    server = start_redis("--maxmemory-policy", "allkeys-lru")
    async with opened(server.url) as store:
        (warning,) = await store.warnings()
    async with opened(redis_server.url) as store:
        assert await store.warnings() == ()

    assert "allkeys-lru" in warning


async def test_a_server_that_refuses_info_is_a_warning(
    start_redis: Callable[..., RedisServer],
) -> None:
    """Managed servers may; entries are kept all the same."""
    server = start_redis("--rename-command", "INFO", "", "--rename-command", "CONFIG", "")
    async with opened(server.url) as store:
        await store.put(ENTRY, 60.0)
        assert await store.get(ENTRY.key) == ENTRY
        (warning,) = await store.warnings()
        figures = await store.figures()

    assert "INFO" in warning
    assert figures.up
    assert figures.keys is None


async def test_a_cluster_keeps_entries_like_one_server(redis_cluster: RedisCluster) -> None:
    """Entries are spread over the masters, and figures are added up."""
    async with opened(redis_cluster.url) as store:
        keys = tuple(f"up:ep:?n={n}" for n in range(30))
        await asyncio.gather(*(store.put(entry(key), 60.0) for key in keys))
        assert await store.get_many(keys) == tuple(entry(key) for key in keys)
        assert (await store.figures()).keys == 30


async def test_nothing_that_blocks_the_server_is_sent(own_redis: RedisServer) -> None:
    """No KEYS, no FLUSHALL, no blocking read, whatever is done with the store."""
    async with opened(own_redis.url) as store:
        await store.put(ENTRY, 60.0)
        await store.get_many((ENTRY.key, "none"))
        await store.delete(ENTRY.key)
        await store.figures()
        await store.warnings()
        await store.health()
        with own_redis.client() as client:
            sent = {name.removeprefix("cmdstat_") for name in client.info("commandstats")}

    of_the_test = {"client", "client|setinfo", "hello"}
    ours = {"ping", "get", "set", "getrange", "del", "eval", "evalsha", "info"}
    assert sent <= ours | of_the_test
