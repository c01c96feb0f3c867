"""Ports of 127.0.0.1 that this process alone hands out, however many test runs share the machine.

A port that is only found free may be another's before it is used, or before a server that was
killed comes back to it. So each process holds a block of ports by a lock that ends with it, below
those that the system gives to outgoing connections (from 32,768 on Linux).
"""

import fcntl
import itertools
import os
import socket
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

BUS = 10_000
"""How far above its port a Redis node has its cluster bus."""
_FIRST, _BLOCKS, _LENGTH = 11_000, 40, 250  # with their buses they end at 31,000


@cache
def _ports() -> Iterator[int]:
    """Yield this process's ports, round and round."""
    first = _FIRST + _LENGTH * _held_block()
    return itertools.cycle(range(first, first + _LENGTH))


def _held_block() -> int:
    """Return the number of a block that no other process holds; where all are held, share one."""
    folder = Path(tempfile.gettempdir()) / f"quota-proxy-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    for number in range(_BLOCKS):
        handle = os.open(folder / str(number), os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
        else:
            return number  # the handle stays open, and with it the lock
    return os.getpid() % _BLOCKS


def free_ports(count: int, *, with_bus: bool = False) -> list[int]:
    """Return ports that nobody listens on; `with_bus`: nor on those `BUS` above."""
    found: list[int] = []
    while len(found) < count:
        port = next(_ports())
        if all(map(_is_free, (port, port + BUS) if with_bus else (port,))):
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
