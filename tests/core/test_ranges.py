"""Ranges (RFC 9110 section 14)."""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core import ranges
from proxy.core.fields import Fields, first
from proxy.core.model import Entry, Lifetimes, Reply, Request

NOW = 1_763_000_000.0
BODY = b"0123456789A"
TAG = ("ETag", '"t"')
DATE = "Wed, 12 Nov 2025 00:00:00 GMT"
LATER = "Wed, 12 Nov 2025 00:00:01 GMT"


def part(asked: Fields, *fields: tuple[str, str], method: str = "GET", status: int = 200,
         body: bytes = BODY, encoding: str = "") -> Reply:  # fmt: skip
    entry = Entry("k", status, "OK", fields, body, encoding, NOW, NOW, 0.0, Lifetimes(9))
    whole = Reply(status, "OK", fields, body, encoding)
    return ranges.part(entry, whole, Request(method, "/x", "", asked))


RANGES = [
    # RFC 9110 section, Range, status, body, Content-Range
    ("14.1.2", "bytes=0-1", 206, b"01", "bytes 0-1/11"),
    ("14.1.2", "bytes=1-", 206, b"123456789A", "bytes 1-10/11"),
    ("14.1.2", "bytes=-1", 206, b"A", "bytes 10-10/11"),
    ("14.1.2", "bytes=-5", 206, b"6789A", "bytes 6-10/11"),
    ("14.1.2", "bytes=-99", 206, BODY, "bytes 0-10/11"),
    ("14.1.2", "bytes=0-99", 206, BODY, "bytes 0-10/11"),
    ("14.1.2", "bytes=10-10", 206, b"A", "bytes 10-10/11"),
    ("14.1", "Bytes= 0-1 ", 206, b"01", "bytes 0-1/11"),
    ("15.5.17", "bytes=11-", 416, b"", "bytes */11"),
    ("15.5.17", "bytes=99-100", 416, b"", "bytes */11"),
    ("15.5.17", "bytes=-0", 416, b"", "bytes */11"),
    ("14.1.2", f"bytes=0-{'9' * 3000}", 206, BODY, "bytes 0-10/11"),
    ("14.1.2", f"bytes=-{'9' * 3000}", 206, BODY, "bytes 0-10/11"),
    ("15.5.17", f"bytes={'9' * 3000}-", 416, b"", "bytes */11"),
    ("14.2", f"bytes={'9' * 5000}-", 200, BODY, None),  # more digits than Python reads by itself
    ("14.2", f"bytes=0-{'9' * 5000}", 200, BODY, None),
    ("14.2", f"bytes=-{'9' * 5000}", 200, BODY, None),
    ("14.2", "bytes=5-1", 200, BODY, None),
    ("14.2", "bytes=-", 200, BODY, None),
    ("14.2", "bytes=", 200, BODY, None),
    ("14.2", "bytes=a-b", 200, BODY, None),
    ("14.2", "bytes=0-1,3-4", 200, BODY, None),
    ("14.2", "lines=0-1", 200, BODY, None),
    ("14.2", "0-1", 200, BODY, None),
]


@pytest.mark.parametrize(("section", "asked", "status", "body", "content_range"), RANGES)
def test_one_range_of_bytes_is_cut_out(
    section: str, asked: str, status: int, body: bytes, content_range: str | None
) -> None:
    """A part, 416 where there is none, and the whole for whatever is not understood."""
    reply = part((("Range", asked),), TAG)

    assert (status, body) == (reply.status, reply.body)
    assert content_range == first(reply.fields, "content-range")


IF_RANGE = [
    # If-Range, stored fields, whether the part is given (RFC 9110 section 13.1.5)
    ('"t"', (TAG,), True),
    ('"u"', (TAG,), False),
    ('W/"t"', (TAG,), False),
    ('W/"t"', (("ETag", 'W/"t"'),), False),
    ('"t"', (("ETag", 'W/"t"'),), False),
    ('"t"', (), False),
    (DATE, (("Last-Modified", DATE), ("Date", LATER)), True),
    (DATE, (("Last-Modified", DATE), ("Date", DATE)), False),  # 8.8.2.2: weak within a second
    (DATE, (("Last-Modified", DATE), ("Date", "then")), False),
    (DATE, (("Last-Modified", DATE),), False),
    (DATE, (("Last-Modified", LATER), ("Date", LATER)), False),
    (DATE, (TAG,), False),
    ("", (TAG,), False),
]


