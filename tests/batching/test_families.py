"""Families: which answers may hold another, and which request is made in its place."""

import pytest

from proxy.asked import Asked, asked
from proxy.batching.families import Families
from proxy.core.model import Request
from proxy.core.routing import Match, Routes
from proxy.core.series import Contains, Span
from tests.house import endpoint, upstream
from tests.values import replace

KLINES = replace(
    endpoint("klines", "/klines"),
    align="interval", round=Span("startTime", "endTime"),
    contains=Contains("limit", absent=3, first_from="startTime", opens=0, fetch=(9,)),
)  # fmt: skip
ROUTES = Routes((upstream(KLINES, endpoint("price", "/price")),))
HOUR = 3_600_000
NOW = 1_000_000.0
LATEST = int(NOW) // 3600 * HOUR


def asking(target: str) -> Asked:
    path, _, query = target.partition("?")
    request = Request("GET", f"/coingecko{path}", query, ())
    match = ROUTES.match(request)
    assert isinstance(match, Match)
    return asked(request, match, 0.0, b"secret")


def test_the_shortest_that_is_long_enough_comes_first() -> None:
    """What was asked for before is known; what is shorter, or of another family, holds nothing."""
    families = Families()
    for limit in (5, 2, 9):
        families.note(asking(f"/klines?symbol=A&interval=1h&limit={limit}"))
    families.note(asking("/klines?symbol=B&interval=1h&limit=9"))
    found = list(families.holders(asking("/klines?symbol=A&interval=1h")))

    assert [5, 9] == [each.size for each in found]
    assert {3} == {each.part.count for each in found}
    assert [] == list(families.holders(asking("/price?limit=2")))


@pytest.mark.parametrize(("back", "reaches"), [(0, True), (3, True), (4, False), (99, False)])
def test_how_far_it_reaches_back(back: int, reaches: bool) -> None:  # noqa: FBT001 - a table's column
    """The last five reach back four hours; less one, as a candle may open meanwhile."""
    families = Families()
    families.note(asking("/klines?symbol=A&interval=1h&limit=5"))
    ask = asking(f"/klines?symbol=A&interval=1h&startTime={LATEST - back * HOUR}")
    [holder] = families.holders(ask)

    assert reaches is holder.reaches(ask, NOW)


def test_the_latest_reach_as_far_as_they_are_asked_for() -> None:
    """From no start nothing is missing."""
    families = Families()
    families.note(asking("/klines?symbol=A&interval=1h&limit=5"))
    ask = asking("/klines?symbol=A&interval=1h&limit=4")

    assert [True] == [each.reaches(ask, NOW) for each in families.holders(ask)]


@pytest.mark.parametrize(
    ("query", "expected"),
    [("limit=2", "limit=9"), ("limit=9", None), ("limit=10", None), ("limit=x", None)],
)
def test_what_is_asked_in_its_place(query: str, expected: str | None) -> None:
    """As many as cost the same, if that is more."""
    longer = Families().in_place_of(asking(f"/klines?interval=1h&{query}"), ROUTES, NOW)

    assert expected == (longer and longer.asked.request.query.removeprefix("interval=1h&"))
