"""Workers: sockets that outlive them, successors, and an end that comes."""

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.config.settings import Listener
from proxy.http.listeners import Address, open_socket
from proxy.workers import VARIABLE, Worker

ROOT = Path(__file__).parent.parent

SUPERVISOR = """
import sys
from pathlib import Path
from proxy import workers
from proxy.config.settings import AdminSettings, Listener, Settings, StoreSettings

store = StoreSettings("memory", "memory:")
settings = Settings(
    Path("proxy.yaml"), (), (Listener("127.0.0.1", 0),),
    AdminSettings(Listener("127.0.0.1", 0)), store, store, (),
)
workers.sys.executable = sys.argv[1]
workers.GRACE = 1
workers.RESPAWN_AFTER = 0.0
sys.exit(workers.supervise(settings, Path("proxy.yaml"), 2))
"""

WORKER = """
import json, os, signal, sys, time
said = f"worker {os.getpid()} {os.environ['QUOTA_PROXY_WORKER']}\\n"
os.write(1, said.encode())  # at once, or two workers write into each other's lines
if "STUBBORN" in os.environ:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if "LISTENING" in os.environ:
    os.read(json.loads(os.environ["QUOTA_PROXY_WORKER"])["lifeline"], 1)
    os.write(1, b"alone\\n")
    sys.exit()
while True:
    signal.pause()
"""


@pytest.fixture
def worker(tmp_path: Path) -> Path:
    """A program that says what it was told, and then waits to be ended."""
    body = tmp_path / "worker.py"
    body.write_text(textwrap.dedent(WORKER), encoding="utf-8")
    program = tmp_path / "worker"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {body} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    return program


def supervised(worker: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(worker)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
    )


@pytest.fixture
def supervisor(worker: Path) -> Iterator[subprocess.Popen[str]]:
    process = supervised(worker)
    yield process
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)


def told(process: subprocess.Popen[str]) -> tuple[int, Worker]:
    """Wait until a worker says its process and what it was told."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("worker "):
            _, pid, said = line.split(" ", 2)
            return int(pid), Worker.from_environment({VARIABLE: said})
    raise AssertionError("no worker was started")


def test_alone_there_is_no_supervisor() -> None:
    """A process that was told nothing is the first and only worker."""
    assert Worker(0, 1, "", {}) == Worker.from_environment({})


def test_a_worker_listens_on_what_it_inherited() -> None:
    """The socket its supervisor opened is taken by its number, whatever the address says."""
    with socket.create_server(("127.0.0.1", 0)) as opened:
        kept = os.dup(opened.fileno())
        said = json.dumps(
            {"index": 1, "count": 2, "run_dir": "/run", "sockets": {"127.0.0.1:0": kept}}
        )
        inherited = Worker.from_environment({VARIABLE: said}).socket(Listener("127.0.0.1", 0))

        assert opened.getsockname() == inherited.getsockname()
        assert not inherited.getblocking()

        inherited.close()


def test_a_worker_without_inheritance_opens_its_own() -> None:
    """An address that is taken is an error of the operating system's, said as such."""
    opened = Worker().socket(Listener("127.0.0.1", 0))
    with pytest.raises(OSError, match="in use"):
        Worker().socket(Listener("127.0.0.1", opened.getsockname()[1]))
    opened.close()


def test_each_has_a_socket_of_its_own(supervisor: subprocess.Popen[str]) -> None:
    """Two workers know which they are; the admin listener is the first one's alone."""
    first, second = sorted((told(supervisor)[1] for _ in range(2)), key=lambda each: each.index)

    assert [(0, 2), (1, 2)] == [(each.index, each.count) for each in (first, second)]
    assert first.run_dir == second.run_dir != ""
    assert not set(first.sockets.values()) & set(second.sockets.values())


def test_a_successor_inherits_the_socket(supervisor: subprocess.Popen[str]) -> None:
    """A worker that dies is replaced, on the same socket: what is queued there is not lost."""
    started = dict(told(supervisor) for _ in range(2))
    pid, dying = next(iter(started.items()))
    os.kill(pid, signal.SIGKILL)
    again, successor = told(supervisor)

    assert again not in started
    assert (dying.index, dying.sockets) == (successor.index, successor.sockets)


def test_all_end_together(worker: Path) -> None:
    """A signal to the supervisor ends its workers, and it when they have ended."""
    process = supervised(worker)
    pids = [told(process)[0] for _ in range(2)]
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)

    assert 0 == process.returncode
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_who_does_not_end_is_killed(worker: Path) -> None:
    """A worker that hangs does not keep the others, nor the machine, from going down."""
    process = supervised(worker, STUBBORN="1")
    for _ in range(2):
        told(process)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)

    assert 0 == process.returncode


def test_a_port_that_others_share_is_not_shared_with_them(worker: Path) -> None:
    """Two proxies on one port would count apart, and spend twice; the second says why it ends."""
    with open_socket(Address("127.0.0.1", 0), shared=True) as theirs:
        port = theirs.getsockname()[1]
        program = SUPERVISOR.replace(
            '(Listener("127.0.0.1", 0),)', f'(Listener("127.0.0.1", {port}),)'
        )
        ended = subprocess.run(
            [sys.executable, "-c", program, str(worker)],
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=120,
            check=False,
        )
    assert 1 == ended.returncode
    assert "cannot_start" in ended.stdout + ended.stderr
    assert "in use" in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr


def test_workers_learn_that_their_supervisor_was_killed(worker: Path) -> None:
    """What they read from ends with it: nobody else has the other end, nor do they themselves."""
    process = supervised(worker, LISTENING="1")
    for _ in range(2):
        told(process)
    process.kill()
    output, _ = process.communicate(timeout=120)  # which waits for the workers too

    assert ["alone", "alone"] == output.split()
