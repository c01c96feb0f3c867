"""Answers that come whole and plain: read just as aiohttp's parser reads them, or left to it."""

import asyncio
from typing import Any

import pytest
from aiohttp.client_proto import ResponseHandler
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.deadlines import Deadlines
from proxy.http.arrivals import Answering, parsed_head
from proxy.http.client import _framing_lie, _parse
from proxy.http.whole_answers import PlainHead, WholeAnswer, whole_answer

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
TWO = b"Content-Length: 2\r\n\r\nok"


class Held:
    """A connection that nobody needs back."""

    protocol = None

    def close(self) -> None:
        """Do nothing."""

    release = close


def by_aiohttp(data: bytes, *, bodiless: bool) -> tuple[object, ...] | None:
    """Return what aiohttp's parser makes of it; None where the connection is of no more use."""

    async def read() -> tuple[object, ...] | None:
        protocol = ResponseHandler(asyncio.get_running_loop())
        _parse(protocol, bodiless=bodiless)
        protocol.data_received(data)
        message, content = await protocol.read()
        held: Any = Held()
        answering = Answering(
            parsed_head(message),
            content,
            held,
            lambda _: None,
            Deadlines(),
            patience=1.0,
            requested_at=0.0,
        )
        if protocol.should_close or _framing_lie(message) is not None:
            return None
        return (*head(answering), answering.arrived())

    return asyncio.run(read())


def head(answer: PlainHead | Answering) -> tuple[object, ...]:
    return answer.status, answer.reason, answer.fields, answer.content_length


PLAIN = [
    (OK + TWO, False),
    (OK + b"A: \r\nb:\tx \xe9\t\r\nA: 2\r\nKeep-Alive:\r\nConnection: Keep-Alive\r\n" + TWO, False),
    (b"HTTP/1.1 404 Not Found\r\ncontent-length:0\r\n\r\n", False),
    (b'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Length: 5\r\n\r\n', False),
    (b"HTTP/1.1 204 No Content\r\n\r\n", False),
    (OK + b"Content-Length: 5\r\n\r\n", True),
    (OK + b"Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n", False),
    (OK + b"transfer-encoding:chunked\r\n\r\n2\r\nok\r\n00A\r\n0123456789\r\n0\r\n\r\n", False),
]  # fmt: skip


@pytest.mark.parametrize(("data", "bodiless"), PLAIN)
def test_plain_answers_are_read(data: bytes, *, bodiless: bool) -> None:
    """They are what nearly every provider says, and are read as aiohttp reads them."""
    answer = whole_answer(data, bodiless=bodiless)

    assert isinstance(answer, WholeAnswer)
    assert (*head(answer), answer.whole) == by_aiohttp(data, bodiless=bodiless)


