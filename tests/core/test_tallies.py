"""Tokens by slot."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core import tallies
from proxy.core.tallies import EMPTY, Tally

_ENTRIES = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 5)), max_size=20)


def _made(entries: list[tuple[int, int]]) -> Tally:
    tally = EMPTY
    for slot, tokens in entries:
        tally = tallies.added(tally, slot, tokens)
    return tally


@given(_ENTRIES)
def test_slots_are_in_order_and_add_up(entries: list[tuple[int, int]]) -> None:
    """Whatever the order of adding, slots ascend, none is empty, and the total is the sum."""
    tally = _made(entries)

    assert list(tally.slots) == sorted(set(tally.slots))
    assert tally.total == sum(tally.tokens) == sum(tokens for _, tokens in entries)


@given(_ENTRIES, st.integers(0, 30))
def test_what_was_added_can_be_taken_once(entries: list[tuple[int, int]], slot: int) -> None:
    """Taking gives back the tally as it was; what is not there is not taken."""
    tally = _made(entries)
    back, found = tallies.taken(tallies.added(tally, slot, 2.0), slot, 2.0)

    assert (back, found) == (tally, True)
    assert tallies.taken(EMPTY, slot, 1.0) == (EMPTY, False)


@given(_ENTRIES, st.integers(0, 30), st.integers(0, 30), st.sampled_from([0.0, 0.5, 1.0, 3.0]))
def test_moving_is_taking_and_adding(
    entries: list[tuple[int, int]], source: int, target: int, other: float
) -> None:
    """To the last bit; what is not there is not moved."""
    tally = _made(entries)
    left, found = tallies.taken(tally, source, 1.0)
    moved = tallies.moved(tally, source, 1.0, target, other)

    if not found:
        assert moved is None
    elif other == 0:
        assert moved == left
    else:
        assert moved == tallies.added(left, target, other)


@given(_ENTRIES, st.integers(0, 31))
def test_cutting_and_merging_lose_nothing_else(entries: list[tuple[int, int]], at: int) -> None:
    """A cut drops the slots that had ended; a merge keeps their sum in the last of them."""
    tally = _made(entries)
    past = sum(tokens for slot, tokens in entries if slot <= at)
    kept = tallies.since(tally, float(at), 1.0)
    joined = tallies.merged(tally, float(at), 1.0)

    assert kept.total == tally.total - past
    assert joined.total == tally.total
    assert tallies.ended_by(tally, float(at), 1.0) == tallies.ended_by(joined, float(at), 1.0)
    assert sum(1 for slot in joined.slots if slot <= at) <= 1


@pytest.mark.parametrize(("moment", "slot"), [(0.0, 1), (0.99, 1), (1.0, 2), (1.5, 2)])
def test_a_slot_ends_after_all_that_it_holds(moment: float, slot: int) -> None:
    """A moment on the edge belongs to the slot that begins there."""
    assert tallies.slot_at(moment, 1.0) == slot


@given(_ENTRIES, st.floats(0.1, 7))
def test_another_width_makes_nothing_earlier(entries: list[tuple[int, int]], new: float) -> None:
    """A changed configuration keeps all tokens, each as late as it was or up to a slot later."""
    tally = _made(entries)
    resized = tallies.resized(tally, 1.0, new)

    assert resized.total == tally.total
    for moment in range(32):
        assert tallies.ended_by(resized, moment, new) <= tallies.ended_by(tally, moment, 1.0)


def test_crumbs_of_fractions_are_swept() -> None:
    """0.1 three times, taken as 0.3, leaves an empty tally and not 5.6e-17 of a token."""
    tally = _made([])
    for _ in range(3):
        tally = tallies.added(tally, 1, 0.1)

    assert tallies.taken(tally, 1, 0.3) == (EMPTY, True)
