"""Key: equal for equal requests, different for different ones, and never a secret in it."""

from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core import keys
from proxy.core.fields import Fields
from proxy.core.keys import LONGEST, key
from proxy.core.model import Policy, Request
from proxy.core.routing import Match, Routes, parse_template
from proxy.core.upstreams import Credentials, Endpoint, Upstream
from tests.values import replace

SECRET = b"of this installation"


def _key(
    target: str,
    fields: Fields = (),
    method: str = "GET",
    body: bytes | None = None,
    upstream: dict[str, Any] | None = None,
    template: str = "/e",
    **endpoint: Any,
) -> str:
    rule = Endpoint("e", "u", template, parse_template(template), **{"ttl": 1.0, **endpoint})
    rest = "/{rest:path}"  # as `config.endpoints` makes it
    other = replace(rule, name="unmatched", path=rest, segments=parse_template(rest))
    settings: dict[str, Any] = {
        "credentials": Credentials(header="Own-Key", query="own", value="OWN-SECRET"),
        "secret_headers": frozenset({"x-key"}),
        "secret_parameters": frozenset({"token"}),
        **(upstream or {}),
    }
    routes = Routes((Upstream("u", "https://u.test", "/u", (rule,), other, **settings),))
    path, _, query = target.partition("?")
    request = Request(method, "/u" + path, query, fields, body=body)
    match = routes.match(request)
    assert isinstance(match, Match)
    return key(match, request, SECRET)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/e", "u:e:"),
        ("/e?", "u:e:"),
        ("/e?b=2&a=1", "u:e:?a=1&b=2"),
        ("/e?b=2&a=1&b=1", "u:e:?a=1&b=2&b=1"),
        ("/e?flag", "u:e:?flag="),
        ("/e?&a=1&&", "u:e:?a=1"),
        ("/e?a=x%20y&b=x+y", "u:e:?a=x%20y&b=x%20y"),
        ("/e?a=b%26c%3Dd", "u:e:?a=b%26c%3Dd"),
        ("/e?token=x&own=y&a=1", "u:e:?a=1"),
        ("/e?TOKEN=x&a=1", "u:e:?a=1"),
        ("/e?_=123&a=1", "u:e:?a=1"),
        ("/e?to%6Ben=x", "u:e:"),
        ("/e//?a=1", "u:e:?a=1"),
        ("/nope", "u:unmatched:/nope"),
        ("/nope/%41?b&a", "u:unmatched:/nope/%2541?a=&b="),
        ("/nope/", "u:unmatched:/nope/"),
        ("/nope//x", "u:unmatched:/nope//x"),
    ],
)
def test_reads_as_the_request(target: str, expected: str) -> None:
    """Short keys are readable: decoded, sorted, quoted, less what is secret or does not matter."""
    assert _key(target, ignored_parameters=frozenset({"_"})) == expected


def test_a_huge_target_is_not_remembered() -> None:
    """Clients choose it, and what it meets would be held with it."""
    keys._known.cache_clear()
    for size in (9, 9999):
        _key(f"/e?a={'x' * size}")

    assert keys._known.cache_info().currsize == 1


@pytest.mark.parametrize(
    "written",
    [
        "%5B%22A%22%2C%22B%22%5D",
        "%5B%22A%22,%22B%22%5D",
        "[%22A%22,%22B%22]",
        '["A","B"]',
        "%5b%22%41%22%2c%22B%22%5d",
    ],
)
def test_encodings_of_one_value_meet(written: str) -> None:
    """However a client encodes a value, it meets the entry of all the others."""
    assert _key(f"/e?symbols={written}") == 'u:e:?symbols=["A","B"]'


