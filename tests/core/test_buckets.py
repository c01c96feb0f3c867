"""Token buckets."""

import pytest

from proxy.core import buckets, tallies
from proxy.core.counts import Count
from proxy.core.rules import BUCKET, Rule

RULE = Rule(BUCKET, 10, 10.0, 0.5)
"""One token a second, ten at most."""


def _count(level: float, *flying: tuple[float, float]) -> Count:
    own = tallies.EMPTY
    for until, tokens in flying:
        own = tallies.added(own, tallies.slot_at(until, RULE.slot), tokens)
    return Count(RULE.slot, own, level=level, at=100.0)


@pytest.mark.parametrize(
    ("level", "now", "expected"), [(3.0, 102.0, 5.0), (3.0, 120.0, 10.0), (3.0, 99.0, 3.0)]
)
def test_it_fills_to_the_brim_and_no_further(level: float, now: float, expected: float) -> None:
    """A token a second; a clock that steps back fills nothing."""
    assert buckets.filled(RULE, _count(level), now).level == expected


def test_it_fills_up_to_its_size_less_what_is_in_flight() -> None:
    """Four in flight till 106: it stands at 6 until then, and goes on filling after it."""
    count = _count(5.0, (105.9, 4.0))

    assert buckets.filled(RULE, count, 105.0).level == 6.0
    assert buckets.filled(RULE, count, 106.0).level == 6.0
    assert buckets.filled(RULE, count, 108.0).level == 8.0


def test_filling_in_steps_is_filling_at_once() -> None:
    """Who is asked often sees what who is asked once does."""
    count = _count(5.0, (103.9, 2.0), (105.9, 2.0))
    stepped = count
    for now in (101.0, 103.0, 104.5, 106.5):
        stepped = buckets.filled(RULE, stepped, now)

    assert stepped.level == pytest.approx(buckets.filled(RULE, count, 106.5).level)


def test_what_is_in_flight_is_what_may_still_be_answered() -> None:
    """A slot that has ended is answered or lost."""
    count = _count(5.0, (101.0, 1.0), (105.0, 2.0))

    assert buckets.in_flight(count, 103.0, RULE.slot) == 2.0
    assert buckets.in_flight(count, 106.0, RULE.slot) == 0.0


def test_a_full_bucket_owes_nothing() -> None:
    """What the provider's figures took away has come back once it is full."""
    import msgspec  # noqa: PLC0415 - only here

    count = msgspec.structs.replace(_count(5.0), owed=3.0)

    assert buckets.filled(RULE, count, 101.0).owed == 3.0
    assert buckets.filled(RULE, count, 110.0).owed == 0.0


def test_the_reserve_is_kept_at_the_bottom() -> None:
    """With 2 of 10 in reserve, a level of 3 gives 1 to anybody and 3 to who is urgent."""
    rule = Rule(BUCKET, 10, 10.0, 0.5, reserve=0.2)

    assert buckets.fits(rule, _count(3.0), 1.0, urgent=False)
    assert not buckets.fits(rule, _count(3.0), 2.0, urgent=False)
    assert buckets.fits(rule, _count(3.0), 3.0, urgent=True)
