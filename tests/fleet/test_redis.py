"""A fleet on one Redis, on real servers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from proxy.backends.redis import Redis
from proxy.core.landings import NONE, Ending, Landed
from proxy.fleet.redis import RedisFleet, RedisLead
from tests.fixtures.redis import RedisCluster, RedisServer, awaited, patient

KEY = "coingecko:price:?ids=bitcoin"
LEASE = "quota-proxy:@lead:" + KEY
SOON = 60.0
"""Seconds within which what must come comes."""


FleetOf = Callable[..., Awaitable[list[RedisFleet]]]


SHORT = 0.4
"""Seconds of a lease that a test awaits the end of."""


@asynccontextmanager
async def joined(url: str) -> AsyncIterator[RedisFleet]:
    redis = Redis(patient(url))
    await redis.open()
    fleet = RedisFleet(redis, namespace="quota-proxy", lease=60.0)
    await fleet.open()
    try:
        yield fleet
    finally:
        await fleet.close()
        await redis.close()


@pytest.fixture
async def fleet_of(redis_server: RedisServer) -> AsyncIterator[FleetOf]:
    """Give what makes a fleet of so many processes, each with a connection of its own."""
    async with AsyncExitStack() as stack:

        async def make(count: int) -> list[RedisFleet]:
            each = [joined(redis_server.url) for _ in range(count)]
            return [await stack.enter_async_context(one) for one in each]

        yield make


async def leading(fleet: RedisFleet, known: float = NONE) -> RedisLead:
    said = await fleet.lead(KEY, known)
    assert isinstance(said, RedisLead)
    return said


async def following(server: RedisServer, *fleets: RedisFleet) -> list["asyncio.Task[object]"]:
    """Have them ask, and return when the server has written all of them down as followers."""
    asking = [asyncio.get_running_loop().create_task(fleet.lead(KEY, NONE)) for fleet in fleets]

    def written() -> bool:
        with server.client() as client:
            return client.hlen(LEASE) == 1 + len(fleets)

    await asyncio.to_thread(awaited, written, "followers that are written down")
    return asking


async def test_one_leads_and_its_landing_wakes_the_others(
    redis_server: RedisServer, fleet_of: FleetOf
) -> None:
    """Long before any lease ends, all who follow know that it is in the store."""
    first, *others = await fleet_of(4)
    lead = await leading(first)
    waiting = await following(redis_server, *others)
    await lead.land(Ending.STORED, 7.0)

    said = await asyncio.wait_for(asyncio.gather(*waiting), SOON)
    assert [Landed(Ending.STORED, 7.0)] * 3 == said
    assert not lead.inherited


async def test_one_step_costs_one_command(redis_server: RedisServer, fleet_of: FleetOf) -> None:
    """To ask and to tell of the landing are one script call each, and nothing is published."""
    (fleet,) = await fleet_of(1)
    await (await leading(fleet)).land(Ending.FAILED)  # now the server knows the scripts
    with redis_server.client() as client:
        client.config_resetstat()
        await (await leading(fleet)).land(Ending.FAILED)
        calls = client.info("commandstats")

    assert 2 == calls["cmdstat_evalsha"]["calls"]
    assert "cmdstat_publish" not in calls


async def test_a_dead_leader_is_succeeded_within_its_lease(
    redis_server: RedisServer, fleet_of: FleetOf
) -> None:
    """Whoever asks first when the lease has ended leads, and is told to look at what is left."""
    dead, heir, other = await fleet_of(3)
    lead = await leading(dead)
    del dead._leads[lead.token]  # it has died: it renews no more, and tells nobody
    heir.lease = other.lease = 2.0
    waiting = await following(redis_server, heir, other)
    with redis_server.client() as client:
        client.delete(LEASE)  # it has ended
    done, pending = await asyncio.wait(waiting, timeout=SOON, return_when="FIRST_COMPLETED")
    (successor,) = (each.result() for each in done)

    assert isinstance(successor, RedisLead)
    assert successor.inherited
    await successor.land(Ending.STORED, 8.0)
    assert [Landed(Ending.STORED, 8.0)] == [await asyncio.wait_for(each, SOON) for each in pending]


async def test_a_lead_lasts_as_long_as_its_flight(
    redis_server: RedisServer, fleet_of: FleetOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flight that takes several leases keeps its lead, and wakes its followers at the end."""
    monkeypatch.setattr("proxy.fleet.redis.RENEWALS", 600)  # every 0.1 s
    first, second = await fleet_of(2)
    lead = await leading(first)
    (waiting,) = await following(redis_server, second)

    def renewed() -> bool:
        with redis_server.client() as client:
            return client.pttl(LEASE) > 40_000

    for _ in range(3):
        with redis_server.client() as client:
            assert client.pexpire(LEASE, 30_000)
        await asyncio.to_thread(awaited, renewed, "a lease that is renewed")

    assert not waiting.done()
    await lead.land(Ending.STORED, 7.0)
    assert Landed(Ending.STORED, 7.0) == await asyncio.wait_for(waiting, SOON)


