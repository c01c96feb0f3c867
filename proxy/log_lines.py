"""Where log lines are written: at once, or together with others of the same turn of the loop.

The busiest lines, one for each upstream call, wait for the end of their turn: a burst of calls is
one write, behind the answers. Whatever else is logged is written at once, behind what waits, so
the order stands; and what waits is written before the process ends.
"""

import asyncio
import threading
from typing import TextIO


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
            if lines:
                lines.append("")
                self._stream.write("\n".join(lines))
                self._stream.flush()
