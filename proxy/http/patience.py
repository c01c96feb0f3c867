"""How long a connection waits for its client, and what ends a wait for one that does not read."""

import asyncio
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a connection waits for its client, in seconds, and how large a head may be."""

    keep_alive: float = 75.0
    """For the next request; and for the first."""
    head: float = 10.0
    """For the rest of a head that has begun."""
    body: float = 30.0
    """For the next part of a request's body."""
    sending: float = 30.0
    """For a client that does not read to read anything at all."""
    lingering: float = 2.0
    """For the rest of a body that nobody wants, before the connection is closed."""
    max_head: int = 64 * 1024
    """Bytes of a head, all lines together."""


class Watch:
    """Cuts a connection whose client reads nothing for `patience` seconds."""

    def __init__(
        self, transport: asyncio.Transport, patience: float, loop: asyncio.AbstractEventLoop
    ) -> None:
        """Take what is written to, and how many seconds it may stand still."""
        self._transport = transport
        self._patience = patience
        self._loop = loop
        self._waiting = transport.get_write_buffer_size()
        self._handle = loop.call_later(patience, self._look)

    def end(self) -> None:
        """Stop watching: the client has read."""
        self._handle.cancel()

    def _look(self) -> None:
        waiting = self._transport.get_write_buffer_size()
        if waiting >= self._waiting:
            self._transport.abort()
            return
        self._waiting = waiting
        self._handle = self._loop.call_later(self._patience, self._look)
