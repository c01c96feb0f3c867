"""The gzip coding: whole bodies only."""

import gzip
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.codings import LARGEST, content, gunzip, is_gzip, verify


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=3))
def test_members_add_up(parts: list[bytes]) -> None:
    """A gzip body is the content of all its members (RFC 1952 section 2.2)."""
    assert b"".join(parts) == gunzip(b"".join(gzip.compress(part) for part in parts))


@pytest.mark.parametrize("broken", [gzip.compress(b"price" * 99)[:-4], b"plain", b"\x1f\x8b\x08"])
def test_broken_is_an_error(broken: bytes) -> None:
    """Half a body, or none of that coding, is never taken for a whole one."""
    with pytest.raises(ValueError, match="gzip"):
        gunzip(broken)


@pytest.mark.parametrize("members", [1, 8])
def test_what_unpacks_without_end_is_no_answer(members: int) -> None:
    """A few kilobytes that become gigabytes are a trap: they are given up at a bound."""
    trap = gzip.compress(bytes(LARGEST // members), 1) * members
    tracemalloc.start()
    try:
        verify(trap)
        with pytest.raises(ValueError, match="gzip"):
            verify(trap + gzip.compress(b"1"))
        assert tracemalloc.get_traced_memory()[1] < LARGEST // 4
        with pytest.raises(ValueError, match="gzip"):
            gunzip(trap + gzip.compress(b"1"))
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("broken", [gzip.compress(b"price" * 99)[:-4], b"plain", b"\x1f\x8b\x08"])
def test_broken_is_found_without_unpacking(broken: bytes) -> None:
    """Whether a body is whole can be seen in little memory."""
    with pytest.raises(ValueError, match="gzip"):
        verify(broken)
    verify(gzip.compress(b"price" * 99) + b"\0\0")


@pytest.mark.parametrize("size", [4 * 1024 * 1024 + extra for extra in (-1, 0, 1)])
def test_nothing_is_lost_between_pieces(size: int) -> None:
    """What fills a piece, or just does not, is whole."""
    body = b"ab" * (size // 2) + b"c" * (size % 2)

    assert body == gunzip(gzip.compress(body, 1))


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
