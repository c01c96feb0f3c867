"""How a client may name itself."""

import base64

import pytest

from proxy.http import clients
from proxy.http.clients import Identified, OpenClients, basic_user, named_in_path


def basic(text: str) -> tuple[tuple[str, str], ...]:
    return (("Authorization", "Basic " + base64.b64encode(text.encode()).decode()), ("A", "b"))


@pytest.mark.parametrize(
    ("path", "name", "rest"),
    [
        ("/~grid-1/coingecko/x", "grid-1", "/coingecko/x"),
        ("/~a", "a", "/"),
        ("/~a/", "a", "/"),
        ("/~/x", "", "/x"),
        ("/x/~a/y", "", "/x/~a/y"),
    ],
)
def test_a_name_in_the_path_is_cut_off(path: str, name: str, rest: str) -> None:
    """`http://P/~name/…` is the one place that can always be changed."""
    assert named_in_path(path) == (name, rest)


@pytest.mark.parametrize(
    ("fields", "user"),
    [
        (basic("bot:token"), "bot"),
        (basic(":token"), ""),
        ((("authorization", "Bearer abc"),), None),
        ((("authorization", "Basic !!"),), None),
        ((), None),
    ],
)
def test_basic_user(fields: tuple[tuple[str, str], ...], user: str | None) -> None:
    """The user of a URL arrives as Basic credentials (RFC 7617)."""
    assert basic_user(fields) == user


def identity(fields: tuple[tuple[str, str], ...], path: str) -> Identified:
    who = OpenClients().identify(fields, "10.0.0.7", 8080, path)
    assert isinstance(who, Identified)
    return who


def test_whoever_gives_no_name_is_known_by_address() -> None:
    """Queues are fair between addresses where nothing better is known."""
    who = identity((("A", "b"),), "/x")
    assert (who.client.identity, who.client.name, who.path) == ("10.0.0.7", "", "/x")


def test_credentials_that_name_a_client_go_no_further() -> None:
    """They were meant for the proxy: upstream they would make a request private."""
    who = identity(basic("bot:t"), "/x")
    assert (who.client.identity, who.fields) == ("bot", (("A", "b"),))


def test_the_path_wins() -> None:
    """Where a path names the client, credentials are none of the proxy's business."""
    who = identity(basic("bot:t"), "/~grid/x")
    assert (who.client.identity, who.path, who.fields) == ("grid", "/x", basic("bot:t"))


def test_a_huge_name_is_not_remembered() -> None:
    """It is as good a name as any, and held no longer than its request."""
    clients._known.cache_clear()
    for size in (9, 9999):
        who = OpenClients().identify((), "127.0.0.1", 80, f"/~{'n' * size}/x")
        assert isinstance(who, Identified)
        assert size == len(who.client.identity)

    assert clients._known.cache_info().currsize == 1
