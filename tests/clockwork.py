"""A loop whose time passes only when nothing is left to do: an hour of waiting takes no time.

Timers, timeouts and ledgers that are given `loop.time` all read the same simulated seconds.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_MONTHS: float = 1e8
"""Seconds that nothing simulated takes: who sleeps for longer waits for what never comes."""


class _Leaps(selectors.SelectSelector):
    """Instead of waiting, time leaps to the next timer."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout > _MONTHS:
            raise RuntimeError("all wait, and nothing will happen any more")
        if timeout > 0:
            self.now += timeout
        return super().select(0)


class Clockwork(asyncio.SelectorEventLoop):
    """An event loop in simulated time, counting its turns."""

    def __init__(self) -> None:
        self._leaps = _Leaps()
        super().__init__(self._leaps)

    def time(self) -> float:
        """Return simulated seconds."""
        return self._leaps.now


def turned(story: Coroutine[Any, Any, T]) -> T:
    """Return how a story ends that is told in simulated time."""
    with asyncio.Runner(loop_factory=Clockwork) as runner:
        return runner.run(story)
