"""Candle intervals, aligned to real candle times (UTC)."""

from collections.abc import Iterator
from datetime import UTC, datetime

SECONDS = {
    "1s": 1, "1m": 60, "3m": 180, "5m": 300, "15m": 900, "30m": 1800, "1h": 3600, "2h": 7200,
    "4h": 14_400, "6h": 21_600, "8h": 28_800, "12h": 43_200, "1d": 86_400, "3d": 259_200,
    "1w": 604_800,
}  # fmt: skip
MONTH = "1M"
INTERVALS = (*SECONDS, MONTH)
_MONDAY = 4 * 86_400
"""The first Monday of Unix time: weeks begin there."""


def opening(interval: str, moment: float) -> int:
    """Return when the candle that holds `moment` opened (Unix seconds)."""
    if interval == MONTH:
        day = datetime.fromtimestamp(moment, UTC)
        return int(datetime(day.year, day.month, 1, tzinfo=UTC).timestamp())
    shift = _MONDAY if interval == "1w" else 0
    return int(moment - (moment - shift) % SECONDS[interval])


def after(interval: str, opened: int) -> int:
    """Return when the candle that opened at `opened` closes and the next one opens."""
    if interval != MONTH:
        return opened + SECONDS[interval]
    day = datetime.fromtimestamp(opened, UTC)
    year, month = divmod(day.year * 12 + day.month, 12)
    return int(datetime(year, month + 1, 1, tzinfo=UTC).timestamp())


def before(interval: str, opened: int, count: int) -> int:
    """Return when the candle `count` candles earlier opened."""
    if interval != MONTH:
        return opened - count * SECONDS[interval]
    day = datetime.fromtimestamp(opened, UTC)
    year, month = divmod(day.year * 12 + day.month - 1 - count, 12)
    return int(datetime(year, month + 1, 1, tzinfo=UTC).timestamp())


def spans(
    interval: str, limit: int, start: float | None, end: float | None, now: float
) -> Iterator[tuple[int, int]]:
    """Yield `(opened, closes)` of the candles asked for, oldest first.

    With `start`: the first `limit` that open at or after it. Without: the last `limit` that open
    at or before `end`, or now. None opens after `end` or after now. All in Unix seconds.
    """
    last = opening(interval, now if end is None else min(end, now))
    if start is None:
        opened = before(interval, last, limit - 1)
    else:
        opened = opening(interval, start)
        opened = opened if opened >= start else after(interval, opened)
    for _ in range(limit):
        if opened > last:
            return
        closes = after(interval, opened)
        yield opened, closes
        opened = closes
