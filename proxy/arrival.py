"""A body on its way from an upstream: collected once, read by many, each from its start.

Up to `keep` bytes stay whole, so that the body can be stored and anyone may still join. A larger
body is let go behind its slowest reader and runs at most `ahead` bytes before it: memory is
bounded by both, and the upstream's connection is held only as long as the body takes to arrive
wherever that fits. A body that nobody reads and that is too large to be kept is dropped.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from proxy.core.model import Failure
from proxy.ports import BrokenExchangeError, Exchange

AHEAD = 8 * 1024 * 1024
"""Bytes that a body too large to be kept may run ahead of its slowest reader."""


class Arrival:
    """The body of one exchange. `pump` must run, as a task of its own, for anything to come."""

    def __init__(self, exchange: Exchange, keep: float, ahead: int = AHEAD) -> None:
        """Take the exchange, how many bytes to keep whole, and the bound on what runs ahead."""
        self._exchange = exchange
        self._keep = keep
        self._ahead = ahead
        self._chunks: deque[bytes] = deque()
        self._dropped = 0
        self._size = 0
        self._complete = False
        self._broken: BrokenExchangeError | None = None
        self._positions: dict[object, int] = {self: 0}
        self._moved = asyncio.Event()

    @property
    def joinable(self) -> bool:
        """Whether a new reader would still get the body from its start."""
        return self._dropped == 0

    async def pump(self) -> None:
        """Take the body in until it ends, breaks, or nobody wants it."""
        try:
            async for chunk in self._exchange.body():
                self._chunks.append(chunk)
                self._size += len(chunk)
                self._wake()
                if self._size > self._keep and not await self._room():
                    self._broken = BrokenExchangeError(Failure.DISCONNECTED, "nobody reads it")
                    return
            self._complete = True
        except BrokenExchangeError as error:
            self._broken = error
        finally:
            if not self._complete:
                self._broken = self._broken or BrokenExchangeError(Failure.DISCONNECTED, "stopped")
                self._exchange.abort()
            self._wake()

    async def whole(self, at_most: float) -> bytes | None:
        """Return the whole body, or None as soon as it is seen to be larger than `at_most`.

        Raises:
            BrokenExchangeError: it did not come whole.

        """
        while not self._complete and self._size <= at_most:
            if self._broken is not None:
                raise self._broken
            await self._next_move()
        if self._size > at_most or self._dropped:
            return None
        return b"".join(self._chunks)

    def release(self) -> None:
        """Say that all who are to read it from its start do so now, or that nobody will.

        Until then its start is held, so that a body does not run away between its head and the
        moment at which its readers are known.
        """
        self._positions.pop(self, None)
        self._wake()

    def read(self) -> AsyncIterator[bytes]:
        """Return a reader of the body from its start; it counts as one from now on."""
        if not self.joinable:
            raise RuntimeError("the start of this body has been let go")
        reader = object()
        self._positions[reader] = 0
        return self._read(reader)

    async def _read(self, reader: object) -> AsyncIterator[bytes]:
        try:
            while True:
                index = self._positions[reader] - self._dropped
                if index < len(self._chunks):
                    self._positions[reader] += 1
                    chunk = self._chunks[index]
                    self._wake()
                    yield chunk
                elif self._complete:
                    return
                elif self._broken is not None:
                    raise self._broken
                else:
                    await self._next_move()
        finally:
            del self._positions[reader]
            self._wake()

    async def _room(self) -> bool:
        """Let go what all have read, and wait for the slowest; False where nobody reads."""
        while self._positions:
            slowest = min(self._positions.values())
            while self._dropped < slowest:
                self._chunks.popleft()
                self._dropped += 1
            if sum(map(len, self._chunks)) <= self._ahead:
                return True
            await self._next_move()
        return False

    async def _next_move(self) -> None:
        self._moved.clear()
        await self._moved.wait()

    def _wake(self) -> None:
        self._moved.set()
