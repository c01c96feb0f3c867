"""gzip or identity, whatever the client claims."""

import gzip
import zlib
from collections.abc import AsyncIterator

import pytest

from proxy.core.codings import gunzip, negotiated
from proxy.http.encodings import coding_of, gunzipped, takes_gzip


@pytest.mark.parametrize(
    ("accept", "takes"),
    [
        (None, False),
        ("", False),
        ("identity", False),
        ("gzip", True),
        ("GZip", True),
        ("x-gzip", True),
        ("br", False),
        ("gzip, deflate, br, zstd", True),
        ("br;q=1.0, gzip;q=0.1", True),
        ("gzip;q=0", False),
        ("gzip;q=0.000, *", False),
        ("*", True),
        ("*;q=0", False),
        ("identity;q=1, gzip;q=0.5", False),
        ("identity;q=0.5, gzip;q=1.0", True),
        ("gzip; q=0.5 , deflate", True),
        ("gzip;q=x", False),
        (",,gzip,,", True),
    ],
)
def test_takes_gzip(accept: str | None, takes: bool) -> None:  # noqa: FBT001 - a table's column
    """RFC 9110 section 12.5.3, with identity for whoever does not say that gzip is welcome."""
    assert takes_gzip(accept) is takes


@pytest.mark.parametrize(
    ("field", "coding"), [("gzip", "gzip"), ("X-GZIP", "gzip"), ("identity", ""), ("br", "br")]
)
def test_coding_of(field: str, coding: str) -> None:
    """`x-gzip` is gzip (RFC 9110 section 8.4.1.3), and identity is no coding."""
    assert coding_of((("content-encoding", field),)) == coding


def test_a_changed_form_is_another_representation() -> None:
    """A strong ETag becomes weak, digests of the other bytes go, and Vary says why."""
    fields = (
        ("ETag", '"x"'),
        ("Content-Digest", "sha-256=:AA=:"),
        ("Repr-Digest", "y"),
        ("A", "b"),
    )
    assert negotiated(fields, "gzip", changed=True) == (
        ("ETag", 'W/"x"'),
        ("A", "b"),
        ("Content-Encoding", "gzip"),
        ("Vary", "Accept-Encoding"),
    )


def test_an_unchanged_form_keeps_its_validators() -> None:
    """What went out as it came keeps its strong ETag and digests; Vary is said once."""
    fields = (
        ("Content-Encoding", "gzip"),
        ("ETag", '"x"'),
        ("Digest", "y"),
        ("vary", "Origin, accept-encoding"),
    )
    assert negotiated(fields, "gzip", changed=False) == (
        ("ETag", '"x"'),
        ("Digest", "y"),
        ("vary", "Origin, accept-encoding"),
        ("Content-Encoding", "gzip"),
    )


async def pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.mark.parametrize("size", [1, 7, 100, 100_000])
async def test_gunzipped_streams_every_member(size: int) -> None:
    """A gzip stream may have several members (RFC 1952 section 2.2), split anywhere."""
    data = gzip.compress(b"one" * 1000) + gzip.compress(b"two")
    assert (
        b"".join([part async for part in gunzipped(pieces(data, size))]) == b"one" * 1000 + b"two"
    )


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_padding_is_no_member(size: int) -> None:
    """Zeros after a member are passed over, as where a body is unpacked whole."""
    data = gzip.compress(b"one") + bytes(20) + gzip.compress(b"two") + bytes(9)
    assert b"".join([part async for part in gunzipped(pieces(data, size))]) == b"onetwo"
    assert gunzip(data) == b"onetwo"


async def test_gunzipped_bounds_its_pieces() -> None:
    """A small chunk that unpacks to a large one comes in pieces."""
    data = gzip.compress(bytes(10_000_000))
    sizes = [len(part) async for part in gunzipped(pieces(data, 1_000_000))]
    assert sum(sizes) == 10_000_000
    assert max(sizes) <= 256 * 1024


async def test_gunzipped_refuses_half_a_stream() -> None:
    """What ends early is not taken for whole."""
    with pytest.raises(zlib.error):
        [part async for part in gunzipped(pieces(gzip.compress(b"hello" * 99)[:-9], 10))]
