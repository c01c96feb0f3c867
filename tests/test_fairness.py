"""Stories of the queue in front of the real ledger, in simulated time: who gets how much, when."""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from statistics import quantiles

import pytest

from proxy.core.backlogs import Waiter
from proxy.core.fair_shares import FairShares
from proxy.core.model import Client
from proxy.core.spending import Bill, Charge, Granted, Settled
from proxy.core.upstreams import Algorithm, CalendarUnit, Limit
from proxy.core.waiting import WaitingLine
from proxy.ledger.memory import MemoryLedger
from proxy.queues import Patience, Queues
from proxy.tasks import Tasks
from tests.clockwork import turned

WALL = 1.7e9
WARM = 120.0
"""Seconds after which a line stands."""
MINUTE = Limit("minute", 60, 60.0, Algorithm.SLIDING_WINDOW)
BUCKET = Limit("minute", 60, 60.0, Algorithm.TOKEN_BUCKET, burst=5)

FIXED = Limit("minute", 60, 60.0, Algorithm.FIXED_WINDOW)

LIMITS = (MINUTE, BUCKET, FIXED)
OFFSET = -3.21
"""The provider's clock less ours, s."""


@dataclass
class House:
    """Queues and ledger on one simulated clock, and what clients got of them."""

    limit: Limit
    queues: Queues
    ledger: MemoryLedger
    waits: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Of each client: how long each of its grants was waited for."""
    dated: bool = False
    """Whether answers tell the provider's time."""
    got: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Of each client: its grants while the line stood."""

    async def ask(self, client: Client, wait: float, *, priority: int = 3, most: int = 100) -> None:
        """Ask once; the answer comes half a second after the grant."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        bill = Bill("up", (Charge(self.limit, "minute", 1.0),), 8.0)
        decision = await self.queues.spend(bill, Patience(client, priority, wait, most))
        if not isinstance(decision, Granted):
            return
        if WARM <= loop.time() < MINUTES * 60:
            self.got[client.identity] += 1
        if began >= WARM:  # before, who came first took what stood free
            self.waits[client.identity].append(loop.time() - began)
        await asyncio.sleep(0.5)
        date = float(int(WALL + loop.time() + OFFSET)) if self.dated else None
        await self.ledger.settle(decision.receipt, Settled(sent=True, answered=True, date=date))
        self.queues.changed("up")


@asynccontextmanager
async def house(
    limit: Limit, wall: Callable[[], float] | None = None, *, dated: bool = False
) -> AsyncIterator[House]:
    loop = asyncio.get_running_loop()
    tasks = Tasks(lambda *_: None)
    ledger = MemoryLedger(
        {"up": (limit,)},
        boottime=lambda: 500.0 + loop.time(),
        wall=wall or (lambda: WALL + loop.time()),
    )
    yield House(limit, Queues(ledger, tasks, loop.time), ledger, dated=dated)
    await tasks.close()


def jain(shares: Sequence[float]) -> float:
    """Return Jain's index: 1 where all get the same, 1/n where one gets all."""
    return sum(shares) ** 2 / (len(shares) * sum(share * share for share in shares))


CLIENTS = tuple(Client(identity=f"bot-{number}") for number in range(10))
MINUTES = 6


async def flooded(limit: Limit, wait: float, priority: int, *, at_once: int) -> House:
    """Nine clients ask 12 times a minute each, a tenth 100 times as often; 60 are to be had."""

    async def bot(home: House, client: Client, number: int, pause: float) -> None:
        while loop.time() < MINUTES * 60:
            for _ in range(number):
                group.create_task(home.ask(client, wait, priority=priority))
            await asyncio.sleep(pause)

    loop = asyncio.get_running_loop()
    async with house(limit, dated=True) as home, asyncio.TaskGroup() as group:
        group.create_task(bot(home, CLIENTS[0], at_once, at_once / 20))
        for position, client in enumerate(CLIENTS[1:]):
            await asyncio.sleep(0.37 + position / 7)
            group.create_task(bot(home, client, 1, 5.0))
    return home


