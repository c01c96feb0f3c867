"""Presentation: one entry, many clients."""

import pytest

from proxy.core.fields import Fields
from proxy.core.model import Entry, Lifetimes, Request
from proxy.core.presentation import present

NOW = 1_763_000_000.0
FIELDS = (
    ("Date", "Thu, 13 Nov 2025 02:13:20 GMT"),
    ("ETag", '"t"'),
    ("Content-Type", "text/plain"),
    ("Content-Encoding", "x"),
    ("Vary", "Foo"),
    ("Cache-Control", "max-age=9"),
    ("X", "1"),
)
ENTRY = Entry("k", 200, "OK", FIELDS, b"0123", "", NOW, NOW, 0.0, Lifetimes(9))

PRESENTED: list[tuple[str, str, Fields, int, bytes]] = [
    # RFC 9110 section, method, fields, status, body
    ("15.3.1", "GET", (), 200, b"0123"),
    ("9.3.2", "HEAD", (), 200, b"0123"),
    ("15.4.5", "GET", (("If-None-Match", '"t"'),), 304, b""),
    ("15.4.5", "HEAD", (("If-None-Match", '"t"'),), 304, b""),
    ("13.2.2", "GET", (("If-None-Match", '"t"'), ("Range", "bytes=0-1")), 304, b""),
    ("13.2.2", "GET", (("If-None-Match", '"u"'), ("Range", "bytes=0-1")), 206, b"01"),
    ("14.2", "GET", (("Range", "bytes=0-1"),), 206, b"01"),
    ("14.2", "HEAD", (("Range", "bytes=0-1"),), 200, b"0123"),
]


@pytest.mark.parametrize(("section", "method", "fields", "status", "body"), PRESENTED)
def test_each_client_gets_its_form(
    section: str, method: str, fields: Fields, status: int, body: bytes
) -> None:
    """Conditions come before ranges; HEAD keeps the body's length for the front."""
    reply = present(ENTRY, Request(method, "/x", "", fields), NOW)

    assert (status, body) == (reply.status, reply.body)


def test_a_304_says_what_updates_a_cache_and_nothing_of_a_body() -> None:
    """9110 15.4.5: Date, ETag, Vary, Cache-Control stay; the body's description goes."""
    reply = present(ENTRY, Request("GET", "/x", "", (("If-None-Match", "*"),)), NOW)

    assert reply.fields == tuple(pair for pair in FIELDS if not pair[0].startswith("Content-"))


def test_fields_pass_as_they_are() -> None:
    """What is stored is given with its fields in their order and spelling."""
    assert present(ENTRY, Request("GET", "/x", "", ()), NOW).fields == FIELDS
