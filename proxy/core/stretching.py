"""Stretching: lifetimes that grow as a limit nears its end, and shrink back when it has room.

The pressure of a limit is 0 (room) to 1 (nothing left), from two signs; the greater one counts:

    near     more than half of it is used, and more of it than of its window has passed
    ahead    a day's or a month's runs ahead of the calendar: 1 where `pace` lets nothing more go,
             or by a tenth of the limit where no pace is set

Both rise smoothly (3x² - 2x³). A TTL is multiplied by 1 + (stretch - 1) * pressure, at once as the
pressure rises; it falls no faster than from 1 to 0 in `RELEASE`, and not at all for less than
`BAND`, so that it does not swing with every call.

Only the TTL grows, and the stale_while_revalidate after it moves along: a rescue ends when it
always did. Nothing goes beyond `max_age` or the close of a candle; what an upstream's word
shortens (`cap`, `obey`) and errors are not stretched.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from msgspec.structs import replace

from proxy.core.model import Entry, Lifetimes, Policy
from proxy.core.spending import Level
from proxy.core.upstreams import Algorithm, Endpoint, Limit

KNEE: Final = 0.5
"""Share of a limit that may be used before it presses."""
AHEAD: Final = 0.1
"""Share of a limit by which it may run ahead of the calendar at most, where no pace is set."""
LONG: Final = 86_400.0
"""Seconds of a window from which on it has a pace."""
BAND: Final = 0.1
RELEASE: Final = 60.0
"""Seconds in which a pressure of 1 falls to 0."""
STRETCHED: Final = frozenset({200, 203, 301, 308})


class Pressure(NamedTuple):
    """What is pressed for, and since when (seconds)."""

    value: float = 0.0
    at: float = 0.0


def pressing(levels: Iterable[Level], limits: Iterable[Limit]) -> float:
    """Return the pressure of those limits that press most, 0 to 1."""
    named = {limit.name: limit for limit in limits}
    return max((pressure(level, named.get(level.limit)) for level in levels), default=0.0)


def pressure(level: Level, limit: Limit | None = None) -> float:
    """Return the pressure of one limit: of what is not its reserve."""
    reserve, pace = (0.0, None) if limit is None else (limit.reserve, limit.pace)
    size = level.size * (1.0 - reserve)
    if size <= 0:
        return 0.0
    used, passed = level.used / size, elapsed(level)
    knee = min(max(KNEE, passed), 0.999)
    near = _smooth((used - knee) / (1.0 - knee))
    if level.window < LONG or level.algorithm != Algorithm.FIXED_WINDOW:
        return near
    return max(near, _smooth((used - passed) / (pace or AHEAD)))


def elapsed(level: Level) -> float:
    """Return the share of a fixed window that has passed; 0 of any other kind."""
    if level.algorithm != Algorithm.FIXED_WINDOW or level.window <= 0:
        return 0.0
    return min(max(0.0, 1.0 - level.resets_in / level.window), 1.0)


def held(before: Pressure, now_pressing: float, now: float) -> Pressure:
    """Return the pressure that counts: rising at once, falling slowly."""
    if now_pressing >= before.value:
        return Pressure(now_pressing, now)
    passed = max(0.0, now - before.at)
    floor = 0.0 if now_pressing <= 0 else min(before.value, now_pressing + BAND)
    return Pressure(max(floor, before.value - passed / RELEASE), now)


def factor(most: float, pressed: float) -> float:
    """Return by how much a TTL grows, where it may grow `most`."""
    return 1.0 + max(0.0, most - 1.0) * pressed


def stretched(endpoint: Endpoint, entry: Entry, by: float) -> Lifetimes:
    """Return the lifetimes of an entry whose TTL grows `by` a factor."""
    lives = entry.lifetimes
    if by <= 1.0 or endpoint.policy is not Policy.IGNORE or entry.status not in STRETCHED:
        return lives
    bounds = [each for each in (lives.most, endpoint.max_age) if each is not None]
    ttl = max(lives.ttl, min([lives.ttl * by, *bounds]))
    left = max(0.0, lives.most - ttl) if lives.most is not None else lives.stale_while_revalidate
    return replace(
        lives,
        ttl=ttl,
        stale_while_revalidate=min(lives.stale_while_revalidate, left),
        stale_if_error=max(0.0, lives.ttl + lives.stale_if_error - ttl),
    )


def kept(endpoint: Endpoint, lives: Lifetimes) -> Lifetimes:
    """Return the lifetimes with which an entry is stored: kept as long as it may be stretched."""
    if endpoint.stretch <= 1.0 or endpoint.policy is not Policy.IGNORE:
        return lives
    keep = lives.ttl * (endpoint.stretch - 1.0) + lives.stale_while_revalidate
    if lives.most is not None:
        keep = min(keep, lives.most - lives.ttl)
    return replace(lives, keep=max(lives.keep, keep))


def _smooth(x: float) -> float:
    x = min(max(x, 0.0), 1.0)
    return x * x * (3.0 - 2.0 * x)
