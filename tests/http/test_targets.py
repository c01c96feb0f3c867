"""Request targets and hosts."""

import pytest

from proxy.http.targets import Target, parse_host, parse_target


@pytest.mark.parametrize(
    ("raw", "target"),
    [
        ("/", Target("/", "")),
        ("/a/b?x=1&y=%5B%22A%22%5D", Target("/a/b", "x=1&y=%5B%22A%22%5D")),
        ('/a?symbols=["A","B"]', Target("/a", 'symbols=["A","B"]')),
        ("/a//b/?", Target("/a//b/", "")),
        ("/a?x=1#frag", Target("/a", "x=1")),
        ("/a#frag?x=1", Target("/a", "")),
        ("/a?b?c", Target("/a", "b?c")),
        ("/a.b/.c/..d/e..", Target("/a.b/.c/..d/e..", "")),
        ("/a%2Fb%20c", Target("/a%2Fb%20c", "")),
        ("http://P:80/a?b", Target("/a", "b", "P:80")),
        ("HTTPS://u:p@p.example?b", Target("/", "b", "p.example")),
        ("http://p", Target("/", "", "p")),
    ],
)
def test_targets_are_kept_as_written(raw: str, target: Target) -> None:
    """Path and query lose nothing; an absolute form (RFC 9112 section 3.2.2) names the host."""
    assert parse_target(raw) == target


@pytest.mark.parametrize(
    "raw",
    [
        "*",
        "p:443",
        "ftp://p/a",
        "/a/../b",
        "/a/..",
        "/./a",
        "/a/%2e%2E/b",
        "/a/%2e./b",
        "/a/..%2fb",
        "/a/%252e%252e/b",
        "/a\\..\\b",
        "/a/..%5cb",
    ],
)
def test_what_leaves_its_place_is_no_target(raw: str) -> None:
    """Dot segments, however they are encoded, could mean another upstream's path."""
    assert parse_target(raw) is None


@pytest.mark.parametrize(
    ("field", "host"),
    [
        ("P:8080", "p"),
        ("CoinGecko.localhost", "coingecko.localhost"),
        ("a.example.", "a.example"),
        ("[::1]:80", "[::1]"),
        ("127.0.0.1", "127.0.0.1"),
        ("", ""),
        ("a b", None),
        ("a/b", None),
        ("a@b", None),
        ("a:b", None),
        ("[::1", None),
    ],
)
def test_hosts(field: str, host: str | None) -> None:
    """A host is compared in lower case, without port and final dot (RFC 9110 section 4.2.3)."""
    assert parse_host(field) == host
