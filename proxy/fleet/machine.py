"""The workers of one machine: each decides for some of the keys who leads, over unix sockets.

Rules
- Rendezvous hashing says which worker a key's home is; where that one cannot be reached, the next.
  A worker asks itself at no cost, and each of the others on one connection.
- The connection is the lease: a worker that dies takes its connections along, and its leads pass at
  once to those who have waited longest. Nobody polls, nothing is written to disk.
- A worker that dies may be a home: whoever followed there asks the next home, where one leads.
- A home that hangs does not answer within `PATIENCE`: it is left alone for `AWAY`, and the next is
  asked. Two homes may so give a lead each: as everywhere, the ledger counts, and the store keeps
  the newer entry (`proxy.store.sqlite`).

On the wire: lines of JSON. `["ask", n, key, known]`, `["land", n, ending, stamp]`, `["leave", n]`
to a home; from it `[n, "asked"]`, and then, when it is decided, `[n, "lead", inherited]` or
`[n, "landed", ending, stamp, awaited]`.

The interleaving that `lead` defends against by leaving:
    1. a worker asks, and its last client goes, so it leaves;
    2. meanwhile the home has given it the lead: nobody would use it.
    So leaving is said of every ask that has not landed, led or not.
"""

import asyncio
import contextlib
import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import msgspec
import structlog

from proxy.core.landings import NONE, Ending, Landed
from proxy.fleet.arbiter import Arbiter, Ask, Leading, Told
from proxy.tasks import Tasks

PATIENCE: Final = 1.0
"""Seconds within which a home must be connected to, and must take an ask."""
AWAY: Final = 2.0
"""Seconds for which a home that did neither is not asked again."""
LONGEST: Final = 1024 * 1024
"""Bytes of a line."""

_log = structlog.get_logger("fleet")

Message = list[Any]


class AwayError(Exception):
    """The home cannot be reached, or has gone."""


class HangsError(AwayError):
    """The home is there and says nothing."""


class MachineLead:
    """The lead of one flight, kept until it is told how the flight ended."""

    def __init__(self, landing: Callable[[Ending, float], None], *, inherited: bool) -> None:
        """Take how to say that it has landed."""
        self.inherited = inherited
        self._landing = landing

    def land(self, ending: Ending, stamp: float = NONE) -> "asyncio.Future[None]":
        """Tell all who follow how the flight ended, and give up the lead."""
        self._landing(ending, stamp)
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        told.set_result(None)
        return told


class _Own:
    """This worker as a home of its own asks."""

    def __init__(self, arbiter: Arbiter) -> None:
        self._arbiter = arbiter

    async def lead(self, key: str, known: float, until: float = math.inf) -> MachineLead | Landed:
        told: asyncio.Future[Told] = asyncio.get_running_loop().create_future()

        def tell(said: Told) -> None:
            if not told.done():  # cancelled, and about to leave
                told.set_result(said)

        ask = Ask(key, known, tell)
        self._arbiter.ask(ask)
        if told.done():
            said = told.result()
        else:
            try:
                async with asyncio.timeout_at(_when(until)):
                    said = await told
            except (asyncio.CancelledError, TimeoutError):
                self._arbiter.leave(ask)
                raise
        if isinstance(said, Landed):
            return said

        def land(ending: Ending, stamp: float) -> None:
            self._arbiter.land(ask, ending, stamp)

        return MachineLead(land, inherited=said.inherited)


class _Home:
    """A connection to another worker, for the keys whose home that one is."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.lost = False
        self._reader = reader
        self._writer = writer
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Queue[Message | None]] = {}

    async def hear(self) -> None:
        """Hand on what the home says, until it is gone."""
        try:
            async for line in self._reader:
                number, *said = msgspec.json.decode(line, type=Message)
                if number in self._waiting:
                    self._waiting[number].put_nowait(said)
        except (OSError, ValueError) as error:
            _log.warning("fleet_home_lost", reason=str(error))
        finally:
            self.part()

    def part(self) -> None:
        """End the connection; who waits here asks elsewhere."""
        self.lost = True
        self._writer.close()
        for each in self._waiting.values():
            each.put_nowait(None)

    async def lead(self, key: str, known: float, until: float) -> MachineLead | Landed:
        """Ask for the lead, or how another's flight ended.

        Raises:
            AwayError: the home hangs or has gone, or goes while its answer is awaited.
            TimeoutError: another's flight has not ended at `until`.

        """
        number = next(self._numbers)
        said = self._waiting[number] = asyncio.Queue()
        self._say("ask", number, key, known)
        try:
            message = await self._taken(said)
            if message is not None:
                async with asyncio.timeout_at(_when(until)):
                    message = await said.get()
        except (asyncio.CancelledError, TimeoutError):
            self._say("leave", number)
            raise
        finally:
            del self._waiting[number]
        if message is None:
            raise AwayError
        if message[0] == "landed":
            return Landed(Ending(message[1]), float(message[2]), awaited=message[3])

        def land(ending: Ending, stamp: float) -> None:
            self._say("land", number, ending, stamp)

        return MachineLead(land, inherited=message[1])

    async def _taken(self, said: "asyncio.Queue[Message | None]") -> Message | None:
        """Return what is said to an ask first.

        Raises:
            HangsError: nothing is.

        """
        try:
            async with asyncio.timeout(PATIENCE):
                return await said.get()
        except TimeoutError:
            self.part()
            raise HangsError from None

    def _say(self, *said: object) -> None:
        if self.lost:
            return
        self._writer.write(msgspec.json.encode(said) + b"\n")


class _End:
    """The home's end of a connection: what one other worker asks."""

    def __init__(self, arbiter: Arbiter, writer: asyncio.StreamWriter) -> None:
        self._arbiter = arbiter
        self._writer = writer
        self._asks: dict[int, Ask] = {}

    async def serve(self, reader: asyncio.StreamReader) -> None:
        """Do what the worker says until it goes; then its leads pass on."""
        try:
            async for line in reader:
                match msgspec.json.decode(line, type=Message):
                    case ["ask", int(number), str(key), float(known)]:
                        self._ask(number, key, known)
                    case ["land", int(number), str(ending), float(stamp)]:
                        if number in self._asks:
                            self._arbiter.land(self._asks.pop(number), Ending(ending), stamp)
                    case ["leave", int(number)]:
                        self._leave(number)
        except (OSError, ValueError) as error:
            _log.warning("fleet_worker_lost", reason=str(error))
        finally:
            for number in tuple(self._asks):
                self._leave(number)
            self._writer.close()

    def _ask(self, number: int, key: str, known: float) -> None:
        def tell(told: Told) -> None:
            match told:
                case Leading(inherited):
                    self._say(number, "lead", inherited)
                case Landed(ending, stamp, awaited):
                    self._asks.pop(number, None)
                    self._say(number, "landed", ending, stamp, awaited)

        self._say(number, "asked")
        ask = self._asks[number] = Ask(key, known, tell)
        self._arbiter.ask(ask)

    def _leave(self, number: int) -> None:
        ask = self._asks.pop(number, None)
        if ask is not None:
            self._arbiter.leave(ask)

    def _say(self, *said: object) -> None:
        if not self._writer.is_closing():
            self._writer.write(msgspec.json.encode(said) + b"\n")


