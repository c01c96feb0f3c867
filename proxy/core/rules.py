"""A limit as the arithmetic wants it: plain figures, the same for Python and for the Lua script.

Everything that needs a calendar is worked out here, once for each batch, so that the arithmetic
itself only compares and adds.
"""

import msgspec

from proxy.core import calendars
from proxy.core.upstreams import Algorithm, CalendarUnit, Limit

SLIDING, FIXED, BUCKET = 0, 1, 2
"""Kinds of rule, as they stand in the packed form."""

SLOTS = 256
"""Slots to a window: what comes back comes back less than 1/256 of a window late."""

_LONG = 86400.0
"""From here on a window is long: it follows the wall where the provider's clock is not known."""

_LONG_SLOT = 1.0


class Rule(msgspec.Struct, frozen=True, array_like=True):
    """How one count is kept at present."""

    kind: int
    size: float
    """Tokens; a bucket's largest level."""
    window: float
    """Seconds after which a token is back; a bucket's time from empty to full."""
    slot: float
    """Seconds that are counted together."""
    phase: float = 0.0
    """Of regular windows: how far they lie behind the multiples of their length."""
    edges: tuple[float, ...] = ()
    """Of irregular windows: when they begin (Unix times); empty: regular."""
    strict: bool = False
    """Counted as a sliding window until the provider's clock is known."""
    reserve: float = 0.0
    """Share that only urgent spends touch."""
    pace: float = -1.0
    """Share by which spending may run ahead of the calendar; negative: any."""


def rule(limit: Limit, wall: float) -> Rule:
    """Work out how `limit` is counted at the Unix time `wall`."""
    match limit.algorithm:
        case Algorithm.TOKEN_BUCKET:
            return _bucket(limit)
        case Algorithm.FIXED_WINDOW:
            return _fixed(limit, wall)
        case Algorithm.SLIDING_WINDOW:
            window = length(limit, wall)
            return Rule(SLIDING, limit.limit, window, window / SLOTS, reserve=limit.reserve)


def is_long(rule: Rule) -> bool:
    """Whether the window takes a day or more: such counts are worth noting elsewhere too."""
    return rule.window >= _LONG


def length(limit: Limit, wall: float) -> float:
    """Return the length of the limit's present window in seconds."""
    if not isinstance(limit.per, CalendarUnit):
        return limit.per
    if limit.per is not CalendarUnit.MONTH:
        return calendars.SECONDS[limit.per]
    begins = calendars.edges(limit, wall)
    return begins[2] - begins[1]


def _bucket(limit: Limit) -> Rule:
    burst = limit.limit if limit.burst is None else limit.burst
    per = length(limit, 0.0)
    filling = per * burst / limit.limit
    return Rule(BUCKET, burst, filling, filling / SLOTS, reserve=limit.reserve)


def _fixed(limit: Limit, wall: float) -> Rule:
    window = length(limit, wall)
    irregular = limit.per in (CalendarUnit.DAY, CalendarUnit.MONTH)
    return Rule(
        FIXED,
        limit.limit,
        window,
        min(window / SLOTS, _LONG_SLOT) if window >= _LONG else window / SLOTS,
        phase=0.0 if irregular else calendars.phase(limit, wall),
        edges=calendars.edges(limit, wall) if irregular else (),
        strict=window < _LONG,
        reserve=limit.reserve,
        pace=-1.0 if limit.pace is None else limit.pace,
    )
