"""Holds: how long, how they grow, who goes first."""

import math

import pytest

from proxy.core.holds import FREE, Refusal, ended, entered, held_until, lengthened


def _refusal(seconds: float = -1.0, jitter: float = 0.0) -> Refusal:
    return Refusal("429", seconds, first=10.0, most=60.0, jitter=jitter)


def test_the_providers_word_counts() -> None:
    """`Retry-After: 30` holds for 30 s."""
    hold = lengthened(FREE, _refusal(30.0), sent=99.0, now=100.0)

    assert held_until(hold, 100.0) == 130.0
    assert held_until(hold, 129.9) == 130.0
    assert held_until(hold, 130.0) is None


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.0, 1.0), (math.inf, 7 * 86400.0), (1e9, 7 * 86400.0)]
)
def test_a_word_without_sense_is_bounded(seconds: float, expected: float) -> None:
    """Nothing is held for less than a second or more than a week."""
    hold = lengthened(FREE, _refusal(seconds), sent=99.0, now=100.0)

    assert held_until(hold, 100.0) == 100.0 + expected


def test_without_a_word_it_grows_in_steps() -> None:
    """10, 20, 40 s, then 60 at most: each after a probe that was refused."""
    hold, now, lengths = FREE, 100.0, []
    for _ in range(5):
        hold = lengthened(hold, _refusal(), sent=now, now=now)
        until = held_until(hold, now)
        assert until is not None
        lengths.append(until - now)
        now = until

    assert lengths == [10.0, 20.0, 40.0, 60.0, 60.0]


def test_steps_have_jitter() -> None:
    """Up to a tenth more, so that instances do not meet."""
    hold = lengthened(FREE, _refusal(jitter=1.0), sent=99.0, now=100.0)

    assert held_until(hold, 100.0) == pytest.approx(111.0)


def test_calls_that_left_before_do_not_make_it_grow() -> None:
    """Ten refusals of calls that were under way together are one refusal; a longer word extends."""
    hold = lengthened(FREE, _refusal(), sent=99.0, now=100.0)
    for _ in range(9):
        hold = lengthened(hold, _refusal(), sent=99.5, now=100.5)

    assert held_until(hold, 101.0) == 110.0
    assert held_until(lengthened(hold, _refusal(40.0), 99.0, 101.0), 101.0) == 141.0


def test_a_second_refusal_lengthens_what_the_provider_says() -> None:
    """Who is refused again after `Retry-After: 1` waits longer than a second."""
    hold = lengthened(FREE, _refusal(1.0), sent=99.0, now=100.0)
    hold = lengthened(hold, _refusal(1.0), sent=101.0, now=101.0)

    assert held_until(hold, 101.0) == 111.0


def test_one_probe_goes_first() -> None:
    """After the hold one goes; until it is settled, or cannot be answered any more, nobody else."""
    hold = lengthened(FREE, _refusal(), sent=99.0, now=100.0)
    probing = entered(hold, "probe", until=118.0)

    assert held_until(probing, 112.0) == 118.0
    assert held_until(probing, 118.0) is None
    assert ended(probing, "probe", 110.0, answered=True) is FREE
    assert held_until(ended(probing, "probe", 110.0, answered=False), 112.0) is None


def test_an_old_answer_does_not_end_a_hold() -> None:
    """A call that had left before the refusal says nothing about now."""
    hold = lengthened(FREE, _refusal(), sent=99.0, now=100.0)

    assert ended(hold, "old", 99.0, answered=True) == hold
    assert entered(FREE, "any", 1.0) is FREE
    assert ended(FREE, "any", 1.0, answered=True) is FREE


def test_refusals_do_not_overflow() -> None:
    """A provider that refuses for weeks meets no huge powers."""
    hold, now = FREE, 100.0
    for _ in range(2000):
        hold = lengthened(hold, _refusal(), sent=now, now=now)
        now = (held_until(hold, now) or now) + 1.0

    assert hold.refusals == 64
