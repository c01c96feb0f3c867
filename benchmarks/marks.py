"""What issue 6 must show, line by line: what was asked, what was measured, whether that will do."""

import importlib.metadata
import os
import platform
import shutil
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MISSING = "not measured"


@dataclass(frozen=True, slots=True)
class Mark:
    """One line."""

    what: str
    asked: float
    got: float | None
    """None: it could not be measured here; `said` tells why."""
    said: str = ""
    """The figures behind it."""
    at_most: bool = False

    @property
    def kept(self) -> bool:
        """Whether the figure will do; one that could not be measured here does not count."""
        if self.got is None:
            return True
        return self.got <= self.asked if self.at_most else self.got >= self.asked

    def __str__(self) -> str:
        """One row of a table."""
        bound = f"{'≤' if self.at_most else '≥'} {self.asked:.2f}"
        if self.got is None:
            return f"  ?  {self.what:66}{bound:>8}{'-':>8}  {self.said or MISSING}"
        shown = "yes" if self.kept else " NO"
        return f" {shown} {self.what:66}{bound:>8}{self.got:8.2f}  {self.said}"


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the median of the ratios of runs that stood side by side."""
    return statistics.median(
        one / other if other else float("inf") for one, other in zip(ours, theirs, strict=True)
    )


def machine() -> str:
    """Say what was measured on, and with which versions."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    names = ("aiohttp", "uvloop", "redis", "hiredis", "msgspec")
    libraries = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
    lines = [
        f"{model}, {len(os.sched_getaffinity(0))} cores, {platform.system()} {platform.release()}",
        f"Python {platform.python_version()}, {libraries}",
        *(version(name) for name in PROGRAMS),
    ]
    return "\n".join(lines)


PROGRAMS = ("wrk", "redis-server", "nginx", "haproxy", "varnishd", "traffic_server")


def found(name: str) -> str | None:
    """Return where a program is, be it one that only root's PATH has."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))


def version(name: str) -> str:
    """Return what a program says of its version, or that it is missing."""
    flag = {"haproxy": "-v", "nginx": "-v", "wrk": "-v", "redis-server": "--version"}
    program = found(name)
    if program is None:
        return f"{name}: not installed"
    command = [program, flag.get(name, "-V")]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    return (said.stdout + said.stderr).strip().splitlines()[0]
