"""Whoever asks whichever process: the same thing is fetched once, and charged once."""

import asyncio

import aiohttp

from proxy.sandbox import Latency, Sandbox
from tests.fixtures.redis import RedisServer
from tests.stories.stage import PATIENCE, UNHURRIED, Proxy, Stage, shipped, unhurried, until

INSTANCES = 8
CLIENTS = 1000
PATHS = {
    "coingecko": "/coingecko/api/v3/simple/price?ids=bitcoin&vs_currencies=usd",
    "binance": "/binance/api/v3/klines?symbol=BTCUSDT&interval=1h",
}


async def fleet(stage: Stage, redis: RedisServer) -> list[Proxy]:
    """Start the instances, all at once."""
    size = str(INSTANCES)
    config = shipped(stage.folder, dict.fromkeys(PATHS, unhurried), store=UNHURRIED)
    starting = [
        stage.proxy(config, REDIS_URL=redis.url, QUOTA_PROXY_FLEET_SIZE=size)
        for _ in range(INSTANCES)
    ]
    return list(await asyncio.gather(*starting))


async def crowd(proxies: list[Proxy], path: str, clients: int) -> list[tuple[int, str]]:
    """Ask at all doors at once; who is cut off asks at the next door. Return status and verdict."""
    timeout = aiohttp.ClientTimeout(PATIENCE)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:

        async def client(number: int) -> tuple[int, str]:
            for door in range(number, number + len(proxies)):
                try:
                    async with session.get(proxies[door % len(proxies)].url + path) as answer:
                        await answer.read()
                        return answer.status, answer.headers["X-Cache"]
                except aiohttp.ClientConnectionError:
                    continue
            return 0, "nobody is there"

        return list(await asyncio.gather(*map(client, range(clients))))


async def test_a_thousand_at_eight_doors_cost_one_call(
    sandbox: Sandbox, stage: Stage, redis_server: RedisServer
) -> None:
    """For each cold key: one of them is a miss, and everybody has the answer."""
    proxies = await fleet(stage, redis_server)
    for provider, path in PATHS.items():
        answers = await crowd(proxies, path, CLIENTS)

        assert {200} == {status for status, _ in answers}
        assert 1 == [verdict for _, verdict in answers].count("MISS")
        assert 1 == sandbox.counts(provider).requests
    stats = [await proxy.stats() for proxy in proxies]
    assert len(PATHS) == sum(each["upstream_calls"] for each in stats)


async def test_a_leader_that_is_killed_is_succeeded_by_one(
    sandbox: Sandbox, stage: Stage, redis_server: RedisServer
) -> None:
    """Kill -9 in flight: one other fetches, within the lease, and everybody is answered."""
    proxies = await fleet(stage, redis_server)
    sandbox.set_latency("coingecko", Latency(mean=PATIENCE))  # until its leader is killed

    async def called() -> bool:
        return sandbox.counts("coingecko").requests == 1

    async def followed() -> bool:
        with redis_server.client() as client:
            leases = client.keys("*@lead:*")
            return len(leases) == 1 and client.hlen(leases[0]) == INSTANCES

    first = asyncio.gather(crowd(proxies, PATHS["coingecko"], 1))  # at the first door
    await until(called, "the leader's call")
    asking = asyncio.gather(crowd(proxies, PATHS["coingecko"], CLIENTS))
    await until(followed, "every other instance as a follower")
    sandbox.set_latency("coingecko", Latency(mean=1.5))
    await proxies[0].kill()
    answers = [answer for answers in (*await first, *await asking) for answer in answers]

    assert {200} == {status for status, _ in answers}
    assert CLIENTS + 1 == len(answers)
    assert 2 == sandbox.counts("coingecko").requests
    known = [await proxy.quota("coingecko", "minute") for proxy in proxies[1:]]
    assert 2 == max(each["used"] for each in known)


async def test_two_workers_on_one_file(sandbox: Sandbox, stage: Stage) -> None:
    """Without Redis too: the workers of one instance fetch a cold key once."""
    config = shipped(stage.folder, dict.fromkeys(PATHS, unhurried))
    proxy = await stage.proxy(config, workers=2)
    for provider, path in PATHS.items():
        answers = await crowd([proxy], path, 200)

        assert {200} == {status for status, _ in answers}
        assert 1 == [verdict for _, verdict in answers].count("MISS")
        assert 1 == sandbox.counts(provider).requests
