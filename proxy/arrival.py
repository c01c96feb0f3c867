"""A body on its way from an upstream: collected once, read by many, each from its start.

Up to `keep` bytes stay whole, so that the body can be stored and anyone may still join. A larger
body is let go behind its slowest reader and runs at most `ahead` bytes before it; so is any body
while all together hold more than the process has room for (`BodyMemory`). Within these bounds the
upstream's connection is held only as long as the body takes to arrive. A body that nobody reads
and that cannot be kept is dropped.

A slow reader holds nobody else: where another waits for more, the body runs further ahead of the
slowest, and where there is no more room for that, the slowest is given up: its body breaks.

The interleaving that `Reader` defends against:
    1. an answer with a reader is made for a client;
    2. the client is gone, or asked for the head alone: the reader is dropped and never begun (an
       async generator that was never begun runs no `finally`);
    3. the pump would wait for it for ever, and hold the connection.
    So a reader leaves when it is closed, and at the latest when nothing refers to it any more.
"""

import asyncio
from collections import deque

from proxy.body_memory import BodyMemory
from proxy.core.model import Failure
from proxy.ports import BrokenExchangeError, Exchange

AHEAD = 8 * 1024 * 1024
"""Bytes that a body too large to be kept may run ahead of its slowest reader."""


_START = object()
"""The place of those who are still to read it from its start."""


class Arrival:
    """The body of one exchange. It is taken at once, or `pump` runs as a task of its own."""

    def __init__(
        self, exchange: Exchange, keep: float, memory: BodyMemory, ahead: int = AHEAD
    ) -> None:
        """Take the exchange, how many bytes to keep whole, and the bounds on what runs ahead."""
        self._exchange = exchange
        self._keep = keep
        self._memory = memory
        self._ahead = ahead
        self._loop = asyncio.get_running_loop()
        self._chunks: deque[bytes] = deque()
        self._held = 0
        self._dropped = 0
        self._size = 0
        self._complete = False
        self._stalled = False
        """Whether no more of it comes before somebody reads."""
        self._broken: BrokenExchangeError | None = None
        self._positions: dict[object, int] = {_START: 0}
        self._given_up: set[object] = set()
        self._arrived = asyncio.Event()
        self._room_made = asyncio.Event()

    @property
    def joinable(self) -> bool:
        """Whether a new reader would still get the body from its start."""
        return self._dropped == 0

    def take(self, whole: bytes) -> None:
        """Take in a body that has come whole already, in place of `pump`."""
        self._chunks.append(whole)
        self._size = len(whole)
        self._complete = True

    async def pump(self) -> None:
        """Take the body in until it ends, breaks, or nobody wants it."""
        try:
            async for chunk in self._exchange.body():
                self._chunks.append(chunk)
                self._size += len(chunk)
                self._held += len(chunk)
                self._memory.take(len(chunk))
                self._arrived.set()
                if not await self._room():
                    self._broken = BrokenExchangeError(Failure.DISCONNECTED, "nobody reads it")
                    return
            self._complete = True
        except BrokenExchangeError as error:
            self._broken = error
        finally:
            if not self._complete:
                self._broken = self._broken or BrokenExchangeError(Failure.DISCONNECTED, "stopped")
                self._exchange.abort()
            self._arrived.set()

    async def whole(self, at_most: float) -> bytes | None:
        """Return the whole body, or None as soon as it is seen that it cannot be had whole.

        It is larger than `at_most`, or what may be held is held, and nobody reads it yet.

        Raises:
            BrokenExchangeError: it did not come whole.

        """
        while not self._complete and self._size <= at_most:
            if self._broken is not None:
                raise self._broken
            if self._stalled:
                return None
            await _next(self._arrived)
        if self._size > at_most or self._dropped:
            return None
        return b"".join(self._chunks)

    def release(self) -> None:
        """Say that all who are to read it from its start do so now, or that nobody will.

        Until then its start is held, so that a body does not run away between its head and the
        moment at which its readers are known.
        """
        self._leave(_START)

    def read(self) -> "Reader":
        """Return a reader of the body from its start; it counts as one from now on."""
        if not self.joinable:
            raise RuntimeError("the start of this body has been let go")
        place = object()
        self._positions[place] = 0
        return Reader(self, place)

    async def _chunk(self, place: object) -> bytes:
        """Return the next chunk for who reads at `place`; StopAsyncIteration at the end."""
        while place in self._positions:
            index = self._positions[place] - self._dropped
            if index < len(self._chunks):
                self._positions[place] += 1
                self._room_made.set()
                return self._chunks[index]
            if self._complete:
                break
            if self._broken is not None:
                raise self._broken
            await _next(self._arrived)
        if place in self._given_up:
            raise BrokenExchangeError(Failure.DISCONNECTED, "it was read too slowly")
        raise StopAsyncIteration

    def _leave(self, place: object) -> None:
        if self._positions.pop(place, None) is not None:
            self._room_made.set()

    def _drop(self, place: object) -> None:
        """Leave, from whatever thread the last reference to a reader goes in."""
        if place in self._positions and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._leave, place)

    async def _room(self) -> bool:
        """Return once more may be taken in; False where it cannot be kept, and nobody reads it."""
        while self._size > self._keep or self._crowded:
            if not self._positions:
                return False
            self._let_go()
            if not self._crowded and (self._held <= self._ahead or self._awaited):
                break
            if self._held > self._ahead and self._awaited and self._give_up_the_slowest():
                continue
            self._stalled = True
            self._arrived.set()
            if self._memory.full:
                self._memory.tell(self._room_made)
            await _next(self._room_made)
            self._stalled = False
        return True

    @property
    def _crowded(self) -> bool:
        return self._held > self._memory.floor and self._memory.full

    @property
    def _awaited(self) -> bool:
        """Whether somebody has read all that has come."""
        return max(self._positions.values()) == self._dropped + len(self._chunks)

    def _give_up_the_slowest(self) -> bool:
        """Break the body for who is furthest behind; False where that is who is yet to begin."""
        slowest = min(self._positions, key=self._positions.__getitem__)
        if slowest is _START:
            return False
        del self._positions[slowest]
        self._given_up.add(slowest)
        return True

    def _let_go(self) -> None:
        """Let go what all have read."""
        slowest, before = min(self._positions.values()), self._held
        while self._dropped < slowest:
            self._held -= len(self._chunks.popleft())
            self._dropped += 1
        if before > self._held:
            self._memory.free(before - self._held)

    def __del__(self) -> None:
        """Give back what it held, in whatever thread the last reference to it goes."""
        if self._held and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._memory.free, self._held)


class Reader:
    """Reads a body from its start."""

    __slots__ = ("_arrival", "_place")

    def __init__(self, arrival: Arrival, place: object) -> None:
        self._arrival = arrival
        self._place = place

    def __aiter__(self) -> "Reader":
        return self

    async def __anext__(self) -> bytes:
        return await self._arrival._chunk(self._place)  # noqa: SLF001 - the other half of Arrival

    async def aclose(self) -> None:
        """Read no more."""
        self._arrival._leave(self._place)  # noqa: SLF001 - likewise

    def __del__(self) -> None:
        self._arrival._drop(self._place)  # noqa: SLF001 - likewise


async def _next(event: asyncio.Event) -> None:
    event.clear()
    await event.wait()
