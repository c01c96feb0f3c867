"""Which requests are private, and whose credentials go out."""

from typing import Any

import pytest

from proxy.core.fields import Fields
from proxy.core.model import Policy, Request
from proxy.core.privacy import (
    client_keys,
    credential,
    forwards_client_keys,
    is_private,
    private_because,
)
from proxy.core.routing import Match, Routes, parse_template
from proxy.core.upstreams import Credentials, Endpoint, Upstream

SECRET = b"of this installation"


def _match(request: Request, *, upstream: dict[str, Any] | None = None, **endpoint: Any) -> Match:
    rule = Endpoint("e", "u", "/e", parse_template("/e"), **{"ttl": 1.0, **endpoint})
    settings: dict[str, Any] = {
        "secret_headers": frozenset({"x-mbx-apikey"}),
        "secret_parameters": frozenset({"auth_token", "apiKey"}),
        **(upstream or {}),
    }
    routes = Routes((Upstream("u", "https://u.test", "/u", (rule,), None, **settings),))
    route = routes.match(request)
    assert isinstance(route, Match)
    return route


def _request(query: str = "", *fields: tuple[str, str], method: str = "GET") -> Request:
    return Request(method, "/u/e", query, fields)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (_request(), None),
        (_request(method="HEAD"), None),
        (_request("symbol=X&timestamp=1"), None),
        (_request("", ("X-MBX-APIKEY", "k")), None),
        (_request("", ("X-MBX-APIKEY", "")), None),
        (_request("auth_token=k"), None),
        (_request("signatures=1"), None),
        (_request("a=signature"), None),
        (_request(method="POST"), "method POST"),
        (_request(method="DELETE"), "method DELETE"),
        (_request(method="OPTIONS"), "method OPTIONS"),
        (_request(method="get"), "method get"),
        (_request("a=1&signature=ab"), "parameter signature"),
        (_request("signature"), "parameter signature"),
        (_request("sign%61ture=ab"), "parameter signature"),
        (_request("", ("OK-ACCESS-SIGN", "s")), "header ok-access-sign"),
        (_request("", ("x-bapi-sign", "s")), "header x-bapi-sign"),
        (_request("", ("API-Sign", "s")), "header api-sign"),
        (_request("", ("Authorization", "Bearer x")), "header authorization"),
        (_request("", ("Cookie", "a=b")), "header cookie"),
        (_request("", ("KC-API-SIGN", "s")), "header kc-api-sign"),
        (_request("listenKey=s"), "parameter listenKey"),
    ],
)
def test_what_makes_private(request_: Request, expected: str | None) -> None:
    """A method that may change something, a signature, a token, what is configured; no mere key."""
    match = _match(
        request_,
        upstream={
            "private_headers": frozenset({"kc-api-sign"}),
            "private_parameters": frozenset({"listenKey"}),
        },
    )

    assert private_because(match, request_) == expected
    assert is_private(match, request_) is (expected is not None)


@pytest.mark.parametrize(
    ("request_", "endpoint", "expected"),
    [
        (_request(), {"private": True}, True),
        (_request(method="POST"), {"cache_body": True}, False),
        (_request(method="PUT"), {"cache_body": True}, True),
        (_request("signature=x", method="POST"), {"cache_body": True}, True),
        (_request("", ("Authorization", "x")), {"policy": Policy.OBEY}, False),
        (_request("", ("Cookie", "x")), {"policy": Policy.OBEY}, False),
        (_request("", ("Authorization", "x")), {"policy": Policy.CAP}, True),
        (_request("", ("API-Sign", "x")), {"policy": Policy.OBEY}, True),
        (_request("", ("X-MBX-APIKEY", "k")), {"needs_client_key": True}, False),
        (_request(), {"live": True}, False),
    ],
)
def test_endpoints_have_a_say(
    request_: Request, endpoint: dict[str, Any], *, expected: bool
) -> None:
    """A POST that only reads is none of a client's own; under obey RFC 9111 decides on tokens."""
    assert is_private(_match(request_, **endpoint), request_) is expected


def test_a_plain_key_in_authorization() -> None:
    """Where the proxy's own key goes into Authorization, a client's there is a key, no token."""
    request = _request("", ("Authorization", "Bearer k"))
    match = _match(request, upstream={"credentials": Credentials(header="Authorization")})

    assert not is_private(match, request)
    assert client_keys(match, request) == (("header authorization", "Bearer k"),)


