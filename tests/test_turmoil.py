"""Turmoil: clients that go at any moment, a provider that fails in every way, a quota that is out.

Whatever the order, nothing is left behind: no task, no place in a line, no flight, no connection;
and every grant was sent or given back.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest

from proxy.core.model import Client, Denied, Failed, Failure, Policy
from proxy.core.series import Contains
from proxy.core.shapes import Batch
from proxy.core.spending import Bill, Granted, Level, Receipt, Settled
from proxy.core.upstreams import Algorithm, Limit
from proxy.ports import BrokenExchangeError, Exchange, Outbound
from tests.house import House, OpenLedger, Response, endpoint, upstream
from tests.shop import WEIGHED, WEIGHT
from tests.values import replace

BUDGET = Limit("~grid/minute", 5, 60.0, Algorithm.SLIDING_WINDOW, of="client")
CLIENTS = (
    Client(identity="a"),
    Client(identity="b", priority=1),
    Client("grid", "grid", limits=(BUDGET,)),
)
FIELDS = (
    (),
    (("Accept-Language", "de"),),
    (("Prefer", "wait=0"),),
    (("Cache-Control", "max-age=0"),),
)
LISTS = Batch("ids", most=3)
PATHS = (
    "price", "price", "obedient", "live", "search", "other", "shared", "shared", "weighed", "rows",
)  # fmt: skip
QUERIES = {
    "shared": ("?ids=a", "?ids=b", "?ids=c,a", "?ids=d,e,f", "?ids=a,b,c,d"),
    "weighed": ("?symbol=A", "?symbol=B", "?symbol=C", "?symbols=[%22A%22,%22D%22]"),
    "rows": ("?limit=1", "?limit=2", "?limit=3", "?limit=9"),
}
SMALL, LARGE = b'{"price":1}', b"x" * 400_000


@dataclass
class Wavering(OpenLedger):
    """Takes a moment for each answer, and tells what was never settled."""

    dice: random.Random = field(default_factory=random.Random)
    open: dict[str, Receipt] = field(default_factory=dict)
    number: int = 0

    async def spend(self, bill: Bill) -> Granted | Denied:
        await self._moment()
        if self.dice.random() < 0.3:
            name = self.dice.choice([charge.bucket for charge in bill.charges])
            return Denied(name, 0.01, 60.0, soonest=0.001)
        self.number += 1
        receipt = Receipt(str(self.number), bill)
        self.open[receipt.id] = receipt
        return Granted(receipt)

    async def settle(self, receipt: Receipt, settled: Settled) -> None:
        assert self.open.pop(receipt.id, None) is not None, "settled twice"
        await self._moment()
        if settled.hold is not None:
            self.held = 0.001

    def levels(self, _upstream: str) -> tuple[Level, ...]:
        used = self.dice.choice([0, 10, 20, 29])
        return (Level("minute", "minute", 30, used, 0.01, "sliding_window", 60.0),)

    async def _moment(self) -> None:
        for _ in range(self.dice.randrange(3)):
            await asyncio.sleep(0)


@dataclass
class Moody:
    """A provider in any mood."""

    now: Callable[[], float]
    dice: random.Random
    begun: int = 0
    exchanges: list[Response] = field(default_factory=list)

    async def send(self, outbound: Outbound) -> Exchange | Failed:
        self.begun += 1
        body = b""
        if outbound.body is not None:
            chunks = outbound.body if not isinstance(outbound.body, bytes) else _one(outbound.body)
            body = b"".join([chunk async for chunk in chunks])
        for _ in range(self.dice.randrange(6)):
            await asyncio.sleep(0)
        mood = self.dice.random()
        if mood < 0.1:
            return Failed(Failure.CONNECT, sent=False)
        if mood < 0.2:
            return Failed(self.dice.choice([Failure.TIMEOUT, Failure.DISCONNECTED]), sent=True)
        answer = Response(
            self.dice.choice([200, 200, 200, 500, 429, 404, 304]),
            (self.dice.choice([SMALL, LARGE, body or SMALL]),) * self.dice.choice([1, 1, 30]),
            self._fields(),
            broken=mood > 0.9,
            length_known=self.dice.random() < 0.5,
        )
        self.exchanges.append(replace(answer, requested_at=self.now(), received_at=self.now()))
        return self.exchanges[-1]

    def _fields(self) -> tuple[tuple[str, str], ...]:
        control = self.dice.choice(["max-age=60", "no-store", "private", "max-age=1"])
        return (
            ("Content-Type", "application/json"),
            ("Cache-Control", control),
            ("Vary", "Accept-Language"),
            ("ETag", '"1"'),
        )


async def _one(body: bytes) -> AsyncIterator[bytes]:
    yield body


class Bedlam:
    """A house, its provider's moods, and clients that come and go."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        common = {"max_wait": 0.05, "rescue_after": 0.002}
        self.house = House(
            upstream(
                endpoint("price", "/price", stale_while_revalidate=5.0, stale_if_error=50.0,
                         max_size=1_000_000, **common),
                endpoint("obedient", "/obedient", policy=Policy.OBEY, ttl=None, **common),
                endpoint("live", "/live", live=True),
                endpoint("search", "/search", cache_body=True, **common),
                endpoint("shared", "/shared", stale_if_error=50.0, batch=LISTS, **common),
                endpoint("weighed", "/weighed", batch=WEIGHED, cost=WEIGHT, **common),
                endpoint("rows", "/rows", contains=Contains("limit", fetch=(3,)), **common),
                deadline=0.3,
            )
        )  # fmt: skip
        self.ledger = Wavering(dice=self.dice)
        self.provider = Moody(lambda: self.house.clock, self.dice)
        parts = self.house.calls._parts
        self.house.queues._ledger = self.ledger
        self.house.calls._parts = replace(parts, ledger=self.ledger, client=self.provider)

    async def client(self) -> None:
        """Ask once, read some of the answer, or go at any moment."""
        path = self.dice.choice(PATHS)
        method = self.dice.choice(["GET", "GET", "GET", "HEAD", "POST"])
        query = self.dice.choice(QUERIES.get(path, ["", "?ids=a", "?ids=a", "?signature=x"]))
        body = _one(b"{}") if method == "POST" else None
        asking = asyncio.get_running_loop().create_task(
            self.house.ask(
                f"/coingecko/{path}{query}",
                self.dice.choice(FIELDS),
                method,
                body,
                self.dice.choice(CLIENTS),
            )
        )
        for _ in range(self.dice.randrange(40)):
            await asyncio.sleep(0)
        if self.dice.random() < 0.4:
            asking.cancel()
        try:
            answer = await asking
        except asyncio.CancelledError:
            return
        if isinstance(answer.body, bytes) or self.dice.random() < 0.3:
            return
        try:
            async for _ in answer.body:
                await asyncio.sleep(0)
                if self.dice.random() < 0.1:
                    return
        except BrokenExchangeError:
            return

    async def crowd(self) -> None:
        """Let many come at their own pace, and time pass."""
        async with asyncio.TaskGroup() as group:
            for _ in range(60):
                group.create_task(self.client())
                self.house.clock += self.dice.choice([0.0, 0.0, 1.0, 20.0])
                for _ in range(self.dice.randrange(8)):
                    await asyncio.sleep(0)


@pytest.mark.parametrize("seed", range(25))
async def test_nothing_is_left_behind(seed: int) -> None:
    """No task, place, flight, body or open grant survives those who asked."""
    bedlam = Bedlam(seed)
    await bedlam.crowd()
    house = bedlam.house
    await asyncio.wait_for(house.settle_down(), 60)
    flights, fetches = house.flow._parts.flights, house.flow._parts.fetches

    assert [] == house.errors
    assert ({}, 0, {}) == (house.queues._lines, len(flights), fetches._arriving)
    assert house.queues.length("coingecko") == 0
    assert {} == house.flow._parts.cache._forgetting
    assert {} == fetches.gatherings._gatherings
    # What was sent for a client that went is open: it counts as booked.
    abandoned = [call for call in house.recorder.calls if call.failure == "abandoned"]

    assert len(bedlam.ledger.open) <= len(abandoned)
    assert bedlam.provider.begun == len(house.recorder.calls)
