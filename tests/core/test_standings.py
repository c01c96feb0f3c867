"""How a count stands, said to people and queues."""

import math

import msgspec
import pytest

from proxy.core import standings, tallies
from proxy.core.counts import Count, Moment
from proxy.core.offsets import Offset
from proxy.core.rules import BUCKET, FIXED, SLIDING, Rule
from proxy.core.upstreams import Algorithm, Limit

LIMIT = Limit("m", 3, 64.0, Algorithm.SLIDING_WINDOW)
SLIDE = Rule(SLIDING, 3, 64.0, 0.25)
MONTH = Rule(FIXED, 10, 1000.0, 1.0, edges=(1000.0, 2000.0, 3000.0, 4000.0))
POT = Rule(BUCKET, 10, 10.0, 0.5)
NOW = Moment(1500.0, 1500.0, Offset(0.0, 0.0, 1500.0, 3))


def _count(rule: Rule, *spent: tuple[float, float], level: float = 0.0) -> Count:
    own = tallies.EMPTY
    for at, tokens in spent:
        own = tallies.added(own, tallies.slot_at(at, rule.slot), tokens)
    return Count(rule.slot, own, level=level, at=1500.0 if rule.kind == BUCKET else 0.0)


def test_a_level_says_what_is_used_and_when_it_is_whole() -> None:
    """Two of three, answered at 1490 at the latest: whole 64 s after."""
    level = standings.level(LIMIT, "m/x", SLIDE, _count(SLIDE, (1480.1, 1.0), (1489.9, 1.0)), NOW)

    assert (level.limit, level.bucket, level.size, level.used) == ("m", "m/x", 3, 2)
    assert (level.remaining, level.resets_in) == (1, 54.0)
    assert (level.algorithm, level.window) == ("sliding_window", 64.0)


@pytest.mark.parametrize(
    ("rule", "count", "expected"),
    [
        (SLIDE, _count(SLIDE), 0.0),
        (MONTH, _count(MONTH), 0.0),
        (MONTH, _count(MONTH, (1400.0, 3.0)), 500.0),
        (MONTH, _count(MONTH, (2005.0, 3.0)), 1500.0),  # in flight over the boundary
        (POT, _count(POT, level=4.0), 6.0),
        (POT, _count(POT, (1519.9, 1.0), level=9.0), 20.0),
    ],
)
def test_when_all_is_there_again(rule: Rule, count: Count, expected: float) -> None:
    """Sliding: the last one's time; fixed: the boundary; bucket: when full, and none in flight."""
    assert standings.whole_in(rule, count, NOW) == expected


def test_a_full_window_says_when_one_is_back() -> None:
    """Answered at 1480, 1485 and 1490: the first is back at 1544.25, all three at 1554.25."""
    count = _count(SLIDE, (1480.0, 1.0), (1485.0, 1.0), (1490.0, 1.0))
    denied = standings.denied(LIMIT, SLIDE, count, 1.0, NOW, urgent=False)
    two = standings.denied(LIMIT, SLIDE, count, 2.0, NOW, urgent=False)

    assert (denied.limit, denied.retry_after, denied.resets_in) == ("m", 44.25, 54.25)
    assert two.retry_after == 49.25
    assert denied.returns == ((44.25, 1.0), (49.25, 1.0), (54.25, 1.0))
    assert denied.soonest is None


def test_what_is_in_flight_may_come_back_sooner() -> None:
    """Booked to 1508: back at 1572.25 at the latest; were it answered now, at 1564."""
    denied = standings.denied(LIMIT, SLIDE, _count(SLIDE, (1508.0, 3.0)), 1.0, NOW, urgent=False)

    assert (denied.retry_after, denied.soonest) == (72.25, 64.0)


def test_what_may_not_be_charged_is_worth_asking_for_soon() -> None:
    """Where some answers are not charged, a call in flight may free its token any moment."""
    limit = Limit("m", 3, 64.0, Algorithm.SLIDING_WINDOW, charged_for=frozenset({200}))
    denied = standings.denied(limit, SLIDE, _count(SLIDE, (1508.0, 3.0)), 1.0, NOW, urgent=False)

    assert denied.soonest == standings.ASK_AGAIN