@pytest.mark.parametrize(
    ("query", "fields", "expected"),
    [
        ("", (), ()),
        ("", (("X-Mbx-ApiKey", " k "),), (("header x-mbx-apikey", "k"),)),
        ("", (("X-MBX-APIKEY", ""),), ()),
        ("auth_token=&a=1", (), ()),
        ("a=1&auth_token=k", (), (("parameter auth_token", "k"),)),
        ("AUTH_TOKEN=k", (), (("parameter AUTH_TOKEN", "k"),)),
        ("apikey=k", (), (("parameter apikey", "k"),)),
        ("own=k", (("Own-Key", "h"),), (("header own-key", "h"), ("parameter own", "k"))),
    ],
)
def test_client_keys(query: str, fields: Fields, expected: Fields) -> None:
    """Keys are what secret headers and parameters say; empty ones say nothing."""
    request = _request(query, *fields)
    match = _match(request, upstream={"credentials": Credentials(header="Own-Key", query="own")})

    assert client_keys(match, request) == expected


@pytest.mark.parametrize(
    ("private", "mode", "needed", "expected"),
    [
        (False, "replace", False, False),
        (False, "refuse", False, False),
        (False, "forward", False, True),
        (False, "replace", True, True),
        (True, "replace", False, True),
    ],
)
def test_when_client_keys_go_upstream(
    mode: str, *, private: bool, needed: bool, expected: bool
) -> None:
    """On private requests, under `forward`, and where the endpoint needs them."""
    match = _match(_request(), upstream={"client_credentials": mode}, needs_client_key=needed)

    assert forwards_client_keys(match, private=private) is expected


def _named(*fields: tuple[str, str], query: str = "", private: bool = False) -> str:
    request = _request(query, *fields)
    match = _match(request, upstream={"client_credentials": "forward"})
    return credential(match, request, SECRET, private=private)


def test_a_credential_is_known_by_an_hmac() -> None:
    """The same key has the same name, another has another, and none shows through."""
    name = _named(("X-MBX-APIKEY", "topsecret"))

    assert name == _named(("x-mbx-apikey", "topsecret "), ("Accept", "*/*"))
    assert name != _named(("X-MBX-APIKEY", "topsecret2"))
    assert name != _named(query="auth_token=topsecret")
    assert "topsecret" not in name
    assert len(name) == 32
    assert _named() == ""


def test_the_hmac_hangs_on_the_secret() -> None:
    """Without the installation's secret nobody can try out keys against a name."""
    request = _request("", ("X-MBX-APIKEY", "k"))
    match = _match(request, upstream={"client_credentials": "forward"})

    assert credential(match, request, b"a", private=False) != credential(
        match, request, b"b", private=False
    )


def test_signatures_name_nobody() -> None:
    """Signatures differ with each request: the key beside them names the credential."""
    one = _named(("X-MBX-APIKEY", "k"), ("API-Sign", "1"), query="signature=1", private=True)
    two = _named(("X-MBX-APIKEY", "k"), ("API-Sign", "2"), query="signature=2", private=True)

    assert one == two == _named(("X-MBX-APIKEY", "k"))


def test_secret_signatures_name_nobody_either() -> None:
    """A signature that is also declared secret takes no part in the name."""
    settings = {
        "client_credentials": "forward",
        "secret_headers": frozenset({"api-key", "api-sign"}),
        "secret_parameters": frozenset({"signature"}),
    }
    names = set()
    for sign in "12":
        request = _request(f"signature={sign}", ("API-Key", "k"), ("API-Sign", sign))
        names.add(credential(_match(request, upstream=settings), request, SECRET, private=True))

    assert len(names) == 1


def test_a_token_names_a_private_client() -> None:
    """Where a private request has no key, its token tells whose it is."""
    one = _named(("Authorization", "Bearer 1"), private=True)

    assert one
    assert one != _named(("Authorization", "Bearer 2"), private=True)


def test_what_is_cut_names_nobody() -> None:
    """A key that does not go upstream counts for nothing."""
    request = _request("", ("X-MBX-APIKEY", "k"))

    assert credential(_match(request), request, SECRET, private=False) == ""
