"""What the provider says, held against what we counted."""

import math

import pytest

from proxy.core import tallies
from proxy.core.counts import Count, Moment
from proxy.core.offsets import UNKNOWN, Offset
from proxy.core.reports import Figure, corrected
from proxy.core.rules import BUCKET, FIXED, SLIDING, Rule

SLIDE = Rule(SLIDING, 100, 64.0, 0.25)
MINUTE = Rule(FIXED, 100, 60.0, 60 / 256, strict=True)
POT = Rule(BUCKET, 100, 100.0, 0.5)
EXACT = Offset(0.0, 0.0, 0.0, 5)
NOW = Moment(130.0, 130.0, EXACT)
"""Ten seconds into the minute that began at 120."""


def _count(rule: Rule, *spent: tuple[float, float], level: float = 100.0) -> Count:
    own = tallies.EMPTY
    for at, tokens in spent:
        own = tallies.added(own, tallies.slot_at(at, rule.slot), tokens)
    at = 130.0 if rule.kind == BUCKET else 0.0
    return Count(rule.slot, own, level=level if rule.kind == BUCKET else 0.0, at=at)


def _told(
    rule: Rule, count: Count, used: float, *, sent: float = 129.0, size: float = 0.0,
    cost: float = 1.0, moment: Moment = NOW,
) -> Count:  # fmt: skip
    return corrected(rule, count, Figure("m", used, size, cost), sent, moment)


@pytest.mark.parametrize("rule", [SLIDE, MINUTE])
def test_others_are_what_is_more_than_ours(rule: Rule) -> None:
    """We spent 11 (1 just now), the provider counted 50: others spent 39."""
    told = _told(rule, _count(rule, (125.0, 10.0), (129.9, 1.0)), 50.0)

    assert told.foreign.total == 39


@pytest.mark.parametrize("rule", [SLIDE, MINUTE, POT])
@pytest.mark.parametrize("used", [-1.0, math.nan, math.inf, -math.inf])
def test_what_is_no_figure_says_nothing(rule: Rule, used: float) -> None:
    """Negative, endless, no number: the count is as it was."""
    count = _count(rule, (125.0, 10.0))

    assert _told(rule, count, used) == count


@pytest.mark.parametrize("rule", [SLIDE, MINUTE])
def test_never_below_what_we_sent(rule: Rule) -> None:
    """The provider says 3 where we sent 11: the count stays 11."""
    told = _told(rule, _count(rule, (125.0, 10.0), (129.9, 1.0)), 3.0)

    assert told.own.total + told.foreign.total == 11


def test_a_burst_in_flight_is_not_taken_for_others() -> None:
    """Forty of our own leave together; their answers come in any order, and show no others.

    1. all are booked; 2. the first answer says that 25 are counted; 3. it might be others' 24;
    4. each further answer tells that it was ours; 5. after the last one nothing is left.
    """
    count = _count(MINUTE, (137.0, 40.0))
    figures = [25, 3, 40, 7, *(n for n in range(1, 41) if n not in {25, 3, 40, 7})]
    seen = []
    for used in figures:
        own, _ = tallies.taken(count.own, tallies.slot_at(137.0, MINUTE.slot), 1.0)
        own = tallies.added(own, tallies.slot_at(130.0, MINUTE.slot), 1.0)
        count = Count(count.slot, own, count.foreign, count.told)
        count = _told(MINUTE, count, float(used))
        seen.append(count.foreign.total)

    assert seen[0] == 24
    assert max(seen) == 37
    assert seen[-1] == 0


def test_an_answer_of_the_window_before_is_not_believed() -> None:
    """Sent at 119, answered at 130, over the boundary at 120: 90 may be of the minute gone by."""
    count = _count(MINUTE, (129.9, 1.0))

    assert _told(MINUTE, count, 90.0, sent=119.0) == count


def test_an_overtaken_answer_lowers_nothing() -> None:
    """A call that was sent before the last answer came may be older than it; one sent after not."""
    count = _told(SLIDE, _count(SLIDE, (129.9, 1.0)), 50.0)
    later = Moment(132.0, 132.0)

    assert _told(SLIDE, count, 5.0, sent=129.5, moment=later).foreign.total == 49
    assert _told(SLIDE, count, 5.0, sent=131.0, moment=later).foreign.total < 5


def test_what_may_be_ours_is_held_only_until_it_must_be_answered() -> None:
    """Of 30 told, 20 may be ours in flight until 135: 10 stay, 20 go at 135."""
    count = _count(SLIDE, (129.9, 1.0), (134.9, 20.0))
    told = _told(SLIDE, count, 31.0)

    assert told.foreign.total == 30
    assert tallies.since(told.foreign, 135.3 - 64.0, SLIDE.slot).total == 10


def test_a_lower_figure_sent_later_is_believed_in_a_fixed_window() -> None:
    """The provider's own count went down in its window (a reset by hand): so does ours."""
    count = _told(MINUTE, _count(MINUTE, (129.9, 1.0)), 50.0)
    later = Moment(132.0, 132.0, EXACT)

    assert _told(MINUTE, count, 5.0, sent=131.0, moment=later).foreign.total < 5


def test_without_the_providers_clock_its_last_figure_binds() -> None:
    """What it had counted may be of a window that goes on though our own log has let it go."""
    count = _told(MINUTE, _count(MINUTE, (129.9, 1.0)), 90.0, moment=Moment(130.0, 130.0, UNKNOWN))

    assert (count.told.top, count.told.asked, count.foreign.total) == (90.0, 129.0, 0.0)


def test_a_smaller_size_binds_at_once_a_larger_one_when_newer() -> None:
    """`x-ratelimit-limit: 40` of our 100 is 40; 80 later is 80; 200 is our own 100."""
    count = _told(SLIDE, _count(SLIDE), -1.0, size=40.0)
    older = _told(SLIDE, _told(SLIDE, count, 1.0), -1.0, size=80.0, sent=1.0)
    newer = _told(SLIDE, count, -1.0, size=80.0)

    assert count.told.size == 40
    assert older.told.size == 40
    assert newer.told.size == 80
    assert _told(SLIDE, newer, -1.0, size=200.0).told.size == 0
    assert _told(SLIDE, newer, -1.0, size=math.nan).told.size == 80


def test_a_bucket_is_never_above_the_providers() -> None:
    """70 used of 100, and 5 of ours perhaps not yet among them: 25 are left."""
    count = _count(POT, (129.9, 1.0), (135.0, 5.0), level=90.0)
    told = _told(POT, count, 70.0)

    assert told.level == 25
    assert told.owed == 65


def test_a_bucket_gets_back_what_figures_took() -> None:
    """A later answer that says 20 used gives back what an earlier one took, and no more."""
    count = _told(POT, _count(POT, (129.9, 1.0), level=90.0), 70.0)
    back = _told(POT, count, 20.0, sent=130.0)

    assert (back.level, back.owed) == (80.0, 10.0)
    assert _told(POT, count, 0.0, sent=130.0).level == 90.0


def test_others_pace_and_stride_are_learnt() -> None:
    """30 in ten seconds, then 60 more at once: the surprise is remembered as a stride."""
    count = _told(MINUTE, _count(MINUTE, (129.9, 1.0)), 31.0)
    later = Moment(131.0, 131.0, EXACT)
    count = _told(MINUTE, count, 91.0, sent=130.5, cost=0.0, moment=later)

    assert count.told.sure == 90
    assert 50 < count.told.stride < 60