@pytest.mark.parametrize(
    ("template", "one", "other", "same"),
    [
        ("/c/{id}", "/c/a", "/c/b", False),
        ("/c/{id}", "/c/a%2Cb", "/c/a,b", True),
        ("/c/{id}", "/c/a%2Fb", "/c/a%252Fb", False),
        ("/c/{id}", "/c/a+b", "/c/a%20b", False),
        ("/c/{id}", "/c/a?x=1", "/c/a%3Fx=1", False),
        ("/c/{a}/{b}", "/c/x/y", "/c/y/x", False),
        ("/{r:path}", "/a/b", "/a%2Fb", False),
        ("/{r:path}", "/a//b/", "/a/b", True),
        ("/{a}/{r:path}", "/a/b/c", "/a/b%2Fc", False),
        ("/{a}/{r:path}", "/a", "/a/b", False),
    ],
)
def test_the_path_is_in_the_key(template: str, one: str, other: str, *, same: bool) -> None:
    """A path's variables tell requests apart, decoded; an encoded slash separates nothing."""
    assert (_key(one, template=template) == _key(other, template=template)) is same


def test_long_ones_are_hashed() -> None:
    """Beyond a length that a person reads, the parameters are hashed; so are odd targets."""
    long = _key("/e?ids=" + ",".join(f"coin{n}" for n in range(100)))

    assert _key("/e?a=" + "x" * (LONGEST - 3)).startswith("u:e:?a=xxx")
    assert _key("/e?a=" + "x" * (LONGEST - 2)).startswith("u:e:#")
    assert len(long) == len("u:e:#") + 64
    assert long != _key("/e?ids=" + ",".join(f"coin{n}" for n in range(101)))


@pytest.mark.parametrize(
    ("fields", "tail"),
    [
        ((), ""),
        ((("Accept", "*/*"),), ""),
        ((("accept", "application/json"),), ""),
        ((("Accept", "application/json, text/plain, */*"),), ""),
        ((("Accept", "text/csv"),), ";accept=text%2Fcsv"),
        ((("X-MBX-TIME-UNIT", " MICROSECOND"),), ";header-x-mbx-time-unit=MICROSECOND"),
        ((("X-MBX-TIME-UNIT", ""),), ""),
        ((("X-Unit", "a;b"), ("X-Unit", "c")), ";header-x-unit=a%3Bb,%20c"),
        ((("User-Agent", "x"), ("Origin", "y"), ("If-None-Match", '"z"')), ""),
        ((("X-Key", "k"), ("Own-Key", "k")), ""),
    ],
)
def test_headers_that_change_the_answer(fields: Fields, tail: str) -> None:
    """Accept and the endpoint's own headers are keyed; others are not, for they are not sent."""
    headers = ("x-mbx-time-unit", "x-unit", "x-key")

    assert _key("/e?a=1", fields, headers=headers) == f"u:e:?a=1{tail}"


def test_head_shares_the_entry_of_get() -> None:
    """HEAD is answered from a stored GET."""
    assert _key("/e?a=1", method="HEAD") == _key("/e?a=1")


def test_bodies_are_keyed_where_cached() -> None:
    """A POST that only reads is keyed by its body and how the body is to be read."""
    json = (("Content-Type", "application/json"),)
    found = {
        _key("/e", cache_body=True),
        _key("/e", method="POST", body=b"", cache_body=True),
        _key("/e", method="POST", body=b"1", cache_body=True),
        _key("/e", method="POST", body=b"2", cache_body=True),
        _key("/e", json, method="POST", body=b"1", cache_body=True),
        _key("/e?a=1", json, method="POST", body=b"1", cache_body=True),
    }

    assert len(found) == 6
    assert _key("/e", method="POST", cache_body=True) in found


@pytest.mark.parametrize("how", [{"client_credentials": "forward"}, {}])
def test_clients_keys(how: dict[str, Any]) -> None:
    """A key that goes upstream keys the entry by an HMAC; one that is cut leaves it shared."""
    forward = bool(how)
    one, two = (_key("/e", (("X-Key", f"sekrit{n}"),), upstream=how) for n in "12")

    assert (one != two) is forward
    assert (one != _key("/e", upstream=how)) is forward
    assert "sekrit" not in one
    assert _key("/e", (("X-Key", ""),), upstream=how) == _key("/e", upstream=how)


def test_needed_client_keys_key_the_entry() -> None:
    """Where the endpoint needs the client's key, what it brought is answered to nobody else."""
    one, two = (_key("/e", (("X-Key", n),), needs_client_key=True) for n in "12")

    assert one != two


