"""What a hit costs as things grow: endpoints, upstreams, entries, connections; and two workers.

    python benchmarks/scaling.py [--seconds 3] [--rounds 3] [endpoints upstreams entries …]

Each proxy has one core, wrk the other; those that are compared stand at once, runs alternate, and
ratios are to the first line of each table. "one" is a head that repeats (the accelerator's case),
"ten" are ten targets spread over all that there are, at random. "all" are targets at random among
all: each is made anew once a second, and what no table holds goes all the way through the flow, so
this tells what targets cost, not what stands beside them. "ordinary" is "one" with a field that
never repeats. CPU is the server's own for each hit: it feels neither the load generator's bound nor
other work on the machine.
"""

import argparse
import contextlib
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from load import MANY_FIELDS, NEVER_REPEATS, Load, at_random, round_and_round, wrk
from marks import Mark, found, machine, ratio
from misses import provider_of_our_own
from stage import CPUS, LOAD_CPU, PORT, SERVER_CPU, Served, configured, proxy, script

SIZE = 1024
WARM = 8
"""Seconds: long enough for 10,000 misses, and for each to be met again."""

MARKED = ("one", "ten", "ordinary")
"""Ways that ask for the same at each line, so that what differs is what is beside it."""

Table = dict[str, dict[str, list[Load]]]
"""Loads by line and by way of asking."""


