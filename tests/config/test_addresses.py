"""Addresses and URLs."""

import pytest

from proxy.config.addresses import (
    Address,
    parse_address,
    parse_base_url,
    parse_host,
    store_kind,
)


@pytest.mark.parametrize(
    ("text", "expected", "loopback"),
    [
        ("127.0.0.1:8080", Address("127.0.0.1", 8080), True),
        ("127.8.9.1:1", Address("127.8.9.1", 1), True),
        ("localhost:0", Address("localhost", 0), True),
        ("kraken.localhost:80", Address("kraken.localhost", 80), True),
        ("[::1]:8080", Address("::1", 8080), True),
        ("[::]:8080", Address("::", 8080), False),
        ("0.0.0.0:8080", Address("0.0.0.0", 8080), False),  # noqa: S104 - an address to read
        (":8080", Address("", 8080), False),
        ("example.org:443", Address("example.org", 443), False),
    ],
)
def test_addresses(text: str, expected: Address, loopback: bool) -> None:  # noqa: FBT001 - a row
    """`host:port`, with brackets around IPv6; loopback is what only this machine can reach."""
    assert parse_address(text) == expected
    assert expected.loopback is loopback


@pytest.mark.parametrize(
    "text", ["", "8080", "127.0.0.1", "127.0.0.1:65536", "[::1]", "[:::]:1", "a b:1", "::1:80"]
)
def test_no_addresses(text: str) -> None:
    """What is no address is refused with what is allowed."""
    with pytest.raises(ValueError, match="an address is host:port"):
        parse_address(text)


def test_hosts() -> None:
    """A host is kept in lower case, and has no port."""
    assert parse_host("CoinGecko.Localhost") == "coingecko.localhost"
    for wrong in ("a:1", "", "a b", "-a", "a/b"):
        with pytest.raises(ValueError, match="is no host name"):
            parse_host(wrong)


def test_base_urls() -> None:
    """A base URL loses its trailing slash and nothing else."""
    assert parse_base_url("https://api.example.org/") == "https://api.example.org"
    assert parse_base_url("http://127.0.0.1:9/x/y") == "http://127.0.0.1:9/x/y"


@pytest.mark.parametrize(
    "text",
    [
        "api.example.org",
        "ftp://a",
        "https://",
        "https://a?b=c",
        "https://a#b",
        "https://user:s3cr3t@a",
        "https://a:99999",
        "https://a:0",
        "https://[::1",
        "https://a b",
        "https://a/\x00",
    ],
)
def test_no_base_urls(text: str) -> None:
    """What is no provider's address is refused, and never repeated."""
    with pytest.raises(ValueError, match="is allowed") as raised:
        parse_base_url(text)

    assert "s3cr3t" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("sqlite:var/x.db", "sqlite"),
        ("memory:", "memory"),
        ("redis://h:1/0", "redis"),
        ("rediss://h", "redis"),
        ("redis+sentinel://a:1,b:2/main", "redis"),
        ("redis+cluster://a:1,b:2", "redis"),
        ("unix:///run/redis.sock", "redis"),
    ],
)
def test_stores(url: str, kind: str) -> None:
    """The scheme says which store it is."""
    assert store_kind(url) == kind


@pytest.mark.parametrize(
    "url", ["sqlite:", "var/x.db", "mysql://u:s3cr3t@h", "redis://", "redis://:s3cr3t@h:x", ""]
)
def test_no_stores(url: str) -> None:
    """What is no store is refused, and its password not shown."""
    with pytest.raises(ValueError, match=r"is no store|names no file") as raised:
        store_kind(url)

    assert "s3cr3t" not in str(raised.value)
