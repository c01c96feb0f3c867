"""Sliding and fixed windows."""

import pytest

from proxy.core import tallies, windows
from proxy.core.counts import Count, Moment, Told
from proxy.core.offsets import UNKNOWN, Offset
from proxy.core.rules import FIXED, SLIDING, Rule

SLIDE = Rule(SLIDING, 10, 64.0, 0.25)
MINUTE = Rule(FIXED, 10, 60.0, 60 / 256, strict=True)
MONTH = Rule(FIXED, 10, 1000.0, 1.0, edges=(1000.0, 2000.0, 3000.0, 4000.0))
EXACT = Offset(0.0, 0.0, 0.0, 5)


def _count(rule: Rule, *answered: float) -> Count:
    own = tallies.EMPTY
    for at in answered:
        own = tallies.added(own, tallies.slot_at(at, rule.slot), 1.0)
    return Count(rule.slot, own)


@pytest.mark.parametrize(("now", "left"), [(163.9, 1), (164.0, 1), (164.26, 0)])
def test_a_sliding_token_is_back_one_window_after_it_was_answered(now: float, left: int) -> None:
    """Not earlier, and less than a slot later."""
    rolled = windows.rolled(SLIDE, _count(SLIDE, 100.0), Moment(now, now))

    assert rolled.own.total == left


@pytest.mark.parametrize(
    ("offset", "now", "counted"),
    [
        (EXACT, 119.9, 2),
        (EXACT, 120.1, 1),  # 119.0 is of the minute gone by, 120.0 of this one
        (Offset(-0.4, 0.4, 120.0, 5), 120.3, 2),  # perhaps not yet over there
        (Offset(-0.4, 0.4, 120.0, 5), 120.45, 1),
        (Offset(-0.4, 1.5, 120.0, 5), 120.45, 2),  # 119.0 here may have been 120.5 there
        (Offset(30.0, 30.0, 120.0, 5), 149.9, 2),  # there it is already half past
        (Offset(30.0, 30.0, 120.0, 5), 150.1, 0),
        (Offset(-20.0, 20.0, 120.0, 5), 125.0, 2),  # known too badly: a sliding window
        (UNKNOWN, 125.0, 2),
        (UNKNOWN, 180.5, 0),
    ],
)
def test_a_fixed_window_is_the_providers(offset: Offset, now: float, counted: int) -> None:
    """It ends when the provider's clock has surely passed, and keeps what may be of the next."""
    rolled = windows.rolled(MINUTE, _count(MINUTE, 119.0, 120.0), Moment(now, now, offset))

    assert rolled.own.total == counted


def test_an_exchange_over_the_boundary_counts_on_both_sides() -> None:
    """Booked to be answered at 128, granted at 118: it is in the window before and in the next."""
    count = _count(MINUTE, 128.0)

    assert windows.rolled(MINUTE, count, Moment(118.0, 0, EXACT)).own.total == 1
    assert windows.rolled(MINUTE, count, Moment(121.0, 0, EXACT)).own.total == 1
    assert windows.rolled(MINUTE, count, Moment(181.0, 0, EXACT)).own.total == 0


def test_a_long_window_follows_the_wall_where_the_provider_is_unknown() -> None:
    """Ledger's time 500 is wall 2500: the window began at 2000 there; 2 s may be off."""
    frame = windows.frame(MONTH, Moment(500.0, 2500.0))

    assert frame.fixed
    assert (frame.start, frame.end, frame.cut) == (2000.0, 3000.0, -2.0)


@pytest.mark.parametrize(
    ("time", "window"),
    [
        (500.0, (0.0, 1000.0)),
        (1000.0, (1000.0, 2000.0)),
        (2999.0, (2000.0, 3000.0)),
        (9000.0, (4000.0, 5000.0)),
    ],
)
def test_windows_beyond_what_is_known(time: float, window: tuple[float, float]) -> None:
    """Before the first known boundary nothing is let go; after the last, one window's length."""
    assert windows.window_of(MONTH, time) == window


def test_a_long_past_is_one_entry() -> None:
    """A month's count stays small: all but its last 256 s is one sum."""
    count = _count(MONTH, *(float(second) for second in range(2000, 2600)))
    rolled = windows.rolled(MONTH, count, Moment(2600.0, 2600.0))

    assert rolled.own.total == 600
    assert len(rolled.own.slots) <= 258


@pytest.mark.parametrize(
    ("urgent", "reserve", "pace", "now", "expected"),
    [
        (False, 0.0, -1.0, 2500.0, 10.0),
        (False, 0.2, -1.0, 2500.0, 8.0),
        (True, 0.2, 0.1, 2500.0, 10.0),
        (False, 0.0, 0.1, 2500.0, 6.0),
        (False, 0.2, 0.1, 2990.0, 8.0),
    ],
)
def test_reserve_and_pace_bind_what_is_not_urgent(
    urgent: bool,  # noqa: FBT001 - a row of the table
    reserve: float,
    pace: float,
    now: float,
    expected: float,
) -> None:
    """A share is kept back; spending runs ahead of the calendar by a share and no further."""
    rule = Rule(FIXED, 10, 1000.0, 1.0, edges=MONTH.edges, reserve=reserve, pace=pace)
    moment = Moment(now, now, EXACT)
    most = windows.allowed(rule, Count(1.0), moment, urgent=urgent)

    assert most == pytest.approx(expected, abs=0.01)


def test_the_providers_own_size_binds_where_it_is_smaller() -> None:
    """A limit stated as 4 leaves 4, whatever the file says; one of 40 leaves what the file says."""
    assert windows.size_of(SLIDE, Count(0.25, told=Told(size=4))) == 4
    assert windows.size_of(SLIDE, Count(0.25, told=Told(size=40))) == 10


def test_a_full_window_has_no_room() -> None:
    """Ten of ten are spent; nine leave one."""
    now = Moment(110.0, 110.0)

    assert not windows.fits(SLIDE, _count(SLIDE, *[100.0] * 10), 1.0, now, urgent=False)
    assert windows.fits(SLIDE, _count(SLIDE, *[100.0] * 9), 1.0, now, urgent=False)
