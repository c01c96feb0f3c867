"""Which heads may be remembered, by themselves; over sockets: test_accelerator."""

import pytest

from proxy.core.model import Client, Request
from proxy.http.learnable import (
    LONGEST_HEAD,
    is_decided,
    is_plain,
    lasting,
    matters,
    varies,
    wants_gzip,
)

HEAD = b"GET /a HTTP/1.1\r\nHost: P\r\n\r\n"


def asked(*fields: tuple[str, str], client: str = "") -> Request:
    return Request("GET", "/a", "", (("Host", "P"), *fields), client=Client(client))


def test_only_short_gets_of_nobody_in_particular_are_plain() -> None:
    """A POST, a target in another form, a long head, a client that is counted: none of them."""
    assert is_plain(HEAD, asked())
    assert not is_plain(b"POST /a HTTP/1.1\r\n\r\n", asked())
    assert not is_plain(b"GET http://P/a HTTP/1.1\r\n\r\n", asked())
    assert not is_plain(HEAD + b"x" * LONGEST_HEAD, asked())
    assert not is_plain(HEAD, asked(client="grid"))


@pytest.mark.parametrize("name", ["Range", "If-None-Match", "AUTHORIZATION", "Cookie", "Expect"])
def test_what_asks_for_something_else_is_not_decided(name: str) -> None:
    """Conditions, ranges, credentials, in any case of letters."""
    assert is_decided(asked(("Accept", "a/b")), frozenset({"accept"}))
    assert not is_decided(asked((name, "x")), frozenset({"accept"}))


def test_what_an_answer_depends_on_must_matter() -> None:
    """An endpoint that keys a request id is none for the tables."""
    assert not is_decided(asked(), frozenset({"accept", "x-request-id"}))


def test_lines_that_are_new_each_time_are_left_out() -> None:
    """Wherever they stand; but not one that goes on in the next line, nor one that is no field."""
    rest = b"\r\nHost: P\r\nTraceparent: 00-1\r\nX: y\r\nx-request-ID: 7\r\n\r\n"
    assert varies(rest)
    assert lasting(rest) == b"\r\nHost: P\r\nX: y\r\n\r\n"
    for other in (b"\r\nX-Request-Id: a\r\n b\r\n\r\n", b"\r\nX-Request-Id : a\r\n\r\n"):
        assert not varies(other)
        assert lasting(other) == other


def test_what_matters_is_all_that_is_not_known_not_to() -> None:
    """In lower case, ordered by name; repeated fields keep their order."""
    fields = (("X-B", "2"), ("User-Agent", "x"), ("x-a", "1"), ("X-B", "1"), ("Traceparent", "t"))
    assert matters(asked(*fields)) == (("x-a", "1"), ("x-b", "2"), ("x-b", "1"))


def test_gzip_is_wanted_by_who_says_so() -> None:
    """As the front reads it."""
    assert wants_gzip((("Accept-Encoding", "br, gzip"),))
    assert not wants_gzip((("Accept-Encoding", "gzip;q=0"),))
