"""The counts of all workers of one instance, whichever of them is asked.

Each worker answers on a unix socket of its own in a directory of the instance (0700): it is
connected to, writes its snapshot as MessagePack and closes. Who is asked for metrics gathers all
of them. A worker that ends in peace leaves its last counts behind in a file, so a rolling restart
takes nothing from the sums; one that was killed takes its own counts with it, which Prometheus
sees as a counter's reset.

A worker alone (no directory) gathers itself.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from proxy.admin.snapshot import Snapshot, merged

PATIENCE = 1.0
"""Seconds within which a worker says what it counted; one that does not is left out."""

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Snapshot)


class Workers:
    """One worker's place among the workers of its instance."""

    def __init__(self, snapshot: Callable[[], Snapshot], directory: Path | None = None) -> None:
        """Take this worker's own counts, and the directory that the instance's workers share."""
        self._snapshot = snapshot
        self._directory = directory
        self._server: asyncio.AbstractServer | None = None
        self._name = f"worker-{os.getpid()}"

    async def start(self) -> None:
        """Answer the other workers."""
        if self._directory is None:
            return
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        socket = self._directory / f"{self._name}.sock"
        with contextlib.suppress(FileNotFoundError):
            socket.unlink()
        self._server = await asyncio.start_unix_server(self._answer, socket)

    async def close(self) -> None:
        """Leave the last counts behind and answer no more."""
        if self._directory is None or self._server is None:
            return
        left = self._directory / f"{self._name}.{os.urandom(4).hex()}.left"
        unfinished = left.with_suffix(".unfinished")
        unfinished.write_bytes(_ENCODER.encode(_without_gauges(self._snapshot())))
        (self._directory / f"{self._name}.sock").unlink(missing_ok=True)
        unfinished.rename(left)
        self._server.close()
        self._server = None

    async def gather(self) -> Snapshot:
        """Return the counts of all workers, this one and those that have ended among them."""
        if self._directory is None:
            return self._snapshot()
        sockets = sorted(self._directory.glob("worker-*.sock"))
        others = [self._ask(socket) for socket in sockets if socket.stem != self._name]
        answers = await asyncio.gather(*others)
        left = [_decoded(path.read_bytes()) for path in sorted(self._directory.glob("*.left"))]
        return merged([self._snapshot(), *filter(None, answers), *filter(None, left)])

    async def _answer(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            writer.write(_ENCODER.encode(self._snapshot()))
            await writer.drain()
            writer.close()
            await writer.wait_closed()

    async def _ask(self, socket: Path) -> Snapshot | None:
        try:
            async with asyncio.timeout(PATIENCE):
                reader, writer = await asyncio.open_unix_connection(socket)
                try:
                    return _decoded(await reader.read())
                finally:
                    writer.close()
        except ConnectionRefusedError:  # its worker was killed: nobody will answer here again
            _forget(socket)
        except OSError:
            pass
        return None


def _forget(socket: Path) -> None:
    socket.unlink(missing_ok=True)


def _without_gauges(snapshot: Snapshot) -> Snapshot:
    """What a worker held is given back when it ends; what it counted stays."""
    return Snapshot(snapshot.counters, {}, snapshot.histograms, snapshot.unmatched)


def _decoded(content: bytes) -> Snapshot | None:
    try:
        return _DECODER.decode(content)
    except msgspec.DecodeError:  # of another version, or cut short
        return None
