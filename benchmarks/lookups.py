"""Look-ups a second: Redis beside a hand-written pipelined client, the stores, the first level.

    python benchmarks/lookups.py [--callers 32] [--seconds 2]

The hand-written client packs and parses with hiredis on a bare asyncio protocol and does nothing
else: no deadline, no reconnection, no errors. Runs alternate and medians are shown. The first level
is asked for keys at random among 10^3 … 10^6 entries, and SQLite is opened with a million. This
process is pinned to one core, the Redis server to another.
"""

import argparse
import asyncio
import contextlib
import gc
import os
import random
import sqlite3
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import hiredis
import uvloop
from misses import provider_of_our_own
from redis.asyncio import Redis as RedisPy
from stage import SERVER_CPU, configured, proxy, redis

from proxy import app, clock, log
from proxy.backends.address import RedisOptions
from proxy.backends.redis import Redis
from proxy.config.loading import load
from proxy.core.model import Entry, Lifetimes, Request
from proxy.flow import Flow
from proxy.store import codec
from proxy.store.memory import Memory
from proxy.store.redis import RedisStore
from proxy.store.sqlite import SqliteStore
from proxy.workers import Worker
from tests.values import replace

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
    lifetimes=Lifetimes(3600.0),
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
    """Print what a look-up costs as entries grow.

    "bare" is `Memory.get` for keys at random; "dict" is a dictionary of the same keys, which is the
    least that it can cost: among a million, what is asked for is in no cache of the processor.
    "a request" is all that the flow does to answer one that no table knows from the first level:
    route, key, look-up, plan, account.
    """
    print(f"\n{'first level':>20}{'bare ns':>9}{'dict ns':>9}{'hot ns':>8}{'a request µs':>14}")
    first: tuple[float, ...] = ()
    for power in range(3, 7):
        number = 10**power
        memory = Memory(10**12)
        for each in range(number):
            memory.put(replace(ENTRY, key=f"bench:item:/{each}", received_at=clock.steady_wall()))
        gc.collect()
        gc.freeze()  # as `serve` does, so that nobody waits for the collector
        keys = [f"bench:item:/{random.randrange(number)}" for _ in range(20_000)]
        plain = {entry.key: entry for entry in memory}
        took = (
            per_call(memory.get, keys),
            per_call(plain.get, keys),
            per_call(memory.get, keys[:100] * 200),
            asyncio.run(through_the_flow(memory, number)),
        )
        first = first or took
        bare, least, hot, request = took
        shown = f"{bare:9.0f}{least:9.0f}{hot:8.0f}{request / 1000:14.1f}"
        over = ", ".join(f"{one / other:.2f}" for one, other in zip(took, first, strict=True))
        counted = memory.figures().bytes / number - len(ENTRY.body)
        print(f"{number:>20,}{shown}   x {over}; {counted:.0f} bytes each beside the body")


def per_call(ask: Callable[[str], object], keys: Sequence[str]) -> float:
    """Return the nanoseconds of CPU time that one call takes, at best."""
    took = []
    for _ in range(ROUNDS):
        began = time.process_time_ns()
        for key in keys:
            ask(key)
        took.append((time.process_time_ns() - began) / len(keys))
    return min(took)


async def through_the_flow(memory: Memory, number: int) -> float:
    """Return the nanoseconds of CPU time that the flow takes to answer a request at random."""
    log.configure("error", "json", secrets=())
    flows: list[Flow] = []
    app.Memory = lambda _limit: memory  # type: ignore[assignment,misc]  # the one that is full
    app.Flow = lambda *parts: flows.append(Flow(*parts)) or flows[-1]  # type: ignore[assignment,misc,func-returns-value]  # to ask it ourselves
    requests = [
        Request("GET", f"/bench/item/{random.randrange(number)}", "", ()) for _ in range(20_000)
    ]
    took = []
    with tempfile.TemporaryDirectory() as folder:
        main = configured(Path(folder), provider_of_our_own("http://127.0.0.1:9"))
        async with app.serving(load(main, {**os.environ, **app.DEMONSTRATION}), Worker()):
            for _ in range(3):
                began = time.process_time_ns()
                for request in requests:
                    answer = await flows[0].serve(request, None)
                took.append((time.process_time_ns() - began) / len(requests))
                assert answer.account.verdict == "HIT"  # noqa: S101 - else it is something else
    return min(took)


async def start() -> None:
    """Print how long the store takes to be up with a million entries in its file."""
    number = 10**6
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/a.db"
        store = SqliteStore(path, max_size=10**11, observe=lambda _told: None)
        await store.open()
        await store.close()
        value = codec.encode(ENTRY)
        ends = clock.wall() + 86400
        with contextlib.closing(sqlite3.connect(path)) as file, file:
            file.executemany(
                "INSERT INTO entries (key, received_at, expires_at, value) VALUES (?, 1.0, ?, ?)",
                ((f"bench:item:/{each}", ends, value) for each in range(number)),
            )
        size = number * len(value) / 1024**2
        began = time.perf_counter()
        store = SqliteStore(path, max_size=10**11, observe=lambda _told: None)
        await store.open()
        figures = await store.figures()
        took = time.perf_counter() - began
        await store.close()
        environ = {"REDIS_URL": f"sqlite:{path}"}
        began = time.perf_counter()
        with proxy(environ):
            served = time.perf_counter() - began
        print(
            f"\nstart with {figures.keys:,} entries in SQLite ({size:.0f} MiB of values):"
            f" store {took:.3f} s, `serve` ready {served:.2f} s"
        )


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
    asyncio.run(start())


if __name__ == "__main__":
    main()
