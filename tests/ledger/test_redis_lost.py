"""The ledger in Redis where the server is lost, emptied or forgets, and what instances do then."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from proxy.backends.redis import Redis
from proxy.core.limits import Head
from proxy.core.model import Denied
from proxy.core.spending import LOST, Granted, Settled
from proxy.ledger import processes
from proxy.ledger.redis import RedisLedger
from tests.fixtures.redis import RedisServer, patient
from tests.ledger.redis_ledgers import BILL, LIMITS, opened


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


async def _found(ledger: RedisLedger) -> None:
    async with asyncio.timeout(60):
        while ledger.alone or not ledger._redis.up:
            await ledger.snapshot("up")
            await asyncio.sleep(0.02)


async def test_a_lost_redis_leaves_everyone_a_share(own_redis: RedisServer, hasty: None) -> None:
    """Of 50 a day two spenders take no more than 25 each; found with nothing, Redis is told."""
    pairs = [await opened(own_redis.url) for _ in range(2)]
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
    ledger, redis = await opened(own_redis.url)
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
    pairs = [await opened(redis_server.url) for _ in range(2)]
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
    ledger, redis = await opened(redis_server.url)
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
    redis = Redis(patient(own_redis.url, timeout=0.5))
    await redis.open()
    ledger = RedisLedger(redis, LIMITS, boottime=machine.boottime)
    await ledger.spend(BILL)
    machine.now += 10.0
    await ledger.spend(BILL)
    own_redis.pause()
    async with asyncio.timeout(60):
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
    redis = Redis(patient(own_redis.url))
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
    ledger, redis = await opened(redis_server.url)
    await ledger.open()

    def spenders() -> list[str]:
        with redis_server.client() as client:
            head = client.hget("quota-proxy:{up}:ledger", "")
        known = msgspec.msgpack.decode(head, type=Head).spenders if head else ()
        return [each.id for each in known]

    async with asyncio.timeout(60):
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
    redis = Redis(patient(own_redis.url))
    await redis.open()
    ledger = RedisLedger(redis, LIMITS, notes=notes)
    await ledger.open()
    for _ in range(7):
        await ledger.spend(BILL)
    async with asyncio.timeout(60):
        while not (notes.exists() and b"7.0" in notes.read_bytes()):  # noqa: ASYNC110 - a file
            await asyncio.sleep(0.02)
    await ledger.close()
    own_redis.kill()
    own_redis.start()
    again = RedisLedger(redis, LIMITS, notes=notes)
    await again.open()
    async with asyncio.timeout(60):
        while not (await again.snapshot("up"))[0].used:  # noqa: ASYNC110 - awaited in Redis
            await asyncio.sleep(0.02)
    (level,) = await again.snapshot("up")
    await again.close()
    await redis.close()

    assert level.used == 7


async def test_a_killed_process_is_buried_by_its_successor(redis_server: RedisServer) -> None:
    """It said no goodbye, but on this machine its successor sees that it is gone."""
    ledger, redis = await opened(redis_server.url)
    gone = f"x {processes.here().rpartition('/')[0]}/1"
    ledger._name, name = gone, ledger._name
    await ledger.spend(BILL)
    ledger._name = name
    await ledger.open()
    account, _ = ledger.book.seen("up")
    await ledger.close()
    await redis.close()

    assert [each.id for each in account.head.spenders] == [name]
