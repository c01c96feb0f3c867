"""All that issue 6 must show, in one table: what was asked and what was measured.

    python benchmarks/table.py [--seconds 3] [--rounds 3]

Takes less than ten minutes with what it is given by default, and wants the machine for itself: one
core for what is measured, one for the load. It installs nothing; what is missing is named, and its
lines are left open ("?"). The tables behind each line are printed as they come, and are those of
hits.py, misses.py and scaling.py. "by CPU" is what a rate would be where the server is the limit
and nothing else runs: the other's CPU time for each request over ours. The exit status is 1 where a
line is not kept.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator

import hits
import misses
import scaling
from marks import Mark, found, machine
from stage import CPUS

PARTS: tuple[Callable[[int, int], Iterator[Mark]], ...] = (
    hits.against_peers,
    hits.ordinary,
    misses.from_redis,
    misses.misses,
    scaling.growth,
)


def main() -> int:
    """Print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=int, default=3, help="of each run")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each kind")
    asked = parser.parse_args()
    if found("wrk") is None:
        print("not installed: wrk")
        return 1
    began = time.perf_counter()
    print(machine())
    if len(CPUS) < 2:
        print("one core only: the load generator and what it asks share it")
    marks = [mark for part in PARTS for mark in part(asked.seconds, asked.rounds)]
    took = time.perf_counter() - began
    print(f"\n{time.strftime('%Y-%m-%d')}, {took:.0f} s, medians of {asked.rounds} runs\n")
    print(f"     {'what':66}{'asked':>8}{'got':>8}")
    for mark in marks:
        print(mark)
    return 0 if all(mark.kept for mark in marks) else 1


if __name__ == "__main__":
    sys.exit(main())
