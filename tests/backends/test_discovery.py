"""Where the servers are, by redis-py."""

import pytest

from proxy.backends import discovery
from proxy.backends.address import RedisOptions, parse
from proxy.backends.credentials import Credentials
from proxy.backends.errors import BackendLostError
from tests.fixtures.redis import RedisCluster, RedisServer


async def test_every_slot_of_a_cluster_has_its_master(redis_cluster: RedisCluster) -> None:
    """All 16,384 slots are found, at the ports of the three masters."""
    address, options = parse(redis_cluster.url), RedisOptions(redis_cluster.url)
    slots = await discovery.slots(address, options, Credentials(address, options))

    assert len(slots) == 16384
    assert {place.port for place in slots.values()} == {node.port for node in redis_cluster.nodes}


async def test_sentinels_that_know_no_master_are_a_lost_backend(redis_server: RedisServer) -> None:
    """Neither a server that is no Sentinel nor one that is away names a master."""
    for port in (redis_server.port, 1):
        url = f"redis+sentinel://127.0.0.1:{port}/mine"
        with pytest.raises(BackendLostError):
            await discovery.master(parse(url), RedisOptions(url))


async def test_a_cluster_that_is_none_is_a_lost_backend(redis_server: RedisServer) -> None:
    """A single server has no slots to tell."""
    url = f"redis+cluster://127.0.0.1:{redis_server.port}"
    address, options = parse(url), RedisOptions(url)
    with pytest.raises(BackendLostError):
        await discovery.slots(address, options, Credentials(address, options))