class Line:
    """A proxy, and the ways in which it is asked: each a target and a script, either empty."""

    def __init__(self, served: Served, prefix: str, number: int, suffix: str = "") -> None:
        """Take what stands, and its targets: `prefix0suffix` and so on, so many."""
        one = f"{prefix}{number - 1}{suffix}"
        self.served = served
        self.all = round_and_round(prefix, number, suffix)
        self.ways = {
            "one": (one, ""),
            "ten": ("", at_random(prefix, min(10, number), max(1, number // 10), suffix)),
            "all": ("", at_random(prefix, number, suffix=suffix)),
            "ordinary": (one, NEVER_REPEATS),
        }


def measured(lines: Mapping[str, Line], seconds: int, rounds: int) -> Table:
    """Ask in each way at each line, in turn, when all targets were asked for some times."""
    table: Table = {name: {} for name in lines}
    for line in lines.values():
        wrk(line.served, 32, WARM, line.all)
    for _ in range(rounds):
        for name, line in lines.items():
            for way, (target, lua) in line.ways.items():
                load = wrk(line.served + target, 32, seconds, lua, line.served)
                if load.errors:
                    raise RuntimeError(f"{name}, {way}: {load.errors} errors")
                table[name].setdefault(way, []).append(load)
    return table


def show(title: str, table: Table) -> None:
    """Print hits a second and CPU a hit for each way, and both over the first line's."""
    first = next(iter(table.values()))
    ways = list(first)
    print(f"\n{title}")
    print(f"{'':16}" + "".join(f"{way + ', hits/s':>18}{'µs CPU':>8}{'ratio':>7}" for way in ways))
    for name, row in table.items():
        cells = []
        for way, loads in row.items():
            rate = statistics.median(load.per_second for load in loads)
            cpu = statistics.median(load.cpu for load in loads) * 1e6
            cells.append(f"{rate:18.0f}{cpu:8.2f}{against(table, name, way):7.2f}")
        print(f"{name:16}" + "".join(cells))


def against(table: Table, name: str, way: str, what: str = "per_second") -> float:
    """Return a line's figure over that of the table's first."""
    first = next(iter(table.values()))
    return ratio(*([getattr(load, what) for load in row[way]] for row in (table[name], first)))


def endpoints(seconds: int, rounds: int, numbers: tuple[int, ...]) -> Table:
    """Compare proxies with so many endpoints in one upstream."""
    with contextlib.ExitStack() as stack:
        origin = stack.enter_context(script("origin.py", PORT, SIZE))
        lines = {}
        for number in numbers:
            upstream = provider_of_our_own(origin)
            upstream["endpoints"] = {
                f"e{each}": {"path": f"/e{each}", "ttl": "1h"} for each in range(number)
            }
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            served = stack.enter_context(proxy({}, config=configured(folder, upstream)))
            lines[f"{number:,}"] = Line(served, "/bench/e", number)
        table = measured(lines, seconds, rounds)
    show("endpoints", table)
    return table


def upstreams(seconds: int, rounds: int, numbers: tuple[int, ...] = (1, 10, 100)) -> Table:
    """Compare proxies with so many upstreams."""
    with contextlib.ExitStack() as stack:
        origin = stack.enter_context(script("origin.py", PORT, SIZE))
        lines = {}
        for number in numbers:
            several = [{**provider_of_our_own(origin), "name": f"u{n}"} for n in range(number)]
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            served = stack.enter_context(proxy({}, config=configured(folder, *several)))
            lines[f"{number:,}"] = Line(served, "/u", number, "/item/1")
        table = measured(lines, seconds, rounds)
    show("upstreams", table)
    return table


def entries(seconds: int, rounds: int, numbers: tuple[int, ...]) -> Table:
    """Compare proxies with so many entries in the first level."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        main = configured(folder, provider_of_our_own("http://127.0.0.1:9"))
        lines = {}
        for number in numbers:
            full = script("filled.py", PORT, number, main, cpu=SERVER_CPU)
            served = stack.enter_context(full)
            lines[f"{number:,}"] = Line(served, "/bench/item/", number)
        table = measured(lines, seconds, rounds)
    show("entries in the first level", table)
    return table


def connections(seconds: int, numbers: tuple[int, ...] = (1, 10, 100, 1000, 10_000)) -> None:
    """Print what a hit costs with so many connections."""
    print(
        f"\nconnections\n{'':16}{'hits/s':>10}{'p50 ms':>9}{'p99 ms':>9}{'µs CPU':>9}{'errors':>8}"
    )
    with (
        script("origin.py", PORT, SIZE) as origin,
        proxy({"FEAR_AND_GREED_BASE_URL": origin}) as served,
    ):
        url = f"{served}/fear-and-greed/fng/"
        for number in numbers:
            wrk(url, number, 1)
            load = wrk(url, number, seconds, served=served)
            figures = f"{load.per_second:10.0f}{load.p50:9.2f}{load.p99:9.2f}"
            print(f"{number:<16,}{figures}{load.cpu * 1e6:9.2f}{load.errors:8}")


def workers(seconds: int, rounds: int) -> Mark:
    """Compare two workers on two cores with one on one, with ordinary hits.

    With two cores only, wrk shares one of them: a head of forty fields costs it a small part of
    what it costs the proxy, so that it is least in the way. Its share is printed.
    """
    what = "two workers on two cores over one (ordinary hits, long heads)"
    if len(CPUS) < 2:
        return Mark(what, 1.7, None, "this machine has one core")
    spare = [cpu for cpu in CPUS if cpu != LOAD_CPU]
    pair = ",".join(map(str, spare[:2] if len(spare) > 1 else CPUS[:2]))
    runs: dict[str, list[Load]] = {"one": [], "two": []}
    with contextlib.ExitStack() as stack:
        origin = stack.enter_context(script("origin.py", PORT, SIZE))
        environ = {"FEAR_AND_GREED_BASE_URL": str(origin)}
        both = {
            "one": stack.enter_context(proxy(environ)),
            "two": stack.enter_context(proxy(environ, workers=2, cpu=pair)),
        }
        for number in range(rounds + 1):
            for name, served in both.items():
                url = f"{served}/fear-and-greed/fng/"
                load = wrk(url, 64, seconds if number else 1, MANY_FIELDS, served)
                if number:
                    runs[name].append(load)
    rates = {name: [load.per_second for load in loads] for name, loads in runs.items()}
    print(f"\nworkers, ordinary hits, 64 connections: {rates}")
    busy = statistics.median(load.busy for load in runs["two"])
    said = f"the load generator took {busy:.0%} of a core"
    if len(spare) < 2:
        said += ", and there are two"
    return Mark(what, 1.7, ratio(rates["two"], rates["one"]), said)


def growth(seconds: int, rounds: int) -> Iterator[Mark]:
    """Measure what issue 6 asks of growth."""
    table = endpoints(seconds, rounds, (10, 10_000))
    for way in MARKED:
        cpu = against(table, "10,000", way, "cpu")
        what = f"hits with 10,000 endpoints over hits with 10: {way}"
        yield Mark(what, 0.8, against(table, "10,000", way), f"by CPU {1 / cpu:.2f}")
    table = entries(seconds, rounds, (10, 1_000_000))
    for way in MARKED:
        cpu = against(table, "1,000,000", way, "cpu")
        what = f"hits with 1,000,000 entries over hits with 10: {way}"
        yield Mark(what, 0.8, against(table, "1,000,000", way), f"by CPU {1 / cpu:.2f}")
    yield workers(seconds, rounds)


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("tables", nargs="*", help="which; all if none is named")
    asked = parser.parse_args()
    if found("wrk") is None:
        print("not installed: wrk")
        return 1
    known: dict[str, Callable[[], object]] = {
        "endpoints": lambda: endpoints(asked.seconds, asked.rounds, (10, 1000, 10_000)),
        "upstreams": lambda: upstreams(asked.seconds, asked.rounds),
        "entries": lambda: entries(
            asked.seconds, asked.rounds, (10, 1000, 10_000, 100_000, 1_000_000)
        ),
        "connections": lambda: connections(asked.seconds),
        "workers": lambda: print(workers(asked.seconds, asked.rounds)),
    }
    print(machine())
    for name in asked.tables or known:
        known[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main())
