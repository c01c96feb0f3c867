"""Many processes share one quota, and use nearly all of it, and never more."""

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest

from proxy.sandbox import Limit, Sandbox
from tests.fixtures.redis import RedisServer
from tests.stories.stage import Proxy, Stage, until, written

LIMIT = 30
LEAST = 27
WINDOWS = 3
BOTS = 12
"""At each instance: enough to take the whole quota alone."""


def hammered(sandbox: Sandbox, folder: Path, window: float) -> Path:
    """Configure one provider with one limit; no answer is stored, so that each costs a call."""
    sandbox.set_limits("binance", [Limit("window", LIMIT, window, "sliding_window", "requests")])
    return written(
        folder,
        {
            "name": "binance",
            "base_url": sandbox.base_url("binance"),
            "limits": {"window": {"limit": LIMIT, "per": window, "algorithm": "sliding_window"}},
            "max_wait": "5s",
            "endpoints": {"price": {"path": "/api/v3/ticker/price", "ttl": 0}},
        },
    )


async def hammer(sandbox: Sandbox, proxies: list[Proxy], window: float) -> None:
    """Let bots ask without end, until the windows since the first grant are over."""
    arrivals = sandbox.counts("binance").granted_arrivals
    now = sandbox.services["binance"]._clock

    async def bot(proxy: Proxy) -> None:
        while not arrivals or now() < arrivals[0] + WINDOWS * window:
            answer = await proxy.get("/binance/api/v3/ticker/price?symbol=BTCUSDT")
            if answer.status != 200:
                await asyncio.sleep(0.1)  # a bot that was told "not now" breathes once

    await asyncio.gather(*(bot(proxy) for proxy in proxies for _ in range(BOTS)))


def used(sandbox: Sandbox, window: float) -> list[int]:
    """Return what arrived in each window, from the first grant on."""
    arrivals = sandbox.counts("binance").granted_arrivals
    ends = [arrivals[0] + window * number for number in range(WINDOWS + 1)]
    return [sum(start <= at < end for at in arrivals) for start, end in pairwise(ends)]


@pytest.fixture
def window(*, long_form: bool) -> float:
    """Seconds."""
    return 60.0 if long_form else 6.0


async def test_four_instances_on_one_redis(
    sandbox: Sandbox, stage: Stage, redis_server: RedisServer, tmp_path: Path, window: float
) -> None:
    """The provider, which counts a sliding window, refuses nobody; each window is used."""
    config = hammered(sandbox, tmp_path, window)
    proxies = [
        await stage.proxy(config, REDIS_URL=redis_server.url, QUOTA_PROXY_FLEET_SIZE="4")
        for _ in range(4)
    ]

    await hammer(sandbox, proxies, window)

    assert 0 == sandbox.counts("binance").refused
    assert min(used(sandbox, window)) >= LEAST


async def test_two_workers_on_one_sqlite_file(
    sandbox: Sandbox, stage: Stage, tmp_path: Path, window: float
) -> None:
    """The same for the workers of one instance, which share its port and its file."""
    proxy = await stage.proxy(hammered(sandbox, tmp_path, window), workers=2)

    await hammer(sandbox, [proxy, proxy], window)

    assert 0 == sandbox.counts("binance").refused
    assert min(used(sandbox, window)) >= LEAST

    async def counted() -> bool:
        return sandbox.counts("binance").requests == (await proxy.stats())["upstream_calls"]

    await until(counted, "the provider's account as that of both workers")
