"""Look-ups a second: Redis beside a hand-written pipelined client, the stores, the first level.

    python benchmarks/lookups.py [--callers 32] [--seconds 2]

The hand-written client packs and parses with hiredis on a bare asyncio protocol and does nothing
else: no deadline, no reconnection, no errors. Runs alternate and medians are shown. The first level
is asked for keys at random among 10^3 … 10^6 entries. This process is pinned to one core, the
Redis server to another.
"""

import argparse
import asyncio
import os
import random
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import replace
from urllib.parse import urlsplit

import hiredis
import uvloop
from redis.asyncio import Redis as RedisPy
from stage import SERVER_CPU, redis

from proxy.backends.address import RedisOptions
from proxy.backends.redis import Redis
from proxy.core.model import Entry, Lifetimes
from proxy.store.memory import Memory
from proxy.store.redis import RedisStore
from proxy.store.sqlite import SqliteStore

KEY = "coingecko:price:?ids=bitcoin&vs_currencies=usd"
FIELDS = tuple((f"X-Field-{number}", f"value {number}") for number in range(12))
ENTRY = Entry(
    key=KEY,
    status=200,
    reason="OK",
    fields=(("Content-Type", "application/json"), *FIELDS),
    body=b"x" * 1000,
    encoding="",
    requested_at=1.0,
    received_at=1.0,
    initial_age=0.0,
    lifetimes=Lifetimes(60.0),
)
ROUNDS = 5


class HandWritten(asyncio.Protocol):
    """Commands of a tick in one write, replies in order."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader()
        self._waiting: deque[asyncio.Future[object]] = deque()
        self._outgoing: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport

    def execute(self, *command: str) -> "asyncio.Future[object]":
        """Send a command with the others of this tick."""
        future: asyncio.Future[object] = self._loop.create_future()
        if not self._outgoing:
            self._loop.call_soon(self._flush)
        self._outgoing.append(hiredis.pack_command(command))  # type: ignore[arg-type]  # its stub
        self._waiting.append(future)
        return future

    def _flush(self) -> None:
        self._transport.write(b"".join(self._outgoing))  # type: ignore[attr-defined]  # a stream
        self._outgoing.clear()

    def data_received(self, data: bytes) -> None:
        """Answer the oldest."""
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not False:
            self._waiting.popleft().set_result(reply)


async def rate(look_up: Callable[[], Awaitable[object]], callers: int, seconds: float) -> float:
    """Return look-ups a second, each caller asking again when it was answered."""
    done = 0
    until = time.perf_counter() + seconds

    async def caller() -> None:
        nonlocal done
        while time.perf_counter() < until:
            await look_up()
            done += 1

    await asyncio.gather(*(caller() for _ in range(callers)))
    return done / seconds


async def through_redis(url: str, callers: int, seconds: float) -> None:
    """Print the table of look-ups over the wire."""
    loop = asyncio.get_running_loop()
    parts = urlsplit(url)
    _, by_hand = await loop.create_connection(HandWritten, parts.hostname, parts.port)
    connection = Redis(RedisOptions(url))
    await connection.open()
    store = RedisStore(connection, namespace="bench", observe=lambda _told: None)
    await store.put(ENTRY, 3600.0)
    name = f"bench:{KEY}"
    with tempfile.TemporaryDirectory() as folder:
        file = SqliteStore(f"{folder}/a.db", max_size=10**8, observe=lambda _told: None)
        await file.open()
        await file.put(ENTRY, 3600.0)
        redis_py = RedisPy.from_url(url)
        ways: dict[str, Callable[[], Awaitable[object]]] = {
            "hand-written, pipelined": lambda: by_hand.execute("GET", name),
            "proxy.backends.redis": lambda: connection.execute("GET", name),
            "proxy.store.redis (decoded)": lambda: store.get(KEY),
            "proxy.store.sqlite (decoded)": lambda: file.get(KEY),
            "redis-py, one GET each": lambda: redis_py.get(name),
        }
        seen: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(ROUNDS):
            for way, look_up in ways.items():
                seen[way].append(await rate(look_up, callers, seconds / ROUNDS))
        await redis_py.aclose()
        await file.close()
    await connection.close()
    medians = {way: statistics.median(rates) for way, rates in seen.items()}
    first = next(iter(medians.values()))
    for way, median in medians.items():
        print(f"{way:32} {median:10,.0f}/s   {median / first:.2f}")


def in_memory() -> None:
    """Print what a look-up costs as entries grow."""
    for power in range(3, 7):
        number = 10**power
        memory = Memory(10**12)
        for each in range(number):
            memory.put(replace(ENTRY, key=f"binance:klines:?symbol={each}"))
        asked = [f"binance:klines:?symbol={random.randrange(number)}" for _ in range(100_000)]
        took = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            for key in asked:
                memory.get(key)
            took.append((time.perf_counter() - began) / len(asked) * 1e9)
        counted = memory.figures().bytes / number - len(ENTRY.body)
        print(f"first level, {number:9,} entries {min(took):8.0f} ns   {counted:.0f} bytes each")


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--callers", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {SERVER_CPU})
    with redis() as url:
        uvloop.run(through_redis(url, options.callers, options.seconds))
    in_memory()


if __name__ == "__main__":
    main()
