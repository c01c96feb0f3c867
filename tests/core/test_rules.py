"""Limits as the arithmetic wants them."""

import pytest

from proxy.core.rules import BUCKET, FIXED, SLIDING, is_long, length, rule
from proxy.core.upstreams import Algorithm, CalendarUnit, Limit

NOW = 1_700_000_000.0


def test_a_sliding_window_has_256_slots() -> None:
    """A token comes back less than 1/256 of a window late: 0.4 % at most is lost."""
    made = rule(Limit("m", 30, 60.0, Algorithm.SLIDING_WINDOW), NOW)

    assert (made.kind, made.size, made.window, made.slot) == (SLIDING, 30, 60.0, 60 / 256)


@pytest.mark.parametrize("per", [60.0, CalendarUnit.MINUTE, CalendarUnit.HOUR])
def test_a_short_fixed_window_needs_the_providers_clock(per: float | CalendarUnit) -> None:
    """Below a day it is counted as sliding until the clock is known; it is regular."""
    made = rule(Limit("m", 30, per, Algorithm.FIXED_WINDOW), NOW)

    assert (made.kind, made.strict, made.edges) == (FIXED, True, ())


def test_a_month_follows_the_calendar() -> None:
    """A month's window is its own length, and its slots are fine enough to end it to the second."""
    made = rule(Limit("m", 10_000, CalendarUnit.MONTH, Algorithm.FIXED_WINDOW), NOW)

    assert (made.window, made.slot, made.strict) == (30 * 86400.0, 1.0, False)
    assert len(made.edges) == 4


def test_a_bucket_is_as_large_as_its_burst() -> None:
    """`limit` and `per` say how fast it fills, `burst` how far."""
    made = rule(Limit("b", 60, 60.0, Algorithm.TOKEN_BUCKET, burst=10), NOW)

    assert (made.kind, made.size, made.window) == (BUCKET, 10, 10.0)


def test_pace_and_reserve_go_along() -> None:
    """Unset they bind nobody."""
    month = Limit("m", 100, CalendarUnit.MONTH, Algorithm.FIXED_WINDOW, pace=0.1, reserve=0.2)

    assert (rule(month, NOW).pace, rule(month, NOW).reserve) == (0.1, 0.2)
    assert rule(Limit("m", 1, 1.0, Algorithm.FIXED_WINDOW), NOW).pace < 0


def test_a_day_is_long() -> None:
    """An hour is not."""
    day = rule(Limit("d", 1, CalendarUnit.DAY, Algorithm.FIXED_WINDOW), NOW)
    hour = rule(Limit("h", 1, CalendarUnit.HOUR, Algorithm.FIXED_WINDOW), NOW)

    assert (is_long(day), is_long(hour)) == (True, False)


def test_length_of_calendar_units() -> None:
    """Minutes, hours and days are what they are; a month is the one at hand."""
    units = [CalendarUnit.MINUTE, CalendarUnit.HOUR, CalendarUnit.DAY, CalendarUnit.MONTH]
    lengths = [length(Limit("m", 1, unit, Algorithm.FIXED_WINDOW), NOW) for unit in units]

    assert lengths == [60.0, 3600.0, 86400.0, 30 * 86400.0]
