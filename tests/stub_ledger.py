"""A ledger that grants what the test put in, and bills that ask it."""

import asyncio
import math

from proxy.core.model import Client, Denied
from proxy.core.spending import Bill, Charge, Granted, Level, Outlook, Receipt, Settled
from proxy.core.upstreams import Algorithm, Limit
from proxy.queues import Patience, Queues

MINUTE = Limit("minute", 10, 60.0, Algorithm.SLIDING_WINDOW)


def bill(who: str, cost: float = 1.0) -> Bill:
    return Bill("coingecko", (Charge(MINUTE, "minute", cost),), 8.0, urgent=who == "urgent")


def patience(wait: float, priority: int = 3, most: int = 100) -> Patience:
    return Patience(Client(), priority, wait, most)


class StubLedger:
    """Grants what the test put in; says how long until then."""

    def __init__(self) -> None:
        self.tokens = 0.0
        self.retry_after = 3600.0
        self.returns: tuple[tuple[float, float], ...] = ()
        self.again = math.inf
        self.soonest: float | None = 0.001
        self.granted: list[Bill] = []
        self.settled: list[tuple[Receipt, Settled]] = []
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def spend(self, bill: Bill) -> Granted | Denied:
        self.asked.set()
        await self.gate.wait()
        if self.tokens >= bill.charges[0].cost:
            self.tokens -= bill.charges[0].cost
            self.granted.append(bill)
            return Granted(Receipt(str(len(self.granted)), bill))
        return Denied(
            "minute", self.retry_after, 60.0, self.soonest, returns=self.returns, again=self.again
        )

    async def settle(self, receipt: Receipt, settled: Settled) -> None:
        self.settled.append((receipt, settled))

    def levels(self, _upstream: str) -> tuple[Level, ...]:
        return ()

    def outlook(self, _upstream: str, _bucket: str) -> Outlook | None:
        return None

    def held_for(self, _upstream: str) -> float:
        return 0.0


async def waiting(queues: Queues, number: int) -> None:
    while queues.length("coingecko") != number:  # noqa: ASYNC110 - a plain figure, no event
        await asyncio.sleep(0)
