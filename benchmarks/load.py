"""Asks as fast as it is answered: wrk, and what it is to write."""

import re
import resource
import subprocess
import tempfile
from dataclasses import dataclass

from stage import LOAD_CPU, Served, cpu_seconds, pinned

_NONCE = """
local n = 0
local before, after
init = function()
  wrk.headers["X-Nonce"] = "@@"
  for field = 1, %d do
    wrk.headers["X-Field-" .. field] = "as some clients send by the dozen"
  end
  local whole = wrk.format("GET")
  local from, to = whole:find("@@", 1, true)
  before, after = whole:sub(1, from - 1), whole:sub(to + 1)
end
request = function()
  n = n + 1
  return before .. n .. after
end
"""
NEVER_REPEATS = _NONCE % 0
"""One target, and a field of the head that is new each time."""
MANY_FIELDS = _NONCE % 40
"""The same in a head that costs whoever reads it more, and wrk next to nothing."""

PACED = """
function delay()
  return math.random(1, 3)
end
"""
"""Each connection rests two milliseconds on average before it asks: all who are compared are asked
alike, and less than they could answer."""

_TIMES = """
function done(summary, latency, requests)
  io.write("ran ", summary.duration, " us\\n")
  for at = 1, #latency do
    local value, count = latency(at)
    io.write("met ", value, " ", count, "\\n")
  end
end
"""
"""Prints how often each time was met, as wrk has corrected it."""

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
    p99_met: float = 0.0
    """Milliseconds that one in a hundred answers took. wrk's own `p99` weighs time: an answer that
    was stalled counts as often as others could have come meanwhile, whoever stalled it."""


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
        file.write(script + _TIMES)
        file.flush()
        said = subprocess.run(
            pinned(LOAD_CPU, [*command, "-s", file.name, url]),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = cpu_seconds(served.pid) - before if served is not None else 0.0
    busy = used.ru_utime + used.ru_stime - own.ru_utime - own.ru_stime
    return _read(said, connections, spent, busy)


def _read(said: str, connections: int, spent: float, own: float) -> Load:
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
        _p99_met(said, requests, connections),
    )


def _p99_met(said: str, requests: int, connections: int) -> float:
    """Return what one in a hundred answers took, in milliseconds, without wrk's correction.

    For each time of twice the usual interval or more wrk counts as well that time less one
    interval, less two, and so on down to one: from the longest on, that is taken away again.
    """
    (ran,) = _found(r"ran ([\d.]+) us", said, ("0",))
    usual = int(float(ran)) // max(1, requests // connections)
    met = {int(float(at)): int(times) for at, times in re.findall(r"met ([\d.]+) (\d+)", said)}
    for at in sorted(met, reverse=True):
        if at >= 2 * usual > 0:
            for added in range(at - usual, usual, -usual):
                met[added] -= met[at]
    left = sum(met.values()) * 0.99
    for at in sorted(met):
        left -= met[at]
        if left <= 0:
            return at / 1000
    return 0.0


def _found(pattern: str, said: str, default: tuple[str, ...]) -> tuple[str, ...]:
    met = re.search(pattern, said)
    return met.groups() if met is not None else default
