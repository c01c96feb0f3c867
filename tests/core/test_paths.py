"""What a path's segments are, and which paths are asked of nobody."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.paths import OutOfBounds, is_plain, parsed


@pytest.mark.parametrize(
    ("path", "raw", "decoded"),
    [
        ("", (), ()),
        ("/", (), ()),
        ("//a///b/", ("a", "b"), ("a", "b")),
        ("/a%20b/c%2Fd", ("a%20b", "c%2Fd"), ("a b", "c/d")),
        ("/a.b/c;d", ("a.b", "c;d"), ("a.b", "c;d")),
        ("/.hidden", (".hidden",), (".hidden",)),
    ],
)
def test_empty_segments_are_left_out(
    path: str, raw: tuple[str, ...], decoded: tuple[str, ...]
) -> None:
    """Double slashes and a trailing one make no difference to what is met."""
    assert (raw, decoded) == parsed(path)


@pytest.mark.parametrize(
    "path", ["a", "/a/..", "/./a", "/a/%2e%2E", "/a/..;x", "/a\\..", "/%252e", "/a%00", "/\x7f"]
)
def test_what_others_would_resolve_is_out_of_bounds(path: str) -> None:
    """A dot segment in any spelling, a control character, and what is no path."""
    assert isinstance(parsed(path), OutOfBounds)


@given(st.text(st.characters(codec="latin-1", exclude_characters="/"), min_size=1, max_size=6))
def test_a_plain_segment_is_read_as_it_is_written(text: str) -> None:
    """What is plain need not be decoded: it would come out the same, and is in bounds."""
    if is_plain(text):
        assert ((text,), (text,)) == parsed(f"/{text}")
