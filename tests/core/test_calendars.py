"""Where calendar windows begin."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.calendars import edges, phase
from proxy.core.upstreams import Algorithm, CalendarUnit, Limit


def _limit(per: CalendarUnit, **settings: object) -> Limit:
    return Limit("x", 10, per, Algorithm.FIXED_WINDOW, **settings)  # type: ignore[arg-type]


def _at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def _texts(times: tuple[float, ...]) -> list[str]:
    return [datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M") for time in times]


MONTH, DAY = CalendarUnit.MONTH, CalendarUnit.DAY


@pytest.mark.parametrize(
    ("limit", "now", "expected"),
    [
        (_limit(MONTH), "2026-03-15", ["2026-02-01T00:00", "2026-03-01T00:00", "2026-04-01T00:00"]),
        (_limit(MONTH), "2026-03-01", ["2026-02-01T00:00", "2026-03-01T00:00", "2026-04-01T00:00"]),
        (
            _limit(MONTH, resets_day=31),
            "2026-03-15",
            ["2026-01-31T00:00", "2026-02-28T00:00", "2026-03-31T00:00"],
        ),
        (
            _limit(MONTH, resets_day=31),
            "2024-02-29T12:00",
            ["2024-01-31T00:00", "2024-02-29T00:00", "2024-03-31T00:00"],
        ),
        (
            _limit(MONTH, resets_day=5, resets_time=3600.0),
            "2026-01-05T00:30",
            ["2025-11-05T01:00", "2025-12-05T01:00", "2026-01-05T01:00"],
        ),
        (
            _limit(MONTH, timezone="America/New_York"),
            "2026-03-15",
            ["2026-02-01T05:00", "2026-03-01T05:00", "2026-04-01T04:00"],
        ),
        (_limit(DAY), "2026-03-15T10:00", ["2026-03-14T00:00", "2026-03-15T00:00"]),
        (
            _limit(DAY, resets_time=43200.0),
            "2026-03-15T10:00",
            ["2026-03-13T12:00", "2026-03-14T12:00"],
        ),
        (
            _limit(DAY, timezone="Europe/Berlin"),
            "2026-03-29T10:00",
            ["2026-03-27T23:00", "2026-03-28T23:00", "2026-03-29T22:00"],
        ),
        (
            _limit(DAY, timezone="Europe/Berlin", resets_time=9000.0),
            "2026-03-29T10:00",
            ["2026-03-28T01:30", "2026-03-29T01:30", "2026-03-30T00:30"],
        ),
    ],
)
def test_windows_begin_where_the_calendar_says(limit: Limit, now: str, expected: list[str]) -> None:
    """Days and months begin at their time of day in their zone, clipped, over clock changes."""
    found = edges(limit, _at(now))

    assert _texts(found)[: len(expected)] == expected


@given(
    st.sampled_from([MONTH, DAY]),
    st.floats(1.6e9, 2.2e9),
    st.integers(1, 31),
    st.floats(0, 86399),
    st.sampled_from(["UTC", "Asia/Kathmandu", "America/Sao_Paulo", "Australia/Lord_Howe"]),
)
def test_the_present_window_is_the_second(
    per: CalendarUnit, now: float, day: int, time: float, zone: str
) -> None:
    """Four beginnings, ascending: one window gone by, the present one, and two to come."""
    limit = _limit(per, resets_day=day, resets_time=time, timezone=zone)
    found = edges(limit, now)

    assert len(found) == 4
    assert list(found) == sorted(set(found))
    assert found[1] <= now < found[2]


def test_hours_follow_the_zone() -> None:
    """In a zone that is 5 h 45 min ahead, hours begin at a quarter past."""
    limit = _limit(CalendarUnit.HOUR, timezone="Asia/Kathmandu")

    assert phase(limit, 1.7e9) == 900.0
    assert phase(_limit(CalendarUnit.HOUR), 1.7e9) == 0.0
    assert phase(_limit(CalendarUnit.MINUTE, timezone="Europe/Berlin"), 1.7e9) == 0.0