def test_what_is_left_is_told_too() -> None:
    """One is left of three and two are wanted: one more must come back."""
    count = _count(SLIDE, (1480.0, 2.0))
    denied = standings.denied(LIMIT, SLIDE, count, 2.0, NOW, urgent=False)

    assert denied.returns == ((0.0, 1.0), (44.25, 2.0))


def test_more_than_there_ever_is_waits_for_all() -> None:
    """Five of three: as long as until the window is whole, and never endless."""
    count = _count(SLIDE, (1480.0, 2.0))

    assert standings.denied(LIMIT, SLIDE, count, 5.0, NOW, urgent=False).retry_after == 44.25
    assert standings.denied(LIMIT, SLIDE, _count(SLIDE), 5.0, NOW, urgent=False).retry_after == 64.0


def test_a_paced_month_says_when_its_pace_allows() -> None:
    """6 of 10 at half time with 10 % ahead: the seventh may go when 60 % of it have passed."""
    rule = Rule(FIXED, 10, 1000.0, 1.0, edges=MONTH.edges, pace=0.1)
    count = _count(rule, (1400.0, 6.0))
    denied = standings.denied(LIMIT, rule, count, 1.0, NOW, urgent=False)

    assert denied.retry_after == pytest.approx(100.0)


def test_a_month_used_up_waits_for_the_next() -> None:
    """All tokens come at the boundary; what spans it, at the one after."""
    denied = standings.denied(LIMIT, MONTH, _count(MONTH, (1400.0, 10.0)), 1.0, NOW, urgent=False)
    spanning = _count(MONTH, (1400.0, 4.0), (2003.0, 6.0))
    both = standings.denied(LIMIT, MONTH, spanning, 8.0, NOW, urgent=False)

    assert denied.retry_after == 500.0
    assert (both.retry_after, both.soonest) == (1500.0, 500.0)


def test_a_bucket_says_when_it_holds_enough() -> None:
    """At a token a second, 3 more take 3 s; if 8 in flight keep it from filling, longer."""
    denied = standings.denied(LIMIT, POT, _count(POT, level=2.0), 5.0, NOW, urgent=False)
    count = _count(POT, (1519.9, 8.0), level=2.0)
    kept = standings.denied(LIMIT, POT, count, 5.0, NOW, urgent=False)

    assert (denied.retry_after, denied.soonest) == (3.0, None)
    assert (kept.retry_after, kept.soonest) == (23.0, 3.0)
    assert denied.returns[0] == (0.0, 2.0)


@pytest.mark.parametrize(
    ("rule", "count", "room", "returns", "ends_in", "brim"),
    [
        (SLIDE, _count(SLIDE, (1480.1, 1.0)), 2.0, ((44.25, 1.0),), None, math.inf),
        (MONTH, _count(MONTH, (1400.0, 3.0)), 7.0, ((500.0, 3.0),), 500.0, math.inf),
        (POT, _count(POT, level=4.0), 4.0, None, None, 10.0),
        (POT, _count(POT, (1519.9, 3.0), level=4.0), 4.0, None, None, 7.0),
    ],
)
def test_an_outlook_says_what_is_left_and_when_more_comes(
    rule: Rule,
    count: Count,
    room: float,
    returns: tuple[tuple[float, float], ...] | None,
    ends_in: float | None,
    brim: float,
) -> None:
    """Windows give back what was answered, a fixed one all at its end; a bucket fills evenly."""
    outlook = standings.outlook(rule, count, NOW)

    assert (room, ends_in) == (outlook.room, outlook.ends_in)
    assert outlook.brim == pytest.approx(brim)
    assert outlook.again == rule.window
    if returns is None:
        assert sum(tokens for _, tokens in outlook.returns) == pytest.approx(rule.size)
        assert outlook.returns[-1][0] == pytest.approx(rule.window)
    else:
        assert outlook.returns == returns


def test_what_is_reserved_is_not_in_the_outlook() -> None:
    """Half is kept for the urgent: of ten nothing is left to others when five are used."""
    halved = msgspec.structs.replace(MONTH, reserve=0.5)

    assert standings.outlook(halved, _count(halved, (1400.0, 5.0)), NOW).room == 0
