"""Misses, of the first level and of all levels, beside what aiohttp alone does with the same.

    python benchmarks/misses.py [--seconds 4] [--rounds 3]

- First-level misses: the proxy with `memory: 0` over a Redis that has every answer, beside a bare
  handler that makes one GET of redis-py for each request. 1,000 targets of 1 KB, at random.
- Misses: targets that were never asked, so each costs a look-up, a spend, a call and a store (over
  SQLite, and over Redis), beside a bare aiohttp server-and-client that only hands on.

The server has one core; wrk, the provider and Redis share the other. Runs alternate. Where each
answer came from is read from the proxy's own statistics: a run with other verdicts is no run.
"""

import argparse
import contextlib
import json
import statistics
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from load import Load, at_random, in_turn, wrk
from marks import Mark, found, machine, ratio
from redis import Redis
from stage import PORT, SERVER_CPU, Served, configured, proxy, redis, script

TARGETS = 1000
SIZE = 1024
NEVER_ASKED = iter(range(0, 10**12, 10**7))
"""Where the targets of each run begin."""


def provider_of_our_own(origin: str) -> dict[str, object]:
    """Return an upstream whose limit is never reached."""
    return {
        "name": "bench",
        "base_url": origin,
        "limits": {"minute": {"limit": 10**9, "per": "60s"}},
        "endpoints": {"item": {"path": "/item/{id}", "ttl": "1h"}},
    }


def verdicts(served: Served) -> dict[str, int]:
    """Return how many requests had which verdict so far."""
    with urllib.request.urlopen(f"{served.admin}/api/v1/stats", timeout=10) as answer:  # noqa: S310 - ours
        return dict(json.load(answer)["verdicts"])


def asked(served: Served, lua: str, seconds: int, verdict: str) -> Load:
    """Ask, and hold that (nearly) all were answered as was meant.

    Raises:
        RuntimeError: they were not.

    """
    before = verdicts(served)
    load = wrk(served, 32, seconds, lua, served)
    after = verdicts(served)
    got = {word: after[word] - before.get(word, 0) for word in after}
    if load.errors or got.get(verdict, 0) < 0.98 * sum(got.values()):
        raise RuntimeError(f"not {verdict}: {got}, {load.errors} errors")
    return load


def show(title: str, runs: dict[str, list[Load]], beside: str) -> None:
    """Print medians, and each figure over that of whom it stands beside."""
    print(f"\n{title}")
    print(f"{'':32}{'per s':>9}{'p50 ms':>9}{'p99 ms':>9}{'µs CPU':>9}{'ratio':>8}")
    for name, loads in runs.items():
        rate, p50, p99, cpu = (
            statistics.median(getattr(load, what) for load in loads)
            for what in ("per_second", "p50", "p99", "cpu")
        )
        share = over(runs, name, beside)
        print(f"{name:32}{rate:9.0f}{p50:9.2f}{p99:9.2f}{cpu * 1e6:9.1f}{share:8.2f}")


def over(runs: dict[str, list[Load]], name: str, beside: str, what: str = "per_second") -> float:
    """Return one's figure over another's."""
    return ratio(*([getattr(load, what) for load in runs[each]] for each in (name, beside)))


def from_redis(seconds: int, rounds: int) -> Iterator[Mark]:
    """Measure answers that only Redis has."""
    what = "first-level misses from Redis over one redis-py GET each"
    if found("redis-server") is None:
        yield Mark(what, 2.0, None, "not installed: redis-server")
        return
    runs: dict[str, list[Load]] = {}
    ours, bare = "quota-proxy, memory: 0", "one redis-py GET a request"
    lua = at_random("/bench/item/", TARGETS)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        origin = stack.enter_context(script("origin.py", PORT, SIZE))
        url = stack.enter_context(redis())
        with Redis.from_url(url) as client:
            client.mset({f"bench/item/{number}": b"x" * SIZE for number in range(TARGETS)})
        main = configured(folder, provider_of_our_own(origin), memory=0)
        served = stack.enter_context(proxy({"REDIS_URL": url}, config=main))
        handler = stack.enter_context(script("handlers.py", "redis", PORT, url, cpu=SERVER_CPU))
        for number in range(TARGETS):
            with urllib.request.urlopen(f"{served}/bench/item/{number}", timeout=10) as answer:  # noqa: S310 - ours
                answer.read()
        for _ in range(rounds):
            runs.setdefault(ours, []).append(asked(served, lua, seconds, "HIT"))
            runs.setdefault(bare, []).append(wrk(handler, 32, seconds, lua, handler))
    show(f"answers from Redis alone, {SIZE} bytes, 32 connections", runs, bare)
    cpu = over(runs, ours, bare, "cpu")
    yield Mark(what, 2.0, over(runs, ours, bare), f"by CPU {1 / cpu:.2f}")


def misses(seconds: int, rounds: int) -> Iterator[Mark]:
    """Measure what nobody asked before."""
    runs: dict[str, list[Load]] = {}
    through = "aiohttp server and client"
    with contextlib.ExitStack() as stack:
        origin = stack.enter_context(script("origin.py", PORT, SIZE))
        stores = {"with SQLite": "", "with Redis": ""}
        if found("redis-server") is None:
            del stores["with Redis"]
        else:
            stores["with Redis"] = stack.enter_context(redis())
        proxies: dict[str, Served] = {}
        for name, url in stores.items():
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            main = configured(folder, provider_of_our_own(origin))
            environ = {"REDIS_URL": url} if url else {}
            proxies[name] = stack.enter_context(proxy(environ, config=main))
        bare = stack.enter_context(script("handlers.py", "through", PORT, origin, cpu=SERVER_CPU))
        for _ in range(rounds):
            lua = in_turn("/bench/item/", next(NEVER_ASKED))
            runs.setdefault(through, []).append(wrk(bare, 32, seconds, lua, bare))
            for name, served in proxies.items():
                lua = in_turn("/bench/item/", next(NEVER_ASKED))
                runs.setdefault(name, []).append(asked(served, lua, seconds, "MISS"))
    show(f"misses, {SIZE} bytes, 32 connections", runs, through)
    for name, least in (("with SQLite", 0.8), ("with Redis", 0.5)):
        what = f"misses {name} over a bare aiohttp server-and-client"
        if name not in runs:
            yield Mark(what, least, None, "not installed: redis-server")
        else:
            cpu = over(runs, name, through, "cpu")
            yield Mark(what, least, over(runs, name, through), f"by CPU {1 / cpu:.2f}")


def main() -> int:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if found("wrk") is None:
        print("not installed: wrk")
        return 1
    print(machine())
    for mark in (
        *from_redis(options.seconds, options.rounds),
        *misses(options.seconds, options.rounds),
    ):
        print(mark)
    return 0


if __name__ == "__main__":
    sys.exit(main())