@pytest.mark.parametrize(("condition", "fields", "given_part"), IF_RANGE)
def test_a_part_is_given_of_the_whole_that_is_meant(
    condition: str, fields: Fields, *, given_part: bool
) -> None:
    """9110 13.1.5: If-Range names a strong tag or the exact date; else the whole is given."""
    reply = part((("Range", "bytes=0-1"), ("If-Range", condition)), *fields)

    assert (206 if given_part else 200) == reply.status


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 404), ("GET", 203)])
def test_parts_are_of_a_200_to_get(method: str, status: int) -> None:
    """9110 14.2: a Range to another method is not looked at; nor is there a part of an error."""
    reply = part((("Range", "bytes=0-1"),), method=method, status=status)

    assert (status, BODY) == (reply.status, reply.body)


def test_a_part_is_of_the_identity_form() -> None:
    """A body that the proxy keeps compressed is cut in the form that its length speaks of."""
    pressed = zlib.compressobj(wbits=31)
    body = pressed.compress(BODY) + pressed.flush()
    reply = part((("Range", "bytes=2-4"),), body=body, encoding="gzip")

    assert (b"234", "", 206) == (reply.body, reply.encoding, reply.status)


PRESSED = gzip.compress(BODY[:5]) + gzip.compress(BODY[5:])
CODED = ("Content-Encoding", "gzip")


def test_a_part_of_what_came_as_gzip_is_another_representation() -> None:
    """The cut bytes are not gzip and must not be called so; tag, digests and Vary go with them."""
    reply = part(
        (("Range", "bytes=4-6"),), CODED, TAG, ("Digest", "d"), body=PRESSED, encoding="gzip"
    )

    assert (206, b"456") == (reply.status, reply.body)  # of all the members of the gzip body
    assert reply.fields == (
        ("ETag", 'W/"t"'),
        ("Vary", "Accept-Encoding"),
        ("Content-Range", "bytes 4-6/11"),
    )


@pytest.mark.parametrize(
    ("asked", "fields"),
    [
        ((("If-Range", '"t"'),), (CODED, TAG)),  # the tag names the gzip bytes
        ((), (CODED, TAG, ("Cache-Control", "public"), ("Cache-Control", "no-transform"))),
    ],
)
def test_what_came_as_gzip_is_whole_where_its_bytes_are_meant(
    asked: Fields, fields: Fields
) -> None:
    """A part in another form would be joined to bytes that it does not fit, or is forbidden."""
    reply = part((("Range", "bytes=4-6"), *asked), *fields, body=PRESSED, encoding="gzip")

    assert (200, PRESSED, fields) == (reply.status, reply.body, reply.fields)


def test_a_part_is_given_no_digest_of_the_whole() -> None:
    """RFC 9530 section 2: Content-Digest is of a message's bytes, Repr-Digest of the whole."""
    digests = (("Content-Digest", "c"), ("Repr-Digest", "r"), ("Content-MD5", "m"))
    reply = part((("Range", "bytes=0-0"),), *digests)

    assert reply.fields == (("Repr-Digest", "r"), ("Content-Range", "bytes 0-0/11"))


def test_a_stored_content_range_is_not_repeated() -> None:
    """A part has one Content-Range, and the rest of the whole's fields."""
    reply = part((("Range", "bytes=0-0"),), ("Content-Range", "nonsense"), ("A", "1"))

    assert reply.fields == (("A", "1"), ("Content-Range", "bytes 0-0/11"))


@given(st.binary(max_size=30), st.integers(0, 40), st.integers(0, 40))
def test_a_part_is_what_a_slice_is(body: bytes, start: int, last: int) -> None:
    """Any range is the slice of the body, or 416 where that is empty, or the whole if inverted."""
    reply = part((("Range", f"bytes={start}-{last}"),), body=body)
    if last < start:
        assert (reply.status, reply.body) == (200, body)
    elif start >= len(body):
        assert (reply.status, reply.body) == (416, b"")
    else:
        assert (reply.status, reply.body) == (206, body[start : last + 1])
