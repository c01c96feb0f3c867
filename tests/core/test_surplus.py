"""Surplus: a refresh that nobody waits for goes only where there is room, and when it is due."""

import pytest

from proxy.core.model import Lifetimes
from proxy.core.spending import Bill, Charge, Level
from proxy.core.surplus import is_due, is_worn, spare, worth
from proxy.core.upstreams import Algorithm, Limit

MONTH = 30 * 86_400.0
MINUTE = Limit("minute", 30, 60.0, Algorithm.SLIDING_WINDOW)
RESERVED = Limit("minute", 30, 60.0, Algorithm.SLIDING_WINDOW, reserve=0.5)


def bill(cost: float = 1.0, limit: Limit = MINUTE) -> Bill:
    return Bill("u", (Charge(limit, limit.name, cost),), 8.0)


def level(used: float, *, window: float = 60.0, passed: float = 0.0) -> Level:
    kind = "fixed_window" if window > 60 else "sliding_window"
    return Level("minute", "minute", 30, used, window * (1 - passed), kind, window)


@pytest.mark.parametrize(
    ("used", "cost", "planned", "goes"),
    [(0, 1, 0, True), (14, 1, 0, True), (15, 1, 0, False), (10, 6, 0, False), (10, 1, 5, False)],
)
def test_no_more_than_half(used: float, cost: float, planned: float, *, goes: bool) -> None:
    """Itself, and what goes in the same moment, included."""
    assert goes is spare(bill(cost), (level(used),), {"minute": planned})


def test_the_reserve_is_nobodys() -> None:
    """Half of what is not reserved."""
    assert spare(bill(1, RESERVED), (level(6),), {})
    assert not spare(bill(1, RESERVED), (level(7),), {})


def test_a_month_is_not_run_ahead_of() -> None:
    """What has passed of the month may be used of it, and no more."""
    assert spare(bill(), (level(5, window=MONTH, passed=0.21),), {})
    assert not spare(bill(), (level(6, window=MONTH, passed=0.21),), {})


def test_other_counts_do_not_matter() -> None:
    """Only those that the refresh spends from."""
    assert spare(Bill("u", (), 8.0), (level(30),), {})


@pytest.mark.parametrize(
    ("lives", "age", "due"),
    [
        (Lifetimes(60), 53, False),
        (Lifetimes(60), 54, True),
        (Lifetimes(60), 100, True),
        (Lifetimes(10), 8, True),
        (Lifetimes(2), 0.9, False),
        (Lifetimes(2), 1, True),
        (Lifetimes(30, most=30), 29.9, False),
        (Lifetimes(30, most=30), 30, True),
        (Lifetimes(30, most=300), 28, True),
    ],
)
def test_when_it_is_due(lives: Lifetimes, age: float, *, due: bool) -> None:
    """In the last tenth; where a candle's close ends it, then: nothing new is to be had before."""
    assert due is is_due(lives, age)


@pytest.mark.parametrize(
    ("age", "hits", "worn"),
    [
        (100.0, 71, False),
        (100.0, 72, True),  # 72 hits of 50 s on average: an hour
        (50.0, 72, False),
        (50.0, 144, True),
        (0.0, 10**9, False),  # young it cannot be worn
        (539.0, 1000, True),
        (540.0, 1000, False),  # it ends soon: whoever asks then has a new one
        (700.0, 1000, False),
    ],
)
def test_when_it_is_worn(age: float, hits: int, *, worn: bool) -> None:
    """Many hits of a little age, or fewer of more, are worth a call; few of a little are not."""
    assert worn is is_worn(Lifetimes(600.0), age, hits, 3600.0)


def test_what_saves_most_for_its_cost() -> None:
    """Many hits and a small share of a limit."""
    assert worth(10, bill(1)) > worth(10, bill(5)) > worth(1, bill(5))
    assert worth(1, Bill("u", (), 8.0)) > worth(10, bill(1))
