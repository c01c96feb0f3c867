"""Cache-Control (RFC 9111 section 5.2) and CDN-Cache-Control (RFC 9213)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.directives import FOREVER, of_reply, of_request, parse

MAX_AGE = [
    # Cache-Control, seconds of max-age; None: not there
    ("max-age=3600", 3600),
    ("MaX-aGe=3600", 3600),
    ("max-age=003600", 3600),
    ('max-age="3600"', 3600),
    ("foobar, max-age=3600", 3600),
    ("foobar=1;2, max-age=3600", 3600),
    (" , ,max-age=3600,,", 3600),
    ("max-age=3600 , public", 3600),
    ("max-age=1800, max-age=1", 1800),
    ("max-age=1, max-age=1800", 1),
    ('extension="max-age=3600", max-age=1', 1),
    ('max-age=1, extension="max-age=3600"', 1),
    ('extension="max-age=3600", max-age="1"', 1),
    (r'extension="\", max-age=3600", max-age=1', 1),
    ('extension="unterminated, max-age=1', 1),
    ("max-age=0", 0),
    ("max-age=-3600", 0),
    ("max-age=3600.0", 0),
    ("max-age=3600.5", 0),
    ("max-age='3600'", 0),
    ("max-age=a3600", 0),
    ("max-age=3600a", 0),
    ("max-age= 3600", 0),
    ("max-age =3600", 0),
    ("max-age=", 0),
    ("max-age", 0),
    ("max-age=٣", 0),
    ("max-age=2147483647", 2147483647),
    ("max-age=2147483648", FOREVER),
    ("max-age=2147483649", FOREVER),
    ("max-age=99999999999", FOREVER),
    ("max-age=" + "9" * 400, FOREVER),
    ("max-age=" + "0" * 400 + "7", 7),
    ("public", None),
    ("xmax-age=3600", None),
    ('extension="max-age=3600"', None),
    ("", None),
]


@pytest.mark.parametrize(("value", "seconds"), MAX_AGE)
def test_a_delta_is_a_row_of_digits_or_zero(value: str, seconds: float | None) -> None:
    """9111 1.2.2, 4.2.1, 5.2: the first of several counts, an invalid one is 0, a large one cut."""
    assert seconds == parse(value).seconds("max-age")


NAMED = [
    # Cache-Control, bare `private`?, its field names
    ("private", True, set()),
    ("PRIVATE", True, set()),
    ('private="a, b"', False, {"a", "b"}),
    ('private="Set-Cookie"', False, {"set-cookie"}),
    ('private=" a ,,B "', False, {"a", "b"}),
    ('private="a", private', True, {"a"}),
    ('private="a", private="b"', False, {"a", "b"}),
    ("private=a", True, set()),
    ('private=""', True, set()),
    ('private="', True, set()),
    ('x="private"', False, set()),
    ("max-age=1", False, set()),
]


@pytest.mark.parametrize(("value", "bare", "names"), NAMED)
def test_only_the_quoted_form_speaks_of_single_fields(
    value: str, *, bare: bool, names: set[str]
) -> None:
    """9111 5.2.2.7: `private="a"` limits itself to `a`; every other form means the whole reply."""
    read = parse(value)

    assert (bare, names) == (read.bare("private"), set(read.names("private")))


TARGETED = [
    # CDN-Cache-Control lines, max-age of what rules beside `Cache-Control: max-age=5`
    (["max-age=3600"], 3600),
    (["foobar, max-age=3600"], 3600),
    (["foobar", "max-age=3600"], 3600),
    (["max-age=3600;unknown=1"], 3600),
    (["max-age=1, max-age=2"], 2),  # a Dictionary: the last member counts (RFC 9651 4.2.2)
    (["max-age=99999999999"], FOREVER),
    (["max-age=0"], 0),
    (["max-age=-1"], 0),
    (["no-store"], None),
    (["foo"], None),
    (["max-age=10000, &&&&&"], 5),
    (["max-age=10000,"], 5),
    (['max-age="10000"'], 5),
    (["max-age=1.0"], 5),
    (["max-age"], 5),
    (["max-age=abc"], 5),
    (["max-age =100"], 5),
    (["max-age= 100"], 5),
    (["MaX-aGe=3600"], 5),
    (["max-age=1;A=1"], 5),
    ([""], 5),
    ([" "], 5),
    (["ü=1"], 5),
    ([], 5),
]


@pytest.mark.parametrize(("lines", "seconds"), TARGETED)
def test_a_targeted_field_replaces_the_general_one_or_is_not_there(
    lines: list[str], seconds: float | None
) -> None:
    """9213 2.1: valid and not empty it alone counts; one mistake, and it is ignored whole."""
    fields = (*(("CDN-Cache-Control", line) for line in lines), ("Cache-Control", "max-age=5"))

    assert seconds == of_reply(fields).seconds("max-age")


def test_a_false_member_says_nothing() -> None:
    """9213 2.1: `no-store=?0` is the absence of `no-store`."""
    assert "no-store" not in of_reply((("CDN-Cache-Control", "no-store=?0, max-age=9"),))


def test_a_token_and_a_string_are_arguments() -> None:
    """9213 2.1: field names stand in a String."""
    read = of_reply((("CDN-Cache-Control", 'private="a, b", x=token'),))

    assert ({"a", "b"}, False) == (set(read.names("private")), read.bare("private"))


def test_lines_are_one_list() -> None:
    """9110 5.3: directives on several lines are one list; names have any case."""
    read = of_request((("Cache-Control", "max-age=3"), ("cache-control", "No-Cache")))

    assert ("no-cache" in read, read.seconds("max-age")) == (True, 3)


@given(st.text(max_size=60))
def test_no_text_is_too_strange_to_read(value: str) -> None:
    """Whatever stands in the field, reading it ends and does not fail."""
    fields = (("Cache-Control", value), ("CDN-Cache-Control", value))
    read = (parse(value), of_reply(fields))

    assert all(each.seconds("max-age") is None or each.seconds("max-age") >= 0 for each in read)
