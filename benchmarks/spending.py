"""How many grants a second one core makes through SQLite and through Redis.

    python benchmarks/spending.py [--seconds 3] [--callers 64]

Each caller spends and settles in turn; a grant is one spend, its settlement goes along. One round
trip a spend: calls that meet in a tick share a transaction, or a script call. The process is pinned
to one core (SQLite's thread included), the Redis server to another.
"""

import argparse
import asyncio
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from proxy.backends.address import RedisOptions
from proxy.backends.redis import Redis
from proxy.core.model import Denied
from proxy.core.spending import Bill, Charge, Granted, Receipt, Settled
from proxy.core.upstreams import Algorithm, CalendarUnit, Limit
from proxy.ledger.redis import RedisLedger
from proxy.ledger.sqlite import SqliteLedger

MINUTE = Limit("minute", 1e9, 60.0, Algorithm.SLIDING_WINDOW)
MONTH = Limit("month", 1e12, CalendarUnit.MONTH, Algorithm.FIXED_WINDOW)
BILL = Bill("provider", (Charge(MINUTE, "minute", 1.0), Charge(MONTH, "month", 1.0)), 8.0)
LIMITS = {"provider": (MINUTE, MONTH)}
ANSWERED = Settled(sent=True, answered=True, status=200)


class Spending(Protocol):
    """What is measured."""

    async def spend(self, bill: Bill) -> Granted | Denied:
        """Spend."""
        ...

    async def settle(self, receipt: Receipt, settled: Settled) -> None:
        """Settle."""
        ...


async def measured(ledger: Spending, seconds: float, callers: int, *, settling: bool) -> float:
    """Return grants per second."""
    grants = 0
    until = time.perf_counter() + seconds

    async def caller() -> None:
        nonlocal grants
        while time.perf_counter() < until:
            granted = await ledger.spend(BILL)
            if not isinstance(granted, Granted):
                raise TypeError(granted)
            grants += 1
            if settling:
                await ledger.settle(granted.receipt, ANSWERED)

    await asyncio.gather(*(caller() for _ in range(callers)))
    return grants / seconds


async def through_sqlite(seconds: float, callers: int, *, settling: bool) -> float:
    """Measure a file in a temporary directory."""
    with tempfile.TemporaryDirectory() as directory:
        ledger = SqliteLedger(Path(directory) / "ledger.db", LIMITS)
        await ledger.open()
        rate = await measured(ledger, seconds, callers, settling=settling)
        await ledger.close()
        return rate


async def through_redis(port: int, seconds: float, callers: int, *, settling: bool) -> float:
    """Measure the server at `port`."""
    redis = Redis(RedisOptions(f"redis://127.0.0.1:{port}"))
    if not await redis.open():
        raise ConnectionError(redis.reason)
    ledger = RedisLedger(redis, LIMITS)
    await ledger.open()
    rate = await measured(ledger, seconds, callers, settling=settling)
    await ledger.close()
    await redis.close()
    return rate


@contextmanager
def redis_server() -> Iterator[int]:
    """Run a server that keeps nothing, on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        ["redis-server", "--port", str(port), "--save", "", "--appendonly", "no"],
        stdout=subprocess.DEVNULL,
    )
    try:
        for _ in range(500):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.01)
        yield port
    finally:
        server.terminate()
        server.wait()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--callers", type=int, default=64)
    options = parser.parse_args()
    with suppress(AttributeError, OSError):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    for settling in (False, True):
        rate = asyncio.run(through_sqlite(options.seconds, options.callers, settling=settling))
        print(f"SQLite  {'spend + settle' if settling else 'spend':<15} {rate:8,.0f} grants/s")
    if shutil.which("redis-server") is None:
        print("Redis   no redis-server on the PATH")
        return
    with redis_server() as port:
        for settling in (False, True):
            rate = asyncio.run(
                through_redis(port, options.seconds, options.callers, settling=settling)
            )
            print(f"Redis   {'spend + settle' if settling else 'spend':<15} {rate:8,.0f} grants/s")


if __name__ == "__main__":
    main()
