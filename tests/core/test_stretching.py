"""Stretching: lifetimes grow as a limit nears its end, and never beyond what is allowed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.freshness import Phase, phase
from proxy.core.model import Entry, Lifetimes, Policy
from proxy.core.spending import Level
from proxy.core.stretching import (
    BAND,
    RELEASE,
    Pressure,
    factor,
    held,
    kept,
    pressing,
    pressure,
    stretched,
)
from proxy.core.upstreams import Algorithm, Endpoint, Limit

DAY, MONTH = 86_400.0, 30 * 86_400.0
PRICE = Endpoint("price", "u", "/price", (), ttl=60.0, stretch=3.0)
LIVES = Lifetimes(60.0, stale_while_revalidate=30.0, stale_if_error=600.0)
shares = st.floats(0, 1.2)


def level(used: float, passed: float = 0.0, window: float = 60.0, kind: str = "") -> Level:
    kind = kind or Algorithm.FIXED_WINDOW.value
    return Level("l", "l", 1000, used * 1000, (1 - passed) * window, kind, window)


def entry(lives: Lifetimes = LIVES, status: int = 200) -> Entry:
    return Entry("k", status, "OK", (), b"", "", 0.0, 0.0, 0.0, lives)


@pytest.mark.parametrize(
    ("used", "passed", "window", "kind", "pressed"),
    [
        (0.5, 0, 60, "sliding_window", 0),
        (0.75, 0, 60, "sliding_window", 0.5),
        (1, 0, 60, "sliding_window", 1),
        (0.75, 0.75, 60, "fixed_window", 0),
        (0.875, 0.75, 60, "fixed_window", 0.5),
        (1.3, 1, 60, "fixed_window", 1),
        (0.1, 0.1, MONTH, "fixed_window", 0),
        (0.1, 0.05, MONTH, "fixed_window", 0.5),
        (0.2, 0.05, MONTH, "fixed_window", 1),
        (0.99, 0.995, MONTH, "fixed_window", 0),
    ],
)
def test_what_presses(used: float, passed: float, window: float, kind: str, pressed: float) -> None:
    """A limit near its end, or a month ahead of its pace; not one that is used up on time."""
    assert pytest.approx(pressed, abs=1e-6) == pressure(level(used, passed, window, kind))


def test_a_pace_and_a_reserve_of_its_own() -> None:
    """Where spending may run ahead by a twentieth, that is the end; the reserve is nobody's."""
    limit = Limit("l", 1000, MONTH, Algorithm.FIXED_WINDOW, pace=0.05)
    reserved = Limit("l", 1000, 60.0, Algorithm.SLIDING_WINDOW, reserve=0.2)

    assert pressing([level(0.1, 0.05, MONTH)], [limit]) == 1
    assert pressing([level(0.8, 0, 60, "sliding_window")], [reserved]) == 1
    assert pressing([], [limit]) == 0


@given(shares, shares, st.floats(0, 1), st.sampled_from([60.0, DAY, MONTH]))
def test_pressure_grows_with_what_is_used(
    one: float, other: float, passed: float, window: float
) -> None:
    """More used never presses less, and it stays between 0 and 1."""
    less, more = sorted((one, other))

    assert 0 <= pressure(level(less, passed, window)) <= pressure(level(more, passed, window)) <= 1


@given(shares, st.floats(0, 1), st.floats(1e-7, 1e-6), st.sampled_from([60.0, MONTH]))
def test_pressure_is_smooth(used: float, passed: float, step: float, window: float) -> None:
    """A little more used presses a little more: no lifetime jumps."""
    passed = min(passed, 0.99)
    moved = pressure(level(used + step, passed, window)) - pressure(level(used, passed, window))

    assert moved <= step * 200


def test_it_rises_at_once_and_falls_slowly() -> None:
    """Half of the time is half of the way; a little less pressed for changes nothing."""
    full = held(Pressure(), 1.0, 0.0)
    half = held(full, 0.0, RELEASE / 2)

    assert full.value == 1.0
    assert pytest.approx(0.5) == half.value
    assert held(half, 0.5 - BAND / 2, RELEASE).value == half.value
    assert held(half, 0.0, 10 * RELEASE).value == 0.0
    assert held(half, 0.0, 0.0).value == half.value, "a clock that steps back releases nothing"


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 100)), min_size=1, max_size=20))
def test_what_counts_is_at_least_what_presses(steps: list[tuple[float, float]]) -> None:
    """Hysteresis only ever keeps more, and never more than there was."""
    now, state, highest = 0.0, Pressure(), 0.0
    for raw, seconds in steps:
        now += seconds
        state = held(state, raw, now)
        highest = max(highest, raw)

        assert raw <= state.value <= highest


@given(
    st.floats(0, 1), st.floats(1, 10), st.none() | st.floats(60, 500), st.none() | st.floats(1, 500)
)
def test_never_beyond_what_the_operator_allowed(
    pressed: float, most: float, closes: float | None, oldest: float | None
) -> None:
    """Not beyond `stretch` times the TTL, a candle's close, or `max_age`; and never shorter."""
    rule = Endpoint("e", "u", "/", (), ttl=60.0, stretch=most, max_age=oldest)
    own = Lifetimes(60.0, 0.0 if closes else 30.0, 0.0, most=closes)
    lives = stretched(rule, entry(own), factor(most, pressed))

    assert 60 <= lives.ttl <= 60 * most + 1e-6
    assert closes is None or lives.ttl + lives.stale_while_revalidate <= closes
    assert oldest is None or lives.ttl <= max(60, oldest)
    assert lives.stale_while_revalidate <= own.stale_while_revalidate


def test_a_rescue_ends_when_it_always_did() -> None:
    """Only freshness grows, and the stale window behind it moves along."""
    lives = stretched(PRICE, entry(), 3.0)

    assert (180, 30, 480) == (lives.ttl, lives.stale_while_revalidate, lives.stale_if_error)
    assert [Phase.FRESH, Phase.STALE, Phase.FALLBACK, Phase.EXPIRED] == [
        phase(lives, age) for age in (179, 181, 211, 661)
    ]


def test_errors_and_the_upstreams_word_are_not_stretched() -> None:
    """A 404 stays short, and so does what `cap` and `obey` shorten."""
    cap = Endpoint("e", "u", "/", (), policy=Policy.CAP, ttl=60.0, stretch=3.0)

    assert stretched(PRICE, entry(status=404), 3.0) == LIVES
    assert stretched(cap, entry(), 3.0) == kept(cap, LIVES) == LIVES


def test_it_is_kept_as_long_as_it_may_be_stretched() -> None:
    """The store must still have what has been stretched, after a restart too."""
    assert kept(PRICE, Lifetimes(60.0, 30.0)).usable == 210
    assert kept(PRICE, Lifetimes(60.0, 0.0, most=61.0)).usable == 61
