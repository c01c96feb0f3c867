"""Instructions for each hit, counted by callgrind: no other work on the machine is in it.

    python benchmarks/instructions.py [--requests 4000]

Counts what the process itself executes (the kernel's part is not seen), so it tells of our own
code and of nothing else. Requests go one after the other over one connection: a turn of the loop
for each is in it. Few and many are counted, and the difference is divided: what a connection costs,
and to begin and end a count, falls out. Beside the proxy stands aiohttp's barest handler on uvloop.
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
from pathlib import Path
from urllib.parse import urlsplit

from marks import machine
from stage import PORT, ROOT, SERVER_CPU, await_answer, free_port, running, script

WAIT = 180
"""Seconds: under valgrind Python is some fifty times slower."""
TARGET = "/fear-and-greed/fng/"


@contextlib.contextmanager
def counted(
    command: list[str], port: int, folder: Path, **environ: str
) -> Iterator[Callable[[bool], int]]:
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
        "REDIS_URL": "memory:",
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
            length = 0
            while (line := answers.readline()) not in {b"\r\n", b""}:
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            answers.read(length)


def per_request(count: Callable[[bool], int], url: str, requests: int, *, vary: bool) -> float:
    """Return the instructions that one request more costs, where few and many are compared."""
    few = requests // 4
    ask(url, 50, vary=vary)
    took = []
    for number in (few, requests):
        count(True)
        ask(url, number, vary=vary)
        took.append(count(False))
    return (took[1] - took[0]) / (requests - few)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--requests", type=int, default=4000)
    asked = parser.parse_args()
    missing = [name for name in ("valgrind", "callgrind_control") if shutil.which(name) is None]
    if missing:
        print(f"not installed: {', '.join(missing)}")
        return 1
    print(machine())
    print(f"\n{'instructions of the process for each request':48}{'':>10}")
    with script("origin.py", PORT, 1024) as origin, tempfile.TemporaryDirectory() as folder:
        port = free_port()
        handler = [sys.executable, str(ROOT / "benchmarks" / "handlers.py"), "barest"]
        with counted([*handler, str(port), "1024"], port, Path(folder)) as count:
            url = f"http://127.0.0.1:{port}/"
            await_answer(url, WAIT)
            barest = per_request(count, url, asked.requests, vary=True)
            print(f"{'aiohttp, barest handler on uvloop':48}{barest:10,.0f}")
        port = free_port()
        serve = [sys.executable, "-m", "proxy", "serve"]
        with counted(serve, port, Path(folder), FEAR_AND_GREED_BASE_URL=origin) as count:
            url = f"http://127.0.0.1:{port}{TARGET}"
            await_answer(url, WAIT)
            for name, vary in (("hit, known head", False), ("hit, ordinary", True)):
                got = per_request(count, url, asked.requests, vary=vary)
                print(f"{'quota-proxy, ' + name:48}{got:10,.0f}   {got / barest:.2f} of it")
    return 0


if __name__ == "__main__":
    sys.exit(main())
