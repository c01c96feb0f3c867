"""What must agree between files, and what is probably not meant."""

from collections.abc import Callable

import pytest

from proxy.config.problems import Problem
from proxy.config.settings import Listener, Settings

Configure = Callable[..., Settings]
Complaints = Callable[..., tuple[Problem, ...]]


@pytest.mark.parametrize(
    ("one", "other", "path"),
    [
        ("name: x\n", "name: x\nprefix: /y\n", "name"),
        ("name: x\n", "name: y\nprefix: /x\n", "prefix"),
        ("name: x\nprefix: /\n", "name: y\nprefix: /\n", "prefix"),
        ("name: x\nhosts: [h]\n", "name: y\nhosts: [g, H]\n", "hosts[1]"),
    ],
)
def test_nothing_is_shared(complaints: Complaints, one: str, other: str, path: str) -> None:
    """Two upstreams have no name, prefix or host in common; the second is complained of."""
    found = complaints(a=f"base_url: http://a\n{one}", b=f"base_url: http://b\n{other}")

    assert [(problem.file[-6:], problem.path) for problem in found] == [("b.yaml", path)]
    assert "is taken already, in " in found[0].message


def test_a_host_twice_in_one_file(complaints: Complaints) -> None:
    """A host that one upstream names twice is a slip."""
    found = complaints(a="name: a\nbase_url: http://a\nhosts: [h, h]\n")

    assert [problem.path for problem in found] == ["hosts[1]"]


def test_ports_are_used_once(complaints: Complaints) -> None:
    """An upstream's own port is neither another's, nor the proxy's, nor admin's."""
    found = complaints(
        "listen: 127.0.0.1:1\nadmin: {listen: '127.0.0.1:2'}\n",
        a="name: a\nbase_url: http://a\nlisten: 127.0.0.1:1\n",
        b="name: b\nbase_url: http://b\nlisten: 127.0.0.1:2\n",
        c="name: c\nbase_url: http://c\nlisten: 127.0.0.1:3\n",
        d="name: d\nbase_url: http://d\nlisten: 127.0.0.1:3\n",
    )

    assert [(problem.file[-6:], problem.message) for problem in found] == [
        ("a.yaml", "port 1 is taken already, by traffic"),
        ("b.yaml", "port 2 is taken already, by admin"),
        ("d.yaml", "port 3 is taken already, by c"),
    ]


def test_free_ports_are_never_taken(configure: Configure) -> None:
    """Port 0 takes any free one, however often."""
    settings = configure(
        "listen: 127.0.0.1:0\nadmin: {listen: '127.0.0.1:0'}\n",
        a="name: a\nbase_url: http://a\nlisten: 127.0.0.1:0\n",
    )

    assert settings.listeners == (
        Listener("127.0.0.1", 0),
        Listener("127.0.0.1", 0, upstream="a"),
    )


def test_an_upstreams_own_port_is_a_door_too(complaints: Complaints) -> None:
    """Beyond loopback it needs clients, or `open: true`, as the proxy's own."""
    found = complaints(a="name: a\nbase_url: http://a\nlisten: 0.0.0.0:1\n")

    assert [problem.path for problem in found] == ["listen"]
    assert "is reachable from beyond this machine" in found[0].message


def test_clients_close_the_door(configure: Configure) -> None:
    """With clients named, a listener may be reachable from beyond this machine."""
    settings = configure("listen: 0.0.0.0:1\nclients: {named: {x: {token: t}}}\n")

    assert not settings.listeners[0].loopback


def messages(settings: Settings) -> list[str]:
    """Return the warnings, each with where it points."""
    return [f"{warning.path}: {warning.message}" for warning in settings.warnings]


LIMITED = "name: a\nbase_url: http://a\nlimits: {minute: {limit: 1, per: 1m}}\n"


def test_no_warnings(configure: Configure) -> None:
    """SQLite and a limit: nothing to warn of."""
    assert messages(configure(a=LIMITED)) == []
    assert messages(configure("store: redis://h\nfleet_size: 2\n", a=LIMITED)) == []


@pytest.mark.parametrize(
    ("proxy", "upstream", "warning"),
    [
        ("store: redis://h\n", LIMITED, "store: fleet_size is not set"),
        ("store: 'memory:'\nledger: redis://h\n", LIMITED, "ledger: fleet_size is not set"),
        ("store: 'memory:'\n", LIMITED, "store: counts in memory are forgotten"),
        ("", "name: a\nbase_url: http://a\n", "name: has no limits"),
        (
            "",
            LIMITED + 'credentials: {header: x, value: "${K:-}", required: true}\n',
            "name: a is disabled: needs a key: set K",
        ),
        (
            "",
            "name: a\nbase_url: http://a\nlimits: {x: {limit: 1, per: 1m, scope: named}}\n",
            "limits.x: is never spent",
        ),
        (
            "",
            LIMITED + "endpoints: {x: {path: /x, ttl: 1, upstream_cache_control: obey}}\n",
            "endpoints.x.ttl: is not used under `obey`",
        ),
    ],
)
def test_warnings(configure: Configure, proxy: str, upstream: str, warning: str) -> None:
    """What is allowed and probably not meant is said, with its place."""
    (found,) = messages(configure(proxy, a=upstream))

    assert found.startswith(warning)
