"""What bodies on their way hold together: a bound for the process, however many there are.

Each may hold `FLOOR` at any time, so that every answer gets on. Beyond that they share `MOST`:
while it is used up a body runs no further ahead of its readers, and its upstream's connection waits
with it. So what slow clients can make the proxy hold is `MOST`, and a `FLOOR` for each connection
to an upstream.
"""

import asyncio
from collections import deque

MOST = 128 * 1024 * 1024
"""Bytes that all of them may hold."""
FLOOR = 256 * 1024
"""Bytes that each may hold, however much the others do."""


class BodyMemory:
    """Counts the bytes; wakes one who waits for each part that is let go."""

    def __init__(self, most: int = MOST, floor: int = FLOOR) -> None:
        """Take the bounds."""
        self.floor = floor
        self._most = most
        self._waiting: deque[asyncio.Event] = deque()
        self.held = 0

    @property
    def full(self) -> bool:
        """Whether nobody may hold more than the floor now."""
        return self.held >= self._most

    def take(self, size: int) -> None:
        """Count bytes that have come."""
        self.held += size

    def free(self, size: int) -> None:
        """Count bytes that were let go."""
        self.held -= size
        if self._waiting and not self.full:
            self._waiting.popleft().set()

    def tell(self, waiting: asyncio.Event) -> None:
        """Set the event once there is room again."""
        if waiting not in self._waiting:
            self._waiting.append(waiting)
