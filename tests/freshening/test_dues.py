"""Dues: what is refreshed ahead, and what is let end."""

import pytest

from proxy.asked import asked
from proxy.core.model import Entry, Lifetimes, Request
from proxy.core.routing import Match, Routes
from proxy.freshening import dues
from proxy.freshening.heats import Heat
from tests.house import endpoint, upstream
from tests.values import replace

AHEAD = endpoint("price", "/price", refresh_ahead=True)
WEARS = replace(AHEAD, worn_after=3600.0)
PLAIN = endpoint("price", "/price")


def heat(rule: object, hits: int = 0, *, warm: bool = False) -> Heat:
    """Return the heat of an answer that was received at 0."""
    request = Request("GET", "/coingecko/price", "", ())
    match = Routes((upstream(rule),)).match(request)
    assert isinstance(match, Match)
    made = Heat(asked(request, match, 0.0, b""), warm=warm)
    made.hits, made.of = hits, 0.0
    return made


def entry(received_at: float = 0.0) -> Entry:
    return Entry("k", 200, "OK", (), b"", "", received_at, received_at, 0.0, Lifetimes(600.0))


@pytest.mark.parametrize(
    ("rule", "hits", "warm", "age", "due", "over"),
    [
        (AHEAD, 9, False, 500.0, False, False),
        (AHEAD, 2, False, 540.0, True, False),
        (AHEAD, 1, False, 540.0, False, False),
        (AHEAD, 2, False, 700.0, True, False),
        (AHEAD, 1, False, 700.0, False, True),
        (WEARS, 71, False, 100.0, False, False),
        (WEARS, 72, False, 100.0, True, False),
        (WEARS, 99, False, 550.0, False, False),  # it ends soon
        (WEARS, 99, False, 700.0, False, True),
        (WEARS, 0, True, 100.0, False, False),  # a warm one is kept until its end
        (WEARS, 0, True, 550.0, True, False),
        (PLAIN, 0, True, 700.0, True, False),
    ],
)
def test_what_is_due_and_what_is_over(
    rule: object, hits: int, age: float, *, warm: bool, due: bool, over: bool
) -> None:
    """Hot before its end, worn long before it, warm whoever asks; what is neither is forgotten."""
    known = heat(rule, hits, warm=warm)

    assert (due, over) == (
        dues.is_due(known, entry(), age),
        not dues.is_due(known, entry(), age) and dues.is_over(known, entry(), age),
    )


def test_what_is_gone() -> None:
    """A warm one is fetched, any other forgotten."""
    assert dues.is_due(heat(AHEAD, warm=True), None, 0.0)
    assert not dues.is_due(heat(AHEAD, 9), None, 0.0)
    assert dues.is_over(heat(AHEAD, 9), None, 0.0)


def test_uses_are_of_one_entry() -> None:
    """What came anew was not used yet; of the first that is seen all uses count."""
    known = heat(WEARS, 100)

    assert not dues.is_old(known, entry(50.0), 150.0)
    dues.note(known, entry(50.0))
    assert (0, 50.0) == (known.hits, known.of)
    first = heat(WEARS, 7)
    first.of = None
    dues.note(first, entry(50.0))

    assert (7, 50.0) == (first.hits, first.of)


@pytest.mark.parametrize("rule", [AHEAD, WEARS])
def test_what_brings_nothing_is_tried_ever_later(rule: object) -> None:
    """In an hour a few times, not a few hundred; anew once something came. A warm one as ever."""
    known, lasting = heat(rule, 1000), replace(entry(), lifetimes=Lifetimes(40_000.0))

    def tries(answer: Entry, begin: int) -> list[int]:
        found = []
        for now in range(begin, begin + 3600):
            if now >= known.not_before and dues.is_due(known, answer, now):
                dues.tried(known, now)
                found.append(now - begin)
        return found

    assert [0, 15, 45, 105, 225, 465, 945, 1905] == tries(lasting, 36_000 if rule is AHEAD else 100)
    newer = replace(lasting, received_at=50_000.0)
    dues.note(known, newer)
    known.hits, known.warm = 1000, True

    assert [*range(0, 3600, 15)] == tries(newer, 90_000)


def test_who_is_kept() -> None:
    """Who says so, or is warm."""
    kept = [heat(AHEAD), heat(PLAIN, warm=True), heat(PLAIN)]

    assert [True, True, False] == [*map(dues.is_kept, kept)]
    assert dues.worth(heat(AHEAD, 2)) > dues.worth(heat(PLAIN, warm=True)) > dues.worth(heat(AHEAD))
