"""Spacing: what is left of a limit lasts until it is whole again."""

import pytest

from proxy.core.spacing import pause
from proxy.core.spending import Bill, Charge, Level
from proxy.core.upstreams import Algorithm, Limit

LIMIT = Limit("minute", 30, 60.0, Algorithm.SLIDING_WINDOW)


def bill(cost: float = 1.0, limit: Limit = LIMIT) -> Bill:
    return Bill("coingecko", (Charge(limit, limit.name, cost),), 8.0)


def level(
    used: float, resets_in: float = 60.0, window: float = 60.0, name: str = "minute"
) -> Level:
    return Level(name, name, 30, used, resets_in, "sliding_window", window)


@pytest.mark.parametrize(
    ("used", "resets_in", "cost", "seconds"),
    [
        (0, 0, 1, 0.0),
        (15, 60, 1, 0.0),
        (16, 56, 1, 4.0),
        (20, 60, 1, 6.0),
        (20, 60, 2, 12.0),
        (29, 30, 1, 30.0),
        (30, 30, 1, 30.0),
        (31, 30, 1, 30.0),
        (29, 90, 1, 60.0),
    ],
)
def test_what_is_left_is_spread(used: float, resets_in: float, cost: float, seconds: float) -> None:
    """Up to half of it calls leave at once; the rest goes evenly, the window's length at most."""
    assert seconds == pytest.approx(pause(bill(cost), [level(used, resets_in)]))


def test_the_reserve_is_not_there_to_be_spread() -> None:
    """A limit with a reserve is half used the sooner."""
    kept = Limit("minute", 30, 60.0, Algorithm.SLIDING_WINDOW, reserve=0.5)

    assert 0.0 == pause(bill(), [level(10)])
    assert 12.0 == pytest.approx(pause(bill(limit=kept), [level(10)]))


def test_the_scarcest_limit_counts_and_others_do_not() -> None:
    """Of those that the bill spends from; a month has a pace of its own."""
    month = Limit("month", 10_000, 60.0, Algorithm.FIXED_WINDOW)
    both = Bill("x", (Charge(LIMIT, "minute", 1.0), Charge(month, "month", 1.0)), 8.0)
    levels = [level(20), level(29, 1e6, 2.7e6, "month"), level(30, name="another")]

    assert 6.0 == pytest.approx(pause(both, levels))
    assert 0.0 == pause(both, [])
    assert 0.0 == pause(bill(0.0), [level(30)])
