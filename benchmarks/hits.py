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

from load import NEVER_REPEATS, PACED, Load, wrk
from marks import Mark, found, machine, ratio
from peers import haproxy, nginx, trafficserver, varnish
from stage import PORT, SERVER_CPU, Served, await_answer, proxy, script

PATH = "/fng/"
"""A shipped endpoint (Fear & Greed), which takes any query."""
OURS, NGINX, FILES, BEST = "quota-proxy", "nginx", "nginx open_file_cache", "nginx best"
ALL = (NGINX, FILES, BEST, "HAProxy", "Varnish", "Traffic Server")

SHORT_RUNS = 4
"""Runs of a second for each round, where latency is asked for: whatever else the machine does meets
one in a hundred answers of some of them, and not of their median."""

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


def latencies(stand: Found, rounds: int, connections: int, lua: str = "") -> Runs:
    """Measure us and nginx in many short runs."""
    pair = {name: stand[name] for name in (OURS, NGINX) if name in stand}
    return measured(pair, 1, SHORT_RUNS * rounds, connections, lua)


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


def latency(what: str, said: str, runs: Runs) -> Mark:
    """Return a line about latency over nginx's."""
    figures = ""
    if NGINX in runs:
        ours, its, busy = (
            statistics.median(getattr(load, field) for load in runs[name])
            for name, field in ((OURS, what), (NGINX, what), (OURS, "busy"))
        )
        figures = f"{ours:.3f} ms beside {its:.3f}; load {busy:.0%}"
        if what == "p99":
            figures += f"; of all answers {over(runs, NGINX, 'p99_met'):.2f}"
    return Mark(f"{what} at {said}", 1.0, over(runs, NGINX, what), figures, at_most=True)


def against_peers(seconds: int, rounds: int) -> Iterator[Mark]:
    """Measure hits of 1 KB and of 30 KB beside the peers."""
    with script("origin.py", PORT, 1024) as provider:
        with contenders(provider, (NGINX, FILES, BEST, "HAProxy")) as stand:
            many = measured(stand, seconds, rounds)
            waits = {
                "1 connection, over nginx's": latencies(stand, rounds, 1),
                "32 connections, over nginx's": latencies(stand, rounds, 32),
                "32 connections, both asked alike": latencies(stand, rounds, 32, PACED),
            }
        show("1 KB, 32 connections", many)
        for said, runs in waits.items():
            show(f"1 KB, {said}", runs)
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
    for said, runs in waits.items():
        for what in ("p50", "p99"):
            yield latency(what, said, runs)
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