@pytest.mark.parametrize("mode", ["replace", "forward", "refuse"])
@pytest.mark.parametrize("policy", list(Policy))
def test_no_secret_in_a_key(mode: str, policy: Policy) -> None:
    """Neither the client's keys nor the proxy's own stand in any key."""
    found = _key(
        "/e?token=SEKRIT&own=SEKRIT&a=1&Token=SEKRIT",
        (("X-Key", "SEKRIT"), ("Own-Key", "SEKRIT")),
        upstream={"client_credentials": mode},
        policy=policy,
        headers=("x-key", "own-key"),
    )

    assert "SEKRIT" not in found
    assert "OWN-SECRET" not in found


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/e?b=2&a=1", "u:e:/e?b=2&a=1"),
        ("/e?a=%41", "u:e:/e?a=%41"),
        ("/e/?a=1", "u:e:/e/?a=1"),
        ("//e?a=1&token=x", "u:e://e?a=1"),
        ("/e", "u:e:/e"),
        ("/e?_=1", "u:e:/e?_=1"),
    ],
)
def test_under_obey_the_uri_as_written(target: str, expected: str) -> None:
    """RFC 9111 section 2: the key is the target URI, and nothing is normalised."""
    found = _key(
        target,
        (("Accept", "text/csv"),),
        policy=Policy.OBEY,
        ignored_parameters=frozenset({"_"}),
    )

    assert found == expected


def test_under_obey_nothing_passes_for_something_else() -> None:
    """A target that looks like a key's tail is hashed, so it cannot stand for another request."""
    posing = _key("/e?x;method=POST", policy=Policy.OBEY)

    assert posing.startswith("u:e:#")
    assert posing != _key("/e?x", method="POST", policy=Policy.OBEY)


# ── Properties ──

_NAMES = st.text(alphabet='ab&=;%?/#+ é"', max_size=3)
_PAIRS = st.lists(st.tuples(_NAMES, _NAMES), max_size=4)


def _query(pairs: list[tuple[str, str]], escape: Any = quote_plus) -> str:
    return "&".join(f"{escape(name)}={escape(value)}" for name, value in pairs)


def _meaning(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return sorted(pairs, key=lambda pair: pair[0])


@given(one=_PAIRS, other=_PAIRS)
def test_keys_are_equal_only_for_equal_parameters(
    one: list[tuple[str, str]], other: list[tuple[str, str]]
) -> None:
    """Two sets of parameters have one key exactly where they say the same (injectivity)."""
    same = _meaning(one) == _meaning(other)

    assert (_key("/e?" + _query(one)) == _key("/e?" + _query(other))) is same


@given(pairs=_PAIRS, data=st.data())
def test_order_and_encoding_do_not_matter(
    pairs: list[tuple[str, str]], data: st.DataObject
) -> None:
    """Any order of different parameters, in any encoding, meets one key."""
    names = list(dict.fromkeys(name for name, _ in pairs))
    order = data.draw(st.permutations(names))
    shuffled = [pair for name in order for pair in pairs if pair[0] == name]

    assert _key("/e?" + _query(pairs)) == _key(
        "/e?" + _query(shuffled, lambda t: quote(t, safe=""))
    )


@given(
    one=st.tuples(_NAMES, _NAMES, _NAMES, st.binary(max_size=2)),
    other=st.tuples(_NAMES, _NAMES, _NAMES, st.binary(max_size=2)),
)
def test_parts_of_a_key_do_not_run_together(
    one: tuple[str, str, str, bytes], other: tuple[str, str, str, bytes]
) -> None:
    """Path, parameter, header and body each count by themselves."""

    def of(parts: tuple[str, str, str, bytes]) -> str:
        segment, value, header, body = parts
        return _key(
            f"/e/x{quote(segment, safe='')}?v={quote_plus(value)}",
            (("X-Unit", f"<{header}>"),),
            method="POST",
            body=body,
            template="/e/{id}",
            headers=("x-unit",),
            cache_body=True,
        )

    assert (of(one) == of(other)) is (one == other)