PATIENCE = (1.0, 5.0, 90.0)
"""Seconds: shorter and longer than the window."""


@pytest.mark.parametrize("at_once", [1, 100], ids=["steady", "in-bursts"])
@pytest.mark.parametrize("priority", [1, 5])
@pytest.mark.parametrize("wait", PATIENCE)
@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.algorithm.value)
def test_a_flood_leaves_the_others_their_share(
    limit: Limit, wait: float, priority: int, at_once: int
) -> None:
    """One asks 100 times as often as nine others: Jain's index is 0.95 at least, 97 % used."""
    home = turned(flooded(limit, wait, priority, at_once=at_once))
    got = [home.got[client.identity] for client in CLIENTS]

    assert jain(got) >= 0.95, got
    assert sum(got) >= 0.97 * 60 * (MINUTES - WARM / 60)


@pytest.mark.parametrize("wait", [0.5, 2.0, 5.0, 60.0])
@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.algorithm.value)
def test_a_flood_leaves_the_others_their_share_of_what_they_ask_by_chance(
    limit: Limit, wait: float
) -> None:
    """Nobody asks by the clock: Jain's index is 0.95 at least, however short the patience."""

    async def story() -> House:
        loop, chance = asyncio.get_running_loop(), random.Random(1)

        async def bot(home: House, client: Client, pause: float) -> None:
            while loop.time() < MINUTES * 60:
                group.create_task(home.ask(client, wait))
                await asyncio.sleep(chance.expovariate(1 / pause))

        async with house(limit, dated=True) as home, asyncio.TaskGroup() as group:
            for client in CLIENTS:
                group.create_task(bot(home, client, 0.05 if client is CLIENTS[0] else 5.0))
        return home

    home = turned(story())
    got = [home.got[client.identity] for client in CLIENTS]

    assert jain(got) >= 0.95, got
    assert sum(got) >= 0.93 * 60 * (MINUTES - WARM / 60)


@pytest.mark.parametrize("wait", [0.5, 5.0])
@pytest.mark.parametrize("limit", [MINUTE, FIXED], ids=lambda limit: limit.algorithm.value)
def test_who_asks_alone_gets_all(limit: Limit, wait: float) -> None:
    """Nobody else asks: what it gets in bursts is all that there is, not a token less."""

    async def story() -> House:
        loop = asyncio.get_running_loop()
        async with house(limit, dated=True) as home, asyncio.TaskGroup() as group:
            while loop.time() < MINUTES * 60:
                for _ in range(50):
                    group.create_task(home.ask(CLIENTS[0], wait))
                await asyncio.sleep(7.3)
        return home

    home = turned(story())

    assert sum(home.got.values()) >= 60 * (MINUTES - WARM / 60)


@pytest.mark.parametrize("wait", PATIENCE)
@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.algorithm.value)
def test_who_asks_for_less_than_its_share_gets_it(limit: Limit, wait: float) -> None:
    """A flood of one leaves nine that ask four times a minute nearly all they ask for."""

    async def story() -> House:
        loop = asyncio.get_running_loop()

        async def bot(home: House, client: Client, pause: float) -> None:
            while loop.time() < MINUTES * 60:
                group.create_task(home.ask(client, wait))
                await asyncio.sleep(pause)

        async with house(limit, dated=True) as home, asyncio.TaskGroup() as group:
            group.create_task(bot(home, CLIENTS[0], 0.05))
            for position, client in enumerate(CLIENTS[1:]):
                await asyncio.sleep(0.37 + position / 7)
                group.create_task(bot(home, client, 15.0))
        return home

    home = turned(story())
    minutes = MINUTES - WARM / 60
    fair = [60 - 9 * 4, *(4 for _ in range(9))]
    got = [home.got[client.identity] / minutes for client in CLIENTS]

    assert jain([have / share for have, share in zip(got, fair, strict=True)]) >= 0.95, got
    assert sum(got) >= 0.95 * 60


