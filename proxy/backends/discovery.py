"""Where the servers are: what Sentinels and cluster nodes say, asked through redis-py.

redis-py is imported on first use (0.2 s) and only where it is needed. Its own retries are off.
"""

from typing import Any, TypeAlias

from proxy.backends.address import RedisAddress, RedisOptions
from proxy.backends.credentials import Credentials
from proxy.backends.errors import BackendLostError
from proxy.backends.node import Place

Slots: TypeAlias = dict[int, Place]
"""Which master serves each of a cluster's 16,384 hash slots."""


async def master(address: RedisAddress, options: RedisOptions, credentials: Credentials) -> Place:
    """Ask the Sentinels which server is the master now.

    Sentinels that want a password are given the data servers'.

    Raises:
        BackendLostError: none of them answers, or none knows one.

    """
    user, password = credentials()
    settings = _settings(address, options)
    try:
        return await _asked(address, settings)
    except BackendLostError:
        if not password:
            raise
    return await _asked(address, settings | {"username": user or None, "password": password})


async def _asked(address: RedisAddress, settings: dict[str, Any]) -> Place:
    from redis.asyncio.sentinel import Sentinel  # noqa: PLC0415 - slow import, seldom needed
    from redis.exceptions import RedisError  # noqa: PLC0415 - likewise

    sentinels = Sentinel(address.hosts, sentinel_kwargs=settings)  # type: ignore[no-untyped-call]
    try:
        host, port = await sentinels.discover_master(address.service)
    except (RedisError, OSError) as error:
        raise BackendLostError(f"Sentinels at {address}: {error}", sent=False) from error
    finally:
        for client in sentinels.sentinels:
            await client.aclose()
    return Place(_text(host), int(port))


async def slots(address: RedisAddress, options: RedisOptions, credentials: Credentials) -> Slots:
    """Ask the cluster which master serves which slot.

    Raises:
        BackendLostError: no node answers.

    """
    from redis.asyncio.cluster import ClusterNode, RedisCluster  # noqa: PLC0415 - as above
    from redis.exceptions import RedisClusterException, RedisError  # noqa: PLC0415 - as above

    user, password = credentials()
    cluster = RedisCluster(
        startup_nodes=[ClusterNode(host, port) for host, port in address.hosts],
        require_full_coverage=False,
        username=user or None,
        password=password or None,
        **_settings(address, options),
    )
    try:
        await cluster.initialize()
        found = cluster.nodes_manager.slots_cache
        return {slot: Place(nodes[0].host, int(nodes[0].port)) for slot, nodes in found.items()}
    except (RedisError, RedisClusterException, OSError) as error:
        raise BackendLostError(f"Redis cluster at {address}: {error}", sent=False) from error
    finally:
        await cluster.aclose()


def _settings(address: RedisAddress, options: RedisOptions) -> dict[str, Any]:
    """Return redis-py's names for how to connect."""
    from redis.asyncio.retry import Retry  # noqa: PLC0415 - as above
    from redis.backoff import NoBackoff  # noqa: PLC0415 - as above

    settings: dict[str, Any] = {
        "socket_connect_timeout": options.connect_timeout,
        "socket_timeout": options.timeout,
        "protocol": 2,
        "retry": Retry(NoBackoff(), 0),
    }
    if address.tls:
        settings["ssl"] = True
        settings["ssl_ca_certs"] = options.tls_ca and str(options.tls_ca)
    return settings


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def client(
    place: Place, address: RedisAddress, options: RedisOptions, credentials: Credentials
) -> Any:
    """Return a `redis.asyncio.Redis` for one server."""
    from redis.asyncio import Redis  # noqa: PLC0415 - as above

    user, password = credentials()
    settings = _settings(address, options)
    if place.socket_file:
        settings["unix_socket_path"] = place.socket_file
    else:
        settings |= {"host": place.host, "port": place.port}
    return Redis(username=user or None, password=password or None, **settings)
