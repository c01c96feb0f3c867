"""How far the provider's clock is ahead of the ledger's, and the ledger's own time.

An answer whose `Date` is D was written at a moment t between sending and receiving when the
provider's clock stood between D and D + 1 s: so its offset lies in [D - received, D + 1 s - sent].
The truth lies in the intersection over all answers, widened by what clocks may drift apart. An
answer that contradicts it (a step, or several machines that each write their own `Date`) makes the
offset unknown until many in a row agree.

The ledger's time follows the clock that it reads but never goes back: a reading that stepped back
goes on from where it was, and one that leapt further than the asker's own clock allows is cut.
"""

import math

import msgspec

DRIFT = 1e-4
"""Seconds that two clocks may drift apart in one."""

_DISTRUST = -16
"""Agreeing answers, less one, that a contradiction costs."""

_TOLERANCE = 0.001


class Offset(msgspec.Struct, frozen=True, array_like=True):
    """Bounds of (provider's clock - ledger's time), in seconds."""

    low: float = 0.0
    high: float = 0.0
    at: float = 0.0
    """Ledger's time of the last answer."""
    agreed: int = 0
    """Answers that agree; known where positive."""


UNKNOWN = Offset()


def refined(offset: Offset, date: float, sent: float, received: float) -> Offset:
    """Return the offset after an answer with this `Date` (epoch, s; the rest ledger's time)."""
    if not math.isfinite(date):
        return offset
    low, high = date - received, date + 1.0 - sent
    if offset.agreed == 0:
        return Offset(low, high, received, 1)
    wide = DRIFT * max(0.0, received - offset.at)
    low, high = max(low, offset.low - wide), min(high, offset.high + wide)
    if low > high + _TOLERANCE:
        return Offset(date - received, date + 1.0 - sent, received, _DISTRUST)
    if low > high:
        low = high = (low + high) / 2
    agreed = offset.agreed + 1
    return Offset(low, high, received, agreed if agreed != 0 else 1)


def bounds(offset: Offset, now: float) -> tuple[float, float] | None:
    """Return the offset's bounds at `now`, or None where it is not known."""
    if offset.agreed <= 0:
        return None
    wide = DRIFT * max(0.0, now - offset.at)
    return offset.low - wide, offset.high + wide


def ledger_time(last: float, skew: float, reading: float, latest: float | None) -> float:
    """Return the ledger's time for a clock reading.

    Args:
        last: The ledger's time when it was last asked.
        skew: Reading less ledger's time, then.
        reading: What the clock says now.
        latest: What the asker's own clock says that it can be at most; None: no word.

    """
    now = reading - skew
    if latest is not None and now > latest:
        now = latest
    return max(now, last)
