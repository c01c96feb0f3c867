"""Waiting for quota: order, deadlines, refunds of grants that nobody took."""

import asyncio

import pytest

from proxy.core.model import Denied
from proxy.core.spending import Bill, Charge, Granted, Receipt, Settled
from proxy.core.upstreams import Algorithm, Limit
from proxy.queues import UNSENT, Overloaded, Queues
from proxy.tasks import Tasks
from proxy.urgency import Urgency
from tests.stub_ledger import MINUTE, StubLedger, bill, patience, waiting
from tests.values import replace


async def test_granted_at_once(ledger: StubLedger, queues: Queues) -> None:
    """What the limit allows does not wait."""
    ledger.tokens = 1

    assert isinstance(await queues.spend(bill("a"), patience(5)), Granted)
    assert queues.length("coingecko") == 0


async def test_first_come_first_served(ledger: StubLedger, queues: Queues) -> None:
    """Grants go to those who wait in the order of their coming, a newcomer behind them."""
    bills = [bill("a", cost) for cost in (3, 1, 2)]
    waiters = []
    for position, each in enumerate(bills):
        waiters.append(asyncio.get_running_loop().create_task(queues.spend(each, patience(60))))
        await waiting(queues, position + 1)
    ledger.tokens = 6
    await asyncio.gather(*waiters)

    assert bills == ledger.granted
    assert queues.length("coingecko") == 0


async def test_nobody_waits_who_could_not_be_served(ledger: StubLedger, queues: Queues) -> None:
    """Who would wait longer than it may is told at once, with the time to come back."""
    ledger.soonest = None
    ledger.retry_after = 40.0
    denied = await queues.spend(bill("a"), patience(5))

    assert isinstance(denied, Denied)
    assert denied.retry_after == pytest.approx(40, abs=1)


async def test_who_stands_behind_too_many_is_told_at_once(
    ledger: StubLedger, queues: Queues
) -> None:
    """One token in a second serves the first who waits; the second knows that it comes late."""
    ledger.soonest = None
    ledger.retry_after = 1.0
    ledger.returns = ((1.0, 1.0), (30.0, 9.0))
    first = asyncio.get_running_loop().create_task(queues.spend(bill("a"), patience(5)))
    await waiting(queues, 1)

    assert isinstance(await queues.spend(bill("a"), patience(5)), Denied)

    first.cancel()


async def test_patience_ends(ledger: StubLedger, queues: Queues) -> None:
    """Who waited in vain gets the denial when its time is over."""
    assert isinstance(await queues.spend(bill("a"), patience(0.01)), Denied)
    assert queues.length("coingecko") == 0


async def test_bounded(ledger: StubLedger, queues: Queues) -> None:
    """One more than may wait is told that there are too many."""
    first = asyncio.get_running_loop().create_task(queues.spend(bill("a"), patience(60, most=1)))
    await waiting(queues, 1)

    assert Overloaded(1) == await queues.spend(bill("a"), patience(60, most=1))

    first.cancel()


async def test_a_grant_that_nobody_takes_is_refunded(ledger: StubLedger, queues: Queues) -> None:
    """The caller goes while the ledger counts: its tokens come back."""
    waiter = asyncio.get_running_loop().create_task(queues.spend(bill("a"), patience(60)))
    await waiting(queues, 1)
    ledger.gate.clear()
    ledger.asked.clear()
    await ledger.asked.wait()
    waiter.cancel()
    await asyncio.gather(waiter, return_exceptions=True)
    ledger.tokens = 1
    ledger.gate.set()
    while not ledger.settled:  # noqa: ASYNC110 - a plain list, no event
        await asyncio.sleep(0)

    assert [UNSENT] == [settled for _, settled in ledger.settled]


async def test_changed_asks_again(ledger: StubLedger, queues: Queues) -> None:
    """A refund wakes who waits, long before the denial's own time."""
    ledger.soonest = 30.0
    ledger.returns = ((30.0, 10.0),)
    waiter = asyncio.get_running_loop().create_task(queues.spend(bill("a"), patience(60)))
    await waiting(queues, 1)
    ledger.tokens = 1
    queues.changed("coingecko")

    assert isinstance(await asyncio.wait_for(waiter, 20), Granted)


async def test_urgent_bills_do_not_stand_in_line(ledger: StubLedger, queues: Queues) -> None:
    """What may touch the reserve asks for it at once, whoever waits for the rest."""
    waiter = asyncio.get_running_loop().create_task(queues.spend(bill("a", 5), patience(60)))
    await waiting(queues, 1)
    ledger.tokens = 1

    assert isinstance(await queues.spend(bill("urgent"), patience(0)), Granted)

    waiter.cancel()


async def test_who_does_not_wait_does_not_push_in(ledger: StubLedger, queues: Queues) -> None:
    """A newcomer without patience takes nothing from those who wait in line."""
    waiter = asyncio.get_running_loop().create_task(queues.spend(bill("a", 5), patience(60)))
    await waiting(queues, 1)
    ledger.tokens = 1

    assert isinstance(await queues.spend(bill("b"), patience(0)), Denied)
    assert ledger.granted == []

    waiter.cancel()


async def test_lines_end_with_those_who_wait(ledger: StubLedger, queues: Queues) -> None:
    """Nothing is kept of a line that nobody stands in, however many lines there have been."""
    ledger.soonest, ledger.retry_after = None, 3600.0
    for name in range(20):
        own = Bill("coingecko", (Charge(MINUTE, f"minute@{name}", 1.0),), 8.0)

        assert isinstance(await queues.spend(own, patience(1)), Denied)

    assert queues._lines == {}


