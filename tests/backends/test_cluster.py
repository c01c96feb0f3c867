"""Which node of a cluster serves a key."""

import asyncio

import pytest

from proxy.backends.address import RedisOptions, parse
from proxy.backends.cluster import Cluster, slot_of
from proxy.backends.errors import BackendLostError
from proxy.backends.pipe import packed
from tests.fixtures.redis import RedisCluster, patient

KEYS = [b"a", b"{a}b", b"x{a}", b"{}a", b"a{", b"a{}", b"{a}{b}", b"", b"quota-proxy:up:ep:?x={y}"]


@pytest.mark.parametrize("key", KEYS)
def test_the_slot_of_a_key_is_what_the_server_says(key: bytes, redis_cluster: RedisCluster) -> None:
    """CLUSTER KEYSLOT agrees, hash tags and their edges included."""
    with redis_cluster.nodes[0].client() as client:
        assert slot_of(key) == client.execute_command("CLUSTER", "KEYSLOT", key)


async def test_a_slot_under_way_is_asked_for_at_its_new_node(redis_cluster: RedisCluster) -> None:
    """ASK: while a slot migrates, what has left already is asked of the importing node, once."""
    source, target, _ = redis_cluster.nodes
    slot = slot_of(b"{b}")
    with source.client() as here, target.client() as there:
        names = [client.execute_command("CLUSTER", "MYID") for client in (here, there)]
        there.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", names[0])
        here.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", names[1])
        cluster = Cluster(
            parse(redis_cluster.url), patient(redis_cluster.url), lambda _up, _reason: None
        )
        try:
            assert await cluster.open()
            assert await cluster.submit(packed(("SET", "{b}", "v")), b"{b}") == b"OK"
            there.execute_command("ASKING")
            assert there.execute_command("DEL", "{b}") == 1
        finally:
            for client in (here, there):
                client.execute_command("CLUSTER", "SETSLOT", slot, "STABLE")
            await cluster.close()


async def answered(cluster: Cluster) -> None:
    """Return once the key is served again: nodes learn of each other's return one by one."""
    while True:
        try:
            assert await cluster.submit(packed(("GET", "a")), b"a") is None
        except BackendLostError:
            await asyncio.sleep(0.02)
        else:
            return


async def test_a_node_that_was_killed_is_told_and_found_again(own_cluster: RedisCluster) -> None:
    """Its keys fail as lost and nothing else is raised; started again, all slots are served."""
    told: asyncio.Queue[bool] = asyncio.Queue()
    cluster = Cluster(
        parse(own_cluster.url),
        patient(own_cluster.url),
        lambda up, _reason: told.put_nowait(up),
    )
    assert await cluster.open()
    own_cluster.nodes[2].kill()
    async with asyncio.timeout(60):
        assert [await told.get(), await told.get()] == [True, False]
        with pytest.raises(BackendLostError):
            await cluster.submit(packed(("GET", "a")), b"a")  # slot 15495, the third node's
        own_cluster.nodes[2].start()
        while not await told.get():
            pass
    await answered(cluster)
    await cluster.close()


async def test_a_cluster_that_nobody_answers_for_is_down() -> None:
    """Without a node that answers, nothing is sent and the reason is known."""
    url = "redis+cluster://127.0.0.1:1"
    cluster = Cluster(parse(url), RedisOptions(url), lambda _up, _reason: None)

    assert not await cluster.open()
    assert cluster.reason
    with pytest.raises(BackendLostError):
        await cluster.submit(packed(("GET", "k")), b"k")
    with pytest.raises(BackendLostError):
        cluster.submit_each(packed(("PING",)))
    await cluster.close()
