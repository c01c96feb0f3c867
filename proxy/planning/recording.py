"""Recording: one JSON line for each request, for `quota-proxy plan`.

    {"at":1763000000.123,"method":"GET","target":"/coingecko/api/v3/ping","client":"grid-1"}

Without secrets: values of keys are hidden, header fields and bodies are not written, and private
requests are not recorded at all. The target is as it would be met by prefix. Lines are gathered
and written behind, once a second, by a thread; what comes faster than that, or beyond the file's
bound, is left out and counted.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from proxy.asked import Asked
from proxy.core.outbound import redacted

MOST: Final = 256 * 1024 * 1024
"""Bytes of a trace; it is not written any further."""
MOST_WAITING: Final = 100_000
"""Lines that wait to be written."""
PERIOD: Final = 1.0

_encode = msgspec.json.Encoder().encode


class Recording:
    """Writes a trace."""

    def __init__(self, path: Path, wall: Callable[[], float], most: int = MOST) -> None:
        """Take the file, which is continued, and Unix time."""
        self._path = path
        self._wall = wall
        self._most = most
        self._lines: list[bytes] = []
        self.left_out = 0
        """Requests that are not in the trace."""

    def record(self, ask: Asked) -> None:
        """Note a request."""
        if ask.private:
            return
        if len(self._lines) >= MOST_WAITING:
            self.left_out += 1
            return
        match = ask.match
        target = f"{match.path}?{match.query}" if match.query else match.path
        line = {
            "at": round(self._wall(), 3),
            "method": ask.request.method,
            "target": match.upstream.prefix.rstrip("/") + redacted(target, match.upstream),
            "client": ask.request.client.name,
        }
        self._lines.append(_encode(line))

    async def run(self) -> None:
        """Write what was noted, once a second; and once more when cancelled."""
        try:
            while True:
                await asyncio.sleep(PERIOD)
                await asyncio.to_thread(self._write, self._taken())
        finally:
            self.write()

    def write(self) -> None:
        """Write what was noted."""
        self._write(self._taken())

    def _taken(self) -> list[bytes]:
        lines, self._lines = self._lines, []
        return lines

    def _write(self, lines: list[bytes]) -> None:
        if not lines:
            return
        text = b"\n".join(lines) + b"\n"
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab") as file:
            if file.tell() + len(text) > self._most:
                self.left_out += len(lines)
            else:
                file.write(text)
