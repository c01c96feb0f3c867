"""A wait is as urgent as whoever in it is in the greatest hurry."""

from proxy.core.preferences import LEAST_URGENT
from proxy.urgency import Urgency


def test_the_greatest_hurry_counts() -> None:
    """It rises with who joins, and never falls."""
    urgency = Urgency()
    levels = []
    for level in (5, 6, 1, 3):
        urgency.join(level)
        levels.append(urgency.level)

    assert LEAST_URGENT == Urgency().level
    assert [5, 5, 1, 1] == levels


def test_who_watches_is_told_of_each_rise_alone() -> None:
    """What changes nothing is not told, and nobody is told who has stopped watching."""
    urgency, told = Urgency(), []
    urgency.watch(lambda: told.append(urgency.level))
    for level in (5, 5, 6, 2):
        urgency.join(level)
    urgency.watch(None)
    urgency.join(0)

    assert [5, 2] == told
