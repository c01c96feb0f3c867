"""Path templates, and which endpoints nobody could choose between."""

import pytest

from proxy.core.templates import parse_template, specificity, ties
from proxy.core.upstreams import Endpoint, Segment


def _endpoint(name: str, path: str, **conditions: str) -> Endpoint:
    return Endpoint(
        name, "u", path, parse_template(path), conditions=tuple(conditions.items()), ttl=1.0
    )


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", ()),
        ("/a", (Segment("literal", "a"),)),
        ("/fng/", (Segment("literal", "fng"),)),
        ("/a/{id}", (Segment("literal", "a"), Segment("variable", "id"))),
        ("/{rest:path}", (Segment("rest", "rest"),)),
        ("/a%20b", (Segment("literal", "a b"),)),
        ("/a:b", (Segment("literal", "a:b"),)),
    ],
)
def test_parses(path: str, expected: tuple[Segment, ...]) -> None:
    """Literals are kept decoded, a trailing slash makes no segment."""
    assert parse_template(path) == expected


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("a/b", "begins with '/'"),
        ("", "begins with '/'"),
        ("/a?b=c", "go under 'query'"),
        ("/a#b", "go under 'query'"),
        ("//a", "empty segment"),
        ("/a//b", "empty segment"),
        ("//", "empty segment"),
        ("/{a}.json", "takes a whole segment"),
        ("/{}", "takes a whole segment"),
        ("/{a:int}", "takes a whole segment"),
        ("/{rest:path}/b", "must stand last"),
        ("/{a}/{a}", "stands twice"),
        ("/a/../b", "no request can meet"),
        ("/a/%2e", "no request can meet"),
    ],
)
def test_says_what_is_wrong(path: str, said: str) -> None:
    """What is no template is refused with a message that says what is allowed."""
    with pytest.raises(ValueError, match=said):
        parse_template(path)


@pytest.mark.parametrize(
    ("one", "other", "tied"),
    [
        (_endpoint("a", "/x/{a}"), _endpoint("b", "/x/{b}"), True),
        (_endpoint("a", "/x/"), _endpoint("b", "/x"), True),
        (_endpoint("a", "/x/{a}"), _endpoint("b", "/x/y"), False),
        (_endpoint("a", "/x/{a}"), _endpoint("b", "/x/{b:path}"), False),
        (_endpoint("a", "/x", m="1"), _endpoint("b", "/x", m="2"), False),
        (_endpoint("a", "/x", m="1"), _endpoint("b", "/x", n="1"), True),
        (_endpoint("a", "/x", m="1"), _endpoint("b", "/x"), False),
        (_endpoint("a", "/x", m="1", n="2"), _endpoint("b", "/x", m="1"), False),
        (_endpoint("a", "/x", m="1", n="2"), _endpoint("b", "/x", n="2", m="1"), True),
    ],
)
def test_ties(one: Endpoint, other: Endpoint, *, tied: bool) -> None:
    """Two endpoints tie where one request meets both and neither is more particular."""
    assert ties((one, other)) == (((one, other),) if tied else ())


def test_more_particular_first() -> None:
    """Literals come before variables before a rest, left to right; then more conditions."""
    ordered = [
        _endpoint("literal", "/x/y", m="1"),
        _endpoint("fewer conditions", "/x/y"),
        _endpoint("empty rest", "/x/y/{r:path}"),
        _endpoint("variable", "/x/{id}"),
        _endpoint("rest", "/x/{r:path}"),
        _endpoint("variable first", "/{a}/y"),
        _endpoint("all", "/{r:path}"),
    ]

    mixed = ordered[3:] + ordered[:3]

    assert sorted(mixed, key=specificity) == ordered
