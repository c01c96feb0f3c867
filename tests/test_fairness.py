"""Stories of the queue in front of the real ledger, in simulated time: who gets how much, when."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from statistics import quantiles

import pytest

from proxy.core.model import Client
from proxy.core.spending import Bill, Charge, Granted, Settled
from proxy.core.upstreams import Algorithm, CalendarUnit, Limit
from proxy.core.waiting import Waiter, WaitingLine
from proxy.ledger.memory import MemoryLedger
from proxy.queues import Patience, Queues
from proxy.tasks import Tasks
from tests.clockwork import turned

WALL = 1.7e9
WARM = 60.0
"""Seconds after which a line stands."""
MINUTE = Limit("minute", 60, 60.0, Algorithm.SLIDING_WINDOW)
BUCKET = Limit("minute", 60, 60.0, Algorithm.TOKEN_BUCKET, burst=5)
ANSWERED = Settled(sent=True, answered=True)

LIMITS = (MINUTE, BUCKET)


@dataclass
class House:
    """Queues and ledger on one simulated clock, and what clients got of them."""

    limit: Limit
    queues: Queues
    ledger: MemoryLedger
    waits: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Of each client: how long each of its grants was waited for."""

    async def ask(self, client: Client, wait: float, *, priority: int = 3, most: int = 100) -> None:
        """Ask once; the answer comes half a second after the grant."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        bill = Bill("up", (Charge(self.limit, "minute", 1.0),), 8.0)
        decision = await self.queues.spend(bill, Patience(client, priority, wait, most))
        if not isinstance(decision, Granted):
            return
        if began >= WARM:  # before, who came first took what stood free
            self.waits[client.identity].append(loop.time() - began)
        await asyncio.sleep(0.5)
        await self.ledger.settle(decision.receipt, ANSWERED)
        self.queues.changed("up")


@asynccontextmanager
async def house(limit: Limit, wall: Callable[[], float] | None = None) -> AsyncIterator[House]:
    loop = asyncio.get_running_loop()
    tasks = Tasks(lambda *_: None)
    ledger = MemoryLedger(
        {"up": (limit,)},
        boottime=lambda: 500.0 + loop.time(),
        wall=wall or (lambda: WALL + loop.time()),
    )
    yield House(limit, Queues(ledger, tasks, loop.time), ledger)
    await tasks.close()


def jain(shares: Sequence[float]) -> float:
    """Return Jain's index: 1 where all get the same, 1/n where one gets all."""
    return sum(shares) ** 2 / (len(shares) * sum(share * share for share in shares))


async def flooded(limit: Limit, wait: float, most: int, minutes: int) -> House:
    """Nine clients ask 12 times a minute each, a tenth 100 times as often; 60 are to be had."""
    clients = [Client(identity=f"bot-{number}") for number in range(10)]
    async with house(limit) as home, asyncio.TaskGroup() as group:
        for _turn in range(minutes * 12):
            for client in clients:
                for _ in range(100 if client is clients[0] else 1):
                    group.create_task(home.ask(client, wait, most=most))
                await asyncio.sleep(0.5)
    return home


def test_a_flood_leaves_the_others_their_share() -> None:
    """One client asks 100 times as often as nine others: Jain's index is 0.95 at the least."""
    for most in (100, 1000):
        home = turned(flooded(MINUTE, 60.0, most, 6))

        assert jain([len(home.waits[f"bot-{number}"]) for number in range(10)]) >= 0.95


def test_high_priority_waits_less_at_every_quantile() -> None:
    """Of two clients that ask alike, the urgent one waits less, from the luckiest to the last."""

    async def story() -> House:
        async with house(BUCKET) as home, asyncio.TaskGroup() as group:
            for _ in range(600):
                for name, priority in (("high", 1), ("low", 5)):
                    asks = home.ask(Client(identity=name), 60.0, priority=priority)
                    group.create_task(asks)
                await asyncio.sleep(1.7)
        return home

    home = turned(story())
    high, low = (quantiles(home.waits[name], n=100) for name in ("high", "low"))

    assert all(soon < late for soon, late in zip(high, low, strict=True)), (high, low)


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
    def flood(cls, number: int) -> int:
        """Return the comparisons that it takes to join, leave and serve so many."""
        cls.compared = 0
        line = WaitingLine()
        waiters = [Waiter(Client(identity=str(n % 50)), cls(3), 1.0, 1e9) for n in range(number)]
        for each in waiters:
            line.join(each)
        for each in waiters[::3]:
            line.leave(each)
        while (head := line.head()) is not None:
            line.served(head)
        assert (0, [], [], {}) == (len(line), line._heap, line._ends, line._last)
        return cls.compared


def test_a_flood_costs_a_logarithm_each_and_leaves_nothing() -> None:
    """10,000 join, go or are served: comparisons grow as n log n, and the line is empty then."""
    few, many = (_Counted.flood(number) for number in (1_000, 10_000))

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
            house(MONTH, lambda: END - 90 + loop.time()) as home,
            asyncio.TaskGroup() as all_,
        ):
            await asyncio.sleep(61)
            for _ in range(6):
                all_.create_task(home.ask(Client(identity="bot"), 300.0))
        return home.waits["bot"]

    waits = turned(story())

    assert [0.0] * 3 == waits[:3]
    assert len(waits) == 6
    assert all(29 <= each <= 45 for each in waits[3:])


@pytest.mark.parametrize("step", [3600.0, -3600.0])
@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.algorithm.value)
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
