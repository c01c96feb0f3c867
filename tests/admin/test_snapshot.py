"""Counts that travel and add up."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.admin.snapshot import Histogram, Snapshot, merged

values = st.lists(st.floats(0, 20), max_size=30)


def histogram(numbers: list[float], bounds: tuple[float, ...] = (1.0, 5.0)) -> Histogram:
    made = Histogram.within(bounds)
    for number in numbers:
        made.add(number)
    return made


def test_bounds_are_inclusive_above() -> None:
    """A value on a bound falls below it, one above the last is counted as well."""
    assert [2, 1, 1] == histogram([0.5, 1.0, 5.0, 5.1]).counts


@given(values, values)
def test_the_sum_of_two_is_as_if_one_had_seen_all(one: list[float], other: list[float]) -> None:
    """Histograms of two workers add up to the histogram of all their values."""
    parts = [Snapshot(histograms={("seconds", "x"): histogram(each)}) for each in (one, other)]

    whole = merged(parts).histograms["seconds", "x"]

    assert histogram(one + other).counts == whole.counts
    assert len(one + other) == len(whole)


def test_counters_gauges_and_paths_add_up() -> None:
    """What only one of them has stands as it is."""
    one = Snapshot({("a", "x"): 1}, {("g",): 2}, {}, {("x", "/p"): 1})
    other = Snapshot({("a", "x"): 2, ("b", "y"): 5}, {("g",): 3}, {}, {("x", "/p"): 4})

    whole = merged([one, other])

    assert {("x",): 3} == whole.family("a")
    assert {("y",): 5} == whole.family("b")
    assert {("g",): 5} == whole.gauges
    assert {("x", "/p"): 5} == whole.unmatched


def test_adding_changes_neither_part() -> None:
    """A snapshot that was merged can be merged again."""
    part = Snapshot({("a",): 1}, {}, {("s",): histogram([1.0])}, {})

    merged([part, part])

    assert {("a",): 1} == part.counters
    assert [1, 0, 0] == part.histograms["s",].counts


def test_a_histogram_of_other_bounds_is_left_out() -> None:
    """Another version's worker does not spoil the sum during a rolling restart."""
    parts = [
        Snapshot(histograms={("s",): histogram([0.5])}),
        Snapshot(histograms={("s",): histogram([0.5], (2.0,))}),
    ]

    assert [1, 0, 0] == merged(parts).histograms["s",].counts