async def test_a_ledger_that_raises_keeps_nobody_waiting(
    ledger: StubLedger, queues: Queues
) -> None:
    """Its error reaches everyone in line at once, and the next who comes asks anew."""
    waiters = [
        asyncio.get_running_loop().create_task(queues.spend(bill("a"), patience(60)))
        for _ in range(3)
    ]
    await waiting(queues, 3)
    asking = ledger.spend

    async def broken(_bill: Bill) -> Granted | Denied:
        raise RuntimeError("a bug")

    ledger.spend = broken  # type: ignore[method-assign]  # a ledger that raises
    queues.changed("coingecko")
    results = await asyncio.wait_for(asyncio.gather(*waiters, return_exceptions=True), 20)
    ledger.spend = asking  # type: ignore[method-assign]  # whole again
    ledger.tokens = 1

    assert [RuntimeError] * 3 == [type(result) for result in results]
    assert isinstance(await queues.spend(bill("a"), patience(5)), Granted)


async def test_a_refund_wakes_the_next(ledger: StubLedger, queues: Queues) -> None:
    """What one who goes gives back is offered to who waits, at once."""
    ledger.soonest, ledger.returns = 30.0, ((30.0, 10.0),)
    going = asyncio.get_running_loop().create_task(queues.spend(bill("a"), patience(60)))
    staying = asyncio.get_running_loop().create_task(queues.spend(bill("a"), patience(60)))
    await waiting(queues, 2)

    async def settle(_receipt: Receipt, _settled: Settled) -> None:
        ledger.tokens += 1

    ledger.settle = settle  # type: ignore[method-assign]  # gives back
    ledger.tokens = 1
    [line] = queues._lines.values()
    head = next(iter(line.places.values()))
    head.decided.add_done_callback(lambda _: going.cancel())  # in the tick of the grant
    queues.changed("coingecko")

    assert isinstance(await asyncio.wait_for(staying, 20), Granted)
    with pytest.raises(asyncio.CancelledError):
        await going


OWN = Limit("~grid-1/minute", 2, 60.0, Algorithm.SLIDING_WINDOW, of="client")
DEAR = Bill("coingecko", (Charge(MINUTE, "minute", 1.0), Charge(OWN, OWN.name, 1.0)), 8.0)


class BudgetLedger(StubLedger):
    """Denies whoever has a budget of its own, by that budget."""

    async def spend(self, bill: Bill) -> Granted | Denied:
        if any(charge.limit.of == "client" for charge in bill.charges):
            return Denied(OWN.name, 30.0, 60.0)
        return await super().spend(bill)


async def test_a_budget_of_ones_own_is_not_waited_for() -> None:
    """Who has spent its own budget is told at once, patient or not, and takes no place."""
    queues = Queues(BudgetLedger(), Tasks(lambda *_: None), asyncio.get_running_loop().time)
    denied = await queues.spend(DEAR, patience(60))

    assert isinstance(denied, Denied)
    assert (OWN.name, 30.0, {}) == (denied.limit, denied.retry_after, queues._lines)


async def test_a_spent_budget_holds_up_nobody_else() -> None:
    """In line for the provider's limit, who has spent its own budget makes way for the next."""
    ledger = BudgetLedger()
    queues = Queues(ledger, Tasks(lambda *_: None), asyncio.get_running_loop().time)
    first = asyncio.get_running_loop().create_task(queues.spend(bill("a"), patience(60)))
    await waiting(queues, 1)
    spent = asyncio.get_running_loop().create_task(queues.spend(DEAR, patience(60, priority=0)))
    await waiting(queues, 2)
    ledger.tokens = 1
    queues.changed("coingecko")
    answers = await asyncio.wait_for(asyncio.gather(first, spent), 20)

    assert [Granted, Denied] == [type(answer) for answer in answers]


async def test_a_place_rises_with_whoever_joins_it(ledger: StubLedger, queues: Queues) -> None:
    """A place at the end of the line goes to its front when someone more urgent shares it."""
    urgency = Urgency()
    shared = replace(patience(60, priority=6), urgency=urgency)
    middle = asyncio.get_running_loop().create_task(queues.spend(bill("a", 1), patience(60)))
    low = asyncio.get_running_loop().create_task(queues.spend(bill("b", 2), shared))
    await waiting(queues, 2)
    urgency.join(1)
    ledger.tokens = 3
    queues.changed("coingecko")
    await asyncio.wait_for(asyncio.gather(middle, low), 20)

    assert [2, 1] == [granted.charges[0].cost for granted in ledger.granted]


async def test_who_rises_while_being_asked_for_is_served_once(
    ledger: StubLedger, queues: Queues
) -> None:
    """Joined while the ledger counts for it: the grant is still the same place's, and one."""
    urgency = Urgency()
    shared = replace(patience(60, priority=6), urgency=urgency)
    waiter = asyncio.get_running_loop().create_task(queues.spend(bill("a"), shared))
    await waiting(queues, 1)
    ledger.gate.clear()
    ledger.asked.clear()
    await ledger.asked.wait()
    urgency.join(0)
    ledger.tokens = 1
    ledger.gate.set()

    assert isinstance(await asyncio.wait_for(waiter, 20), Granted)
    assert ([], 0, 1) == (ledger.settled, queues.length("coingecko"), len(ledger.granted))


Asking = asyncio.Task[Granted | Denied | Overloaded]