@pytest.mark.parametrize("wait", [20.0, 90.0])
@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.algorithm.value)
def test_high_priority_waits_less_at_every_quantile(limit: Limit, wait: float) -> None:
    """Of two clients that ask alike, the urgent one waits less, from the luckiest to the last."""

    async def story() -> House:
        async with house(limit, dated=True) as home, asyncio.TaskGroup() as group:
            for _ in range(600):
                for name, priority in (("high", 1), ("low", 5)):
                    asks = home.ask(Client(identity=name), wait, priority=priority)
                    group.create_task(asks)
                await asyncio.sleep(1.7)
        return home

    home = turned(story())
    high, low = (quantiles(home.waits[name], n=100) for name in ("high", "low"))

    assert all(soon <= late for soon, late in zip(high, low, strict=True)), (high, low)
    assert sum(high) < sum(low)


class _Counted(int):
    """A priority that counts how often places are compared."""

    compared = 0

    def __eq__(self, other: object) -> bool:
        _Counted.compared += 1
        return int.__eq__(self, other)  # type: ignore[arg-type]  # only ever an int

    __hash__ = int.__hash__

    def __neg__(self) -> "_Counted":
        return _Counted(int.__neg__(self))

    @classmethod
    def flood(cls, number: int, clients: int) -> int:
        """Return the comparisons that it takes to join, leave and serve so many."""
        cls.compared = 0
        shares = FairShares(number / 10, 60.0, 0.0)
        line = WaitingLine(shares)
        waiters = [
            Waiter(Client(identity=str(n % clients)), cls(3), 1.0 + n % 7, 1e9)
            for n in range(number)
        ]
        for each in waiters:
            shares.ask(each.client, 3, each.cost, 1.0)
        for each in waiters:
            line.ahead(each, 61.0)
            line.behind(each, 61.0)
            line.join(each, 61.0)
        for each in waiters[::3]:
            line.leave(each, 61.0)
        while (head := line.head(62.0)) is not None:
            shares.grant(head.client, 3, head.cost, 62.0)
            line.served(head, 62.0)
        assert (0, [], {}, {}) == (len(line), line._heap, line._flows, line._backlogs)
        return cls.compared


