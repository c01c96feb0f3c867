"""Quotas in simulated time: the simulated providers themselves."""

import pytest

from proxy.core.upstreams import Algorithm, Limit
from proxy.sandbox.simulation import (
    Enforcer,
    FixedWindow,
    Simulation,
    SlidingWindow,
    TokenBucket,
    Trial,
)


@pytest.mark.parametrize(
    ("enforcer", "calls", "accepted"),
    [
        (FixedWindow(2, 10.0), [1, 2, 3, 10, 11, 12], [1, 2, 10, 11]),
        (FixedWindow(2, 10.0, 5.0), [1, 2, 3, 5, 6, 7], [1, 2, 5, 6]),
        (SlidingWindow(2, 10.0), [1, 5, 9, 11, 12, 15], [1, 5, 11, 15]),
        (TokenBucket(1, 5.0, 2), [1, 2, 3, 6, 7, 11], [1, 2, 6, 11]),
    ],
)
def test_providers_enforce_what_they_say(
    enforcer: Enforcer, calls: list[float], accepted: list[float]
) -> None:
    """Two in ten seconds: aligned, from a phase on, in any; and one in five with a burst of two."""
    assert [at for at in calls if enforcer.take(float(at), 1.0)] == accepted


def test_a_wrong_rule_is_refused() -> None:
    """A bucket against a provider that counts windows lets too much through: the trial shows it."""
    limit = Limit("m", 30, 60.0, Algorithm.TOKEN_BUCKET, burst=30)
    result = Simulation(Trial(limit, SlidingWindow(30, 60.0), 0.1, 3, 5.0)).run()

    assert result.refused > 0


def test_a_trial_comes_out_the_same_again() -> None:
    """One seed, one history."""
    limit = Limit("m", 30, 60.0, Algorithm.SLIDING_WINDOW)
    results = [
        Simulation(Trial(limit, SlidingWindow(30, 60.0), 0.5, 3, 2.0, seed=7)).run()
        for _ in range(2)
    ]

    assert results[0] == results[1]
    assert results[0].given_up > 0


def test_strangers_and_lost_answers() -> None:
    """Another program gets its part, and answers that never come are no refusals."""
    limit = Limit("m", 30, 60.0, Algorithm.SLIDING_WINDOW)
    trial = Trial(limit, SlidingWindow(30, 60.0), 0.1, 2, 0.3, foreign=0.5, lost=0.2)
    result = Simulation(trial).run()

    assert result.refused == 0
    assert result.foreign == pytest.approx(0.5 * 30 * 12, rel=0.02)
    assert result.granted <= result.asked
