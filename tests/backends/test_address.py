"""Where a Redis is, read from a URL."""

import pytest

from proxy.backends.address import AddressError, RedisAddress, Topology, parse

READ = [
    ("redis://localhost", RedisAddress(Topology.SINGLE, (("localhost", 6379),))),
    ("redis://h:1/2", RedisAddress(Topology.SINGLE, (("h", 1),), db=2)),
    (
        "rediss://u:p%40ss@h:1/",
        RedisAddress(Topology.SINGLE, (("h", 1),), tls=True, username="u", password="p@ss"),  # noqa: S106 - no secret
    ),
    ("redis://:secret@h", RedisAddress(Topology.SINGLE, (("h", 6379),), password="secret")),  # noqa: S106 - no secret
    ("redis://[::1]:7", RedisAddress(Topology.SINGLE, (("::1", 7),))),
    ("redis://[::1]", RedisAddress(Topology.SINGLE, (("::1", 6379),))),
    ("unix:///run/r.sock", RedisAddress(Topology.SINGLE, socket_file="/run/r.sock")),
    ("unix:///run/r.sock?db=4", RedisAddress(Topology.SINGLE, socket_file="/run/r.sock", db=4)),
    (
        "redis+sentinel://a:1,b/mine/3",
        RedisAddress(Topology.SENTINEL, (("a", 1), ("b", 26379)), db=3, service="mine"),
    ),
    (
        "rediss+cluster://a:1,b:2",
        RedisAddress(Topology.CLUSTER, (("a", 1), ("b", 2)), tls=True),
    ),
]

REFUSED = [
    "http://h",
    "redis+other://h",
    "redis://",
    "redis://a,b",
    "redis://h:port",
    "redis://h:0",
    "redis://h:70000",
    "redis://h/name",
    "redis://h/1/2",
    "redis://h?socket_timeout=1",
    "unix://",
    "unix:///s?db=x",
    "redis+sentinel://a:1",
    "redis+cluster://a:1/2",
]


@pytest.mark.parametrize(("url", "address"), READ)
def test_a_url_is_read(url: str, address: RedisAddress) -> None:
    """Each form that the contract names means one address."""
    assert parse(url) == address


@pytest.mark.parametrize("url", REFUSED)
def test_a_url_that_means_nothing_is_refused(url: str) -> None:
    """What is malformed is an error, never a guess."""
    with pytest.raises(AddressError):
        parse(url)


def test_an_address_is_shown_without_its_secrets() -> None:
    """Logs name hosts and service; neither text nor repr repeats the password."""
    address = parse("redis+sentinel://user:s3cret@a:1,b:2/mine")

    assert str(address) == "a:1,b:2/mine"
    assert "s3cret" not in repr(address)
