"""Counts of one process at one moment, in the form in which they travel and add up.

A count stands under its family and its labels' values, in the family's order. Counts of several
workers are added; gauges too (bytes held and requests waiting are of each process its own).
"""

from bisect import bisect_left
from collections.abc import Iterable

import msgspec

Labels = tuple[str, ...]
"""The family, then its labels' values."""


class Histogram(msgspec.Struct):
    """How many values fell between bounds. Bounds are inclusive above, as Prometheus has it."""

    bounds: tuple[float, ...]
    counts: list[int]
    total: float = 0.0
    """Sum of the values."""

    @classmethod
    def within(cls, bounds: tuple[float, ...]) -> "Histogram":
        """Return an empty histogram; what exceeds the last bound is counted as well."""
        return cls(bounds, [0] * (len(bounds) + 1))

    def add(self, value: float, times: int = 1) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += times
        self.total += value * times

    def __len__(self) -> int:
        return sum(self.counts)


class Snapshot(msgspec.Struct):
    """All that one process, or several, counted since they started."""

    counters: dict[Labels, float] = {}
    gauges: dict[Labels, float] = {}
    histograms: dict[Labels, Histogram] = {}
    unmatched: dict[tuple[str, str], int] = {}
    """Requests that met no endpoint, by upstream and path; the busiest only."""

    def family(self, name: str) -> dict[Labels, float]:
        """Return the counters of a family by their labels' values alone."""
        return {key[1:]: count for key, count in self.counters.items() if key[0] == name}


def merged(snapshots: Iterable[Snapshot]) -> Snapshot:
    """Return the sum of several snapshots."""
    whole = Snapshot({}, {}, {}, {})
    for snapshot in snapshots:
        for key, count in snapshot.counters.items():
            whole.counters[key] = whole.counters.get(key, 0) + count
        for key, value in snapshot.gauges.items():
            whole.gauges[key] = whole.gauges.get(key, 0) + value
        for key, histogram in snapshot.histograms.items():
            _join(whole.histograms, key, histogram)
        for place, count in snapshot.unmatched.items():
            whole.unmatched[place] = whole.unmatched.get(place, 0) + count
    return whole


def _join(into: dict[Labels, Histogram], key: Labels, histogram: Histogram) -> None:
    """Add a histogram; one of other bounds (another version's worker) is left out, not mixed in."""
    standing = into.setdefault(key, Histogram.within(histogram.bounds))
    if standing.bounds == histogram.bounds:
        pairs = zip(standing.counts, histogram.counts, strict=True)
        standing.counts = [one + other for one, other in pairs]
        standing.total += histogram.total
