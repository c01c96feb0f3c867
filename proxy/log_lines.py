"""Where log lines are written: at once, or together with others of the same turn of the loop.

The busiest lines, one for each upstream call, wait for the end of their turn: a burst of calls is
one write, behind the answers. Whatever else is logged is written at once, behind what waits, so
the order stands; and what waits is written before the process ends.

Workers write to one pipe. What is written at once is no more than a pipe takes whole (`PIPE_BUF`),
unless a single line is, so that no line is torn by another worker's.
"""

import asyncio
import threading
from select import PIPE_BUF
from typing import Final, TextIO

_MOST_OCTETS: Final = 4
"""Of a character in UTF-8."""


class Lines:
    """Writes lines to a stream; structlog's logger, and what makes it."""

    def __init__(self, stream: TextIO) -> None:
        """Take where lines go."""
        self._stream = stream
        self._waiting: list[str] = []
        self._lock = threading.RLock()
        """Threads log as well."""

    def __call__(self, *_: object) -> "Lines":
        """Return the logger that structlog writes to."""
        return self

    def msg(self, line: str) -> None:
        """Write a line now, and what waits before it."""
        with self._lock:
            self._waiting.append(line)
            self.flush()

    log = debug = info = warning = warn = error = critical = fatal = exception = failure = msg

    def soon(self, line: str) -> None:
        """Write a line at the end of this turn of the loop; now, where no loop runs."""
        with self._lock:
            if not self._waiting:
                try:
                    asyncio.get_running_loop().call_soon(self.flush)
                except RuntimeError:
                    self.msg(line)
                    return
            self._waiting.append(line)

    def flush(self) -> None:
        """Write what waits."""
        with self._lock:
            lines, self._waiting = self._waiting, []
            together, size = "", 0
            for line in lines:
                takes = 1 + len(line) * (1 if line.isascii() else _MOST_OCTETS)
                if together and size + takes > PIPE_BUF:
                    self._write(together)
                    together, size = "", 0
                together += f"{line}\n"
                size += takes
            if together:
                self._write(together)

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
