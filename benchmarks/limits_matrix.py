"""How much of a quota is used, and how often a provider refuses, over providers, networks, fleets.

    python benchmarks/limits_matrix.py                 # simulated time: some seconds
    python benchmarks/limits_matrix.py --real          # real time, real Redis, 3 instances: minutes

Each cell is `used %` of the quota over ten windows, the first (in which the provider's clock is
learnt) left out, and behind a `!` the provider's refusals, of which there must be none. Calls are
evenly spaced up to the quota itself and come at random above it; each waits 5 s at most for its
turn. The provider's clock is 3.21 s behind ours.
"""

import argparse
import asyncio
import itertools
import math
import random
import subprocess
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from spending import redis_server

from proxy import clock
from proxy.backends.address import RedisOptions
from proxy.backends.redis import Redis
from proxy.core.model import Denied
from proxy.core.spending import Bill, Charge, Granted, Settled
from proxy.core.upstreams import Algorithm, Limit
from proxy.ledger.redis import RedisLedger
from proxy.sandbox.simulation import (
    Enforcer,
    FixedWindow,
    Result,
    Simulation,
    SlidingWindow,
    TokenBucket,
    Trial,
)

SIZE = 30.0
OFFSET = -3.21
JITTERS = (0.0, 0.05, 0.5)
FLEETS = (1, 3, 8)
LOADS = (0.5, 1.0, 5.0)
PATIENCE = 5.0


@dataclass(frozen=True)
class Provider:
    """A kind of provider, and the algorithm that the configuration chooses for it."""

    name: str
    algorithm: Algorithm
    enforcer: Callable[[float], Enforcer]
    burst: float | None = None

    def limit(self, window: float) -> Limit:
        """Return the limit as configured."""
        return Limit("m", SIZE, window, self.algorithm, burst=self.burst)


PROVIDERS = (
    Provider("fixed, aligned", Algorithm.FIXED_WINDOW, lambda per: FixedWindow(SIZE, per)),
    Provider(
        "fixed, unaligned", Algorithm.SLIDING_WINDOW, lambda per: FixedWindow(SIZE, per, per / 3)
    ),
    Provider("sliding", Algorithm.SLIDING_WINDOW, lambda per: SlidingWindow(SIZE, per)),
    Provider("token bucket", Algorithm.TOKEN_BUCKET, lambda per: TokenBucket(SIZE, per, 10), 10),
    Provider(
        "fixed, counted as sliding", Algorithm.SLIDING_WINDOW, lambda per: FixedWindow(SIZE, per)
    ),
)


def cell(result: Result) -> str:
    """Write a result in few letters."""
    return f"{100 * result.used:5.1f}" + (f" !{result.refused}" if result.refused else "")


def table(rows: Iterator[tuple[str, list[str]]], heads: list[str]) -> None:
    """Print a table as Markdown."""
    print("| provider, jitter | " + " | ".join(heads) + " |")
    print("| --- |" + " ---: |" * len(heads))
    for name, cells in rows:
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


# ── simulated time ──


def simulated(window: float, windows: int) -> None:
    """Print the whole matrix, and a foreign program on a weight like Binance's."""
    kinds = list(itertools.product(FLEETS, LOADS))

    def rows() -> Iterator[tuple[str, list[str]]]:
        for provider, jitter in itertools.product(PROVIDERS, JITTERS):
            cells = []
            for fleet, load in kinds:
                trial = Trial(
                    provider.limit(window),
                    provider.enforcer(window),
                    jitter,
                    fleet,
                    load,
                    windows=windows + 1,
                    offset=OFFSET,
                    patience=PATIENCE,
                )
                cells.append(cell(Simulation(trial).run()))
            yield f"{provider.name}, {jitter * 1000:.0f} ms", cells

    table(rows(), [f"{fleet} x {load:g}" for fleet, load in kinds])
    print("\nAnother program takes a third of 6000 a minute (all that was used, by both):\n")
    table(foreign(windows), [f"x {load:g}" for load in LOADS])


def foreign(windows: int) -> Iterator[tuple[str, list[str]]]:
    """Yield what comes of a foreign program."""
    for jitter in JITTERS:
        cells = []
        for load in LOADS:
            trial = Trial(
                Limit("m", 6000, 60.0, Algorithm.FIXED_WINDOW),
                FixedWindow(6000, 60.0),
                jitter,
                3,
                load,
                windows=windows + 1,
                offset=OFFSET,
                reports=True,
                foreign=1 / 3,
                costs=(2.0, 4.0, 25.0, 80.0),
            )
            cells.append(cell(Simulation(trial).run()))
        yield f"fixed, aligned, {jitter * 1000:.0f} ms", cells


# ── real time ──