@pytest.mark.parametrize("each", [200, 1])
def test_a_flood_costs_a_logarithm_each_and_leaves_nothing(each: int) -> None:
    """10,000 join, go or are served, of 50 clients or of as many: comparisons grow as n log n."""
    few, many = (_Counted.flood(number, number // each) for number in (1_000, 10_000))

    assert 0 < many <= 10 * few * 1.5  # log 10,000 : log 1,000 is 1.33


def test_ten_thousand_in_line_leave_nothing_behind() -> None:
    """All of a flood are answered, and neither a line nor a place is kept."""

    async def story() -> tuple[House, int]:
        async with house(MINUTE) as home, asyncio.TaskGroup() as group:
            for number in range(10_000):
                client = Client(identity=str(number % 50))
                group.create_task(home.ask(client, 600.0, most=20_000))
            await asyncio.sleep(1)
            most = home.queues.length("up")
        return home, most

    home, most = turned(story())

    assert most > 500
    assert ({}, 0) == (home.queues._lines, home.queues.length("up"))


MONTH = Limit("month", 3, CalendarUnit.MONTH, Algorithm.FIXED_WINDOW)
END = 1_764_547_200.0
"""Midnight at the end of November 2025, UTC."""


def test_a_month_that_ends_while_requests_wait() -> None:
    """Three go in the last minute of the month, three more when the new one has surely begun."""

    async def story() -> list[float]:
        loop = asyncio.get_running_loop()
        async with (
            house(MONTH, lambda: END - 150 + loop.time()) as home,
            asyncio.TaskGroup() as all_,
        ):
            await asyncio.sleep(121)
            for _ in range(6):
                all_.create_task(home.ask(Client(identity="bot"), 300.0))
        return home.waits["bot"]

    waits = turned(story())

    assert [0.0] * 3 == waits[:3]
    assert len(waits) == 6
    assert all(29 <= each <= 45 for each in waits[3:])


@pytest.mark.parametrize("step", [3600.0, -3600.0])
@pytest.mark.parametrize("limit", [MINUTE, BUCKET], ids=lambda limit: limit.algorithm.value)
def test_a_clock_that_steps_mints_nothing(limit: Limit, step: float) -> None:
    """The wall leaps by an hour while requests wait: no minute gives more than its limit."""

    async def story() -> list[float]:
        loop, granted = asyncio.get_running_loop(), list[float]()

        async def ask(home: House) -> None:
            await home.ask(Client(), 200.0, most=1000)
            granted.append(loop.time())

        wall = lambda: WALL + loop.time() + (step if loop.time() > 90 else 0.0)  # noqa: E731 - a clock
        async with house(limit, wall) as home, asyncio.TaskGroup() as group:
            await asyncio.sleep(61)
            for _ in range(180):
                group.create_task(ask(home))
        return sorted(granted)

    granted = turned(story())
    most = limit.limit + (limit.burst or 0.0)

    assert max(sum(1 for each in granted if at <= each < at + 60) for at in granted) <= most


@pytest.mark.parametrize("step", [3617.0, -3617.0, 3600.0, -3600.0])
def test_a_clock_that_steps_does_not_move_the_providers_windows(step: float) -> None:
    """Its minutes are known by its answers: our wall leaps, and none of them gets more than 60."""

    async def story() -> list[float]:
        loop, granted = asyncio.get_running_loop(), list[float]()

        async def ask(home: House) -> None:
            bill = Bill("up", (Charge(home.limit, "minute", 1.0),), 8.0)
            decision = await home.queues.spend(bill, Patience(Client(), 3, 60.0, 1000))
            if isinstance(decision, Granted):
                granted.append(WALL + loop.time() + OFFSET)
                await asyncio.sleep(0.5)
                date = float(int(WALL + loop.time() + OFFSET))
                settled = Settled(sent=True, answered=True, date=date)
                await home.ledger.settle(decision.receipt, settled)
                home.queues.changed("up")

        wall = lambda: WALL + loop.time() + (step if loop.time() > 200 else 0.0)  # noqa: E731 - a clock
        async with house(FIXED, wall) as home, asyncio.TaskGroup() as group:
            while loop.time() < 600:
                group.create_task(ask(home))
                await asyncio.sleep(0.5)
        return granted

    granted = turned(story())
    minutes = Counter(int(at // 60) for at in granted)

    assert max(minutes.values()) <= 60
    assert len(granted) >= 0.9 * 60 * 600 / 60


@pytest.mark.parametrize("step", [3600.0, -3600.0])
def test_a_clock_that_steps_begins_no_month(step: float) -> None:
    """Half an hour before the month's end the wall leaps: the new month's begins with it."""

    async def story() -> list[float]:
        loop, granted = asyncio.get_running_loop(), list[float]()
        wall = lambda: END - 1800 + loop.time() + (step if loop.time() > 60 else 0.0)  # noqa: E731 - a clock
        async with house(MONTH, wall) as home:
            while loop.time() < 6000:
                bill = Bill("up", (Charge(MONTH, "minute", 1.0),), 8.0)
                decision = await home.queues.spend(bill, Patience(Client(), 3, 0.0, 10))
                if isinstance(decision, Granted):
                    granted.append(loop.time() - 1800)
                    date = float(int(END - 1800 + loop.time()))
                    settled = Settled(sent=True, answered=True, date=date)
                    await home.ledger.settle(decision.receipt, settled)
                await asyncio.sleep(10)
        return granted

    granted = turned(story())

    assert 3 == len([at for at in granted if at < 0])
    assert 3 == len([at for at in granted if at >= 0])
