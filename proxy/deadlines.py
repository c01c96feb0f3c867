"""Until when answers are awaited: one timer for all of them, set for the earliest.

Nearly every answer comes long before its deadline, so a timer of its own for each would be made to
be thrown away. After it has fired it rests for `GRAIN`: what is due meanwhile is told together, so
that many deadlines one after the other do not make many searches for the next.
"""

import asyncio
import math
from typing import Final, Protocol

GRAIN: Final = 0.005
"""Seconds by which somebody may be told late."""


class Awaited(Protocol):
    """What somebody waits for."""

    def set_exception(self, exc: BaseException) -> None:
        """Have whoever waits, or is about to, see this error."""
        ...


class Deadlines:
    """What is awaited, and until when (time of the loop)."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._due: dict[Awaited, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._set_for = math.inf

    def set(self, awaited: Awaited, due: float) -> None:
        """Have `awaited` see a TimeoutError at `due`, unless it is cleared before."""
        self._due[awaited] = due
        if due < self._set_for:
            self._set_timer(due)

    def clear(self, awaited: Awaited) -> None:
        """Say that it is awaited no more. The timer stays: the next deadline is seldom earlier."""
        self._due.pop(awaited, None)

    def close(self) -> None:
        """Watch nothing any more."""
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _set_timer(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._set_for = due
        self._timer = self._loop.call_at(due, self._look)

    def _look(self) -> None:
        now = self._loop.time()
        for awaited in [each for each, due in self._due.items() if due <= now]:
            del self._due[awaited]
            if not (isinstance(awaited, asyncio.Future) and awaited.done()):  # in this very turn
                awaited.set_exception(TimeoutError())
        self._timer, self._set_for = None, math.inf
        if self._due:
            self._set_timer(max(min(self._due.values()), now + GRAIN))
