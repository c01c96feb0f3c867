"""Framing of answers (RFC 9112 section 6.3)."""

from itertools import pairwise

import pytest
from aiohttp.http_exceptions import ContentLengthError
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.framing import Counted, Framed


class Fed:
    """A parser that remembers what it was fed."""

    def __init__(self) -> None:
        self.data = b""
        self.ended = False
        self.paused = False

    def feed_data(self, data: bytes) -> int:
        """Take octets."""
        self.data += data
        return len(data)

    def feed_eof(self) -> None:
        """Take the end."""
        self.ended = True

    def pause_reading(self) -> None:
        """Take a rest."""
        self.paused = True


def fed(pieces: list[bytes], *, bodiless: bool = False) -> tuple[bytes, bool]:
    """Return what the parser saw of these pieces, and whether the connection was ended."""
    parser, excess = Fed(), []
    framed = Framed(parser, bodiless=bodiless, on_excess=lambda: excess.append(1))
    for piece in pieces:
        framed.feed_data(piece)
    return parser.data, bool(excess)


OK = b"HTTP/1.1 200 OK\r\n"
FIVE = OK + b"Content-Length: 5\r\n\r\n"
CODED = b"Transfer-Encoding: "


class Body:
    """A body that remembers what it was fed."""

    def __init__(self) -> None:
        self.data = b""
        self.ended = 0

    def feed_data(self, data: bytes) -> None:
        """Take octets."""
        assert data
        self.data += data

    def feed_eof(self) -> None:
        """Take the end."""
        self.ended += 1


@given(st.binary(min_size=1, max_size=9), st.binary(max_size=3), st.lists(st.integers(0, 12)))
def test_a_counted_body_ends_where_its_head_said(
    body: bytes, excess: bytes, cuts: list[int]
) -> None:
    """Wherever the network cuts: so many octets and its end, once; any more ends the connection."""
    content, ended = Body(), []
    counted = Counted(content, len(body), lambda: ended.append(1))
    came = body + excess
    edges = [0, *sorted(cuts), len(came)]
    for start, end in pairwise(edges):
        assert counted.feed_data(came[start:end]) == ((), False, b"")

    assert (content.data, content.ended) == (body, 1)
    assert bool(ended) == bool(excess)
    counted.feed_eof()


def test_a_counted_body_that_ends_before_is_none() -> None:
    """The connection's end is not the body's."""
    content = Body()
    counted = Counted(content, 3, lambda: None)
    counted.feed_data(b"ab")

    with pytest.raises(ContentLengthError):
        counted.feed_eof()
    assert content.ended == 0


FRAMED: list[tuple[bytes, bool, bytes, bool]] = [
    # what comes, to a HEAD?, what is parsed, whether the connection ends
    (FIVE + b"hello", False, FIVE + b"hello", False),
    (FIVE + b"hel", False, FIVE + b"hel", False),
    (FIVE + b"hello, world", False, FIVE + b"hello", True),
    (FIVE + b"helloHTTP/1.1 200 OK\r\n\r\n", False, FIVE + b"hello", True),
    (OK + b"content-length:5 \r\n\r\nhello!", False, OK + b"content-length:5 \r\n\r\nhello", True),
    (FIVE, True, FIVE, False),
    (FIVE + b"hello", True, FIVE, True),
    (b"HTTP/1.1 204 No Content\r\n\r\nx", False, b"HTTP/1.1 204 No Content\r\n\r\n", True),
    (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello", False,
     b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", True),
    (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + FIVE + b"hello!", False,
     b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + FIVE + b"hello", True),
    (OK + CODED + b"chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", False,
     OK + CODED + b"chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", False),
    (OK + CODED + b"unheard-of\r\n\r\nany", False, OK + b"\r\nany", False),
    (OK + CODED + b"gzip, chunked\r\n\r\nx", False, OK + CODED + b"gzip, chunked\r\n\r\nx", False),
    (OK + CODED + b"gzip\r\n\r\nx", False, OK + CODED + b"gzip\r\n\r\nx", False),
    (OK + CODED + b"odd\r\nContent-Length: 1\r\n\r\nxy", False,
     OK + CODED + b"odd\r\nContent-Length: 1\r\n\r\nxy", False),
    (OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxyz", False,
     OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxyz", False),
    (OK + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nxyz", False,
     OK + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", True),
    (OK + b"\r\nuntil the end", False, OK + b"\r\nuntil the end", False),
    (b"HTTP/1.1 101 Switching\r\n\r\nraw", False, b"HTTP/1.1 101 Switching\r\n\r\nraw", False),
    (b"SSH-2.0-OpenSSH_9.2\r\n", False, b"SSH-2.0-OpenSSH_9.2\r\n", False),
    (b"HTTP/9 what\r\n\r\nx", False, b"HTTP/9 what\r\n\r\nx", False),
]  # fmt: skip


@pytest.mark.parametrize(("came", "bodiless", "parsed", "ended"), FRAMED)
def test_an_answer_ends_where_it_says(
    came: bytes, parsed: bytes, *, bodiless: bool, ended: bool
) -> None:
    """The length is the body; what is beyond it is dropped with the connection."""
    assert (parsed, ended) == fed([came], bodiless=bodiless)


@given(st.sampled_from(FRAMED), st.lists(st.integers(0, 120), max_size=6))
def test_how_it_comes_in_pieces_changes_nothing(
    row: tuple[bytes, bool, bytes, bool], cuts: list[int]
) -> None:
    """Wherever the network cuts, the same is parsed."""
    came, bodiless, parsed, ended = row
    edges = [0, *sorted(cuts), len(came)]
    pieces = [came[start:end] for start, end in pairwise(edges)]

    assert (parsed, ended) == fed(pieces, bodiless=bodiless)


def test_a_head_that_never_ends_is_the_parsers_to_refuse() -> None:
    """A head too long is passed on as it is; the parser has a limit of its own."""
    endless = OK + b"X: " + b"x" * 300_000

    assert fed([endless, b"more"]) == (endless + b"more", False)


def test_the_end_comes_with_what_was_held_back() -> None:
    """A connection that ends within a head: the parser sees the half head, and the end."""
    parser = Fed()
    framed = Framed(parser, bodiless=False, on_excess=lambda: None)
    framed.feed_data(OK)
    framed.pause_reading()
    framed.feed_eof()

    assert (parser.data, parser.ended, parser.paused) == (OK, True, True)
