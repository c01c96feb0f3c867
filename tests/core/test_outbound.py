"""What goes upstream: no more than is keyed, or all of it; and whose credentials."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.fields import Fields, values
from proxy.core.keys import key
from proxy.core.model import Fetch, Forward, Policy, Request
from proxy.core.outbound import HOP_BY_HOP, Manner, Outgoing, end_to_end, manner, outgoing, redacted
from proxy.core.privacy import is_private
from proxy.core.routing import Match, Routes, parse_template
from proxy.core.upstreams import Credentials, Endpoint, Upstream

OWN = Credentials(header="X-Own", query=None, value="OWN")
OWN_QUERY = Credentials(header=None, query="own", value="O&N")
CLIENT: Fields = (
    ("Host", "proxy.test"),
    ("User-Agent", "bot/1"),
    ("Accept", "*/*"),
    ("Accept-Encoding", "gzip, deflate, br"),
    ("Connection", "keep-alive, X-Hop"),
    ("X-Hop", "1"),
    ("TE", "trailers"),
    ("Origin", "https://page.test"),
    ("X-MBX-APIKEY", "CLIENT"),
)


def _upstream(**settings: Any) -> Upstream:
    endpoint = settings.pop("endpoint", {})
    rule = Endpoint("e", "u", "/e", parse_template("/e"), **{"ttl": 1.0, **endpoint})
    other = Endpoint("unmatched", "u", "/{rest:path}", parse_template("/{rest:path}"), ttl=0.0)
    defaults = {
        "credentials": OWN,
        "secret_headers": frozenset({"x-mbx-apikey"}),
        "secret_parameters": frozenset({"token"}),
    }
    return Upstream("u", "https://u.test", "/u", (rule,), other, **{**defaults, **settings})


def _match(request: Request, **settings: Any) -> Match:
    route = Routes((_upstream(**settings),)).match(request)
    assert isinstance(route, Match)
    return route


def _out(
    how: Manner, query: str = "", fields: Fields = CLIENT, method: str = "GET", **settings: Any
) -> Outgoing:
    validators = settings.pop("validators", ())
    request = Request(method, settings.pop("path", "/u/e"), query, fields)
    return outgoing(_match(request, **settings), request, how, validators)


# ── Fields ──


def test_keyed_carries_what_is_keyed_and_no_more() -> None:
    """Nothing that is not in the key can change what is stored: it is not sent."""
    assert _out(Manner.KEYED).fields == (
        ("Accept", "application/json"),
        ("Accept-Encoding", "gzip"),
        ("User-Agent", "quota-proxy"),
        ("X-Own", "OWN"),
    )


def test_keyed_carries_the_endpoints_headers() -> None:
    """Headers that the endpoint names go as the client spelled them; empty ones do not."""
    fields = (("X-MBX-Time-Unit", " MICROSECOND "), ("X-Empty", ""), ("Accept", "text/csv"))
    out = _out(Manner.KEYED, fields=fields, endpoint={"headers": ("x-mbx-time-unit", "x-empty")})

    assert out.fields[:1] == (("Accept", "text/csv"),)
    assert ("X-MBX-Time-Unit", "MICROSECOND") in out.fields
    assert not values(out.fields, "x-empty")


def test_keyed_carries_validators() -> None:
    """A revalidation asks with the proxy's validators, not with the client's."""
    fields = (*CLIENT, ("If-None-Match", '"client"'))
    out = _out(Manner.KEYED, fields=fields, validators=(("If-None-Match", '"stored"'),))

    assert values(out.fields, "if-none-match") == ('"stored"',)


def test_keyed_post_says_how_to_read_its_body() -> None:
    """A POST that only reads goes with the fields that its body was keyed with."""
    fields = (("Content-Type", "application/json"), ("Content-Length", "2"))
    out = _out(Manner.KEYED, fields=fields, method="POST", endpoint={"cache_body": True})

    assert out.method == "POST"
    assert ("Content-Type", "application/json") in out.fields
    assert not values(out.fields, "content-length")


@pytest.mark.parametrize(
    ("how", "method"),
    [
        (Manner.KEYED, "GET"),
        (Manner.OBEDIENT, "HEAD"),
        (Manner.FORWARDED, "HEAD"),
        (Manner.PRIVATE, "HEAD"),
    ],
)
def test_head_asks_for_the_whole_where_it_is_stored(how: Manner, method: str) -> None:
    """A cacheable HEAD fetches what GET would: both are answered from it."""
    assert _out(how, method="HEAD").method == method


def test_obedient_lets_end_to_end_fields_through() -> None:
    """Under obey all but hop-by-hop fields and the client's keys go; the proxy's key is added."""
    assert _out(Manner.OBEDIENT).fields == (
        ("User-Agent", "bot/1"),
        ("Accept", "*/*"),
        ("Accept-Encoding", "gzip, deflate, br"),
        ("Origin", "https://page.test"),
        ("X-Own", "OWN"),
    )


def test_forwarded_asks_only_for_what_every_client_can_decode() -> None:
    """A bypass carries all end-to-end fields; codings are gzip or identity."""
    assert _out(Manner.FORWARDED).fields == (
        ("User-Agent", "bot/1"),
        ("Accept", "*/*"),
        ("Accept-Encoding", "gzip"),
        ("Origin", "https://page.test"),
        ("X-Own", "OWN"),
    )


@pytest.mark.parametrize(
    ("accepted", "sent"),
    [
        ("br", "identity"),
        ("br, x-gzip;q=0.5", "gzip"),
        ("*", "gzip"),
        ("gzip; q=0", "identity"),
        ("gzip;q=0.0, br", "identity"),
        ("", "identity"),
        ("GZIP", "gzip"),
    ],
)
def test_codings(accepted: str, sent: str) -> None:
    """Of what a client claims, only gzip is believed."""
    out = _out(Manner.FORWARDED, fields=(("Accept-Encoding", accepted),))

    assert values(out.fields, "accept-encoding") == (sent,)


def test_private_goes_as_it_came() -> None:
    """A private request keeps every end-to-end field, the client's key, and gets none of ours."""
    assert _out(Manner.PRIVATE).fields == (
        ("User-Agent", "bot/1"),
        ("Accept", "*/*"),
        ("Accept-Encoding", "gzip, deflate, br"),
        ("Origin", "https://page.test"),
        ("X-MBX-APIKEY", "CLIENT"),
    )


