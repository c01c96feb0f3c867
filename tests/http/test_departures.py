"""Requests as they leave."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.departures import BodyCutError, request_head, send_body, sendable

PRINTABLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="#"))


@given(PRINTABLE)
def test_what_can_be_written_stays_as_it_is(target: str) -> None:
    """A signature may have been counted over it."""
    assert sendable(target) == target


@given(st.text())
def test_no_target_breaks_its_line(target: str) -> None:
    """Blanks, controls and what is not ASCII are percent-encoded."""
    sent = sendable(target.encode("utf-8", "ignore").decode())
    assert sent.isascii()
    assert not set(sent) & set(" \r\n\t\0#")


async def nothing() -> AsyncIterator[bytes]:
    for part in ():
        yield part


@pytest.mark.parametrize(
    ("method", "body", "fields", "framing"),
    [
        ("GET", None, (), ""),
        ("GET", None, (("Content-Length", "5"),), ""),
        ("DELETE", None, (), ""),
        ("POST", None, (), "Content-Length: 0\r\n"),
        ("POST", b"hello", (), "Content-Length: 5\r\n"),
        ("POST", b"hello", (("Content-Length", "9"),), "Content-Length: 5\r\n"),
        ("POST", nothing(), (), "Transfer-Encoding: chunked\r\n"),
        ("POST", nothing(), (("content-length", "7"),), "Content-Length: 7\r\n"),
        ("POST", nothing(), (("Content-Length", "x"),), "Transfer-Encoding: chunked\r\n"),
    ],
)
def test_framing(method: str, body: Any, fields: Any, framing: str) -> None:
    """RFC 9112 section 6: one length, or chunks; that of a whole body is its own."""
    head = request_head(method, "/x", "h:1", (("A", "b"), *fields), body)
    assert head.decode() == f"{method} /x HTTP/1.1\r\nHost: h:1\r\nA: b\r\n{framing}\r\n"


def test_fields_of_the_connection_are_our_own() -> None:
    """Whatever a request says of them; all others keep order, spelling and octets."""
    fields = (
        ("host", "x"),
        ("Connection", "close"),
        ("TE", "x"),
        ("expect", "100-continue"),
        ("x-é", "\xe9"),
        ("X", "a\r\nY: b"),
    )
    head = request_head("GET", "/", "h", fields, None)
    assert head == b"GET / HTTP/1.1\r\nHost: h\r\nTE: x\r\nx-\xe9: \xe9\r\nX: a  Y: b\r\n\r\n"


class Transport:
    """Takes what is written."""

    def __init__(self) -> None:
        self.data = b""
        self.drained = 0

    def write(self, data: bytes) -> None:
        """Take bytes."""
        self.data += data

    def is_closing(self) -> bool:
        """Stay open."""
        return False

    async def drain(self) -> None:
        """Take a breath."""
        self.drained += 1


async def parts() -> AsyncIterator[bytes]:
    for part in (b"he", b"", b"llo"):
        yield part


@pytest.mark.parametrize(
    ("length", "data"), [(5, b"hello"), (None, b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n")]
)
async def test_a_body_goes_as_it_comes(length: int | None, data: bytes) -> None:
    """In chunks where its length is not known; no faster than it is taken."""
    to: Any = Transport()
    await send_body(to, to, parts(), length)
    assert (to.data, to.drained) == (data, 2)


@pytest.mark.parametrize("length", [4, 6])
async def test_a_body_that_lies_is_cut(length: int) -> None:
    """Neither more nor less than was said: the next request must not begin in the middle."""
    to: Any = Transport()
    with pytest.raises(BodyCutError):
        await send_body(to, to, parts(), length)
    assert len(to.data) <= length
