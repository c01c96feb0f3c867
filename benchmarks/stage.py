"""Starts what a benchmark measures, on loopback and free ports, and ends it again."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # a benchmark measures the checkout that it stands in
CPUS = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
PORT = object()
"""Stands for a free port among the arguments of `script`."""
SERVER_CPU, LOAD_CPU = CPUS[0], CPUS[-1]
"""What is measured runs on one core, the load on another; all else beside the load."""


class Served(str):
    """The base URL of what runs, with the process behind it."""

    pid: int
    """Of the process, or of the one that started those that do the work."""
    admin: str
    """The proxy's admin address."""

    __slots__ = ("admin", "pid")

    def __new__(cls, url: str, pid: int, admin: str = "") -> Self:
        """Make it a URL that knows its process."""
        self = super().__new__(cls, url)
        self.pid, self.admin = pid, admin
        return self


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process and its children used so far, kernel's part included."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return own + sum(cpu_seconds(int(child)) for child in children)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def pinned(cpu: int | str, command: list[str]) -> list[str]:
    """Return the command bound to a core (or several: `0,1`), where the system can."""
    return ["taskset", "-c", str(cpu), *command] if shutil.which("taskset") else command


@contextlib.contextmanager
def running(
    command: list[str], environ: Mapping[str, str] | None = None, cpu: int | str = LOAD_CPU
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
def proxy(
    environ: Mapping[str, str],
    workers: int = 1,
    cpu: int | str = SERVER_CPU,
    config: Path = ROOT / "config" / "proxy.yaml",
) -> Iterator[Served]:
    """Run the real `serve`, with the shipped configuration if not told; yield where it serves."""
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
        command = [sys.executable, "-m", "proxy", "serve", "--config", str(config)]
        with running([*command, "--workers", str(workers)], own, cpu) as child:
            await_answer(f"http://127.0.0.1:{admin}/readyz", 120)
            yield Served(f"http://127.0.0.1:{port}", child.pid, f"http://127.0.0.1:{admin}")


def configured(folder: Path, *upstreams: Mapping[str, Any], **settings: object) -> Path:
    """Write a configuration of a benchmark's own; return its main file. JSON is YAML too."""
    main = {
        "listen": "${QUOTA_PROXY_LISTEN}",
        "admin": {"listen": "${QUOTA_PROXY_ADMIN_LISTEN}"},
        "store": "${REDIS_URL}",
        "upstreams": [f"{upstream['name']}.yaml" for upstream in upstreams],
        **settings,
    }
    for name, content in (("proxy", main), *((str(each["name"]), each) for each in upstreams)):
        (folder / f"{name}.yaml").write_text(json.dumps(content), encoding="utf-8")
    return folder / "proxy.yaml"


@contextlib.contextmanager
def script(name: str, *arguments: object, cpu: int | str = LOAD_CPU) -> Iterator[Served]:
    """Run a server of this folder on a free port: `NAME [WORD] PORT …`; yield where it serves."""
    port = free_port()
    path = str(ROOT / "benchmarks" / name)
    command = [sys.executable, path, *(str(port if each is PORT else each) for each in arguments)]
    with running(command, cpu=cpu) as child:
        await_answer(f"http://127.0.0.1:{port}/", 120)
        yield Served(f"http://127.0.0.1:{port}", child.pid)


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