class MachineFleet:
    """One worker among those of its machine."""

    def __init__(self, directory: Path, index: int, count: int) -> None:
        """Take the directory that the workers share, which one this is, and of how many."""
        self._directory = directory
        self._index = index
        self._count = count
        self._time = asyncio.get_running_loop().time
        self._arbiter = Arbiter(self._time)
        self._own = _Own(self._arbiter)
        self._homes: dict[int, asyncio.Future[_Home]] = {}
        self._away: dict[int, float] = {}
        self._tasks = Tasks(_stumbled)
        self._server: asyncio.AbstractServer | None = None

    async def open(self) -> None:
        """Be the home of some of the keys."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        place = self._place(self._index)
        place.unlink(missing_ok=True)  # of a worker that died: its successor has its place
        self._server = await asyncio.start_unix_server(self._serve, place, limit=LONGEST)

    async def close(self) -> None:
        """Be no home any more; part from the others."""
        if self._server is not None:
            self._server.close()
        self._place(self._index).unlink(missing_ok=True)
        await self._tasks.close()

    async def lead(
        self, key: str, known: float, until: float = math.inf
    ) -> MachineLead | Landed | None:
        """Return the lead of a key's flight, or how another's ended, once it has.

        `known`: stamp of the newest entry that the caller has. None: there is nobody to tell.

        Raises:
            TimeoutError: another's flight has not ended at `until` (time of the loop).

        """
        moved = False
        for index in self._ranked(key):
            try:
                home = self._own if index == self._index else await self._home(index)
                said = await home.lead(key, known, until)
            except AwayError as error:
                if isinstance(error, HangsError):
                    self._away[index] = self._time() + AWAY
                moved = True
                continue
            if isinstance(said, MachineLead):
                said.inherited = said.inherited or moved  # what a home knew has gone with it
            return said
        return None

    def _ranked(self, key: str) -> list[int]:
        """Return the workers in the order in which they are a key's home."""
        return sorted(range(self._count), key=lambda index: crc32(f"{index} {key}".encode()))

    def _place(self, index: int) -> Path:
        return self._directory / f"fleet-{index}.sock"

    async def _home(self, index: int) -> _Home:
        """Return the connection to another worker; all who need it at once share one attempt.

        Raises:
            AwayError: it cannot be reached now.

        """
        if self._away.get(index, 0.0) > self._time():
            raise AwayError
        known = self._homes.get(index)
        if known is None or (known.done() and (known.exception() or known.result().lost)):
            known = self._homes[index] = self._tasks.start(self._connect(index), "connect")
        try:
            return await asyncio.shield(known)
        except TimeoutError as error:
            raise HangsError from error
        except OSError as error:
            raise AwayError from error

    async def _connect(self, index: int) -> _Home:
        async with asyncio.timeout(PATIENCE):
            streams = await asyncio.open_unix_connection(self._place(index), limit=LONGEST)
        home = _Home(*streams)
        self._tasks.start(home.hear(), f"hear worker {index}")
        return home

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        end = _End(self._arbiter, writer)
        with contextlib.suppress(asyncio.CancelledError):  # a server that closes cancels us
            await self._tasks.start(end.serve(reader), "serve a worker")


def _when(until: float) -> float | None:
    return None if until == math.inf else until


def _stumbled(task: str, error: BaseException) -> None:
    if not isinstance(error, OSError | TimeoutError):  # a worker that is away is no error
        _log.error("fleet_task_failed", task=task, error=repr(error))