@pytest.mark.parametrize("how", list(Manner))
@pytest.mark.parametrize("name", sorted(HOP_BY_HOP | {"host", "expect", "x-named"}))
def test_hop_by_hop_fields_stay(how: Manner, name: str) -> None:
    """What belongs to the connection or is named by it goes no further (RFC 9110, 7.6.1)."""
    fields = (("Connection", "close, X-Named"), (name.title(), "x"), ("X-Else", "y"))

    assert not values(_out(how, fields=fields).fields, name)


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ((("Content-Length", "3"),), ("3",)),
        ((("Content-Length", "3"), ("Transfer-Encoding", "chunked")), ()),
    ],
)
def test_length_goes_with_the_body(fields: Fields, kept: tuple[str, ...]) -> None:
    """A streamed body keeps its length; Transfer-Encoding overrides it (RFC 9112 section 6.3)."""
    assert values(end_to_end(fields), "content-length") == kept


# ── Credentials ──


@pytest.mark.parametrize(
    ("mode", "needed", "brought", "theirs", "own"),
    [
        ("replace", False, "CLIENT", False, True),
        ("replace", False, None, False, True),
        ("replace", True, "CLIENT", True, False),
        ("replace", True, None, False, True),
        ("replace", True, "", False, True),
        ("forward", False, "CLIENT", True, False),
        ("forward", False, None, False, True),
        ("forward", False, " ", False, True),
    ],
)
@pytest.mark.parametrize("how", [Manner.KEYED, Manner.OBEDIENT, Manner.FORWARDED])
def test_whose_key_goes(
    how: Manner, mode: str, brought: str | None, *, needed: bool, theirs: bool, own: bool
) -> None:
    """One key goes: the client's where it is wanted and there, else the proxy's."""
    fields = () if brought is None else (("X-MBX-APIKEY", brought),)
    out = _out(how, fields=fields, client_credentials=mode, endpoint={"needs_client_key": needed})

    assert bool(values(out.fields, "x-mbx-apikey")) is theirs
    assert bool(values(out.fields, "x-own")) is own


@pytest.mark.parametrize("how", list(Manner))
def test_an_empty_credential_sends_nothing(how: Manner) -> None:
    """Without a key of its own the proxy sends no field and no parameter for one."""
    empty = Credentials(header="X-Own", query="own", value="")
    out = _out(how, fields=(), credentials=empty)

    assert not values(out.fields, "x-own")
    assert out.target == "/e"


def test_the_own_key_stands_once() -> None:
    """A field of the client's by the name of the proxy's own key is replaced."""
    out = _out(Manner.FORWARDED, fields=(("x-own", "CLIENT"),))

    assert values(out.fields, "x-own") == ("OWN",)


# ── Target ──


