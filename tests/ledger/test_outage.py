"""Redis killed in the middle of the traffic of three instances, in real time (long form)."""

import asyncio
import random

import pytest

from proxy import clock
from proxy.backends.address import RedisOptions
from proxy.backends.redis import Redis
from proxy.core.spending import Bill, Charge, Granted, Settled
from proxy.core.upstreams import Algorithm, Limit
from proxy.ledger.redis import RedisLedger
from proxy.sandbox.simulation import SlidingWindow
from tests.fixtures.redis import RedisServer

LIMIT = Limit("m", 30, 6.0, Algorithm.SLIDING_WINDOW)
BILL = Bill("up", (Charge(LIMIT, "m", 1),), 2.0)
ANSWERED = Settled(sent=True, answered=True, status=200)


class Traffic:
    """Three instances that ask for all they can get, and a provider that enforces the limit."""

    def __init__(self) -> None:
        self.provider = SlidingWindow(30, 6.0)
        self.refused = 0
        self.served: list[float] = []
        self.until = float("inf")

    async def instance(self, url: str, seed: int) -> None:
        """Spend, send, settle; ten calls at once."""
        rng = random.Random(seed)
        redis = Redis(RedisOptions(url, timeout=0.5))
        await redis.open()
        ledger = RedisLedger(redis, {"up": (LIMIT,)}, timeout=0.5)
        await ledger.open()
        await asyncio.gather(*(self._caller(ledger, rng) for _ in range(10)))
        await ledger.close()
        await redis.close()

    async def _caller(self, ledger: RedisLedger, rng: random.Random) -> None:
        while clock.boottime() < self.until:
            granted = await ledger.spend(BILL)
            if not isinstance(granted, Granted):
                await asyncio.sleep(rng.random() * 0.2)
                continue
            await asyncio.sleep(rng.random() * 0.05)
            if self.provider.take(clock.boottime(), 1.0):
                self.served.append(clock.boottime())
            else:
                self.refused += 1
            await asyncio.sleep(rng.random() * 0.05)
            await ledger.settle(granted.receipt, ANSWERED)


async def test_redis_killed_for_half_a_minute(own_redis: RedisServer, long_form: bool) -> None:  # noqa: FBT001 - a fixture
    """Fifteen seconds with it, thirty without, fifteen with it: no refusal, always served."""
    if not long_form:
        pytest.skip("a minute of real time: make test-long")
    traffic, began = Traffic(), clock.boottime()
    traffic.until = began + 60.0
    async with asyncio.TaskGroup() as group:
        for seed in range(3):
            group.create_task(traffic.instance(own_redis.url, seed))
        await asyncio.sleep(15.0)
        own_redis.kill()
        await asyncio.sleep(30.0)
        own_redis.start()
    alone = [at for at in traffic.served if 15.5 < at - began < 45.0]
    after = [at for at in traffic.served if at - began > 52.0]

    assert traffic.refused == 0
    assert len(alone) >= 30
    assert len(after) >= 27
