"""Single-flight: one fetch that many requests wait for, in this process.

A flight begins with its first caller and ends with its landing, which everyone who waits gets.
Until it is *sent* it lives for its callers, and the last one to leave takes it along; once sent
it is paid for, so it lands and is stored whoever has gone. A landing is told to those who waited
and to nobody later: who comes after it looks into the cache, or begins a flight of its own.

The interleaving that `wait` and `mark_sent` defend against:
    1. the last caller leaves a flight that waits for quota;
    2. in the same tick the quota is granted, and the flight is about to send;
    3. cancelled now, it would lose the grant.
    So a flight that is being left is cancelled only where it has not been marked as sent, and
    it refunds in its own `finally` what it was granted and never sent (see `proxy.queues`).
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from proxy.deadlines import Deadlines
from proxy.tasks import Tasks
from proxy.urgency import Urgency

Landing = TypeVar("Landing")


class Flight(Generic[Landing]):
    """A fetch under way."""

    __slots__ = (
        "_joinable",
        "_left",
        "callers",
        "key",
        "pinned",
        "sent",
        "task",
        "urgency",
        "waiting",
    )

    def __init__(self, key: str, joinable: dict[str, "Flight[Landing]"]) -> None:
        """Take its key, and where those stand that may be joined."""
        self.key = key
        self._joinable = joinable
        self.callers = 0
        """How many wait for it now."""
        self.sent = False
        """The call is paid for: it lands whoever leaves."""
        self.pinned = False
        """It goes on without callers: a refresh, or what a rescued caller left behind."""
        self.urgency = Urgency()
        """That of the most urgent who has waited for it."""
        self.task: asyncio.Task[Landing] | None = None
        self.waiting: dict[asyncio.Future[None], None] = {}
        """What its callers await, in the order in which they came."""
        self._left: asyncio.Event | None = None

    def mark_sent(self) -> None:
        """Say that its call leaves now."""
        self.sent = True

    async def left(self) -> None:
        """Return when nobody waits for it: all have its landing, or have gone."""
        while self.callers:
            self._left = self._left or asyncio.Event()
            self._left.clear()
            await self._left.wait()

    def leave(self) -> None:
        """Take one away from those who wait for it."""
        self.callers -= 1
        if self.callers == 0 and self._left is not None:
            self._left.set()

    def forget(self) -> None:
        """Let nobody join it any more."""
        if self._joinable.get(self.key) is self:
            del self._joinable[self.key]

    def end(self) -> None:
        """Wake all who wait: it has ended."""
        self.forget()
        for landed in self.waiting:
            if not landed.done():
                landed.set_result(None)


class Flights(Generic[Landing]):
    """The flights of this process, by key."""

    def __init__(self, tasks: Tasks) -> None:
        """Take where flights run."""
        self._tasks = tasks
        self._loop = asyncio.get_running_loop()
        self._deadlines = Deadlines()
        self._flights: dict[str, Flight[Landing]] = {}

    def __len__(self) -> int:
        return len(self._flights)

    def find(self, key: str) -> Flight[Landing] | None:
        """Return the flight for `key` that is under way."""
        flight = self._flights.get(key)
        ended = flight is not None and flight.task is not None and flight.task.done()
        return None if ended else flight

    def begin(
        self,
        key: str,
        fly: Callable[[Flight[Landing]], Coroutine[Any, Any, Landing]],
        *,
        joinable: bool = True,
    ) -> Flight[Landing]:
        """Begin a flight; where it is joinable, the caller has looked that there is none."""
        flight = Flight(key, self._flights)
        if joinable:
            self._flights[key] = flight
        flight.task = self._tasks.start(fly(flight), f"flight {key}", flight.end)
        return flight

    async def wait(
        self, flight: Flight[Landing], patience: float, *, leave_running: bool = False
    ) -> Landing | None:
        """Wait for the landing for at most `patience` seconds; None where it takes longer.

        Leaving (also by being cancelled) ends a flight that nobody else waits for, unless it was
        sent or is pinned; with `leave_running` whoever loses patience pins it.
        """
        task = flight.task
        if task is None:
            raise RuntimeError("a flight is waited for only once it has begun")
        flight.callers += 1
        landed: asyncio.Future[None] = self._loop.create_future()
        flight.waiting[landed] = None
        self._deadlines.set(landed, self._loop.time() + patience)
        try:
            if not task.done():
                await landed
        except TimeoutError:
            flight.pinned = flight.pinned or leave_running
        finally:
            self._deadlines.clear(landed)
            del flight.waiting[landed]
            flight.leave()
            if flight.callers == 0 and not flight.sent and not flight.pinned:
                flight.forget()  # at once: who comes now must not join what is ending
                task.cancel()
        return task.result() if task.done() else None
