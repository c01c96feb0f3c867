"""`/api/v1/quota`: how the limits stand, for all processes, and when they run out.

A limit may have several counts (`each: endpoint`, `of: credential`): each endpoint's is shown by
its own name; of the credentials', which clients bring, only the fullest, under the limit's name.
A limit that nobody has spent from is shown whole. `PUT` sets what was used before we came.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from proxy.admin.house import House
from proxy.admin.observations import WAITING
from proxy.admin.times import rfc3339
from proxy.core.rules import length
from proxy.core.spending import Level
from proxy.core.upstreams import Algorithm, Limit, Upstream


@dataclass(frozen=True, slots=True)
class Standing:
    """How an upstream's limits stand."""

    upstream: str
    levels: tuple[Level, ...]
    held_for: float
    """Seconds; 0: not held."""


async def standings(house: House) -> tuple[Standing, ...]:
    """Ask the ledger how every upstream stands."""
    return tuple([await _standing(house, upstream) for upstream in house.upstreams()])


async def quota(house: House) -> dict[str, Any]:
    """Return what `/api/v1/quota` gives."""
    gauges = (await house.gather()).gauges
    wall = house.wall()
    return {
        "upstreams": {
            standing.upstream: {
                "limits": {level.bucket: shown(level, wall) for level in standing.levels},
                "blocked_until": rfc3339(wall + standing.held_for) if standing.held_for else None,
                "waiting": int(gauges.get((WAITING, standing.upstream), 0)),
            }
            for standing in await standings(house)
        }
    }


@dataclass(frozen=True, slots=True)
class Unknown:
    """There is no such upstream, or it has no such limit."""

    what: str
    there_are: tuple[str, ...]


async def set_used(house: House, upstream: str, bucket: str, used: float) -> Level | Unknown:
    """Set what was used of a limit already; return how it stands then.

    Raises:
        BackendError: the counts cannot be reached.

    """
    names = sorted(each.name for each in house.upstreams())
    if upstream not in names:
        return Unknown(f"There is no upstream {upstream!r}", tuple(names))
    known = await house.ledger.set_used(upstream, bucket, used)
    found = {level.bucket: level for level in await house.ledger.snapshot(upstream)}
    if known and bucket in found:
        return found[bucket]
    told = sorted(name for name in found if "@" not in name)  # no marks of clients' keys
    return Unknown(f"{upstream} has no limit {bucket!r}", tuple(told))


def shown(level: Level, wall: float) -> dict[str, Any]:
    """Return how a limit stands, as the API writes it. `wall` is Unix time."""
    runs_out = forecast(level)
    return {
        "limit": level.size,
        "used": level.used,
        "remaining": level.remaining,
        "resets_at": rfc3339(wall + level.resets_in) if level.used > 0 else None,
        "algorithm": level.algorithm,
        "forecast": None if runs_out is None else rfc3339(wall + runs_out),
    }


def forecast(level: Level) -> float | None:
    """Return the seconds until the limit runs out at the pace of its window so far.

    None where it does not: nothing is spent, it is whole again before, or tokens come back one by
    one, so that a steady pace never runs it out for good.
    """
    if level.algorithm != Algorithm.FIXED_WINDOW or level.used <= 0:
        return None
    passed = level.window - level.resets_in
    if passed <= 0:
        return None
    left = level.remaining * passed / level.used
    return left if left < level.resets_in else None


async def _standing(house: House, upstream: Upstream) -> Standing:
    levels = await house.ledger.snapshot(upstream.name)
    spent = _fullest(levels)
    unspent = [_whole(limit, house.wall()) for limit in upstream.limits if not _spent(limit, spent)]
    held = house.ledger.held_for(upstream.name)
    return Standing(upstream.name, (*spent, *unspent), held)


def _fullest(levels: Iterable[Level]) -> list[Level]:
    """Return one level for each name that the configuration knows: the fullest there is."""
    found: dict[str, Level] = {}
    for level in levels:
        name = level.bucket.partition("@")[0]
        if name not in found or level.used > found[name].used:
            found[name] = Level(
                level.limit,
                name,
                level.size,
                level.used,
                level.resets_in,
                level.algorithm,
                level.window,
            )
    return [found[name] for name in sorted(found)]


def _spent(limit: Limit, levels: Iterable[Level]) -> bool:
    return any(level.limit == limit.name for level in levels)


def _whole(limit: Limit, wall: float) -> Level:
    size = limit.limit if limit.burst is None else limit.burst
    window = length(limit, wall)
    return Level(limit.name, limit.name, size, 0.0, 0.0, limit.algorithm.value, window)
