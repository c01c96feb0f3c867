"""Query strings: decoded as browsers and urllib do, cut without a change to the rest."""

from urllib.parse import parse_qsl, quote, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.parameters import decode, quoted, without

RAW = st.text(alphabet='abAB01&=+%25CE9zß ;/?:[]",', max_size=40)
TEXT = st.text(max_size=30)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ()),
        ("a=1&b=2", (("a", "1"), ("b", "2"))),
        ("b=2&a=1&b=1", (("b", "2"), ("a", "1"), ("b", "1"))),
        ("a+b=c+d", (("a b", "c d"),)),
        ("a=%2B&b=%20", (("a", "+"), ("b", " "))),
        ("flag&empty=&&=x", (("flag", ""), ("empty", ""), ("", "x"))),
        ("a=b=c", (("a", "b=c"),)),
        ("a=1;b=2", (("a", "1;b=2"),)),
        ("a=%zz&b=%", (("a", "%zz"), ("b", "%"))),
        ("a=%C3%A9", (("a", "é"),)),
        ("a=%FF", (("a", "\udcff"),)),
    ],
)
def test_decodes_as_forms_do(query: str, expected: tuple[tuple[str, str], ...]) -> None:
    """`&` separates, `+` is a space, blank values count, octets beyond UTF-8 stay apart."""
    assert decode(query) == expected


@given(RAW)
def test_agrees_with_urllib(query: str) -> None:
    """Our decoding is urllib's, for any query."""
    pairs = parse_qsl(query, keep_blank_values=True, errors="surrogateescape")
    expected = [pair for pair in pairs if pair != ("", "") or "=" in query]

    assert [pair for pair in decode(query) if pair != ("", "") or "=" in query] == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("key=1&a=%2c", "a=%2c"),
        ("a=1&key=1", "a=1"),
        ("a=1&k%65y=1&&b", "a=1&&b"),
        ("a=+%20&b", "a=+%20&b"),
        ("key=x", ""),
        ("", ""),
    ],
)
def test_cuts_without_a_change_to_the_rest(query: str, expected: str) -> None:
    """What stays is as the client wrote it; names are compared decoded."""
    assert without(query, lambda name, _: name == "key") == expected


@given(TEXT)
def test_quoted_text_reads_back(text: str) -> None:
    """Quoting loses nothing, so no two texts have one quoted form."""
    octets = text.encode("utf-8", "surrogateescape") if not _lone(text) else b""

    assert _lone(text) or unquote_to_bytes(quoted(text)) == octets


@given(TEXT)
def test_quoted_text_holds_no_separator(text: str) -> None:
    """Nothing in a quoted text can be taken for what separates the parts of a key."""
    if not _lone(text):
        assert not set(quoted(text)) & set("/?&=;# \n\r\t")
        assert quoted(text).isascii()


def test_quoted_keeps_octets_beyond_utf8_apart() -> None:
    """Two octets that are no UTF-8 do not become the same replacement character."""
    assert [quoted(value) for _, value in decode("a=%FF&a=%FE")] == ["%FF", "%FE"]
    assert quoted('["A","B"]') == '["A","B"]'
    assert quote("é") == quoted("é")


def _lone(text: str) -> bool:
    """Say whether `text` holds surrogates that stand for no octet: no query decodes to them."""
    return any("\ud800" <= each <= "\udfff" and not "\udc80" <= each <= "\udcff" for each in text)