@pytest.mark.parametrize(
    ("data", "bodiless"),
    [
        (b"", False),
        (OK, False),
        (OK + TWO + b"!", False),
        (OK + TWO, True),
        (OK + b"\r\n", True),
        (OK + b"\r\nuntil the end", False),
        (OK + b"Transfer-Encoding: chunked\r\n" + TWO, False),
        (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", False),
        (OK + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n0\r\n\r\n", False),
        (OK + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", False),
        (b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", False),
        (CHUNKED + b"0\r\n\r\n", True),
        (CHUNKED, True),
        (CHUNKED, False),
        (CHUNKED + b"2\r\nok\r\n", False),
        (CHUNKED + b"2\r\nok\r\n0\r\n", False),
        (CHUNKED + b"2\r\nok\r\n0\r\n\r\nHTTP", False),
        (CHUNKED + b"2\r\nok0\r\n\r\n", False),
        (CHUNKED + b"3\r\nok\r\n0\r\n\r\n", False),
        (CHUNKED + b"2;a=b\r\nok\r\n0\r\n\r\n", False),
        (CHUNKED + b"0x2\r\nok\r\n0\r\n\r\n", False),
        (CHUNKED + b"+2\r\nok\r\n0\r\n\r\n", False),
        (CHUNKED + b"2 \r\nok\r\n0\r\n\r\n", False),
        (CHUNKED + b"2\nok\r\n0\r\n\r\n", False),
        (CHUNKED + b"2\r\nok\r\n0\r\nTrailer: x\r\n\r\n", False),
        (CHUNKED + b"FFFFFFFFF\r\nok\r\n0\r\n\r\n", False),
        (CHUNKED + b"1\r\n.\r\n" * 300 + b"0\r\n\r\n", False),
        (OK + b"Content-Length: 2\r\n" + TWO, False),
        (OK + b"Content-Length: +2\r\n\r\nok", False),
        (OK + b"Content-Length: 2, 2\r\n\r\nok", False),
        (OK + b"Content-Length: \xb2\r\n\r\nok", False),
        (OK + b"Connection: close\r\n" + TWO, False),
        (OK + b"Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\n" + TWO, False),
        (OK + b"Upgrade: h2c\r\n" + TWO, False),
        (OK + b"A: b\r\n folded\r\n" + TWO, False),
        (OK + b"A : b\r\n" + TWO, False),
        (OK + b"A: b\nB: c\r\n" + TWO, False),
        (OK + b"A: b\rc\r\n" + TWO, False),
        (OK + b"A: b\0c\r\n" + TWO, False),
        (OK + b"no colon\r\n" + TWO, False),
        (OK + b": no name\r\n" + TWO, False),
        (OK + b"A: " + b"a" * 40_000 + b"\r\n" + TWO, False),
        (OK + b"A: a\r\n" * 200 + TWO, False),
        (b"HTTP/1.1 200\r\n" + TWO, False),
        (b"HTTP/1.1 200 caf\xe9\r\n" + TWO, False),
        (b"HTTP/1.0 200 OK\r\n" + TWO, False),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK + TWO, False),
        (b"HTTP/1.1 101 Switching\r\nContent-Length: 0\r\n\r\n", False),
        (b"HTTP/1.1 204 No Content\r\n\r\nx", False),
        (b"HTTP/1.1 999 Odd\r\n" + TWO, False),
        (b"\r\n" + OK + TWO, False),
        (b"garbage\r\n\r\n", False),
    ],
)
def test_all_else_is_left_to_the_parser(data: bytes, *, bodiless: bool) -> None:
    """Cut, interim, in odd chunks, longer than it says, ending its connection, odd, or no HTTP."""
    assert whole_answer(data, bodiless=bodiless) is None


NAMES = st.sampled_from(
    [b"A", b"content-type", b"Server", b"Date", b"Connection", b"Content-Length", b"Via", b"TE",
     b"Keep-Alive", b"Trailer", b"Set-Cookie", b"Content-Encoding", b"Transfer-Encoding", b"X y"]
)  # fmt: skip
VALUES = st.one_of(
    st.sampled_from([b"2", b"02", b"0", b"keep-alive", b"close", b"gzip", b"chunked", b"a, b"]),
    st.binary(max_size=6),
)
LINES = st.lists(
    st.tuples(NAMES, st.sampled_from([b":", b": ", b":\t", b" : "]), VALUES).map(b"".join),
    max_size=5,
)


STATUSES = [b"200 OK", b"404 Not Found", b"304 Not Modified", b"204 No", b"299 a  b", b"5"]


BODIES = [
    b"",
    b"ok",
    b"okok",
    b"0\r\n\r\n",
    b"2\r\nok\r\n0\r\n\r\n",
    b"2\r\nok\r\n0\r\nA: b\r\n\r\n",
]


@given(st.sampled_from(STATUSES), LINES, st.sampled_from(BODIES), st.data())
@example(b"200 OK", [b"Transfer-Encoding: chunked"], BODIES[4], None)
@example(b"200 OK", [b"Content-Length: 2", b"A: \xc3\xa9 \t"], b"ok", None)
def test_what_is_read_is_what_aiohttp_reads(
    status: bytes, lines: list[bytes], body: bytes, more: st.DataObject | None
) -> None:
    """Whatever is taken for plain: the same head and body, on a connection that goes on."""
    bodiless = more is not None and more.draw(st.booleans())
    data = b"\r\n".join([b"HTTP/1.1 " + status, *lines, b"", body])
    answer = whole_answer(data, bodiless=bodiless)

    if answer is not None:
        left = answer.content_length if type(answer) is PlainHead else len(answer.whole)
        missing = b"." * ((left or 0) - len(answer.whole))
        whole = (*head(answer), answer.whole + missing)
        assert whole == by_aiohttp(data + missing, bodiless=bodiless)


@pytest.mark.parametrize("came", [0, 1])
def test_of_a_body_that_says_its_length_the_rest_may_follow(came: int) -> None:
    """Its head is read, with what came behind it."""
    data = OK + TWO
    answer = whole_answer(data[: len(data) - 2 + came], bodiless=False)

    assert type(answer) is PlainHead
    assert (answer.status, answer.content_length, answer.whole) == (200, 2, b"ok"[:came])


async def test_it_is_an_exchange() -> None:
    """Its body can be had at once, or be read; to abort it takes nothing from it."""
    answer = whole_answer(OK + TWO, bodiless=False)

    assert isinstance(answer, WholeAnswer)
    answer.abort()
    assert answer.arrived() == b"ok"
    assert [chunk async for chunk in answer.body()] == [b"ok"]
