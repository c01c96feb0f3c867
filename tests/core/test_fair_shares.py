"""Who has had its share of a contended limit, and what is kept for the others."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.fair_shares import FairShares, Standing, water_level
from proxy.core.model import Client
from proxy.core.spending import Outlook

FLOOD, QUIET, HALF = Client(identity="flood"), Client(identity="quiet"), Client(identity="half")
LATE = Outlook(60.0, ((60.0, 60.0),), 60.0, 60.0)
"""All comes back together, a window from now."""
EVENLY = Outlook(1.0, tuple((float(second), 1.0) for second in range(1, 61)), 60.0, 60.0)


@pytest.mark.parametrize(
    ("demands", "size", "expected"),
    [
        ([], 60, math.inf),
        ([(10, 1), (20, 1)], 60, math.inf),
        ([(100, 1), (100, 1)], 60, 30),
        ([(100, 1), (10, 1)], 60, 50),
        ([(100, 3), (100, 1)], 60, 15),
        ([(100, 1), (100, 1)], 0, 0),
    ],
)
def test_water_level(demands: list[tuple[float, float]], size: float, expected: float) -> None:
    """Max-min fair: who asks for little gets it, the rest is divided by weight."""
    assert water_level(demands, size) == pytest.approx(expected)


@given(
    st.lists(st.tuples(st.floats(0.1, 100), st.floats(0.1, 10)), min_size=1, max_size=20),
    st.floats(0, 500),
)
def test_shares_are_all_that_there_is(demands: list[tuple[float, float]], size: float) -> None:
    """The shares together are the limit, or all that was asked for."""
    level = water_level(demands, size)
    shares = sum(min(asked, level * weight) for asked, weight in demands)

    assert shares == pytest.approx(min(size, sum(asked for asked, _ in demands)), abs=1e-6)


def contended(**asks: float) -> FairShares:
    """Sixty a minute, in the second window after these were asked for in the first."""
    shares = FairShares(60.0, 60.0, now=0.0)
    for name, cost in asks.items():
        shares.ask(Client(identity=name), 3, cost, 1.0)
    shares.contended(1.0)
    shares.roll(60.0)
    return shares


def test_without_contention_nobody_is_over() -> None:
    """Of 50 that were asked for of 60, whoever has had all is not over, and nothing is kept."""
    shares = contended(flood=40, quiet=10)
    shares.grant(FLOOD, 3, 60.0, 61.0)

    assert shares.standing(FLOOD, 3, 61.0) is Standing.BEHIND


@pytest.mark.parametrize(
    ("got", "now", "expected"),
    [
        (5.0, 90.0, Standing.BEHIND),
        (26.0, 90.0, Standing.AHEAD),
        (49.0, 119.9, Standing.BEHIND),
        (50.0, 90.0, Standing.OVER),
        (50.0, 121.0, Standing.BEHIND),
    ],
)
def test_who_asks_for_more_than_its_share_is_paced(
    got: float, now: float, expected: Standing
) -> None:
    """A flood with a share of 50 a minute: half of it by the middle, and no more than all."""
    shares = contended(flood=1000, quiet=10)
    shares.ask(FLOOD, 3, 30.0, 61.0)
    shares.grant(FLOOD, 3, got, 61.0)

    assert shares.standing(FLOOD, 3, now) is expected


def test_who_asks_for_less_is_never_paced() -> None:
    """All that it asked for at once in the last window it may have at once in this one."""
    shares = contended(flood=1000, quiet=10)
    shares.grant(QUIET, 3, 9.0, 60.0)

    assert shares.standing(QUIET, 3, 60.0) is Standing.BEHIND


def test_what_is_kept_is_what_others_will_ask_for_first() -> None:
    """Where all comes late, a quiet client's ten are kept; where it comes evenly, next to none."""
    shares = contended(flood=1000, quiet=10)
    shares.grant(FLOOD, 3, 50.0, 60.0)

    assert shares.kept(FLOOD, 3, LATE, 60.0) == pytest.approx(10)
    assert shares.kept(FLOOD, 3, EVENLY, 60.0) < 1
    shares.grant(QUIET, 3, 4.0, 60.0)
    assert shares.kept(FLOOD, 3, LATE, 60.0) == pytest.approx(6)


def test_nothing_is_kept_for_who_waits() -> None:
    """What a client stands in line for is its place's to get, from one who is ahead."""
    shares = contended(flood=1000, quiet=10)
    shares.grant(FLOOD, 3, 40.0, 60.0)
    shares.wait(QUIET, 3, 10.0, 60.0)
    kept = shares.kept(FLOOD, 3, LATE, 60.0)
    shares.wait(QUIET, 3, -10.0, 60.0)

    assert (0.0, 10.0) == (kept, pytest.approx(shares.kept(FLOOD, 3, LATE, 60.0)))


