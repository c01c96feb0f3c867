"""Candle intervals."""

from datetime import UTC, datetime

import pytest

from proxy.sandbox.candles import INTERVALS, after, before, opening, spans

NOW = datetime(2026, 11, 21, 3, 37, 19, tzinfo=UTC).timestamp()


def _at(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp())  # type: ignore[arg-type,misc]


@pytest.mark.parametrize(
    ("interval", "opened"),
    [
        ("1s", _at(2026, 11, 21, 3, 37, 19)),
        ("1m", _at(2026, 11, 21, 3, 37)),
        ("15m", _at(2026, 11, 21, 3, 30)),
        ("4h", _at(2026, 11, 21)),
        ("1d", _at(2026, 11, 21)),
        ("1w", _at(2026, 11, 16)),
        ("1M", _at(2026, 11, 1)),
    ],
)
def test_candles_open_at_real_candle_times(interval: str, opened: int) -> None:
    """Days begin at midnight UTC, weeks on Monday, months on the first."""
    assert opening(interval, NOW) == opened


@pytest.mark.parametrize("interval", INTERVALS)
def test_candles_follow_one_another(interval: str) -> None:
    """The next candle opens when this one closes, and back again."""
    opened = opening(interval, NOW)

    assert opening(interval, after(interval, opened)) == after(interval, opened)
    assert before(interval, after(interval, opened), 1) == opened


def test_months_are_as_long_as_the_calendar_says() -> None:
    """A month's candle crosses the turn of the year."""
    assert after("1M", _at(2026, 12, 1)) == _at(2027, 1, 1)
    assert before("1M", _at(2026, 1, 1), 14) == _at(2024, 11, 1)


HOUR = 3600
LAST = _at(2026, 11, 21, 3)


@pytest.mark.parametrize(
    ("start", "end", "opened"),
    [
        (None, None, [LAST - 2 * HOUR, LAST - HOUR, LAST]),
        (LAST - 5 * HOUR, None, [LAST - 5 * HOUR, LAST - 4 * HOUR, LAST - 3 * HOUR]),
        (LAST - HOUR + 1, None, [LAST]),
        (None, LAST - HOUR, [LAST - 3 * HOUR, LAST - 2 * HOUR, LAST - HOUR]),
        (LAST - 2 * HOUR, LAST - HOUR + 5, [LAST - 2 * HOUR, LAST - HOUR]),
        (LAST + 9 * HOUR, None, []),
    ],
)
def test_start_end_and_limit_choose_candles_as_binance_does(
    start: float | None, end: float | None, opened: list[int]
) -> None:
    """From `start` forwards, else the last ones; the running candle is among them."""
    assert [span[0] for span in spans("1h", 3, start, end, NOW)] == opened
