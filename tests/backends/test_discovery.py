"""Where the servers are, by redis-py."""

from pathlib import Path

import pytest

from proxy.backends import discovery
from proxy.backends.address import RedisAddress, RedisOptions, parse
from proxy.backends.credentials import Credentials
from proxy.backends.errors import BackendLostError
from proxy.backends.node import Place
from tests.fixtures.redis import RedisCluster, RedisServer, Sentinel


def known(url: str) -> tuple[RedisAddress, RedisOptions, Credentials]:
    address, options = parse(url), RedisOptions(url)
    return address, options, Credentials(address, options)


async def test_every_slot_of_a_cluster_has_its_master(redis_cluster: RedisCluster) -> None:
    """All 16,384 slots are found, at the ports of the three masters."""
    slots = await discovery.slots(*known(redis_cluster.url))

    assert len(slots) == 16384
    assert {place.port for place in slots.values()} == {node.port for node in redis_cluster.nodes}


async def test_sentinels_that_know_no_master_are_a_lost_backend(redis_server: RedisServer) -> None:
    """Neither a server that is no Sentinel nor one that is away names a master."""
    for port in (redis_server.port, 1):
        url = f"redis+sentinel://127.0.0.1:{port}/mine"
        with pytest.raises(BackendLostError):
            await discovery.master(*known(url))


async def test_a_sentinel_that_wants_a_password_gets_the_servers(tmp_path: Path) -> None:
    """Asked without first, then with the URL's password."""
    sentinel = Sentinel(tmp_path, "--requirepass", "s3cret", password="s3cret")  # noqa: S106 - none
    sentinel.start()
    try:
        sentinel.watch("mine", 7)
        host = f"127.0.0.1:{sentinel.port}/mine"
        assert await discovery.master(*known(f"redis+sentinel://:s3cret@{host}")) == Place(
            "127.0.0.1", 7
        )
        with pytest.raises(BackendLostError):
            await discovery.master(*known(f"redis+sentinel://{host}"))
    finally:
        sentinel.stop()


async def test_a_cluster_that_is_none_is_a_lost_backend(redis_server: RedisServer) -> None:
    """A single server has no slots to tell."""
    url = f"redis+cluster://127.0.0.1:{redis_server.port}"
    with pytest.raises(BackendLostError):
        await discovery.slots(*known(url))
