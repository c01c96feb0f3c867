"""Tables: from YAML to the core's, and what has no way out."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.scalars import FaultyError
from proxy.config.tables import cost, least, lifetime
from proxy.core.costs import figure
from proxy.core.tables import ByValue, Members, PerMember, Sum, UpTo
from proxy.core.upstreams import Cost


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("90s", 90.0),
        (0, 0.0),
        (
            {"by": "interval", "1m": "60s", "1h": "10m", "else": "60s"},
            ByValue("interval", (("1m", 60.0), ("1h", 600.0)), 60.0),
        ),
        (
            {"by": "days", "up_to": {"1": "30s", "90": "30m"}, "absent": "1m"},
            UpTo("days", ((1.0, 30.0), (90.0, 1800.0)), 60.0),
        ),
    ],
)
def test_lifetimes(raw: object, expected: object) -> None:
    """A lifetime is a duration, or a table of durations."""
    assert lifetime(raw) == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (2, Cost(2.0)),
        (
            {"by": "limit", "absent": 5, "up_to": {"500": 25, "100": 5}},
            Cost(UpTo("limit", ((100.0, 5.0), (500.0, 25.0)), 5.0)),
        ),
        (
            {"by": "symbol", "else": 2, "absent": 80},
            Cost(ByValue("symbol", (), 2.0, 80.0)),
        ),
        (
            {
                "by": "symbols",
                "list": "json",
                "up_to": {"20": 2},
                "else": 80,
                "absent": {"by": "symbol", "else": 2, "absent": 80},
            },
            Cost(
                UpTo(
                    "symbols",
                    ((20.0, 2.0),),
                    ByValue("symbol", (), 2.0, 80.0),
                    80.0,
                    Members("json"),
                )
            ),
        ),
        (
            {"by": "ids", "per": 100, "each": 1, "absent": 0, "most": 9},
            Cost(PerMember("ids", Members("comma"), 100.0, 1.0, 0.0, 0.0, 9.0)),
        ),
        (
            {"sum": [1, {"by": "convert", "each": 1, "less": 1, "absent": 0}]},
            Cost(Sum((1.0, PerMember("convert", Members("comma"), 1.0, 1.0, 1.0)))),
        ),
        ({"weight": 0, "funding": 1}, Cost(1.0, (("weight", 0.0), ("funding", 1.0)))),
    ],
)
def test_costs(raw: object, expected: Cost) -> None:
    """A cost is a figure, a table, or a map from limits to them."""
    assert cost(raw) == expected


@pytest.mark.parametrize(
    ("raw", "path", "message"),
    [
        ({"1m": "60s"}, (), "a table says `by:`"),
        ({"by": "x", "1m": "60s"}, (), "no way out: give the figure for all others as `else`"),
        ({"by": "x", "else": 1}, (), "has no rows"),
        ({"by": "x", "a": "soon", "else": 1}, ("a",), "'soon' is no duration"),
        ({"by": "x", "up_to": {"1": 1}}, (), "no way out: what where `x` is `absent`"),
        ({"by": "x", "up_to": {"a": 1}, "else": 1}, ("up_to", "a"), "'a' is no number"),
        ({"by": "x", "up_to": [], "else": 1}, ("up_to",), "must map numbers to figures"),
        ({"by": "x", "up_to": {"1": 1}, "else": 1, "y": 1}, ("y",), "unknown here"),
        ({"by": "x", "each": 1, "absent": 1}, (), "cannot go by the number of members"),
        ({"sum": [1]}, ("sum",), "a cost may be a `sum:`"),
        ({"by": "x", "list": "comma", "a": 1, "else": 1}, ("list",), "has no meaning"),
        ({"by": 1, "else": 1}, (), "a table says `by:`"),
    ],
)
def test_faulty_lifetimes(raw: object, path: tuple[str, ...], message: str) -> None:
    """What is wrong is said at the part it is in."""
    with pytest.raises(FaultyError) as raised:
        lifetime(raw)

    assert any(where == path and message in said for where, said in raised.value.faults)


@pytest.mark.parametrize(
    ("raw", "path", "message"),
    [
        ({}, (), "is empty"),
        ({"weight": {"by": "x"}}, ("weight",), "no way out"),
        ({"by": "x", "each": 1}, (), "no way out: what where `x` is `absent`"),
        ({"by": "x", "each": -1, "absent": 0}, ("each",), "negative"),
        ({"by": "x", "per": 0, "absent": 0}, ("per",), "more than 0"),
        ({"by": "x", "each": 1, "absent": 0, "list": "tabs"}, ("list",), "comma or json"),
        ({"sum": []}, ("sum",), "a list of tables"),
        ({"sum": [1, "x"]}, ("sum", 1), "'x' is no number"),
        (None, (), "nothing is no number"),
    ],
)
def test_faulty_costs(raw: object, path: tuple[str | int, ...], message: str) -> None:
    """What is wrong is said at the part it is in, in a map at its limit."""
    with pytest.raises(FaultyError) as raised:
        cost(raw)

    assert any(where == path and message in said for where, said in raised.value.faults)


def test_all_faults_of_a_table_are_told() -> None:
    """One table, three faults, one error."""
    with pytest.raises(FaultyError) as raised:
        lifetime({"by": "x", "a": "soon", "b": "later"})

    assert len(raised.value.faults) == 3


WORDS = st.sampled_from(
    ["by", "else", "absent", "up_to", "list", "per", "each", "less", "most", "sum", "a", "1", "100"]
)
RAW: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.integers(-1, 9) | st.sampled_from(["x", "json", "comma", "5m"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=8,
)


@given(RAW, st.sampled_from(["", "1", "100", "a,b", '["a","b"]', "x"]))
def test_any_table_is_refused_or_has_a_figure_for_everything(raw: object, value: str) -> None:
    """What is accepted gives a figure for every request, at least the least one."""
    try:
        read = cost(raw)
    except FaultyError:
        return
    for table in (read.general, *(table for _, table in read.named)):
        assert figure(table, (("x", value),)) >= least(table) >= 0
        assert figure(table, ()) >= least(table)
