"""The gzip coding: whole bodies only."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.codings import content, gunzip, is_gzip


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=3))
def test_members_add_up(parts: list[bytes]) -> None:
    """A gzip body is the content of all its members (RFC 1952 section 2.2)."""
    assert b"".join(parts) == gunzip(b"".join(gzip.compress(part) for part in parts))


@pytest.mark.parametrize("broken", [gzip.compress(b"price" * 99)[:-4], b"plain", b"\x1f\x8b\x08"])
def test_broken_is_an_error(broken: bytes) -> None:
    """Half a body, or none of that coding, is never taken for a whole one."""
    with pytest.raises(ValueError, match="gzip"):
        gunzip(broken)


@pytest.mark.parametrize(
    ("value", "expected"), [("gzip", True), (" GZIP ", True), ("br", False), ("gzip, br", False)]
)
def test_is_gzip(value: str, expected: bool) -> None:  # noqa: FBT001 - a table's column
    """Only gzip alone can be undone here."""
    assert expected is is_gzip((("Content-Encoding", value),))


def test_the_same_body_is_undone_once() -> None:
    """Two bodies of the same bytes are two; one body asked for again is not undone again."""
    body = gzip.compress(b"price" * 99)
    undone = content(body)
    assert undone == gunzip(body)
    assert content(body) is undone
    for number in range(8):  # more recent ones take its place
        content(gzip.compress(b"%d" % number))
    assert content(body) == undone
    assert content(body) is not undone


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=30))
def test_what_is_remembered_is_never_another_body(parts: list[bytes]) -> None:
    """Whatever was undone before, a body's content is its own."""
    bodies = [gzip.compress(part) for part in parts]
    assert [content(body) for body in bodies * 2] == parts * 2
