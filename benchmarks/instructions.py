"""Instructions for each request, counted by callgrind: no other work on the machine is in it.

    python benchmarks/instructions.py [--requests 4000] [--misses]

Counts what the process itself executes (the kernel's part is not seen), so it tells of our own
code and of nothing else. Requests go one after the other over one connection: a turn of the loop
for each is in it. Few and many are counted, and the difference is divided: what a connection costs,
and to begin and end a count, falls out. Beside the proxy stands aiohttp's barest handler on uvloop.

`--misses`: what the first level has not, instead. Sixteen connections ask at once, as what meets in
a tick travels together. Beside them stand aiohttp's handlers that do the same without a proxy.
"""

import argparse
import contextlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count as count_from
from pathlib import Path
from typing import IO, TypeAlias
from urllib.parse import urlsplit

from marks import machine
from misses import provider_of_our_own
from redis import Redis
from stage import (
    PORT,
    ROOT,
    SERVER_CPU,
    await_answer,
    configured,
    free_port,
    redis,
    running,
    script,
)

WAIT = 180
"""Seconds: under valgrind Python is some fifty times slower."""
TARGET = "/fear-and-greed/fng/"
TOGETHER = 16
"""Connections that ask for what is not in the first level."""
Count: TypeAlias = Callable[[bool], int]


@contextlib.contextmanager
def counted(command: list[str], port: int, folder: Path, **environ: str) -> Iterator[Count]:
    """Run a server under callgrind; yield what begins a count (True), and what returns it."""
    valgrind = [
        "valgrind", "--tool=callgrind", "--instr-atstart=no", "--collect-atstart=yes",
        f"--callgrind-out-file={folder}/{port}",
    ]  # fmt: skip
    environ |= {
        "QUOTA_PROXY_LISTEN": f"127.0.0.1:{port}",
        "QUOTA_PROXY_ADMIN_LISTEN": f"127.0.0.1:{free_port()}",
        "KRAKEN_LISTEN": f"127.0.0.1:{free_port()}",
        "OKX_LISTEN": f"127.0.0.1:{free_port()}",
        "REDIS_URL": environ.get("REDIS_URL", "memory:"),
    }
    with running([*valgrind, *command], environ, SERVER_CPU) as child:

        def control(*arguments: str) -> None:
            told = ["callgrind_control", *arguments, str(child.pid)]
            subprocess.run(told, check=True, capture_output=True, timeout=WAIT)

        def count(begin: bool) -> int:  # noqa: FBT001 - on or off
            if begin:
                control("--instr=on")
                control("--zero")
                return 0
            control("--dump")
            control("--instr=off")
            last = max(folder.glob(f"{port}.*"), key=lambda path: int(path.suffix[1:]))
            totals = re.search(r"^(?:totals|summary): (\d+)", last.read_text(), re.MULTILINE)
            return int(totals[1]) if totals else 0

        yield count


def ask(url: str, number: int, *, vary: bool) -> None:
    """Ask one after the other over one connection; `vary`: with a field that never repeats."""
    parts = urlsplit(url)
    head = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: */*\r\n"
    with socket.create_connection((parts.hostname, parts.port), WAIT) as connection:
        answers = connection.makefile("rb")
        for each in range(number):
            nonce = f"X-Nonce: {each}\r\n" if vary else ""
            connection.sendall(f"{head}{nonce}\r\n".encode())
            _read(answers)


def ask_together(url: str, targets: Iterator[int], number: int) -> None:
    """Ask for so many targets below `url`, over several connections at once."""
    parts = urlsplit(url)
    with contextlib.ExitStack() as stack:
        opened = [
            stack.enter_context(socket.create_connection((parts.hostname, parts.port), WAIT))
            for _ in range(TOGETHER)
        ]
        answers = [connection.makefile("rb") for connection in opened]
        for _ in range(number // TOGETHER):
            for connection in opened:
                line = f"GET {parts.path}{next(targets)} HTTP/1.1\r\n"
                connection.sendall(f"{line}Host: {parts.netloc}\r\nAccept: */*\r\n\r\n".encode())
            for answer in answers:
                _read(answer)


def _read(answers: IO[bytes]) -> None:
    """Read one answer.

    Raises:
        RuntimeError: it is not a good one.

    """
    if b" 200 " not in answers.readline():
        raise RuntimeError(f"not answered with 200: {answers.peek()[:600]!r}")
    length = 0
    while (line := answers.readline()) not in {b"\r\n", b""}:
        name, _, value = line.partition(b":")
        length = int(value) if name.lower() == b"content-length" else length
    answers.read(length)


