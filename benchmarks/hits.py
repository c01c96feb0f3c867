"""Hits: the real `serve` beside nginx, HAProxy, Varnish and Traffic Server, each on one core.

    python benchmarks/hits.py [--seconds 4] [--rounds 3] [--bytes 1024]

Everything runs with the shipped configuration, metrics on. The load generator (wrk, keep-alive
connections) has the other core. Runs alternate; medians are printed, and our figure as a ratio to
each peer's of the same rounds. Peers that are not installed are named and left out. CPU is the
server's own, from /proc, kernel's part included: it stands where the load generator is the limit.
"""

import argparse
import contextlib
import statistics
import sys
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from load import NEVER_REPEATS, Load, wrk
from marks import Mark, found, machine, ratio
from peers import haproxy, nginx, trafficserver, varnish
from stage import PORT, SERVER_CPU, Served, await_answer, proxy, script

PATH = "/fng/"
"""A shipped endpoint (Fear & Greed), which takes any query."""
OURS, NGINX, FILES, BEST = "quota-proxy", "nginx", "nginx open_file_cache", "nginx best"
ALL = (NGINX, FILES, BEST, "HAProxy", "Varnish", "Traffic Server")

Found: TypeAlias = dict[str, tuple[Served, str]]
"""Who stands, and the path of a hit there."""
Runs: TypeAlias = dict[str, list[Load]]


@contextlib.contextmanager
def contenders(provider: str, names: Sequence[str] = ALL) -> Iterator[Found]:
    """Start everyone who is asked for and installed."""
    peers = {
        NGINX: lambda: nginx(provider, open_file_cache=False, sendfile=True),
        FILES: lambda: nginx(provider, open_file_cache=True, sendfile=True),
        BEST: lambda: nginx(provider, open_file_cache=True, sendfile=False),
        "HAProxy": lambda: haproxy(provider),
        "Varnish": lambda: varnish(provider),
        "Traffic Server": lambda: trafficserver(provider),
    }
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(proxy({"FEAR_AND_GREED_BASE_URL": provider}))
        stand: Found = {OURS: (ours, f"/fear-and-greed{PATH}")}
        for name in names:
            served = stack.enter_context(peers[name]())
            if served is None:
                print(f"{name}: not installed, left out")
            else:
                stand[name] = (served, PATH)
        for served, path in stand.values():
            await_answer(served + path)
        yield stand


def measured(stand: Found, seconds: int, rounds: int, connections: int = 32, lua: str = "") -> Runs:
    """Ask each in turn, several times over."""
    runs: Runs = {}
    for served, path in stand.values():
        wrk(served + path, connections, 1, lua)
    for _ in range(rounds):
        for name, (served, path) in stand.items():
            load = wrk(served + path, connections, seconds, lua, served)
            if load.errors:
                print(f"{name}: {load.errors} of {load.requests} failed")
            runs.setdefault(name, []).append(load)
    return runs


def show(title: str, runs: Runs) -> None:
    """Print medians, and our figure over each other's."""
    print(f"\n{title}")
    print(f"{'':24}{'hits/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'µs CPU':>9}{'load':>7}{'ours/its':>10}")
    for name, loads in runs.items():
        rate, p50, p99, cpu, busy = (
            statistics.median(getattr(load, what) for load in loads)
            for what in ("per_second", "p50", "p99", "cpu", "busy")
        )
        over = ratio(*([load.per_second for load in each] for each in (runs[OURS], loads)))
        figures = f"{rate:9.0f}{p50:9.3f}{p99:9.3f}{cpu * 1e6:9.2f}{busy:7.0%}{over:10.2f}"
        print(f"{name:24}{figures}")


def over(runs: Runs, name: str, what: str = "per_second") -> float | None:
    """Return our figure over another's, or None where it did not run."""
    if name not in runs:
        return None
    return ratio(*([getattr(load, what) for load in runs[each]] for each in (OURS, name)))


def rate(what: str, asked: float, runs: Runs, name: str) -> Mark:
    """Return a line about rates, with what it would be by the CPU time that each hit took."""
    cpu = over(runs, name, "cpu")
    return Mark(what, asked, over(runs, name), f"by CPU {1 / cpu:.2f}" if cpu else "")


def against_peers(seconds: int, rounds: int) -> Iterator[Mark]:
    """Measure hits of 1 KB and of 30 KB beside the peers."""
    with script("origin.py", PORT, 1024) as provider:
        with contenders(provider, (NGINX, FILES, BEST, "HAProxy")) as stand:
            many = measured(stand, seconds, rounds)
            one = measured(stand, max(1, seconds // 2), rounds, connections=1)
        show("1 KB, 32 connections", many)
        show("1 KB, 1 connection", one)
    yield rate("hits, 1 KB, against nginx with open_file_cache", 1.4, many, FILES)
    yield rate("the same against the best-tuned nginx", 1.2, many, BEST)
    yield rate("the same against HAProxy's cache", 1.1, many, "HAProxy")
    with (
        script("origin.py", PORT, 30 * 1024) as provider,
        contenders(provider, (FILES,)) as stand,
    ):
        large = measured(stand, seconds, rounds)
    show("30 KB, 32 connections", large)
    yield rate("hits, 30 KB, against nginx with open_file_cache", 1.0, large, FILES)
    for number, runs in ((1, one), (32, many)):
        for what in ("p50", "p99"):
            said = f"{number} connection{'s' if number > 1 else ''}, over nginx's"
            yield Mark(f"{what} at {said}", 1.0, over(runs, NGINX, what), at_most=True)
    yield Mark("CPU a hit over HAProxy's", 0.95, over(many, "HAProxy", "cpu"), at_most=True)


def ordinary(seconds: int, rounds: int) -> Iterator[Mark]:
    """Measure hits whose head never repeats beside aiohttp's barest handler."""
    with (
        script("origin.py", PORT, 1024) as provider,
        script("handlers.py", "barest", PORT, 1024, cpu=SERVER_CPU) as barest,
        contenders(provider, ()) as stand,
    ):
        runs = measured(
            {**stand, "barest handler": (barest, "/")}, seconds, rounds, 32, NEVER_REPEATS
        )
    show("ordinary hits: a field of the head is new each time", runs)
    what = "ordinary hits against aiohttp's barest handler on uvloop"
    yield rate(what, 0.8, runs, "barest handler")


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bytes", type=int, default=1024)
    parser.add_argument("--connections", type=int, default=32)
    asked = parser.parse_args()
    if found("wrk") is None:
        print("not installed: wrk")
        return 1
    print(machine())
    with script("origin.py", PORT, asked.bytes) as provider, contenders(provider) as stand:
        runs = measured(stand, asked.seconds, asked.rounds, asked.connections)
    show(f"{asked.bytes} bytes, {asked.connections} connections, one core each", runs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