def test_one_more_is_kept_while_some_are_turned_away() -> None:
    """A request of one who is behind came to nothing: a token stands ready for the next."""
    shares = contended(flood=1000, quiet=10)
    shares.grant(FLOOD, 3, 1.0, 60.0)
    before = shares.kept(FLOOD, 3, EVENLY, 60.0)
    shares.miss(FLOOD, 3, 60.0)
    of_one_ahead = shares.kept(FLOOD, 3, EVENLY, 60.0)
    shares.miss(QUIET, 3, 60.0)

    assert (before, before + 1) == (of_one_ahead, shares.kept(FLOOD, 3, EVENLY, 60.0))


def test_the_more_are_turned_away_the_more_is_kept() -> None:
    """Up to a twentieth of the window; after a window without a miss it is one less."""
    shares = contended(flood=1000, quiet=10)
    shares.grant(FLOOD, 3, 1.0, 60.0)
    before = shares.kept(FLOOD, 3, EVENLY, 60.0)
    for _ in range(10):
        shares.miss(QUIET, 3, 60.0)
    after = shares.kept(FLOOD, 3, EVENLY, 60.0)
    spares = []
    for window in range(2, 7):
        shares.ask(FLOOD, 3, 1000.0, 60.0 * window - 1)
        shares.roll(60.0 * window)
        spares.append(shares.kept(FLOOD, 3, EVENLY, 60.0 * window))

    assert after == before + 3
    assert [3.0, 2.0, 1.0, 0.0, 0.0] == spares


def test_who_asks_alone_keeps_nothing_from_itself() -> None:
    """However often it is turned away, nothing is kept of it for others, as there are none."""
    shares = contended(flood=1000)
    for now in (60.0, 61.0):
        shares.ask(FLOOD, 3, 100.0, now)
        shares.grant(FLOOD, 3, 1.0, now)
        shares.miss(FLOOD, 3, now)

    assert shares.kept(FLOOD, 3, EVENLY, 61.0) == 0


def test_a_window_cut_short_is_learnt_from_as_a_whole_one() -> None:
    """In 40 s the quiet one asked for ten: in a minute it will for 15."""
    shares = contended(flood=1000, quiet=10)
    shares.grant(FLOOD, 3, 50.0, 60.0)
    shares.kept(FLOOD, 3, Outlook(5.0, ((40.0, 55.0),), 60.0, 40.0, ends_in=40.0), 60.0)
    shares.ask(FLOOD, 3, 1000.0, 61.0)
    shares.ask(QUIET, 3, 10.0, 61.0)
    shares.roll(100.0)

    assert shares.kept(FLOOD, 3, LATE, 100.0) == pytest.approx(15.0)


def test_more_urgent_classes_claim_first() -> None:
    """Urgent ones ask for all: the others have no share; for those nothing is kept of theirs."""
    shares = FairShares(60.0, 60.0, now=0.0)
    shares.ask(QUIET, 1, 60.0, 1.0)
    shares.ask(FLOOD, 5, 1000.0, 1.0)
    shares.roll(60.0)

    assert shares.standing(FLOOD, 5, 61.0) is Standing.OVER
    assert shares.kept(FLOOD, 5, LATE, 60.0) == pytest.approx(60)
    assert shares.standing(QUIET, 1, 61.0) is Standing.BEHIND


def test_ever_new_names_have_one_share_together() -> None:
    """Whoever comes under new names all the time gets no more than one who was known."""
    shares = contended(flood=1000, quiet=1000)
    for number in range(30):
        shares.ask(Client(identity=f"new-{number}"), 3, 1.0, 61.0)
        shares.grant(Client(identity=f"new-{number}"), 3, 1.0, 61.0)

    assert shares.standing(Client(identity="new-30"), 3, 61.0) is Standing.OVER


def test_a_share_below_one_comes_every_few_windows() -> None:
    """A hundred clients for ten a window: who got one this time is over for the next nine."""
    shares = FairShares(10.0, 60.0, now=0.0)
    turns = []
    for window in range(25):
        for number in range(100):
            shares.ask(Client(identity=str(number)), 3, 1.0, 60.0 * window + 1)
        if shares.standing(Client(identity="0"), 3, 60.0 * window + 2) is Standing.BEHIND:
            shares.grant(Client(identity="0"), 3, 1.0, 60.0 * window + 2)
            turns.append(window)

    assert turns[1:] == [1, 11, 21]


def test_windows_end_with_the_limits_own() -> None:
    """A fixed window that ends in 20 s: the next one here begins then, and each after it."""
    shares = contended(flood=1000, quiet=10)
    turns = shares.turns
    shares.kept(FLOOD, 3, Outlook(5.0, ((50.0, 55.0),), 60.0, 50.0, ends_in=50.0), 60.0)
    shares.roll(109.9)
    before = shares.turns
    shares.roll(110.1)

    assert (turns, turns + 1) == (before, shares.turns)


def test_what_nobody_asks_for_any_more_is_forgotten() -> None:
    """After two windows in which nobody was denied the limit is contended no more."""
    shares = contended(flood=1000)

    assert (False, True) == (shares.is_over(120.0), shares.is_over(122.0))
    shares.roll(400.0)
    assert shares.standing(FLOOD, 3, 400.0) is Standing.BEHIND
