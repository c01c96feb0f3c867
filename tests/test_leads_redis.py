"""One flight for a fleet on one Redis: leaders that die, and leaders that come late."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest

from proxy.backends.redis import Redis
from proxy.core.model import Entry
from proxy.fleet.redis import RedisFleet
from proxy.store.redis import RedisStore
from tests.fixtures.redis import RedisServer, awaited, patient
from tests.house import House, Response, endpoint, upstream, verdict

TARGET = "/coingecko/price"
LEASE = "*@lead:*"
LASTS = 60.0
"""Seconds of a lease."""
AGAIN = 0.2
"""Seconds after which who follows asks again, as if it had ended."""
PRICE = endpoint("price", "/price", stale_while_revalidate=0.0)


@dataclass
class Member:
    """One process of the fleet: a house, and what of it is in Redis."""

    house: House
    store: RedisStore
    fleet: RedisFleet

    def dies(self, server: RedisServer) -> None:
        """Renew no lease any more, and tell nobody of anything; the one it had has ended."""
        self.fleet._leads.clear()
        self.fleet.land = lambda *_: asyncio.get_running_loop().create_future()  # type: ignore[method-assign]
        with server.client() as client:
            client.delete(*client.keys(LEASE))

    def asks(self) -> "asyncio.Task[str]":
        """Ask for the price; the task gives the verdict and the body."""

        async def asked() -> str:
            answer = await self.house.ask(TARGET)
            assert isinstance(answer.body, bytes)
            return f"{verdict(answer)} {answer.body.decode()}"

        return asyncio.get_running_loop().create_task(asked())


@pytest.fixture
async def members(redis_server: RedisServer) -> AsyncIterator[list[Member]]:
    """Three, each with a connection of its own; the second and third find a newer price."""
    async with AsyncExitStack() as stack:
        made = []
        for number in range(3):
            redis = Redis(patient(redis_server.url))
            await redis.open()
            stack.push_async_callback(redis.close)
            store = RedisStore(redis, namespace="q", observe=lambda _: None, now=lambda: 1e6 + 60)
            fleet = RedisFleet(redis, namespace="q", lease=LASTS)
            fleet.lease = AGAIN if number else LASTS
            await fleet.open()
            stack.push_async_callback(fleet.close)
            house = House(upstream(PRICE), fleet=fleet, store=store)  # type: ignore[arg-type]
            stack.push_async_callback(house.close)
            house.provider.answers = deque([Response(parts=(b"new" if number else b"old",))])
            house.clock += 10.0 * number
            made.append(Member(house, store, fleet))
        yield made


async def led(server: RedisServer, followers: int) -> None:
    """Return when somebody leads, and so many follow."""

    def written() -> bool:
        with server.client() as client:
            leases = client.keys(LEASE)
            return len(leases) == 1 and client.hlen(leases[0]) == 1 + followers

    await asyncio.to_thread(awaited, written, "a lease and its followers")


async def test_a_late_leader_overwrites_nothing_newer(
    redis_server: RedisServer, members: list[Member]
) -> None:
    """It has its answer, stalls, and stores when its successor has stored: that one's stays.

    1. A leads, is answered, and hangs before it stores; its lease ends.
    2. B leads, is answered later, and stores.
    3. A goes on, and stores what it had.
    """
    late, heir, other = members
    goes_on, put = asyncio.Event(), late.store.put

    async def stalled(entry: Entry, keep: float) -> None:
        await goes_on.wait()
        await put(entry, keep)

    late.store.put = stalled  # type: ignore[method-assign,assignment]

    assert "MISS old" == await late.asks()  # whom it serves, it has served
    await led(redis_server, 0)
    late.dies(redis_server)

    assert "MISS new" == await asyncio.wait_for(heir.asks(), 60)
    goes_on.set()
    await late.house.settle_down()

    assert "HIT new" == await other.asks()
    assert 0 == len(other.house.provider.sent)
    stored = await other.store.get(next(iter(other.house.first_level.entries)))
    assert stored is not None
    assert b"new" == stored.body


async def test_who_dies_between_storing_and_telling_costs_no_call(
    redis_server: RedisServer, members: list[Member]
) -> None:
    """Its heir finds what it left, before it fetches again; and so does everybody else."""
    dead, heir, other = members
    gate = dead.house.provider.answers[0].gate = asyncio.Event()
    first = dead.asks()
    await led(redis_server, 0)
    waiting = [heir.asks(), other.asks()]
    await led(redis_server, 2)
    dead.dies(redis_server)
    gate.set()

    assert ["MISS old", "JOINED old", "JOINED old"] == await asyncio.wait_for(
        asyncio.gather(first, *waiting), 60
    )
    assert [1, 0, 0] == [len(each.house.provider.sent) for each in members]


async def test_who_dies_between_spending_and_storing_costs_one_call_more(
    redis_server: RedisServer, members: list[Member]
) -> None:
    """What it sent is charged, as the provider charged it; of all who follow one fetches again."""
    dead, heir, other = members
    dead.house.provider.answers[0].gate = asyncio.Event()
    first = dead.asks()
    await led(redis_server, 0)
    waiting = [heir.asks(), other.asks()]
    await led(redis_server, 2)
    dead.dies(redis_server)

    assert ["JOINED new", "MISS new"] == sorted(
        await asyncio.wait_for(asyncio.gather(*waiting), 60)
    )
    assert 1 == len(heir.house.provider.sent) + len(other.house.provider.sent)
    assert [1, 1] == [
        len(dead.house.ledger.spent), len(heir.house.ledger.spent + other.house.ledger.spent)
    ]  # fmt: skip
    first.cancel()