@pytest.mark.parametrize(
    ("query", "settings", "target"),
    [
        ("", {}, "/e"),
        ('b=%5B&a=["A","B"]&&c', {}, '/e?b=%5B&a=["A","B"]&&c'),
        ("a=1&token=CLIENT", {}, "/e?a=1"),
        ("token=CLIENT", {}, "/e"),
        ("a=1&t%6Fken=CLIENT&b=+", {}, "/e?a=1&b=+"),
        ("a=1", {"credentials": OWN_QUERY}, "/e?a=1&own=O%26N"),
        ("", {"credentials": OWN_QUERY}, "/e?own=O%26N"),
        ("own=CLIENT&a=1", {"credentials": OWN_QUERY}, "/e?a=1&own=O%26N"),
        (
            "token=CLIENT&a=1",
            {"credentials": OWN_QUERY, "client_credentials": "forward"},
            "/e?token=CLIENT&a=1",
        ),
        (
            "token=&a=1",
            {"credentials": OWN_QUERY, "client_credentials": "forward"},
            "/e?a=1&own=O%26N",
        ),
    ],
)
@pytest.mark.parametrize("how", [Manner.KEYED, Manner.OBEDIENT, Manner.FORWARDED])
def test_target(how: Manner, query: str, settings: dict[str, Any], target: str) -> None:
    """The query goes as it was written, less the client's keys, with the proxy's own at its end."""
    assert _out(how, query, (), **settings).target == target


@pytest.mark.parametrize(
    ("path", "how", "target"),
    [
        ("/u//e/", Manner.KEYED, "/e?token=C"),
        ("/u//e/", Manner.PRIVATE, "/e/?token=C"),
        ("/u/x//y/", Manner.PRIVATE, "/x//y/?token=C"),
    ],
)
def test_private_targets_are_untouched(path: str, how: Manner, target: str) -> None:
    """What a signature may cover goes as it came; the rest is tidied."""
    assert _out(how, "token=C", (), path=path, client_credentials="forward").target == target


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("/e", "/e"),
        ("/e?a=1&b", "/e?a=1&b"),
        ("/e?token=x&a=1", "/e?token=***&a=1"),
        ("/e?Token=x", "/e?Token=***"),
        ("/e?t%6Fken=x", "/e?t%6Fken=***"),
        ("/e?signature=x&own=y", "/e?signature=***&own=***"),
        ("/e?listenKey=x&token=", "/e?listenKey=***&token="),
    ],
)
def test_redacted(target: str, shown: str) -> None:
    """A log shows that there was a key or a signature, and not which."""
    upstream = _upstream(credentials=OWN_QUERY, private_parameters=frozenset({"listenKey"}))

    assert redacted(target, upstream) == shown


# ── Manner ──


@pytest.mark.parametrize(
    ("plan", "policy", "expected"),
    [
        (Fetch(), Policy.IGNORE, Manner.KEYED),
        (Fetch(), Policy.CAP, Manner.KEYED),
        (Fetch(), Policy.OBEY, Manner.OBEDIENT),
        (Forward(), Policy.IGNORE, Manner.FORWARDED),
        (Forward(), Policy.OBEY, Manner.OBEDIENT),
        (Forward(private=True), Policy.OBEY, Manner.PRIVATE),
        (Forward(private=True), Policy.IGNORE, Manner.PRIVATE),
    ],
)
def test_manner(plan: Fetch | Forward, policy: Policy, expected: Manner) -> None:
    """A fetch for the cache is keyed or obedient, what passes through is forwarded."""
    request = Request("GET", "/u/e", "", ())

    assert manner(_match(request, endpoint={"policy": policy}), plan) is expected


# ── The rule that joins keys and outbound ──

_LINES = st.lists(
    st.tuples(
        st.sampled_from(["Accept", "X-Unit", "x-unit", "X-MBX-APIKEY", "Origin", "Range"]),
        st.sampled_from(["", "*/*", "text/csv", "a", "b"]),
    ),
    max_size=4,
)


@given(
    one=_LINES,
    other=_LINES,
    mode=st.sampled_from(["replace", "forward"]),
)
def test_what_is_not_keyed_is_not_sent(
    one: list[tuple[str, str]], other: list[tuple[str, str]], mode: str
) -> None:
    """Two cacheable requests with one key are the same request upstream."""
    settings = {"client_credentials": mode, "endpoint": {"headers": ("x-unit",)}}
    sent = []
    for lines in (one, other):
        request = Request("GET", "/u/e", "", tuple(lines))
        match = _match(request, **settings)
        assert not is_private(match, request)
        out = outgoing(match, request, Manner.KEYED)
        meaning = sorted((name.lower(), value) for name, value in out.fields)
        sent.append((key(match, request, b"secret"), (out.target, meaning)))

    assert sent[0][0] != sent[1][0] or sent[0][1] == sent[1][1]