class Cell:
    """One provider, one network, one load; three instances, each with its own line."""

    def __init__(
        self, provider: Provider, jitter: float, load: float, window: float, windows: int
    ) -> None:
        self.name = f"{provider.name} {jitter} {load}".replace(",", "").replace(" ", "-")
        self.limit = provider.limit(window)
        self.bill = Bill(self.name, (Charge(self.limit, "m", 1.0),), 8.0)
        self.result = Result(by_window=[0.0] * (windows + 1), quota=SIZE)
        self._enforcer = provider.enforcer(window)
        self._jitter = jitter
        self._load = load
        self._window = window
        self._began = clock.wall()
        self._end = self._began + window * (windows + 1)
        self._random = random.Random(self.name)
        self._calls: set[asyncio.Task[None]] = set()

    async def run(self, ledgers: list[RedisLedger]) -> None:
        """Ask for as much as the load says, until the end."""
        lines: list[deque[float]] = [deque() for _ in ledgers]
        woken = [asyncio.Event() for _ in ledgers]
        servers = [
            asyncio.get_running_loop().create_task(self._serve(ledger, line, event))
            for ledger, line, event in zip(ledgers, lines, woken, strict=True)
        ]
        gap = self._window / (SIZE * self._load)
        due = clock.wall()
        while True:
            due += gap if self._load <= 1 else self._random.expovariate(1 / gap)
            if due >= self._end:
                break
            await asyncio.sleep(max(0.0, due - clock.wall()))
            chosen = self._random.randrange(len(lines))
            lines[chosen].append(clock.wall())
            woken[chosen].set()
        await asyncio.sleep(PATIENCE)
        for server in servers:
            server.cancel()
        await asyncio.gather(*servers, *self._calls, return_exceptions=True)

    async def _serve(self, ledger: RedisLedger, line: deque[float], woken: asyncio.Event) -> None:
        while True:
            await woken.wait()
            woken.clear()
            while line:
                if clock.wall() > line[0] + PATIENCE:
                    line.popleft()
                    self.result.given_up += 1
                    continue
                decision = await ledger.spend(self.bill)
                if isinstance(decision, Denied):
                    wait = decision.retry_after if decision.soonest is None else decision.soonest
                    await asyncio.sleep(min(wait, 0.25))
                    continue
                line.popleft()
                call = asyncio.get_running_loop().create_task(self._send(ledger, decision))
                self._calls.add(call)
                call.add_done_callback(self._calls.discard)

    async def _send(self, ledger: RedisLedger, granted: Granted) -> None:
        await asyncio.sleep(self._random.random() * self._jitter)
        now = clock.wall()
        if self._enforcer.take(now + OFFSET, 1.0):
            window = int((now - self._began) / self._window)
            if window < len(self.result.by_window):
                self.result.by_window[window] += 1.0
        else:
            self.result.refused += 1
        date = float(math.floor(now + OFFSET))
        await asyncio.sleep(self._random.random() * self._jitter)
        settled = Settled(sent=True, answered=True, status=200, date=date)
        await ledger.settle(granted.receipt, settled)


async def real(port: int, window: float, windows: int) -> None:
    """Print the matrix' cells with three instances, all played at once."""
    cells = {
        (provider.name, jitter, load): Cell(provider, jitter, load, window, windows)
        for provider, jitter, load in itertools.product(PROVIDERS, JITTERS, LOADS)
    }
    limits = {each.name: (each.limit,) for each in cells.values()}
    pairs = []
    for _ in range(3):
        redis = Redis(RedisOptions(f"redis://127.0.0.1:{port}"))
        await redis.open()
        ledger = RedisLedger(redis, limits)
        await ledger.open()
        pairs.append((redis, ledger))
    await asyncio.gather(*(each.run([ledger for _, ledger in pairs]) for each in cells.values()))
    for redis, ledger in pairs:
        await ledger.close()
        await redis.close()

    def rows() -> Iterator[tuple[str, list[str]]]:
        for provider, jitter in itertools.product(PROVIDERS, JITTERS):
            found = [cell(cells[provider.name, jitter, load].result) for load in LOADS]
            yield f"{provider.name}, {jitter * 1000:.0f} ms", found

    table(rows(), [f"3 x {load:g}" for load in LOADS])


def main() -> None:
    """Play and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", action="store_true", help="real time, over a real Redis")
    parser.add_argument("--window", type=float, default=60.0, help="seconds")
    parser.add_argument("--windows", type=int, default=10)
    options = parser.parse_args()
    if not options.real:
        simulated(options.window, options.windows)
        return
    try:
        with redis_server() as port:
            asyncio.run(real(port, options.window, options.windows))
    except (FileNotFoundError, subprocess.SubprocessError) as error:
        raise SystemExit(f"a redis-server on the PATH is needed: {error}") from error


if __name__ == "__main__":
    main()
