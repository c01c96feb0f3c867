"""Clients that the configuration names: who is let in, and as whom."""

import base64

import pytest

from proxy.config.settings import UNLISTED, ClientRule, ClientSettings
from proxy.core.fields import Fields
from proxy.core.model import Client
from proxy.core.upstreams import Algorithm, Limit
from proxy.http.known_clients import Identified, KnownClients, Refusal

RULES = (
    ClientRule("tokened", token="t1", weight=2.0, priority=1),  # noqa: S106 - made up
    ClientRule("near", addresses=("10.0.0.0/8", "2001:db8::/32")),
    ClientRule("ported", port=8090),
    ClientRule("strict", token="t2", addresses=("10.0.0.0/8",)),  # noqa: S106 - made up
    ClientRule("named"),
)
CLOSED = KnownClients(ClientSettings(RULES))
AUTO = KnownClients(ClientSettings(RULES, auto=True))


def token(text: str) -> Fields:
    """Return a request's fields with a token."""
    return (("X-Quota-Proxy-Token", text), ("Accept", "*/*"))


def basic(text: str) -> Fields:
    """Return a request's fields with Basic credentials."""
    return (("Authorization", "Basic " + base64.b64encode(text.encode()).decode()),)


def who(
    clients: KnownClients,
    fields: Fields = (),
    peer: str = "192.0.2.1",
    path: str = "/x",
    port: int = 80,
) -> str:
    """Return the client's name, its identity in brackets, or the status of a refusal."""
    found = clients.identify(fields, peer, port, path)
    if isinstance(found, Refusal):
        return str(found.status)
    listed = found.client.name != UNLISTED
    return found.client.name if listed else f"[{found.client.identity}]"


@pytest.mark.parametrize(
    ("fields", "peer", "path", "port", "closed", "auto"),
    [
        ((), "192.0.2.1", "/x", 80, "401", "[192.0.2.1]"),
        (token("t1"), "192.0.2.1", "/x", 80, "tokened", "tokened"),
        (token("wrong"), "192.0.2.1", "/x", 80, "401", "[192.0.2.1]"),
        (basic("tokened:t1"), "192.0.2.1", "/x", 80, "tokened", "tokened"),
        (basic(":t1"), "192.0.2.1", "/x", 80, "tokened", "tokened"),
        (basic("tokened:wrong"), "192.0.2.1", "/x", 80, "401", "401"),
        ((), "192.0.2.1", "/~tokened/x", 80, "401", "401"),
        (token("t1"), "192.0.2.1", "/~tokened/x", 80, "tokened", "tokened"),
        ((), "10.1.2.3", "/x", 80, "near", "near"),
        ((), "::ffff:10.1.2.3", "/x", 80, "near", "near"),
        ((), "2001:db8::1", "/x", 80, "near", "near"),
        ((), "10.1.2.3", "/~near/x", 80, "near", "near"),
        ((), "192.0.2.1", "/~near/x", 80, "403", "403"),
        ((), "192.0.2.1", "/x", 8090, "ported", "ported"),
        (token("t2"), "10.1.2.3", "/x", 80, "strict", "strict"),
        (token("t2"), "192.0.2.1", "/x", 80, "403", "403"),
        ((), "192.0.2.1", "/~named/x", 80, "named", "named"),
        ((), "192.0.2.1", "/~other/x", 80, "403", "[other]"),
        ((), "", "/x", 80, "401", "[]"),
        (basic("theirs:own"), "10.1.2.3", "/x", 80, "near", "near"),
        (basic("theirs:own"), "192.0.2.1", "/~named/x", 80, "named", "named"),
        (basic("x:t1"), "192.0.2.1", "/~tokened/x", 80, "tokened", "tokened"),
        (basic("x:wrong"), "192.0.2.1", "/~tokened/x", 80, "401", "401"),
        (basic("other:"), "192.0.2.1", "/x", 80, "403", "[other]"),
        ((("Authorization", "Bearer t1"),), "192.0.2.1", "/x", 80, "401", "[192.0.2.1]"),
        ((("Authorization", "Basic !!"),), "192.0.2.1", "/x", 80, "401", "[192.0.2.1]"),
        (token("\udcff"), "192.0.2.1", "/x", 80, "401", "[192.0.2.1]"),
    ],
)
def test_who_is_let_in(
    fields: Fields, peer: str, path: str, port: int, closed: str, auto: str
) -> None:
    """By name, token or place; every mark of a rule must hold, and `auto` lets the unlisted in."""
    assert who(CLOSED, fields, peer, path, port) == closed
    assert who(AUTO, fields, peer, path, port) == auto


