"""One Redis server that is kept connected."""

import asyncio
from collections.abc import Callable

import pytest

from proxy.backends.address import parse
from proxy.backends.errors import BackendLostError
from proxy.backends.node import Examine, Node, Place, anything, master_only
from proxy.backends.pipe import packed
from tests.fixtures.redis import RedisServer, patient


def node(server: RedisServer, tell: Callable[[bool], None], *, examine: Examine = anything) -> Node:
    async def locate() -> Place:
        return Place("127.0.0.1", server.port)

    return Node(
        parse(server.url),
        patient(server.url),
        locate,
        lambda up, _reason: tell(up),
        examine=examine,
    )


async def test_a_connection_that_the_server_ends_is_made_anew(redis_server: RedisServer) -> None:
    """CLIENT KILL is told as lost and found, without anybody asking."""
    told: asyncio.Queue[bool] = asyncio.Queue()
    kept = node(redis_server, told.put_nowait)
    await kept.open()
    with redis_server.client() as client:
        client.execute_command("CLIENT", "KILL", "TYPE", "normal")
    async with asyncio.timeout(60):
        assert [await told.get() for _ in range(3)] == [True, False, True]

    assert await kept.submit(packed(("PING",))) == b"PONG"
    await kept.close()


async def test_a_replica_is_no_master(
    start_redis: Callable[..., RedisServer], redis_server: RedisServer
) -> None:
    """Where a master is needed, a server that is none is not used."""
    told: list[bool] = []
    replica = start_redis("--replicaof", "127.0.0.1", str(redis_server.port))
    kept = node(replica, told.append, examine=master_only)

    assert not await kept.open()
    assert "not the master" in kept.reason
    await kept.close()


async def test_a_closed_node_takes_nothing(redis_server: RedisServer) -> None:
    """After close, commands fail at once and nothing is told."""
    told: list[bool] = []
    kept = node(redis_server, told.append)
    await kept.open()
    await kept.close()

    with pytest.raises(BackendLostError):
        kept.submit(packed(("PING",)))
    assert told == [True]


async def test_a_command_goes_right_behind_the_one_before_it(redis_server: RedisServer) -> None:
    """`before` is sent on the same connection, and its reply is nobody's."""
    kept = node(redis_server, [].append)
    await kept.open()

    assert await kept.submit(packed(("GET", "k")), before=packed(("SET", "k", "v"))) == b"v"
    await kept.close()