def per_request(count: Count, requests: int, asks: Callable[[int], None]) -> float:
    """Return the instructions that one request more costs, where few and many are compared."""
    few = requests // 4
    asks(64)
    took = []
    for number in (few, requests):
        count(True)
        asks(number)
        took.append(count(False))
    return (took[1] - took[0]) / (requests - few)


def hits(requests: int, folder: Path) -> None:
    """Print what hits cost."""
    port = free_port()
    handler = [sys.executable, str(ROOT / "benchmarks" / "handlers.py"), "barest"]
    with counted([*handler, str(port), "1024"], port, folder) as count:
        url = f"http://127.0.0.1:{port}/"
        await_answer(url, WAIT)
        barest = per_request(count, requests, partial(ask, url, vary=True))
        print(f"{'aiohttp, barest handler on uvloop':48}{barest:10,.0f}")
    port = free_port()
    serve = [sys.executable, "-m", "proxy", "serve"]
    with (
        script("origin.py", PORT, 1024) as origin,
        counted(serve, port, folder, FEAR_AND_GREED_BASE_URL=origin) as count,
    ):
        url = f"http://127.0.0.1:{port}{TARGET}"
        await_answer(url, WAIT)
        for name, vary in (("hit, known head", False), ("hit, ordinary", True)):
            got = per_request(count, requests, partial(ask, url, vary=vary))
            print(f"{'quota-proxy, ' + name:48}{got:10,.0f}   {got / barest:.2f} of it")


def misses(requests: int, folder: Path) -> None:
    """Print what costs that the first level has not."""
    handler = [sys.executable, str(ROOT / "benchmarks" / "handlers.py")]
    with script("origin.py", PORT, 1024) as origin, redis() as url:
        with Redis.from_url(url) as client:
            client.mset({f"bench/item/{number}": b"x" * 1024 for number in range(requests)})
        get = [*handler, "redis"]
        through = _asked(get, url, requests, folder, "one redis-py GET a request")
        _ours(origin, url, requests, folder, through)
        through = _asked([*handler, "through"], origin, requests, folder, "server and client")
        for name, store in (("SQLite", f"sqlite:{folder}/bench.db"), ("Redis", url)):
            _ours(origin, store, requests, folder, through, name)


def _asked(handler: list[str], about: str, requests: int, folder: Path, name: str) -> float:
    port, targets = free_port(), count_from(0)
    with counted([*handler, str(port), about], port, folder) as count:
        url = f"http://127.0.0.1:{port}/bench/item/"
        await_answer(url, WAIT)
        got = per_request(
            count,
            requests,
            lambda number: ask_together(url, (n % requests for n in targets), number),
        )
    print(f"{'aiohttp, ' + name:48}{got:10,.0f}")
    return got


def _ours(
    origin: str, store: str, requests: int, folder: Path, beside: float, missing: str = ""
) -> None:
    """Print what a miss over the store costs, or an answer that only the store has."""
    port = free_port()
    targets = count_from(requests if missing else 0)  # Redis has the first ones from the run before
    settings = {} if missing else {"memory": 0}
    main = configured(folder, provider_of_our_own(origin), **settings)
    serve = [sys.executable, "-m", "proxy", "serve", "--config", str(main)]
    with counted(serve, port, folder, REDIS_URL=store) as count:
        url = f"http://127.0.0.1:{port}/bench/item/"
        await_answer(url, WAIT)
        if not missing:
            ask_together(url, count_from(0), requests)
        again = (n if missing else n % requests for n in targets)
        got = per_request(count, requests, partial(ask_together, url, again))
    name = f"miss, {missing}" if missing else "answer from Redis alone"
    print(f"{'quota-proxy, ' + name:48}{got:10,.0f}   {got / beside:.2f} of it")


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--requests", type=int, default=4000)
    parser.add_argument("--misses", action="store_true")
    asked = parser.parse_args()
    needed = ("valgrind", "callgrind_control", *(("redis-server",) if asked.misses else ()))
    missing = [name for name in needed if shutil.which(name) is None]
    if missing:
        print(f"not installed: {', '.join(missing)}")
        return 1
    print(machine())
    print(f"\n{'instructions of the process for each request':48}{'':>10}")
    with tempfile.TemporaryDirectory() as folder:
        (misses if asked.misses else hits)(asked.requests, Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
