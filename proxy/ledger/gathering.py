"""Calls that meet: what is asked of a ledger in one tick of the loop goes to it together.

Where only one batch may be under way at once (`one_at_a_time`), what arrives meanwhile is the next.
A caller that goes away leaves its call in the batch: `orphaned` is told its result, so that a grant
that nobody takes can be given back.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from proxy.tasks import Tasks

Q = TypeVar("Q")
R = TypeVar("R")


@dataclass(slots=True, eq=False)
class Asked(Generic[Q, R]):
    """One call, and who waits for it."""

    question: Q
    answer: "asyncio.Future[R]" = field(repr=False)


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
        self._under_way = 0
        self._scheduled = False
        self._gathered: list[Asked[Q, R]] = []

    async def submit(self, question: Q) -> R:
        """Put a question; raise what its batch raised."""
        loop = asyncio.get_running_loop()
        asked = Asked[Q, R](question, loop.create_future())
        self._gathered.append(asked)
        if not self._scheduled and not (self._one_at_a_time and self._under_way):
            self._scheduled = True
            loop.call_soon(self._begin)
        try:
            return await asked.answer
        except asyncio.CancelledError:
            # 1. the batch answers; 2. before the caller runs again, it is cancelled; 3. the answer
            # stands in the future, and nobody would look at it any more
            answered = asked.answer.done() and not asked.answer.cancelled()
            if answered and asked.answer.exception() is None:
                self._orphaned(question, asked.answer.result())
            raise

    def _begin(self) -> None:
        self._scheduled = False
        if not self._gathered or (self._one_at_a_time and self._under_way):
            return
        batch, self._gathered = self._gathered, []
        self._under_way += 1
        self._tasks.start(self._run(batch), "ledger")

    async def _run(self, batch: list[Asked[Q, R]]) -> None:
        try:
            answers = await self._ask([asked.question for asked in batch])
        except BaseException as error:
            for asked in batch:
                if not asked.answer.done():
                    asked.answer.set_exception(error)
            if not isinstance(error, Exception):
                raise
        else:
            for asked, answer in zip(batch, answers, strict=True):
                if asked.answer.cancelled():
                    self._orphaned(asked.question, answer)
                else:
                    asked.answer.set_result(answer)
        finally:
            self._under_way -= 1
            self._begin()
