"""Waiting for quota in a line that is full, or longer than what is foreseen."""

import asyncio

import pytest

from proxy.core.model import Client, Denied
from proxy.core.spending import Granted
from proxy.queues import Overloaded, Patience, Queues
from tests.stub_ledger import StubLedger, bill, waiting
from tests.values import replace


def named(name: str, priority: int = 3, most: int = 4, weight: float = 1.0) -> Patience:
    return Patience(Client(identity=name, weight=weight), priority, 60.0, most)


async def lined_up(
    queues: Queues, *names: str
) -> list[asyncio.Task[Granted | Denied | Overloaded]]:
    """Let these take their places, one after another."""
    tasks = []
    for position, name in enumerate(names):
        asked = queues.spend(bill(name), named(name, most=len(names)))
        tasks.append(asyncio.get_running_loop().create_task(asked))
        await waiting(queues, position + 1)
    return tasks


async def test_a_full_line_ousts_the_last_of_who_has_most(
    ledger: StubLedger, queues: Queues
) -> None:
    """A flood fills the line: a newcomer takes the flood's last place, and its first goes on."""
    flood = await lined_up(queues, *["flood"] * 4)
    newcomer = asyncio.get_running_loop().create_task(queues.spend(bill("new"), named("new")))
    ousted = await asyncio.wait_for(flood[-1], 20)
    ledger.tokens = 4
    queues.changed("coingecko")
    served = await asyncio.wait_for(asyncio.gather(*flood[:3], newcomer), 20)

    assert ousted == Overloaded(4)
    assert [Granted] * 4 == [type(each) for each in served]


async def test_a_full_line_of_others_is_not_pushed_into(queues: Queues) -> None:
    """Where everyone waits for one, a newcomer is told, and so is the flood that has most."""
    others = await lined_up(queues, "a", "b", "c", "c")

    assert await queues.spend(bill("c"), named("c")) == Overloaded(4)
    last = asyncio.get_running_loop().create_task(queues.spend(bill("d"), named("d")))
    assert await asyncio.wait_for(others[-1], 20) == Overloaded(4)
    assert await queues.spend(bill("e"), named("e")) == Overloaded(4)
    for task in (*others, last):
        task.cancel()


@pytest.mark.parametrize(("priority", "ousts"), [(1, True), (5, False)])
async def test_a_full_line_makes_room_by_class(
    queues: Queues, priority: int, *, ousts: bool
) -> None:
    """Who is more urgent takes a place of the least urgent; who is less takes none."""
    tasks = await lined_up(queues, "a", "b", "c", "d")
    asked = queues.spend(bill("new"), named("new", priority))
    newcomer = asyncio.get_running_loop().create_task(asked)
    done, _ = await asyncio.wait([*tasks, newcomer], return_when=asyncio.FIRST_COMPLETED)

    assert (newcomer not in done) is ousts
    assert [Overloaded(4)] == [task.result() for task in done]
    for task in (*tasks, newcomer):
        task.cancel()


async def test_a_light_client_is_not_refused_for_a_floods_places(
    ledger: StubLedger, queues: Queues
) -> None:
    """A token a second, fifty of a flood in line: two seconds are enough for one who is not."""
    ledger.soonest, ledger.retry_after = None, 1.0
    ledger.returns = tuple((float(second), 1.0) for second in range(1, 121))
    flood = await lined_up(queues, *["flood"] * 50)
    light = replace(named("light", most=200), max_wait=3.0)
    asked = asyncio.get_running_loop().create_task(queues.spend(bill("light"), light))
    await waiting(queues, 51)
    hasty = replace(named("flood", most=200), max_wait=3.0)

    assert isinstance(await queues.spend(bill("flood"), hasty), Denied)
    for task in (*flood, asked):
        task.cancel()


async def test_beyond_what_is_foreseen_another_window_must_pass(
    ledger: StubLedger, queues: Queues
) -> None:
    """Two in 20 s, and two more a window later: within 50 s the third is told at once."""
    ledger.soonest, ledger.retry_after = None, 20.0
    ledger.returns, ledger.again = ((20.0, 2.0),), 60.0
    two = await lined_up(queues, "a", "b")
    third = replace(named("c", most=9), max_wait=50.0)
    fourth = replace(named("d", most=9), max_wait=90.0)

    assert isinstance(await queues.spend(bill("c"), third), Denied)
    patient = asyncio.get_running_loop().create_task(queues.spend(bill("d"), fourth))
    await waiting(queues, 3)
    for task in (*two, patient):
        task.cancel()
