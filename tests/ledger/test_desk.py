"""What every ledger does the same: in memory, in SQLite, in Redis."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.backends.errors import BackendError, BackendLostError
from proxy.backends.redis import Redis
from proxy.core.model import Denied
from proxy.core.spending import LOST, Bill, Charge, Granted, HoldFor, Report, Settled
from proxy.core.transfers import Carried
from proxy.core.upstreams import Algorithm, CalendarUnit, Limit
from proxy.ledger.desk import Desk
from proxy.ledger.gathering import Told
from proxy.ledger.memory import MemoryLedger
from proxy.ledger.questions import Question, Result, Settle
from proxy.ledger.redis import RedisLedger
from proxy.ledger.sqlite import SqliteLedger
from tests.fixtures.redis import RedisServer, patient

HOUR = Limit("hour", 3, 3600.0, Algorithm.SLIDING_WINDOW)
MONTH = Limit("month", 100, CalendarUnit.MONTH, Algorithm.FIXED_WINDOW)
KEYED = Limit("keyed", 5, 3600.0, Algorithm.SLIDING_WINDOW, of="credential")
APART = Limit("apart", 5, 3600.0, Algorithm.SLIDING_WINDOW, each_endpoint=True)
POT = Limit("pot", 5, 3600.0, Algorithm.TOKEN_BUCKET, burst=5, of="credential")
LIMITS = {"up": (HOUR, MONTH, KEYED, APART, POT)}
BILL = Bill("up", (Charge(HOUR, "hour", 1), Charge(MONTH, "month", 2)), 8.0)
ANSWERED = Settled(sent=True, answered=True, status=200)
UNSENT = Settled(sent=False, answered=False)


@pytest.fixture(params=["memory", "sqlite", "redis"])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Desk]:
    """Give each kind of ledger in turn."""
    match request.param:
        case "memory":
            yield MemoryLedger(LIMITS)
        case "sqlite":
            made = SqliteLedger(tmp_path / "ledger.db", LIMITS)
            await made.open()
            yield made
            await made.close()
        case _:
            server: RedisServer = request.getfixturevalue("redis_server")
            redis = Redis(patient(server.url))
            await redis.open()
            shared = RedisLedger(redis, LIMITS)
            await shared.open()
            yield shared
            await shared.close()
            await redis.close()


def _used(ledger: Desk) -> dict[str, float]:
    return {level.bucket: level.used for level in ledger.levels("up")}


async def _granted(ledger: Desk, bill: Bill = BILL) -> Granted:
    granted = await ledger.spend(bill)
    assert isinstance(granted, Granted)
    return granted


async def test_a_limit_is_spent_to_the_last_token(ledger: Desk) -> None:
    """Three of three are granted, the fourth is denied by the hour, which says until when."""
    for _ in range(3):
        granted = await _granted(ledger)
        await ledger.settle(granted.receipt, ANSWERED)
    denied = await ledger.spend(BILL)

    assert isinstance(denied, Denied)
    assert (denied.limit, denied.hold) == ("hour", False)
    assert 3590 < denied.retry_after <= 3620
    assert _used(ledger) == {"hour": 3, "month": 6}


async def test_what_is_settled_behind_the_answer_is_counted_once(ledger: Desk) -> None:
    """Whoever waits for quota hears of it, and a second settlement of the receipt is none."""
    granted, counted = await _granted(ledger), asyncio.get_running_loop().create_future()
    other = await _granted(ledger)
    ledger.settle_soon(granted.receipt, UNSENT, counted.set_result)
    ledger.settle_soon(granted.receipt, UNSENT, lambda _: pytest.fail("settled twice"))

    assert "up" == await asyncio.wait_for(counted, 10)
    assert _used(ledger) == {"hour": 1, "month": 2}

    ledger.settle_soon(other.receipt, ANSWERED, lambda _: None)
    counts = {each.bucket: each.used for each in await ledger.snapshot("up")}

    assert {"hour": 1, "month": 2} == {name: counts[name] for name in ("hour", "month")}


async def test_what_is_said_behind_is_not_lost_at_the_end(ledger: Desk) -> None:
    """A ledger that closes first counts what it was told."""
    granted, told = await _granted(ledger), list[str]()
    ledger.settle_soon(granted.receipt, ANSWERED, told.append)
    await ledger.close()

    assert ["up"] == told


def _keyed(number: int) -> Bill:
    key = f"{number:04x}"
    return Bill("up", (Charge(KEYED, f"keyed@{key}", 1), Charge(POT, f"pot@{key}", 2)), 8.0)


async def _settled(ledger: Desk) -> None:
    """Wait for what the ledger does behind its answers."""
    while tasks := [each for each in ledger._tasks._running if each.get_name() == "prune"]:
        await asyncio.wait(tasks)


async def test_credentials_that_spend_no_more_are_forgotten(ledger: Desk) -> None:
    """A thousand keys, three of them in use: of others nothing is kept, here or in the ledger."""
    for number in range(3):
        await ledger.settle((await _granted(ledger, _keyed(number))).receipt, ANSWERED)
    for number in range(3, 1000):
        await ledger.settle((await _granted(ledger, _keyed(number))).receipt, UNSENT)
        await _settled(ledger)
    await _granted(ledger)
    used = {name: round(used) for name, used in _used(ledger).items() if used and "@" in name}
    keys = ("0000", "0001", "0002")

    assert used == {f"keyed@{key}": 1 for key in keys} | {f"pot@{key}": 2 for key in keys}
    assert len(ledger.book.limits("up")) < 400
    assert len(await ledger._names("up")) < 400
    assert _used(ledger)["hour"] == 1


async def test_counts_of_credentials_and_endpoints_are_carried(ledger: Desk) -> None:
    """Exported though another process spent them, and taken by a ledger that never saw them."""
    await _granted(ledger, _keyed(7))
    await _granted(ledger, Bill("up", (Charge(APART, "apart/depth", 3),), 8.0))
    ledger.configure(LIMITS)  # as a process that has spent nothing
    carried = await ledger.carried()
    other = MemoryLedger(LIMITS)
    wrong = Carried("up", "apart@0007", ((0.0, 1.0),))

    assert await other.take_over((*carried, wrong)) == 3
    assert {name: round(used) for name, used in _used(other).items() if used} == {
        "apart/depth": 3,
        "keyed@0007": 1,
        "pot@0007": 2,
    }


async def test_concurrent_spends_never_exceed(ledger: Desk) -> None:
    """A hundred at once: three are granted."""
    decisions = await asyncio.gather(*(ledger.spend(BILL) for _ in range(100)))

    assert sum(isinstance(each, Granted) for each in decisions) == 3


async def test_what_was_not_sent_is_refunded(ledger: Desk) -> None:
    """The token is there again at once, and only once."""
    granted = await _granted(ledger)
    await ledger.settle(granted.receipt, UNSENT)
    await ledger.settle(granted.receipt, UNSENT)

    assert _used(ledger) == {"hour": 0, "month": 0}


async def test_a_caller_that_goes_away_gives_its_grant_back(ledger: Desk) -> None:
    """Cancelled while the ledger counts: nobody knows of the grant, so nobody would settle it."""
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(ledger.spend(BILL))
        await asyncio.sleep(0)
        asking.cancel()
    if not asking.cancelled():  # memory decides at once
        await ledger.settle(asking.result().receipt, UNSENT)  # type: ignore[union-attr]
    async with asyncio.timeout(60):
        while (await ledger.snapshot("up"))[0].used:  # noqa: ASYNC110 - awaited in the ledger
            await asyncio.sleep(0.001)

    assert _used(ledger) == {"hour": 0, "month": 0}


async def test_a_hold_is_for_everyone(ledger: Desk) -> None:
    """After a 429 with `Retry-After: 30` nobody goes; `held_for` knows without a call."""
    granted = await _granted(ledger)
    refused = Settled(sent=True, answered=True, status=429, hold=HoldFor("429", 30.0))
    await ledger.settle(granted.receipt, refused)
    denied = await ledger.spend(BILL)

    assert isinstance(denied, Denied)
    assert (denied.limit, denied.hold) == ("hold", True)
    assert 29 < ledger.held_for("up") <= 30


async def test_the_providers_figures_are_taken(ledger: Desk) -> None:
    """It says that 50 of the month are used: others spent 48."""
    granted = await _granted(ledger)
    reports = (Report("month", used=50.0),)
    settled = Settled(sent=True, answered=True, status=200, reports=reports)
    await ledger.settle(granted.receipt, settled)

    assert _used(ledger)["month"] == 50


async def test_an_operator_sets_what_is_used(ledger: Desk) -> None:
    """`quota set up.month --used 95` leaves 5; a limit that is not known is not set."""
    assert await ledger.set_used("up", "month", 95.0)
    assert not await ledger.set_used("up", "week", 95.0)
    assert not await ledger.set_used("down", "month", 95.0)
    for _ in range(2):
        await _granted(ledger)
    denied = await ledger.spend(BILL)

    assert isinstance(denied, Denied)
    assert denied.limit == "month"


async def test_counts_move_to_another_ledger(ledger: Desk) -> None:
    """Exported and imported, twice: the other ledger stands as this one, not twice as high."""
    granted = await _granted(ledger)
    await ledger.settle(granted.receipt, ANSWERED)
    carried = await ledger.carried()
    other = MemoryLedger(LIMITS)
    known = [await other.take_over((*carried, Carried("gone", "x", ()))) for _ in range(2)]

    assert known == [2, 2]
    assert _used(other) == {"hour": 1, "month": 2}


async def test_a_snapshot_shows_every_limit(ledger: Desk) -> None:
    """Those that nobody has spent from too."""
    levels = await ledger.snapshot("up")

    assert [(level.bucket, level.used) for level in levels] == [("hour", 0), ("month", 0)]


async def test_a_reload_keeps_the_counts(ledger: Desk) -> None:
    """A limit raised to 5 leaves two after three were spent."""
    for _ in range(3):
        await _granted(ledger)
    raised = Limit("hour", 5, 3600.0, Algorithm.SLIDING_WINDOW)
    ledger.configure({"up": (raised, MONTH)})
    bill = Bill("up", (Charge(raised, "hour", 1),), 8.0)
    for _ in range(2):
        await _granted(ledger, bill)

    assert isinstance(await ledger.spend(bill), Denied)


class LostLedger(Desk):
    """A ledger that cannot be reached."""

    async def _put(self, question: Question) -> Result:
        raise BackendLostError(question.upstream)

    def _put_soon(self, question: Settle, told: Told, *, now: bool) -> None:
        del now
        told(BackendLostError(question.upstream))

    async def _names(self, upstream: str) -> tuple[str, ...]:
        raise BackendLostError(upstream)


async def test_a_lost_ledger_denies() -> None:
    """Never a grant, and an answer at once; looking shows what was last known."""
    ledger = LostLedger(LIMITS, lambda: 0.0, lambda: 1.7e9)
    denied = await ledger.spend(BILL)

    assert isinstance(denied, Denied)
    assert denied.limit == LOST
    assert len(await ledger.snapshot("up")) == 2
    with pytest.raises(BackendError):
        await ledger.set_used("up", "month", 1.0)


BUDGET = Limit("~grid-1/hour", 1, 3600.0, Algorithm.SLIDING_WINDOW, of="client")
CLIENTS = Bill("up", (*BILL.charges, Charge(BUDGET, BUDGET.name, 1)), 8.0)


async def test_a_clients_budget_is_spent_in_the_same_stroke(ledger: Desk) -> None:
    """With its own budget out a client is denied by that, and nobody's limit is touched."""
    granted = await _granted(ledger, CLIENTS)
    await ledger.settle(granted.receipt, ANSWERED)
    before = _used(ledger)
    denied = await ledger.spend(CLIENTS)

    assert isinstance(denied, Denied)
    assert BUDGET.name == denied.limit
    assert before == _used(ledger)
    assert isinstance(await ledger.spend(BILL), Granted)


async def test_a_budget_is_not_charged_where_the_limit_is_out(ledger: Desk) -> None:
    """All or nothing: who is denied by the provider's limit keeps its own budget."""
    for _ in range(3):
        await _granted(ledger)
    denied = await ledger.spend(CLIENTS)

    assert isinstance(denied, Denied)
    assert "hour" == denied.limit
    assert 0 == _used(ledger).get(BUDGET.name, 0)


async def test_a_reload_loses_no_settlement(ledger: Desk) -> None:
    """What was granted before a reload that takes its limits away can still be given back."""
    granted = await _granted(ledger, CLIENTS)
    ledger.configure({})
    await ledger.settle(granted.receipt, UNSENT)
    ledger.configure(LIMITS)
    await ledger.snapshot("up")

    assert {"hour": 0, "month": 0} == _used(ledger)
