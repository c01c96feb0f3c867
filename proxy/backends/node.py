"""One Redis server: its few connections, kept alive, and whether it is up.

Rules
- Commands take the first connection that keeps up; only when its backlog grows is another opened,
  at most `max_connections`. The first is the one that says whether the server is up.
- A lost connection is opened again, at once at first, then after growing waits with jitter.
- Nothing is repeated: what was under way when the connection went has failed, and is told so.
"""

import asyncio
import contextlib
import random
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any, TypeAlias

import structlog

from proxy.backends.address import RedisAddress, RedisOptions
from proxy.backends.credentials import Credentials, tls_context
from proxy.backends.errors import BackendError, BackendLostError
from proxy.backends.pipe import Pipe, packed
from proxy.tasks import Tasks

_log = structlog.get_logger("store")

_FIRST_WAIT = 0.05
_LONGEST_WAIT = 2.0
_CROWDED = 256 * 1024
_HEARTBEAT = 2.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where one server is: a host and port, or a socket file."""

    host: str = ""
    port: int = 0
    socket_file: str = ""

    def __str__(self) -> str:
        return self.socket_file or f"{self.host}:{self.port}"


Locate: TypeAlias = Callable[[], Awaitable[Place]]
Examine: TypeAlias = Callable[[Pipe], Awaitable[None]]
"""Asks a new connection whether its server may be used, and raises BackendError if not."""


async def anything(_pipe: Pipe) -> None:
    """Take any server."""


async def master_only(pipe: Pipe) -> None:
    """Take a master only: Sentinels may name one that is not yet, or no more.

    Raises:
        BackendLostError: it is a replica.

    """
    role = await pipe.submit(packed(("ROLE",)))
    if role[0] != b"master":
        raise BackendLostError("the server is not the master yet", sent=False)


class Node:
    """A server that is kept connected."""

    def __init__(
        self,
        address: RedisAddress,
        options: RedisOptions,
        locate: Locate,
        on_change: Callable[[bool, str], None],
        *,
        examine: Examine = anything,
    ) -> None:
        """Take how to find the server (asked before each connect), and whom to tell up or down.

        `examine` may refuse a server that was connected to.
        """
        self.up = False
        self.latency = 0.0
        self.reason = ""
        """Why it is not up."""
        self.place = Place()
        self._address = address
        self._options = options
        self._credentials = Credentials(address, options)
        self._locate = locate
        self._on_change = on_change
        self._examine = examine
        self._pipes: list[Pipe] = []
        self._closing = False
        self._wake = asyncio.Event()
        self._growing = False
        self._tasks = Tasks(_log_failure)

    async def open(self) -> bool:
        """Connect if that can be done now; keep trying behind the answer if not."""
        self.reason = await self._connect()
        self._tasks.start(self._keep(), f"redis {self._address}")
        return self.up

    async def close(self) -> None:
        """End every connection, once what was sent has its reply, or is late."""
        self._closing = True
        await self._tasks.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._options.timeout):
                await asyncio.gather(*(pipe.drained() for pipe in self._pipes))
        for pipe in tuple(self._pipes):
            pipe.drop("closed")
        self.up = False

    def submit(self, command: bytes, before: bytes = b"") -> "asyncio.Future[Any]":
        """Send a packed command, with another right `before` it whose reply nobody wants.

        Raises:
            BackendLostError: the server is not connected; nothing was sent.

        """
        pipe = self.pipe()
        if before:
            pipe.submit(before)
        return pipe.submit(command)

    def pipe(self) -> Pipe:
        """Return the connection to send a command on.

        Raises:
            BackendLostError: the server is not connected.

        """
        pipes = self._pipes
        if not pipes:
            raise BackendLostError(f"Redis at {self._address} is not connected", sent=False)
        return pipes[0] if pipes[0].backlog <= _CROWDED else self._roomiest()

    def _roomiest(self) -> Pipe:
        best = min(self._pipes, key=lambda pipe: pipe.backlog)
        if best.backlog > _CROWDED and not self._growing:
            self._growing = len(self._pipes) < self._options.max_connections
            if self._growing:
                self._tasks.start(self._grow(), "redis, one more connection")
        return best

    async def _grow(self) -> None:
        try:
            self._pipes.append(await self._dialled(self.place))
        except BackendError as error:
            _log.warning("store_connection_refused", place=str(self.place), reason=str(error))
        finally:
            self._growing = False

    # ── keeping it connected ──

    async def _keep(self) -> None:
        """Connect again whenever the connection is gone; ping while it stands."""
        wait = _FIRST_WAIT
        while True:
            if self.up:
                wait = _FIRST_WAIT
                self._wake.clear()
                await self._beat()
                continue
            await asyncio.sleep(random.uniform(0, wait))  # noqa: S311 - jitter
            wait = min(_LONGEST_WAIT, wait * 2)
            reason = await self._connect()
            if reason and reason != self.reason:
                _log.warning("store_unreachable", place=str(self._address), reason=reason)
            self.reason = reason

    async def _beat(self) -> None:
        """Ping, then rest until the next beat or until the connection is lost."""
        started = perf_counter()  # the loop's own time may count in whole milliseconds
        try:
            await self.submit(packed(("PING",)))
            self.latency = perf_counter() - started
            async with asyncio.timeout(_HEARTBEAT):
                await self._wake.wait()
        except (BackendError, TimeoutError):
            return

    async def _connect(self) -> str:
        """Connect; return why it failed, or an empty text."""
        try:
            async with asyncio.timeout(self._options.connect_timeout):
                self.place = await self._locate()
            pipe = await self._dialled(self.place)
        except BackendError as error:
            return str(error)
        except TimeoutError:
            return f"nobody said where the server is within {self._options.connect_timeout:g} s"
        self._pipes.insert(0, pipe)
        self.up = True
        self._on_change(True, "")  # noqa: FBT003 - the watcher's shape
        return ""

    def _pipe_lost(self, pipe: Pipe, reason: str) -> None:
        if pipe not in self._pipes:
            return
        leading = pipe is self._pipes[0]
        self._pipes.remove(pipe)
        if not leading:
            return
        for other in tuple(self._pipes):
            other.drop(reason)
        self._wake.set()
        if self.up and not self._closing:
            self.up = False
            self.reason = reason
            self._on_change(False, reason)  # noqa: FBT003 - the watcher's shape

    # ── one connection ──

    async def _dialled(self, place: Place) -> Pipe:
        """Open a connection and introduce ourselves on it.

        Raises:
            BackendError: refused, too late, or the credentials are wrong.

        """
        timeout = self._options.connect_timeout
        pipe: Pipe | None = None
        try:
            async with asyncio.timeout(timeout):
                pipe = await self._opened(place)
                await self._introduce(pipe)
        except TimeoutError:
            reason = f"{place}: no connection within {timeout:g} s"
            if pipe is not None:
                pipe.drop(reason)
            raise BackendLostError(reason, sent=False) from None
        except OSError as error:
            raise BackendLostError(f"{place}: {error}", sent=False) from error
        except BackendError as error:
            if pipe is not None:
                pipe.drop(str(error))
            raise
        return pipe

    async def _opened(self, place: Place) -> Pipe:
        loop = asyncio.get_running_loop()

        def factory() -> Pipe:
            return Pipe(self._options.timeout, self._pipe_lost)

        if place.socket_file:
            return (await loop.create_unix_connection(factory, place.socket_file))[1]
        tls = tls_context(self._address, self._options)  # anew: certificates may be exchanged
        transport, pipe = await loop.create_connection(factory, place.host, place.port, ssl=tls)
        raw = transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return pipe

    async def _introduce(self, pipe: Pipe) -> None:
        user, password = self._credentials()
        if password:
            await pipe.submit(packed(("AUTH", user, password) if user else ("AUTH", password)))
        if self._address.db:
            await pipe.submit(packed(("SELECT", self._address.db)))
        await self._examine(pipe)
        await pipe.submit(packed(("PING",)))


def _log_failure(name: str, error: BaseException) -> None:
    _log.error("store_task_failed", task=name, error=repr(error))
