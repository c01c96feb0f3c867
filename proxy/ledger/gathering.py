"""Calls that meet: what is asked of a ledger in one tick of the loop goes to it together.

Where only one batch may be under way at once (`one_at_a_time`), what arrives meanwhile is the next.
A caller that goes away leaves its call in the batch: `orphaned` is told its result, so that a grant
that nobody takes can be given back. What nobody waits for (`tell`) goes with the next batch that
somebody does wait for, or after a moment by itself: in the order in which it came.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeAlias, TypeVar

from proxy.tasks import Tasks

Q = TypeVar("Q")
R = TypeVar("R")

Told: TypeAlias = Callable[[Exception | None], None]
"""Hears that what nobody waits for has been answered, or why not."""

_Batch: TypeAlias = list[tuple[Q, asyncio.Future[R] | Told]]
"""Calls, and who waits for each."""

MOMENT: Final = 0.005
"""Seconds within which what nobody waits for goes at the latest, unless a batch is under way."""


class Gathering(Generic[Q, R]):
    """Gathers questions, and answers each from its batch."""

    def __init__(
        self,
        ask: Callable[[list[Q]], Awaitable[list[R]]],
        orphaned: Callable[[Q, R], None],
        tasks: Tasks,
        *,
        one_at_a_time: bool = False,
    ) -> None:
        """Take who answers a batch (in its order), and whom to tell an answer that nobody took."""
        self._ask = ask
        self._orphaned = orphaned
        self._tasks = tasks
        self._one_at_a_time = one_at_a_time
        self._under_way: set[asyncio.Task[None]] = set()
        self._scheduled = False
        self._hurried = False
        """Somebody waits for some of what is gathered."""
        self._timer: asyncio.TimerHandle | None = None
        self._gathered: _Batch[Q, R] = []

    async def submit(self, question: Q) -> R:
        """Put a question; raise what its batch raised."""
        answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._gathered.append((question, answer))
        if not self._hurried:
            self._hurry()
        try:
            return await answer
        except asyncio.CancelledError:
            # 1. the batch answers; 2. before the caller runs again, it is cancelled; 3. the answer
            # stands in the future, and nobody would look at it any more
            if answer.done() and not answer.cancelled() and answer.exception() is None:
                self._orphaned(question, answer.result())
            raise

    def tell(self, question: Q, told: Told, *, now: bool = False) -> None:
        """Put a question whose answer nobody waits for; `now`: with what meets in this tick."""
        self._gathered.append((question, told))
        if now:
            self._hurry()
        elif not self._hurried and self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(MOMENT, self._moment_passed)

    async def flushed(self) -> None:
        """Return when nothing is gathered, and nothing under way."""
        while self._gathered or self._under_way:
            if self._gathered:
                self._hurry()
            await asyncio.wait(self._under_way) if self._under_way else await asyncio.sleep(0)

    def _moment_passed(self) -> None:
        self._timer = None
        if self._gathered:
            self._hurry()

    def _hurry(self) -> None:
        self._hurried = True
        if not self._scheduled and not (self._one_at_a_time and self._under_way):
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._begin)

    def _begin(self) -> None:
        self._scheduled = False
        if not self._gathered:
            return
        batch, self._gathered = self._gathered, []
        self._hurried = False
        self._under_way.add(self._tasks.start(self._run(batch), "ledger"))

    async def _run(self, batch: _Batch[Q, R]) -> None:
        try:
            answers = await self._ask([question for question, _ in batch])
        except BaseException as error:
            _fail(batch, error)
            if not isinstance(error, Exception):
                raise
        else:
            self._answer(batch, answers)
        finally:
            self._under_way.discard(asyncio.current_task())
            if self._hurried:
                self._hurry()

    def _answer(self, batch: _Batch[Q, R], answers: list[R]) -> None:
        for (question, waiting), answer in zip(batch, answers, strict=True):
            if not isinstance(waiting, asyncio.Future):
                waiting(None)
            elif waiting.cancelled():
                self._orphaned(question, answer)
            else:
                waiting.set_result(answer)


def _fail(batch: _Batch[Q, R], error: BaseException) -> None:
    """Tell all of a batch what became of it."""
    for _, waiting in batch:
        if isinstance(waiting, asyncio.Future):
            if not waiting.done():
                waiting.set_exception(error)
        elif isinstance(error, Exception):
            waiting(error)
