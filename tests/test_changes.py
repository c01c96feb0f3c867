"""A count of changes."""

from proxy.changes import Changes


def test_it_counts_from_nothing() -> None:
    """Two that were made alike are not the same."""
    one, other = Changes(), Changes()
    one.count += 1
    assert (one.count, other.count) == (1, 0)
