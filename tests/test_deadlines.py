"""One timer for all that is awaited."""

import asyncio

from proxy.deadlines import Deadlines
from tests.clockwork import turned
from tests.http.conftest import until


class Waiting:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[BaseException] = []

    def set_exception(self, exc: BaseException) -> None:
        """Take an error."""
        self.told.append(exc)


def test_each_is_told_at_its_own_time() -> None:
    """Set in any order: the earlier first, each once, and never before it is due."""

    async def story() -> list[list[int]]:
        deadlines, began = Deadlines(), asyncio.get_running_loop().time()
        late, early, latest = Waiting(), Waiting(), Waiting()
        for waiting, after in ((late, 20.0), (early, 5.0), (latest, 60.0)):
            deadlines.set(waiting, began + after)
        told = []
        for _ in range(3):  # at 4, 14 and 24 seconds
            await asyncio.sleep(10.0 if told else 4.0)
            told.append([len(each.told) for each in (early, late, latest)])
        deadlines.close()
        assert isinstance(early.told[0], TimeoutError)
        return told

    assert [[0, 0, 0], [1, 0, 0], [1, 1, 0]] == turned(story())


def test_what_has_come_is_not_told() -> None:
    """Cleared in time, it sees nothing; the others do."""

    async def story() -> tuple[int, int]:
        deadlines, began = Deadlines(), asyncio.get_running_loop().time()
        come, missing = Waiting(), Waiting()
        deadlines.set(come, began + 2.0)
        deadlines.set(missing, began + 4.0)
        await asyncio.sleep(1.0)
        deadlines.clear(come)
        await asyncio.sleep(9.0)
        return len(come.told), len(missing.told)

    assert (0, 1) == turned(story())


async def test_a_deadline_that_has_passed_is_told_at_once() -> None:
    """Whoever comes too late does not wait."""
    deadlines, waiting = Deadlines(), Waiting()
    deadlines.set(waiting, asyncio.get_running_loop().time() - 1.0)
    await until(lambda: waiting.told)

    assert isinstance(waiting.told[0], TimeoutError)


async def test_what_was_answered_in_the_same_turn_stays_so() -> None:
    """1. an answer comes; 2. its deadline passes before whoever waits has been woken."""
    deadlines, loop = Deadlines(), asyncio.get_running_loop()
    answered: asyncio.Future[str] = loop.create_future()
    missing = Waiting()
    deadlines.set(answered, loop.time() - 1.0)
    deadlines.set(missing, loop.time() - 1.0)
    answered.set_result("answer")
    await until(lambda: missing.told)

    assert await answered == "answer"
