"""Large answers as files in memory, from which the system sends without copying them.

A copy costs the sender little, but whoever reads it finds it in no cache: at 30 KB a client on the
same machine spends a tenth less on an answer that was sent from a file, at 16 KB nothing.

- A file is written once, sealed, and never again: what was sent of it may be under way for long. It
  is closed when the head is made anew or the row forgotten; what is under way lives on.
- To make one costs what some tens of answers save: only a head that is given often within its
  second gets one, and never a second one, be the first evicted meanwhile.
- They are few, and counted in the first level's bound.
- What waits in the transport goes first: where anything does, the transport gets this answer too,
  and what did not go out at once of one that was sent from its file.
- Plain TCP only, and Linux. Where the system refuses a file, or the first level has no room for it
  beside its entry, no further one is made.
"""

import asyncio
import errno
import os
import sys
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from proxy.http.rows import Row

LEAST: Final = 24 * 1024
"""Bytes of a body from which on a file pays."""
OFTEN: Final = 32
"""Answers with the same head, untold ones, before a file is made of it."""
_MOST: Final = 32
_MOST_BYTES: Final = 8 * 1024 * 1024
_PAGE: Final = 4096
_AVAILABLE: Final = sys.platform == "linux" and hasattr(os, "memfd_create")


class _File:
    """One answer, head and body."""

    __slots__ = ("fd", "head", "held", "size")

    def __init__(self, head: bytes, body: bytes) -> None:
        """Write and seal it.

        Raises:
            OSError: there is no more room for it, or the system knows no such files.

        """
        self.head = head
        self.size = len(head) + len(body)
        self.held = -(-self.size // _PAGE) * _PAGE
        self.fd = os.memfd_create("answer", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            _fill(self.fd, head, body)
        except OSError:
            os.close(self.fd)
            raise


class MemoryFiles:
    """The files of the rows that are asked for most."""

    def __init__(
        self,
        hold: Callable[[int], None],
        *,
        often: int = OFTEN,
        most: int = _MOST,
        most_bytes: int = _MOST_BYTES,
    ) -> None:
        """Take what counts their bytes, after how many answers one is made, and the bounds."""
        self._hold = hold
        self._often = often
        self._most = most if _AVAILABLE else 0
        self._most_bytes = most_bytes
        self._bytes = 0
        self._files: OrderedDict[Row, _File] = OrderedDict()

    def __len__(self) -> int:
        return len(self._files)

    def send(self, transport: asyncio.Transport, row: Row) -> bool:
        """Send a row's answer from its file; False: nothing was sent, it goes the ordinary way.

        The transport must be open, and not encrypt.
        """
        if len(row.body) < LEAST or transport.get_write_buffer_size():
            return False
        file = self._of(row)
        socket = None if file is None else transport.get_extra_info("socket")
        if file is None or socket is None:
            return False
        try:
            sent = os.sendfile(socket.fileno(), file.fd, 0, file.size)
        except OSError:  # it would have to wait, or the client has gone: the transport finds out
            return False
        if sent < file.size:
            transport.write(memoryview(row.head + row.body)[sent:])
        return True

    def close(self, row: Row) -> None:
        """Close a row's file: its head has changed, or it is forgotten."""
        file = self._files.pop(row, None)
        if file is not None:
            os.close(file.fd)
            self._count(-file.held)

    def clear(self) -> None:
        """Close all."""
        for row in tuple(self._files):
            self.close(row)

    def _of(self, row: Row) -> _File | None:
        """Return the file of what a row is answered now; None: it has none."""
        file = self._files.get(row)
        if file is not None and file.head is row.head:
            self._files.move_to_end(row)
            return file
        if row.filed is row.head or row.times < self._often or not self._most:
            return None
        return self._make(row)

    def _make(self, row: Row) -> _File | None:
        self.close(row)
        row.filed = row.head
        try:
            file = _File(row.head, row.body)
        except OSError:
            self._most = 0
            return None
        self._files[row] = file
        self._count(file.held)
        if row not in self._files:  # room was made for it by evicting what it was made of
            self._most = 0
        while len(self._files) > self._most or self._bytes > self._most_bytes:
            self.close(next(iter(self._files)))
        return self._files.get(row)

    def _count(self, size: int) -> None:
        self._bytes += size
        self._hold(size)


def _fill(fd: int, head: bytes, body: bytes) -> None:
    """Write it, and let nobody change it any more, not even this process."""
    import fcntl  # noqa: PLC0415 - not everywhere there is one

    if os.writev(fd, (head, body)) != len(head) + len(body):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