def test_what_named_the_client_goes_no_further() -> None:
    """The name in the path, the token and Basic credentials are cut off; weight and class stay."""
    by_token = CLOSED.identify(token("t1"), "192.0.2.1", 80, "/~tokened/x")
    by_basic = CLOSED.identify((*basic("tokened:t1"), ("A", "b")), "192.0.2.1", 80, "/x")
    client = Client("tokened", "tokened", 2.0, 1)

    assert by_token == Identified(client, "/x", (("Accept", "*/*"),))
    assert by_basic == Identified(client, "/x", (("A", "b"),))


def test_a_token_for_the_provider_passes() -> None:
    """A Bearer token is the provider's matter."""
    bearer = (("Authorization", "Bearer abc"),)

    assert CLOSED.identify(bearer, "10.1.2.3", 80, "/x") == Identified(
        Client("near", "near"), "/x", bearer
    )


def test_a_refusal_shows_no_token() -> None:
    """What is wanted is said, with how to say it; not what it is."""
    found = CLOSED.identify(token("wrong"), "192.0.2.1", 80, "/~tokened/x")

    assert isinstance(found, Refusal)
    assert found.fields == (("WWW-Authenticate", 'Basic realm="quota-proxy"'),)
    assert not {"t1", "wrong"} & set(found.detail.split())


@pytest.mark.parametrize(
    ("fields", "peer", "path", "kept"),
    [
        (basic("theirs:own"), "10.1.2.3", "/x", True),
        (basic("theirs:own"), "192.0.2.1", "/~named/x", True),
        (basic("named:"), "192.0.2.1", "/x", False),
        (basic("x:t1"), "192.0.2.1", "/x", False),
        (basic("x:t1"), "192.0.2.1", "/~tokened/x", False),
    ],
)
def test_whose_basic_credentials_are(fields: Fields, peer: str, path: str, *, kept: bool) -> None:
    """Those that say who asks go no further; a known client's others are for the provider."""
    found = CLOSED.identify(fields, peer, 80, path)

    assert isinstance(found, Identified)
    assert (fields if kept else ()) == found.fields


def test_all_that_a_rule_gives() -> None:
    """Weight, class, upstreams and budget of the rule are the client's; the unlisted have none."""
    budget = Limit("~grid/minute", 9, 60.0, Algorithm.SLIDING_WINDOW, of="client")
    rule = ClientRule("grid", weight=2.0, upstreams=frozenset({"a"}), limits=(budget,))
    clients = KnownClients(ClientSettings((rule,), auto=True))
    grid = clients.identify((), "192.0.2.1", 80, "/~grid/x")
    other = clients.identify((), "192.0.2.1", 80, "/~other/x")

    assert isinstance(grid, Identified)
    assert isinstance(other, Identified)
    assert Client("grid", "grid", 2.0, None, frozenset({"a"}), (budget,)) == grid.client
    assert Client(UNLISTED, "other") == other.client


def test_rules_change_while_it_runs() -> None:
    """After a reload the next request meets the new rules, and what was learnt is asked again."""
    clients = KnownClients(ClientSettings(RULES))
    before = clients.generation
    clients.configure(ClientSettings((ClientRule("new"),)))

    assert before != clients.generation
    assert ["403", "new"] == [who(clients, path=f"/~{name}/x") for name in ("named", "new")]
