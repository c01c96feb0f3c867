"""Calls that meet."""

import asyncio

import pytest

from proxy.ledger.gathering import Gathering
from proxy.tasks import Tasks


class Oracle:
    """Answers each question by itself, as soon as it is let."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.orphans: list[tuple[int, int]] = []
        self.open = asyncio.Event()
        self.asked = asyncio.Event()
        self.error: Exception | None = None

    async def ask(self, questions: list[int]) -> list[int]:
        """Answer."""
        self.batches.append(questions)
        self.asked.set()
        await self.open.wait()
        if self.error is not None:
            raise self.error
        return [-question for question in questions]

    def gathering(self, *, one_at_a_time: bool = False) -> Gathering[int, int]:
        """Return a gathering in front of it."""
        return Gathering(
            self.ask,
            lambda question, answer: self.orphans.append((question, answer)),
            Tasks(lambda _name, _error: None),
            one_at_a_time=one_at_a_time,
        )


async def test_what_meets_in_a_tick_goes_together() -> None:
    """Three calls of one tick are one batch, and each gets its own answer."""
    oracle = Oracle()
    oracle.open.set()
    gathering = oracle.gathering()
    answers = await asyncio.gather(*(gathering.submit(number) for number in (1, 2, 3)))

    assert answers == [-1, -2, -3]
    assert oracle.batches == [[1, 2, 3]]


@pytest.mark.parametrize(("one_at_a_time", "batches"), [(False, 2), (True, 1)])
async def test_batches_overlap_or_wait_for_each_other(one_at_a_time: bool, batches: int) -> None:  # noqa: FBT001 - a row
    """While one is under way, what comes next goes at once, or all together after it."""
    oracle = Oracle()
    gathering = oracle.gathering(one_at_a_time=one_at_a_time)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(gathering.submit(1))
        await oracle.asked.wait()
        rest = [group.create_task(gathering.submit(number)) for number in (2, 3)]
        for _ in range(5):
            await asyncio.sleep(0)
        assert len(oracle.batches) == batches
        oracle.open.set()

    assert [first.result(), *(each.result() for each in rest)] == [-1, -2, -3]
    assert oracle.batches == [[1], [2, 3]]


async def test_a_failed_batch_fails_its_callers_alone() -> None:
    """All of the batch get its error; the next batch is asked anew."""
    oracle = Oracle()
    oracle.open.set()
    oracle.error = ValueError("no")
    gathering = oracle.gathering(one_at_a_time=True)
    failed = await asyncio.gather(*map(gathering.submit, (1, 2)), return_exceptions=True)
    oracle.error = None

    assert failed == [oracle.error, oracle.error] or all(isinstance(e, ValueError) for e in failed)
    assert await gathering.submit(3) == -3


async def test_an_answer_that_nobody_takes_is_told() -> None:
    """The caller goes away while its batch is under way: somebody must hear what came of it."""
    oracle = Oracle()
    gathering = oracle.gathering()
    async with asyncio.TaskGroup() as group:
        gone = group.create_task(gathering.submit(1))
        stays = group.create_task(gathering.submit(2))
        await oracle.asked.wait()
        gone.cancel()
        oracle.open.set()

    assert stays.result() == -2
    assert oracle.orphans == [(1, -1)]


async def test_an_answer_that_comes_with_the_cancellation_is_told() -> None:
    """Answered, then cancelled before the caller ran again: the answer is told all the same."""
    oracle = Oracle()
    gathering = oracle.gathering()
    async with asyncio.TaskGroup() as group:
        gone = group.create_task(gathering.submit(1))
        await oracle.asked.wait()
        oracle.open.set()
        await asyncio.sleep(0)  # the batch is answered in this turn, the caller runs in the next
        gone.cancel()

    assert oracle.orphans == [(1, -1)]


@pytest.mark.parametrize("one_at_a_time", [False, True])
async def test_what_nobody_waits_for_goes_along(
    one_at_a_time: bool,  # noqa: FBT001 - a row
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It travels with what is asked next, before it, as it came."""
    monkeypatch.setattr("proxy.ledger.gathering.MOMENT", 3600.0)
    oracle = Oracle()
    oracle.open.set()
    gathering = oracle.gathering(one_at_a_time=one_at_a_time)
    told: list[Exception | None] = []
    gathering.tell(1, told.append)
    for _ in range(5):
        await asyncio.sleep(0)
    assert oracle.batches == []

    assert await gathering.submit(2) == -2
    assert oracle.batches == [[1, 2]]
    assert told == [None]


@pytest.mark.parametrize("one_at_a_time", [False, True])
async def test_what_nobody_waits_for_goes_by_itself_after_a_moment(one_at_a_time: bool) -> None:  # noqa: FBT001 - a row
    """Two that are told while nothing is asked share a batch; one that hurries takes its tick."""
    oracle = Oracle()
    oracle.open.set()
    gathering = oracle.gathering(one_at_a_time=one_at_a_time)
    heard: asyncio.Queue[Exception | None] = asyncio.Queue()
    for number in (1, 2):
        gathering.tell(number, heard.put_nowait)
    assert [None, None] == [await asyncio.wait_for(heard.get(), 10) for _ in range(2)]
    gathering.tell(3, heard.put_nowait, now=True)
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert oracle.batches == [[1, 2], [3]]


async def test_what_is_told_during_a_batch_waits_for_no_caller() -> None:
    """Where only one may be under way it goes after that one, though nothing more is asked."""
    oracle = Oracle()
    gathering = oracle.gathering(one_at_a_time=True)
    heard: asyncio.Queue[Exception | None] = asyncio.Queue()
    asking = asyncio.get_running_loop().create_task(gathering.submit(1))
    await oracle.asked.wait()
    gathering.tell(2, heard.put_nowait)
    gathering._moment_passed()
    assert oracle.batches == [[1]]
    oracle.open.set()

    assert await asking == -1
    assert await asyncio.wait_for(heard.get(), 10) is None
    assert oracle.batches == [[1], [2]]


async def test_what_is_told_in_vain_hears_why() -> None:
    """The error of a batch is told to those who wait for nothing, too."""
    oracle = Oracle()
    oracle.open.set()
    oracle.error = ValueError("no")
    gathering = oracle.gathering()
    told: list[Exception | None] = []
    gathering.tell(1, told.append)
    await gathering.flushed()

    assert told == [oracle.error]
    assert oracle.batches == [[1]]
