"""Asks as fast as it is answered: wrk, and what it is to write."""

import re
import resource
import subprocess
import tempfile
from dataclasses import dataclass

from stage import LOAD_CPU, Served, cpu_seconds, pinned

NEVER_REPEATS = """
local n = 0
local before, after
init = function()
  wrk.headers["X-Nonce"] = "@@"
  local whole = wrk.format("GET")
  local from, to = whole:find("@@", 1, true)
  before, after = whole:sub(1, from - 1), whole:sub(to + 1)
end
request = function()
  n = n + 1
  return before .. n .. after
end
"""
"""One target, and a field of the head that is new each time."""

_TARGETS = """
local before, after
local n = %(first)d
init = function()
  local whole = wrk.format("GET", "/@@")
  local from, to = whole:find("/@@", 1, true)
  before, after = whole:sub(1, from - 1) .. "%(prefix)s", "%(suffix)s" .. whole:sub(to + 1)
end
request = function()
  %(next)s
  return before .. n .. after
end
"""


def at_random(prefix: str, number: int, stride: int = 1, suffix: str = "") -> str:
    """Return a script that asks for `number` targets at random: `prefix0`, `prefix{stride}`, …."""
    step = f"n = math.random(0, {number - 1}) * {stride}"
    return _TARGETS % {"first": 0, "prefix": prefix, "suffix": suffix, "next": step}


def in_turn(prefix: str, first: int) -> str:
    """Return a script that asks for `prefix{first}` and all that follow, each once."""
    return _TARGETS % {"first": first - 1, "prefix": prefix, "suffix": "", "next": "n = n + 1"}


def round_and_round(prefix: str, number: int, suffix: str = "") -> str:
    """Return a script that asks for `prefix0` … `prefix{number - 1}` in turn, again and again."""
    step = f"n = (n + 1) % {number}"
    return _TARGETS % {"first": -1, "prefix": prefix, "suffix": suffix, "next": step}


@dataclass(frozen=True, slots=True)
class Load:
    """What a load generator saw."""

    per_second: float
    p50: float
    """Milliseconds."""
    p99: float
    errors: int
    """Answers that were no 2xx or 3xx, and connections that failed."""
    requests: int = 0
    cpu: float = 0.0
    """Seconds of CPU that the server used for each request; 0: it was not asked."""
    busy: float = 0.0
    """Share of its core that the load generator itself used."""


_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


def wrk(
    url: str,
    connections: int = 32,
    seconds: int = 4,
    script: str = "",
    served: Served | None = None,
) -> Load:
    """Ask `url` again and again over keep-alive connections, as fast as it answers.

    `script`: Lua that writes the requests. `served`: whose CPU time to look at.
    """
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "10s"]
    before = cpu_seconds(served.pid) if served is not None else 0.0
    own = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        if script:
            file.write(script)
            file.flush()
            command += ["-s", file.name]
        said = subprocess.run(
            pinned(LOAD_CPU, [*command, url]), capture_output=True, text=True, check=True
        ).stdout
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = cpu_seconds(served.pid) - before if served is not None else 0.0
    return _read(said, spent, used.ru_utime + used.ru_stime - own.ru_utime - own.ru_stime)


def _read(said: str, spent: float, own: float) -> Load:
    number, lasted = _found(r"(\d+) requests in ([\d.]+)s", said, ("0", "1"))
    requests = int(number)
    times = {
        share: float(figure) * _UNITS[unit]
        for share, figure, unit in re.findall(r"(50|99)%\s+([\d.]+)(us|ms|s)", said)
    }
    (wrong,) = _found(r"Non-2xx or 3xx responses: (\d+)", said, ("0",))
    failed = _found(r"connect (\d+), read (\d+), write (\d+), timeout (\d+)", said, ("0",))
    return Load(
        requests / float(lasted),
        times.get("50", 0.0),
        times.get("99", 0.0),
        int(wrong) + sum(map(int, failed)),
        requests,
        spent / requests if requests else 0.0,
        own / float(lasted),
    )


def _found(pattern: str, said: str, default: tuple[str, ...]) -> tuple[str, ...]:
    met = re.search(pattern, said)
    return met.groups() if met is not None else default
