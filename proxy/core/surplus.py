"""Surplus: whether a limit has so much room that a refresh may go which nobody waits for.

- No limit that it spends from may be more than half used, itself included; the reserve is nobody's.
- Of a day or a month, no more than the share of it that has passed: nothing runs ahead of its pace.

And when it is due: in the last tenth of the TTL; where a candle's close ends the entry, at that
moment, since nothing new is to be had before. Or when it is worn: a call that makes many hits
younger by much is made long before the end, one that makes few younger by little is not. How much
age hits were given is known well enough from their number: they come evenly.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from proxy.core.model import Lifetimes
from proxy.core.spending import Bill, Level
from proxy.core.stretching import LONG, elapsed
from proxy.core.upstreams import Algorithm

HALF: Final = 0.5
LAST: Final = 0.1
"""Share of a TTL in which a refresh is due."""
SOONEST: Final = 2.0
"""Seconds before the end at which it is due at the latest, if the TTL has as many twice over."""


def spare(bill: Bill, levels: Iterable[Level], planned: Mapping[str, float]) -> bool:
    """Return whether all that `bill` spends is surplus, beside what was `planned` by bucket."""
    known = {level.bucket: level for level in levels}
    return all(
        _fits(level, charge.cost + planned.get(charge.bucket, 0.0), charge.limit.reserve)
        for charge in bill.charges
        if (level := known.get(charge.bucket)) is not None
    )


def _fits(level: Level, cost: float, reserve: float) -> bool:
    size = level.size * (1.0 - reserve)
    share = HALF
    if level.window >= LONG and level.algorithm == Algorithm.FIXED_WINDOW:
        share = elapsed(level)
    return level.used + cost <= size * share


def is_due(lives: Lifetimes, age: float) -> bool:
    """Return whether an entry of some age is to be refreshed ahead of its end."""
    if lives.most is not None and lives.ttl >= lives.most:
        return age >= lives.ttl
    lead = max(lives.ttl * LAST, min(SOONEST, lives.ttl / 2))
    return age >= lives.ttl - lead


def is_worn(lives: Lifetimes, age: float, hits: int, worn_after: float) -> bool:
    """Return whether hits were given more age than a refresh is worth, and it has not ended yet."""
    return hits * age / 2 >= worn_after and age < lives.ttl * (1 - LAST)


def worth(hits: int, bill: Bill) -> float:
    """Return what a refresh saves: hits that go on for each part of a limit that it costs."""
    shares = [charge.cost / charge.limit.limit for charge in bill.charges if charge.limit.limit > 0]
    return hits / max([*shares, 1e-9])
