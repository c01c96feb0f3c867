"""The provider's clock, and the ledger's."""

import math
import random

from hypothesis import given
from hypothesis import strategies as st

from proxy.core.offsets import UNKNOWN, Offset, bounds, ledger_time, refined

_FOREVER = 1e9


@given(
    st.floats(-5000, 5000),
    st.lists(st.tuples(st.floats(0, 20), st.floats(0, 8), st.floats(0, 1)), min_size=1),
)
def test_the_truth_is_within_the_bounds(
    truth: float, exchanges: list[tuple[float, float, float]]
) -> None:
    """Whenever within the exchange `Date` is written, the intersection holds the offset."""
    offset, now = UNKNOWN, 1.7e9
    for pause, took, part in exchanges:
        sent = now + pause
        now = sent + took
        date = math.floor(sent + part * took + truth)
        offset = refined(offset, date, sent, now)
    known = bounds(offset, now)

    assert known is not None
    assert known[0] - 1e-5 <= truth <= known[1] + 1e-5


def test_answers_narrow_it_to_a_fraction_of_a_second() -> None:
    """`Date` has seconds, but many answers at many parts of a second tell more."""
    rng, offset, now = random.Random(1), UNKNOWN, 1.7e9
    for _ in range(100):
        now += rng.random() * 3
        offset = refined(offset, math.floor(now - 0.02 + 0.37), now - 0.04, now)
    low, high = bounds(offset, now) or (0.0, 0.0)

    assert low <= 0.37 <= high
    assert high - low < 0.12


def test_what_is_known_grows_vague_again() -> None:
    """Clocks drift apart: after an hour without an answer the bounds are 0.72 s wider."""
    offset = Offset(0.1, 0.3, at=1000.0, agreed=5)
    low, high = bounds(offset, 4600.0) or (0.0, 0.0)

    assert math.isclose(high - low, 0.2 + 0.72)


def test_a_contradiction_costs_trust() -> None:
    """A clock that stepped, or a second one, makes it unknown until 16 more answers agree."""
    offset = refined(refined(UNKNOWN, 1000.0, 1000.0, 1000.1), 1901.0, 1001.0, 1001.1)
    agreeing = 0
    while bounds(offset, 1001.1) is None:
        offset = refined(offset, 1901.0, 1001.0, 1001.1)
        agreeing += 1

    assert agreeing == 16


def test_no_number_tells_nothing() -> None:
    """A field that is no date leaves all as it was."""
    assert refined(UNKNOWN, math.nan, 1.0, 2.0) is UNKNOWN


def test_a_clock_that_steps_back_goes_on_from_where_it_was() -> None:
    """An hour back: time stands, then runs on; nothing is minted and nothing waits an hour."""
    now = ledger_time(1000.0, 0.0, 1000.0 - 3600.0, None)
    later = ledger_time(now, -2600.0 - now, -2600.0 + 5.0, None)

    assert (now, later) == (1000.0, 1005.0)


def test_a_clock_that_leaps_is_cut_to_what_can_be() -> None:
    """An hour forward, where the asker knows that at most 2 s passed, is 2 s."""
    assert ledger_time(1000.0, 0.0, 4600.0, 1002.0) == 1002.0
    assert ledger_time(1000.0, 0.0, 1001.5, 1002.0) == 1001.5
