"""Spacing: how far apart shared calls go when quota is scarce.

A shared call takes along whoever has come until it leaves. So where more than `HALF` of a limit is
used, what is left of it is spread over the time until the limit is whole again: fewer calls, each
for more members, and nobody finds the limit empty. Limits of a day and longer have a pace of their
own (`stretching`, `pace`).
"""

from collections.abc import Iterable
from typing import Final

from proxy.core.spending import Bill, Charge, Level
from proxy.core.stretching import LONG

HALF: Final = 0.5
"""Share of a limit that may be used before calls are spaced."""


def pause(bill: Bill, levels: Iterable[Level]) -> float:
    """Return how many seconds are to lie between calls like this one, as its limits stand."""
    known = {level.bucket: level for level in levels}
    return max(
        (
            _between(known[charge.bucket], charge)
            for charge in bill.charges
            if charge.bucket in known
        ),
        default=0.0,
    )


def _between(level: Level, charge: Charge) -> float:
    size = level.size * (1.0 - charge.limit.reserve)
    if level.window >= LONG or charge.cost <= 0 or level.used <= size * HALF:
        return 0.0
    left = max(1.0, (size - level.used) // charge.cost)
    return min(level.resets_in, level.window) / left
