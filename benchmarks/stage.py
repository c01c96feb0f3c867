"""Starts what a benchmark measures, on loopback and free ports, and ends it again."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # a benchmark measures the checkout that it stands in
CPUS = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
SERVER_CPU, LOAD_CPU = CPUS[0], CPUS[-1]
"""What is measured runs on one core, the load on another; all else beside the load."""


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def pinned(cpu: int, command: list[str]) -> list[str]:
    """Return the command bound to one core, where the system can."""
    return ["taskset", "-c", str(cpu), *command] if shutil.which("taskset") else command


@contextlib.contextmanager
def running(
    command: list[str], environ: Mapping[str, str] | None = None, cpu: int = LOAD_CPU
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server for as long as the context lasts."""
    child = subprocess.Popen(
        pinned(cpu, command),
        env={**os.environ, **(environ or {})},
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def await_answer(url: str, seconds: float = 20.0) -> None:
    """Return once `url` answers at all.

    Raises:
        TimeoutError: it did not in time.

    """
    end = time.monotonic() + seconds  # noqa: TID251 - a script's own patience
    while time.monotonic() < end:  # noqa: TID251 - likewise
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - our own loopback address
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError(f"{url} did not answer")


@contextlib.contextmanager
def sandbox(latency: float = 0.0) -> Iterator[dict[str, str]]:
    """Run the simulated providers; yield the variables that point a configuration at them."""
    port = free_port()
    command = [sys.executable, "-m", "proxy", "sandbox", "--port", str(port)]
    with running([*command, "--latency", str(latency)]):
        origin = f"http://127.0.0.1:{port}"
        await_answer(f"{origin}/_sandbox/")
        names = {
            "COINGECKO": "coingecko", "BINANCE": "binance", "BINANCE_FUTURES": "binance-futures",
            "DEXSCREENER": "dexscreener", "COINMARKETCAP": "coinmarketcap",
            "CRYPTOPANIC": "cryptopanic", "FEAR_AND_GREED": "fear-and-greed", "KRAKEN": "kraken",
            "OKX": "okx",
        }  # fmt: skip
        yield {f"{variable}_BASE_URL": f"{origin}/{name}" for variable, name in names.items()}


@contextlib.contextmanager
def proxy(environ: Mapping[str, str], workers: int = 1, cpu: int = SERVER_CPU) -> Iterator[str]:
    """Run the real `serve` with the shipped configuration; yield its traffic address."""
    port, admin = free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        own = {
            "QUOTA_PROXY_LISTEN": f"127.0.0.1:{port}",
            "QUOTA_PROXY_ADMIN_LISTEN": f"127.0.0.1:{admin}",
            "KRAKEN_LISTEN": f"127.0.0.1:{free_port()}",
            "OKX_LISTEN": f"127.0.0.1:{free_port()}",
            "REDIS_URL": f"sqlite:{folder}/bench.db",
            "COINGECKO_API_KEY": "bench",
            **environ,
        }
        command = [sys.executable, "-m", "proxy", "serve", "--workers", str(workers)]
        with running(command, own, cpu):
            await_answer(f"http://127.0.0.1:{admin}/readyz")
            yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def redis() -> Iterator[str]:
    """Run a Redis server that keeps nothing; yield its URL."""
    port = free_port()
    command = ["redis-server", "--port", str(port), "--save", "", "--appendonly", "no"]
    with running(command):
        end = time.monotonic() + 10  # noqa: TID251 - a script's own patience
        while time.monotonic() < end:  # noqa: TID251 - likewise
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        yield f"redis://127.0.0.1:{port}/0"


@dataclass(frozen=True, slots=True)
class Load:
    """What a load generator saw."""

    per_second: float
    p50: float
    """Milliseconds."""
    p99: float
    errors: int


_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


def wrk(url: str, connections: int = 32, seconds: int = 4, headers: tuple[str, ...] = ()) -> Load:
    """Ask `url` again and again over keep-alive connections, as fast as it answers."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
    for header in headers:
        command += ["-H", header]
    said = subprocess.run(
        pinned(LOAD_CPU, [*command, url]), capture_output=True, text=True, check=True
    ).stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    found = {
        share: float(figure) * _UNITS[unit]
        for share, figure, unit in re.findall(r"(50|99)%\s+([\d.]+)(us|ms|s)", said)
    }
    wrong = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    errors = int(wrong[1]) if wrong else 0
    return Load(float(rate[1]) if rate else 0.0, found["50"], found["99"], errors)
