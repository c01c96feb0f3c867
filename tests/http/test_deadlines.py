"""One timer for all that is awaited."""

import asyncio

from proxy.http.deadlines import Deadlines
from tests.http.conftest import until


class Waiting:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[BaseException] = []

    def set_exception(self, exc: BaseException) -> None:
        """Take an error."""
        self.told.append(exc)


async def test_each_is_told_at_its_own_time() -> None:
    """Set in any order: the earlier first, each once, and never before it is due."""
    deadlines, now = Deadlines(), asyncio.get_running_loop().time
    late, early, latest = Waiting(), Waiting(), Waiting()
    began = now()
    for waiting, after in ((late, 0.02), (early, 0.005), (latest, 60.0)):
        deadlines.set(waiting, began + after)
    await until(lambda: early.told)
    assert (now() >= began + 0.005, late.told) == (True, [])
    await until(lambda: late.told)
    deadlines.close()

    assert [1, 1, 0] == [len(each.told) for each in (early, late, latest)]
    assert isinstance(early.told[0], TimeoutError)
    assert now() >= began + 0.02


async def test_what_has_come_is_not_told() -> None:
    """Cleared in time, it sees nothing; the others do."""
    deadlines, now = Deadlines(), asyncio.get_running_loop().time
    come, missing = Waiting(), Waiting()
    deadlines.set(come, now() + 0.002)
    deadlines.set(missing, now() + 0.004)
    deadlines.clear(come)
    await until(lambda: missing.told)

    assert come.told == []


async def test_a_deadline_that_has_passed_is_told_at_once() -> None:
    """Whoever comes too late does not wait."""
    deadlines, waiting = Deadlines(), Waiting()
    deadlines.set(waiting, asyncio.get_running_loop().time() - 1.0)
    await until(lambda: waiting.told)

    assert isinstance(waiting.told[0], TimeoutError)
