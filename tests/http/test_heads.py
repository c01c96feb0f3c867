"""Heads in bytes."""

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.heads import date_line, decoded, field_lines, status_line


@given(st.integers(0, 4102444800))
def test_date(second: int) -> None:
    """IMF-fixdate (RFC 9110 section 5.6.7), whatever the locale."""
    assert date_line(second) == f"Date: {formatdate(second, usegmt=True)}\r\n".encode()


@pytest.mark.parametrize(
    ("status", "reason", "line"),
    [
        (200, "OK", b"HTTP/1.1 200 OK\r\n"),
        (200, "", b"HTTP/1.1 200 OK\r\n"),
        (599, "", b"HTTP/1.1 599 \r\n"),
        (200, "a\r\nX: y", b"HTTP/1.1 200 a  X: y\r\n"),
    ],
)
def test_status_line(status: int, reason: str, line: bytes) -> None:
    """The provider's reason stays; one that is missing is the registered one."""
    assert status_line(status, reason) == line


@given(st.binary(max_size=30).filter(lambda raw: not set(raw) & set(b"\r\n\0")))
def test_octets_come_out_as_they_went_in(raw: bytes) -> None:
    """Field values are octets (RFC 9110 section 5.5), whatever their charset."""
    assert field_lines(decoded([(b"A", raw)])) == b"A: " + raw + b"\r\n"


@given(st.lists(st.tuples(st.text(max_size=9), st.text(max_size=9)), max_size=4))
def test_no_value_ends_its_line(fields: list[tuple[str, str]]) -> None:
    """However a value came to hold a line break, it can add neither a field nor a body."""
    lines = field_lines(tuple(fields))
    assert lines.count(b"\r\n") == lines.count(b"\n") == lines.count(b"\r") == len(fields)
