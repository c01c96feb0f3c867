"""What bots cost the provider behind each cache, and how old and how late their answers are.

    python benchmarks/economy.py [--minutes 6] [--only NAME …] [--latency 0.02]
                                 [--pause 0.5 …] [--simulated 1 2]

An hour of fifty bots (`economy_trace`), replayed ten times as fast against providers that enforce
their limits (`economy_provider`): with no proxy, through nginx, through Varnish, and through this
proxy with one feature after the other (the last, all refreshed shortly before its end, is in no
shipped file, and the goals are not said of it). All have the shipped TTLs; all TTLs and windows are
ten times as short. Contenders run one after the other on one core, everything else on another.

How often a bot asks decides what share of nginx's weight is left, and nothing prescribes it. The
first `--pause` (mean seconds between two questions of one bot) has all contenders; each further one
nginx and this proxy as it is shipped; those of `--simulated` are replayed in simulated time
(`economy_simulated`). At which of them each goal is kept is said at the end.

The table's seconds are the trace's, so ten times those on the clock; latencies are the clock's.
`weight` is what the provider granted, `refused` what it turned away beside that. An answer is as
old as its oldest price. A call for one symbol is counted under prices, for several under lists,
whoever asked: where calls are shared, read these two together. `late` says by how much questions
left after their time, and beside it how busy each process was: a driver or a provider that cannot
keep up would be what is measured.
"""

import argparse
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import TypeAlias

import uvloop
from economy_driver import Driven, replayed
from economy_provider import NAMES
from economy_settings import as_shipped, floor, ours, rules, steps
from economy_table import REFUSALS, Row, driven_well, head, said, shown, weighed
from economy_trace import COMPRESSION, HOUR, OTHER_PAUSES, PAUSE, Kind, Question, trace
from peers import nginx, varnish
from stage import LOAD_CPU, ROOT, await_answer, cpu_seconds, free_port, running

Start: TypeAlias = Callable[[str], AbstractContextManager[str | None]]
"""Starts a contender before an origin; its address, or None where it is not installed."""
Rows: TypeAlias = dict[str, Row]


# ── the providers ──


@contextmanager
def providers(latency: float) -> Iterator[tuple[str, float, int]]:
    """Run the providers afresh; yield their origin, since when their prices tell, their process."""
    port, epoch = free_port(), time.time()  # noqa: TID251 - the providers' clock, not the proxy's
    command = [sys.executable, str(ROOT / "benchmarks" / "economy_provider.py")]
    with running([*command, str(port), f"{epoch:.3f}", str(latency)]) as child:
        origin = f"http://127.0.0.1:{port}"
        await_answer(f"{origin}/_sandbox/")
        yield origin, epoch, child.pid


def billed(origin: str) -> Iterator[tuple[str, Kind, int, bool]]:
    """Yield each call that the providers saw: provider, class, weight, and whether refused."""
    for name in NAMES:
        with urllib.request.urlopen(f"{origin}/_sandbox/{name}") as answer:  # noqa: S310 - loopback
            spent = json.load(answer)["spent"]
        with urllib.request.urlopen(f"{origin}/_sandbox/{name}/received") as answer:  # noqa: S310
            received = json.load(answer)
        total = 0
        for call in received:
            kind, weight = weighed(name, call["target"])
            refused = call["status"] in REFUSALS
            total += 0 if refused else weight
            yield name, kind, weight, refused
        if total != spent:
            raise RuntimeError(f"{name} says that {spent} was spent; we count {total}")


# ── the contenders ──


def contenders(only: list[str]) -> Iterator[tuple[str, Start]]:
    """Yield each contender's name, and what starts it before the providers at an origin."""
    named: dict[str, Start] = {
        "no proxy": nullcontext,
        "nginx": partial(nginx, rules=rules()),
        "varnish": partial(varnish, rules=rules()),
        **{step.name: partial(ours, step=step) for step in steps()},
    }
    yield from ((name, start) for name, start in named.items() if not only or name in only)


def measured(start: Start, questions: list[Question], latency: float) -> tuple[Rows, str] | None:
    """Replay the trace through one contender; None: it is not installed."""
    rows: Rows = defaultdict(Row)
    with providers(latency) as (origin, epoch, provider):
        with start(origin) as address:
            if address is None:
                return None
            pids = {"provider": provider, "contender": getattr(address, "pid", 0)}
            used = {name: cpu_seconds(pid) for name, pid in pids.items() if pid}
            driven: Driven = uvloop.run(replayed(address, questions, epoch))
            busy = {name: cpu_seconds(pids[name]) - before for name, before in used.items()}
        for each in driven.heard:
            rows["all"].heard.append(each)
            rows[each.kind].heard.append(each)
        for name, kind, weight, refused in billed(origin):
            for row in (rows["all"], rows[kind], rows[name]):
                row.count(weight, refused=refused)
    busy = {"driver": driven.busy, **busy}
    return dict(rows), driven_well(sorted(driven.lag), busy, driven.took, rows["all"])


# ── the run ──


def run(options: argparse.Namespace, pause: float, only: list[str]) -> tuple[Rows, Rows] | None:
    """Print one rate's table; return nginx' figures and our own, where both were run."""
    questions = trace(options.minutes * 60 * COMPRESSION, pause)
    print(f"\na question of each bot every {pause:g} s\n{head()}")
    results: dict[str, Rows] = {}
    for name, start in contenders(only):
        found = measured(start, questions, options.latency)
        if found is None:
            print(f"{name:24}not installed")
            continue
        results[name], driven = found
        print("\n".join(shown(name, results[name])))
        print(f"{'':24}{driven}", flush=True)
    least = floor(questions)
    print(f"candles cannot weigh less than about {least}: see `economy_settings.floor`")
    own = as_shipped().name
    return (results["nginx"], results[own]) if {"nginx", own} <= results.keys() else None


def main() -> int:
    """Print the tables, and what they say of the goals."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=HOUR / COMPRESSION / 60)
    parser.add_argument("--only", nargs="*", default=[], help="contenders, by name")
    parser.add_argument("--latency", type=float, default=0.02, help="of the providers, in seconds")
    parser.add_argument("--pause", type=float, nargs="+", default=[PAUSE], help="in real time")
    parser.add_argument("--simulated", type=float, nargs="*", default=OTHER_PAUSES)
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {LOAD_CPU})
    compare = ["nginx", as_shipped().name]
    only, compared = options.only, []
    for pause in options.pause:
        found = run(options, pause, only)
        only = compare
        if found is not None:
            compared.append((pause, *found))
    for each in compared:
        print("\n".join(said(*each)))
    if compared and options.simulated:
        print("in simulated time:", flush=True)
        script = str(ROOT / "benchmarks" / "economy_simulated.py")
        pauses = [f"{each:g}" for each in options.simulated]
        command = [sys.executable, script, "--brief", "--only", *compare, "--pause", *pauses]
        subprocess.run(command, check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
