"""Several workers on one machine: a supervisor that opens their sockets and keeps them alive.

Each worker has a socket of its own on the same port (SO_REUSEPORT), opened here and kept open, so
that what is queued on it is not dropped when a worker dies: its successor inherits the socket. The
admin listener belongs to the first worker, which gathers what the others know over `run_dir`. Who
shares a port must share the counts, so a port that anybody else listens on is refused; and workers
whose supervisor was killed end too: they hold the other end of a pipe, its `lifeline`.

The interleaving that `_start` defends against:
    1. a worker has died, and its successor is about to be started;
    2. a signal says that all shall end: those that run are told;
    3. the successor starts: nobody has told it, and the supervisor would wait for it for ever.
    So whoever starts a worker looks afterwards whether all shall end. One that does not end within
    `GRACE` is killed.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType

import structlog

from proxy import log
from proxy.clock import boottime
from proxy.config.settings import Listener, Settings
from proxy.http.listeners import Address, open_socket

VARIABLE = "QUOTA_PROXY_WORKER"
"""What a worker is told of itself by its supervisor."""
RESPAWN_AFTER = 1.0
"""Seconds that a worker must have lived for its successor to be started at once."""
GRACE = 15
"""Seconds that workers are given to answer what they have begun."""


@dataclass(frozen=True, slots=True)
class Worker:
    """Which of how many this process is, and what it inherited."""

    index: int = 0
    count: int = 1
    run_dir: str = ""
    """Where workers find each other's sockets; empty: there is only one."""
    sockets: Mapping[str, int] = field(default_factory=dict)
    """Inherited file descriptors by address."""
    lifeline: int | None = None
    """The end of a pipe where reading ends when the supervisor does."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Worker":
        """Return what the supervisor said; the only worker where there is none."""
        said = environ.get(VARIABLE)
        return cls(**json.loads(said)) if said else cls()

    def socket(self, listener: Listener) -> socket.socket:
        """Return the socket to listen on: inherited, or opened now.

        Raises:
            OSError: the address is taken, or not this machine's.

        """
        if listener.address in self.sockets:
            inherited = socket.socket(fileno=self.sockets[listener.address])
            inherited.setblocking(False)  # noqa: FBT003 - the socket module's own signature
            return inherited
        return open_socket(Address(listener.host or "*", listener.port))


class Supervisor:
    """Starts workers, replaces those that die, and ends them all."""

    def __init__(self, settings: Settings, config: Path, count: int) -> None:
        self._config = config
        self._count = count
        self._sockets = [
            {
                listener.address: opened
                for listener, opened in zip(settings.listeners, row, strict=True)
            }
            for row in _rows(settings, count)
        ]
        admin = settings.admin.listener
        self._sockets[0][admin.address] = open_socket(Address(admin.host or "*", admin.port))
        self._lifeline, _ = os.pipe()  # the kernel closes the other end when this process is gone
        self._children: dict[int, tuple[subprocess.Popen[bytes], float]] = {}
        self._ended = threading.Event()
        self._log = structlog.get_logger("workers")

    def run(self) -> int:
        """Run until a signal ends it; return the exit status."""
        with tempfile.TemporaryDirectory(prefix="quota-proxy-") as run_dir:
            for signum in (signal.SIGTERM, signal.SIGINT):
                signal.signal(signum, self._end)
            signal.signal(signal.SIGALRM, self._kill)
            for index in range(self._count):
                self._start(index, run_dir)
            while self._children:
                self._await_one(run_dir)
            signal.alarm(0)
        return 0

    def _start(self, index: int, run_dir: str) -> None:
        sockets = {address: each.fileno() for address, each in self._sockets[index].items()}
        told = Worker(index, self._count, run_dir, sockets, self._lifeline)
        child = subprocess.Popen(  # noqa: S603 - this program itself
            [sys.executable, "-m", "proxy", "serve", "--config", str(self._config)],
            pass_fds=(*sockets.values(), self._lifeline),
            env={**os.environ, VARIABLE: json.dumps(asdict(told))},
        )
        self._children[index] = (child, boottime())
        if self._ended.is_set():
            child.terminate()

    def _await_one(self, run_dir: str) -> None:
        """Wait until a worker ends, and start its successor unless all shall end."""
        pid, status = os.wait()
        for index, (child, started) in list(self._children.items()):
            if child.pid != pid:
                continue
            del self._children[index]
            child.returncode = os.waitstatus_to_exitcode(status)
            if self._ended.is_set():
                return  # as it was told to
            self._log.error("worker_died", worker=index, status=child.returncode)
            if boottime() - started < RESPAWN_AFTER:
                self._ended.wait(RESPAWN_AFTER)
            if not self._ended.is_set():
                self._start(index, run_dir)

    def _end(self, _signum: int, _frame: FrameType | None) -> None:
        self._ended.set()
        signal.alarm(GRACE)
        for child, _ in self._children.values():
            child.terminate()

    def _kill(self, _signum: int, _frame: FrameType | None) -> None:
        for child, _ in self._children.values():
            child.kill()


def _rows(settings: Settings, count: int) -> list[list[socket.socket]]:
    """Open one socket for each worker and listener; a port that is chosen is the same for all.

    Raises:
        OSError: an address is taken, were it by workers of another proxy, or not this machine's.

    """
    rows: list[list[socket.socket]] = [[] for _ in range(count)]
    for listener in settings.listeners:
        port = listener.port
        open_socket(Address(listener.host or "*", port)).close()  # not shared, so it tells
        for row in rows:
            opened = open_socket(Address(listener.host or "*", port), shared=True)
            port = opened.getsockname()[1]
            row.append(opened)
    return rows


def supervise(settings: Settings, config: Path, count: int) -> int:
    """Run `count` workers until a signal ends them; return the exit status."""
    log.configure(settings.log.level, settings.log.format)
    try:
        supervisor = Supervisor(settings, config, count)
    except OSError as error:
        structlog.get_logger("workers").error("cannot_start", reason=str(error))
        return 1
    return supervisor.run()