async def test_who_follows_waits_no_longer_than_it_may(fleet_of: FleetOf) -> None:
    """Its time over, it is told so, and hears of the landing no more."""
    first, second = await fleet_of(2)
    await leading(first)
    over = asyncio.get_running_loop().time() + 0.01
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(second.lead(KEY, NONE, over), SOON)

    assert {} == second._following


async def test_a_late_leader_ends_nobodys_flight(
    redis_server: RedisServer, fleet_of: FleetOf
) -> None:
    """Who lost its lease and lands after all neither wakes nor ends what its successor leads."""
    late, heir, other = await fleet_of(3)
    lead = await leading(late)
    with redis_server.client() as client:
        client.delete(LEASE)
    await leading(heir)
    (waiting,) = await following(redis_server, other)
    await lead.land(Ending.STORED, 7.0)

    with redis_server.client() as client:
        assert 2 == client.hlen(LEASE)
    assert not waiting.done()
    waiting.cancel()


async def test_who_looked_before_a_landing_is_told_of_it_afterwards(fleet_of: FleetOf) -> None:
    """It finds it in the store; who has it already, and finds it too old, leads."""
    first, second = await fleet_of(2)
    await (await leading(first)).land(Ending.STORED, 7.25)

    assert Landed(Ending.STORED, 7.25, awaited=False) == await second.lead(KEY, NONE)
    await (await leading(second, known=7.25)).land(Ending.FAILED)


async def test_a_flight_that_came_to_nothing_is_not_remembered(fleet_of: FleetOf) -> None:
    """Whoever asks next leads at once."""
    first, second = await fleet_of(2)
    await (await leading(first)).land(Ending.FAILED)

    await (await leading(second)).land(Ending.FAILED)


async def test_who_goes_while_it_asks_leaves_no_lead_behind(
    redis_server: RedisServer, fleet_of: FleetOf
) -> None:
    """What the server gave to one that has gone is given up, not waited for until it ends."""
    first, second = await fleet_of(2)
    await (await leading(first)).land(Ending.FAILED)  # now the server knows the script
    asking = asyncio.get_running_loop().create_task(first.lead(KEY, NONE))
    await asyncio.sleep(0)  # the command is on its way
    asking.cancel()
    await asyncio.wait((asking,))

    said = await asyncio.wait_for(second.lead(KEY, NONE), SOON)
    assert Landed(Ending.FAILED) == said or isinstance(said, RedisLead)


async def test_a_missed_message_costs_no_more_than_a_lease(
    redis_server: RedisServer, fleet_of: FleetOf
) -> None:
    """A follower that does not hear of the landing asks again when the lease would have ended."""
    first, deaf = await fleet_of(2)
    deaf.lease = SHORT
    deaf._told = lambda _message: None
    deaf._redis._subscriber._listeners[deaf._channel] = [deaf._told]
    lead = await leading(first)
    (waiting,) = await following(redis_server, deaf)
    await lead.land(Ending.STORED, 7.0)

    assert Landed(Ending.STORED, 7.0) == await asyncio.wait_for(waiting, SOON)


async def test_without_redis_everybody_leads(own_redis: RedisServer) -> None:
    """A fleet that cannot be asked keeps nobody from fetching, and raises nothing."""
    async with joined(own_redis.url) as fleet:
        lead = await leading(fleet)
        own_redis.kill()
        await lead.land(Ending.STORED, 7.0)

        assert await fleet.lead("another", NONE) is None


async def test_an_acl_without_channels_costs_no_more_than_a_lease(
    redis_server: RedisServer, fleet_of: FleetOf
) -> None:
    """Where PUBLISH is refused, the landing stands, and followers learn of it a little later."""
    first, second = await fleet_of(2)
    second.lease = SHORT
    lead = await leading(first)
    (waiting,) = await following(redis_server, second)
    with redis_server.client() as client:
        client.execute_command("ACL", "SETUSER", "default", "resetchannels")
        try:
            await lead.land(Ending.STORED, 7.0)
            said = await asyncio.wait_for(waiting, SOON)
        finally:
            client.execute_command("ACL", "SETUSER", "default", "allchannels")

    assert Landed(Ending.STORED, 7.0) == said


async def test_a_cluster_is_as_good(redis_cluster: RedisCluster) -> None:
    """A lease is one key, so any node may hold it; a landing is heard at every node."""
    async with joined(redis_cluster.url) as first, joined(redis_cluster.url) as second:
        leads = [await first.lead(f"key-{number}", NONE) for number in range(6)]
        heard = [
            asyncio.get_running_loop().create_task(second.lead(f"key-{number}", NONE))
            for number in range(6)
        ]
        await asyncio.sleep(0)
        for lead in leads:
            assert isinstance(lead, RedisLead)
            await lead.land(Ending.STORED, 7.0)

        said = await asyncio.wait_for(asyncio.gather(*heard), SOON)
    assert {7.0} == {each.stamp for each in said if isinstance(each, Landed)}
    assert 6 == len(said)
