"""Storing (RFC 9111 section 3; the contract's statuses)."""

import pytest

from proxy.core import storing
from proxy.core.dates import format_date
from proxy.core.fields import Fields, first, values
from proxy.core.model import Entry, Fetched, Lifetimes, Policy, Reply, Request
from proxy.core.storing import Unstorable
from proxy.core.upstreams import Endpoint
from tests.values import replace

NOW = 1_763_000_000.0
OWN = Lifetimes(60.0, stale_while_revalidate=30.0, stale_if_error=600.0)
JSON = ("Content-Type", "application/json; charset=utf-8")
MODIFIED = ("Last-Modified", format_date(NOW - 1000))
EXPIRES = ("Expires", format_date(NOW + 1000))


def endpoint(policy: Policy, **changes: object) -> Endpoint:
    made = Endpoint("e", "u", "/x", (), policy=policy, ttl=60.0)
    return replace(made, **changes)  # type: ignore[arg-type]  # rows name the fields


def stored(
    rule: Endpoint,
    status: int,
    fields: Fields,
    *,
    request: Fields = (),
    body: bytes = b"{}",
    rejected: str = "",
    dropped: frozenset[str] = frozenset(),
    own: Lifetimes = OWN,
) -> Entry | Unstorable:
    fetched = Fetched(Reply(status, "R", fields, body), NOW, NOW, rejected)
    asked = Request("GET", "/x", "", request)
    return storing.entry(rule, asked, fetched, own, "k", dropped=dropped)


def cc(value: str) -> tuple[str, str]:
    return ("Cache-Control", value)


def dated(seconds: float) -> tuple[str, str]:
    return ("Date", format_date(NOW + seconds))


AUTHORIZED = ("Authorization", "Bearer x")
OBEYED: list[tuple[str, int, Fields, Fields, str]] = [
    # RFC 9111 section, status, fields, request's fields, why it is not stored ("": it is)
    ("3", 200, (cc("max-age=9"),), (), ""),
    ("3", 200, (), (), "no lifetime"),
    ("3", 200, (cc("max-age=0"),), (), "no lifetime"),
    ("3", 200, (cc("max-age=0"), ("ETag", '"a"')), (), ""),
    ("3", 200, (EXPIRES,), (), ""),
    ("3", 200, (MODIFIED,), (), ""),
    ("3", 203, (EXPIRES,), (), ""),
    ("3", 204, (EXPIRES,), (), ""),
    ("3", 299, (EXPIRES,), (), ""),
    ("3", 301, (EXPIRES,), (), ""),
    ("3", 302, (EXPIRES,), (), ""),
    ("3", 303, (EXPIRES,), (), ""),
    ("3", 307, (EXPIRES,), (), ""),
    ("3", 308, (EXPIRES,), (), ""),
    ("3", 400, (EXPIRES,), (), ""),
    ("3", 404, (EXPIRES,), (), ""),
    ("3", 410, (EXPIRES,), (), ""),
    ("3", 499, (EXPIRES,), (), ""),
    ("3", 500, (EXPIRES,), (), ""),
    ("3", 502, (EXPIRES,), (), ""),
    ("3", 503, (EXPIRES,), (), ""),
    ("3", 504, (EXPIRES,), (), ""),
    ("3", 599, (EXPIRES,), (), ""),
    ("3", 201, (MODIFIED,), (), "status"),
    ("3", 202, (MODIFIED,), (), "status"),
    ("3", 403, (MODIFIED,), (), "status"),
    ("3", 502, (MODIFIED,), (), "status"),
    ("3", 599, (MODIFIED,), (), "status"),
    ("3", 599, (MODIFIED, cc("public")), (), ""),
    ("3.3", 206, (cc("max-age=9"),), (), "partial"),
    ("3", 304, (cc("max-age=9"),), (), "not modified"),
    ("4.1", 200, (cc("max-age=9"), ("Vary", "*")), (), "vary"),
    ("4.1", 200, (cc("max-age=9"), ("Vary", "Foo, *")), (), "vary"),
    ("4.1", 200, (cc("max-age=9"), ("Vary", "Foo")), (), ""),
    ("5.2.2.5", 200, (cc("no-store"),), (), "no-store"),
    ("5.2.2.5", 200, (cc("No-StOrE"),), (), "no-store"),
    ("5.2.2.5", 200, (cc("max-age=10000, no-store"), EXPIRES), (), "no-store"),
    ("5.2.2.3", 599, (cc("max-age=9, no-store, must-understand"),), (), "must-understand"),
    ("5.2.2.3", 599, (cc("max-age=9, must-understand"),), (), "must-understand"),
    ("5.2.2.3", 200, (cc("max-age=9, no-store, must-understand"),), (), ""),
    ("5.2.2.3", 404, (cc("max-age=9, must-understand"),), (), ""),
    ("5.2.2.7", 200, (cc("private, max-age=9"),), (), "private"),
    ("5.2.2.7", 200, (cc("PRIVATE, max-age=9"),), (), "private"),
    ("5.2.2.7", 200, (cc('private="a", max-age=9'),), (), ""),
    ("5.2.2.7", 200, (cc("private=a, max-age=9"),), (), "private"),
    ("5.2.2.4", 200, (cc("no-cache"),), (), "no lifetime"),
    ("5.2.2.4", 200, (cc("no-cache"), ("ETag", '"a"')), (), ""),
    ("5.2.1.5", 200, (cc("max-age=9"),), (cc("no-store"),), "request no-store"),
    ("3.5", 200, (EXPIRES,), (AUTHORIZED,), "authorization"),
    ("3.5", 200, (cc("max-age=9"),), (AUTHORIZED,), "authorization"),
    ("3.5", 200, (cc("max-age=9, public"),), (AUTHORIZED,), ""),
    ("3.5", 200, (cc("max-age=9, must-revalidate"),), (AUTHORIZED,), ""),
    ("3.5", 200, (cc("s-maxage=9"),), (AUTHORIZED,), ""),
    ("3.5", 200, (cc("max-age=9, proxy-revalidate"),), (AUTHORIZED,), "authorization"),
    ("3", 200, (cc("max-age=9"),), (("Cookie", "a=b"),), ""),
    ("3", 200, (cc("max-age=9"), ("Set-Cookie", "a=b")), (), ""),
    ("9213", 200, (("CDN-Cache-Control", "max-age=9"), cc("no-store")), (), ""),
    ("9213", 200, (("CDN-Cache-Control", "no-store"), cc("max-age=9")), (), "no-store"),
    ("9213", 200, (("CDN-Cache-Control", "private"), cc("max-age=9")), (), "private"),
    ("9213", 200, (("CDN-Cache-Control", "no-cache"), cc("max-age=9")), (), "no lifetime"),
    ("9213", 200, (("CDN-Cache-Control", "max-age=9, &"), cc("no-store")), (), "no-store"),
    ("9213", 200, (("CDN-Cache-Control", 'max-age="9"'), cc("no-store")), (), "no-store"),
    ("9213", 200, (("CDN-Cache-Control", "max-age=9"),), (AUTHORIZED,), "authorization"),
]


@pytest.mark.parametrize(("section", "status", "fields", "request_fields", "why"), OBEYED)
def test_a_shared_cache_stores_what_it_may(
    section: str, status: int, fields: Fields, request_fields: Fields, why: str
) -> None:
    """Under `obey` RFC 9111 (or the RFC named) says what is stored, whatever its type."""
    made = stored(endpoint(Policy.OBEY), status, fields, request=request_fields)

    assert why == (made.reason if isinstance(made, Unstorable) else "")


DECLARED: list[tuple[int, Fields, dict[str, object], float | None]] = [
    # status, fields, the endpoint's rules, ttl stored (None: not stored)
    (200, (JSON,), {}, 60),
    (203, (JSON,), {}, 60),
    (200, (("Content-Type", "APPLICATION/JSON"),), {}, 60),
    (200, (("Content-Type", "text/html"),), {}, None),
    (200, (), {}, None),
    (200, (("Content-Type", "text/html"),), {"content_type": None}, 60),
    (200, (("Content-Type", "text/csv"),), {"content_type": "text/csv"}, 60),
    (301, (("Content-Type", "text/html"),), {}, 60),
    (308, (), {}, 60),
    (302, (), {}, None),
    (307, (), {}, None),
    (201, (JSON,), {}, None),
    (204, (), {}, None),
    (206, (JSON,), {}, None),
    (404, (JSON,), {}, 30),
    (410, (JSON,), {}, 30),
    (404, (JSON,), {"negative_ttl": 5.0}, 5),
    (404, (JSON,), {"negative_ttl": 500.0}, 60),
    (404, (JSON,), {"negative_ttl": 0.0}, None),
    (404, (("Content-Type", "text/html"),), {}, None),
    (400, (JSON,), {}, None),
    (400, (JSON,), {"negative": ((400, 90.0),)}, 90),
    (404, (JSON,), {"negative": ((404, 7.0),)}, 7),
    (401, (JSON,), {}, None),
    (402, (JSON,), {}, None),
    (403, (JSON,), {}, None),
    (407, (JSON,), {}, None),
    (408, (JSON,), {}, None),
    (418, (JSON,), {}, None),
    (425, (JSON,), {}, None),
    (429, (JSON,), {}, None),
    (500, (JSON, cc("max-age=9")), {}, None),
    (502, (JSON,), {}, None),
    (503, (JSON,), {}, None),
    (504, (JSON,), {}, None),
    (200, (JSON, cc("no-store, private")), {}, 60),
    (200, (JSON, ("Vary", "*")), {}, 60),
    (200, (JSON,), {"max_size": 1.0}, None),
    (200, (JSON,), {"max_size": 2.0}, 60),
]


@pytest.mark.parametrize(("status", "fields", "rules", "ttl"), DECLARED)
def test_the_contracts_statuses_under_ignore(
    status: int, fields: Fields, rules: dict[str, object], ttl: float | None
) -> None:
    """Under `ignore` the contract's list, the declared type and the size say what is stored."""
    made = stored(endpoint(Policy.IGNORE, **rules), status, fields)

    assert ttl == (None if isinstance(made, Unstorable) else made.lifetimes.ttl)


def test_negative_entries_are_never_stale() -> None:
    """A 404 is given for its time and no longer."""
    made = stored(endpoint(Policy.IGNORE), 404, (JSON,))

    assert isinstance(made, Entry)
    assert made.lifetimes == Lifetimes(30.0)


CAPPED: list[tuple[Fields, float | None]] = [
    ((JSON,), 60),
    ((JSON, cc("max-age=9")), 9),
    ((JSON, cc("no-store")), None),
    ((JSON, cc("private")), None),
    ((JSON, cc("no-cache")), None),
    ((JSON, cc("no-cache"), ("ETag", '"a"')), 0),
    ((cc("max-age=9"),), None),
]


@pytest.mark.parametrize(("fields", "ttl"), CAPPED)
def test_cap_heeds_what_the_origin_forbids(fields: Fields, ttl: float | None) -> None:
    """Under `cap` both have to agree: the contract's list and the origin's word."""
    made = stored(endpoint(Policy.CAP), 200, fields)

    assert ttl == (None if isinstance(made, Unstorable) else made.lifetimes.ttl)


@pytest.mark.parametrize("policy", Policy)
def test_what_a_body_check_rejects_is_never_stored(policy: Policy) -> None:
    """A 200 that hides an error is no answer, under whatever policy."""
    made = stored(endpoint(policy), 200, (JSON, cc("max-age=9")), rejected="status.error_code")

    assert made == Unstorable("rejected")


def test_an_endpoint_whose_ttl_is_0_here_stores_nothing() -> None:
    """A TTL table may say 0 for this request."""
    assert stored(endpoint(Policy.IGNORE), 200, (JSON,), own=Lifetimes(0.0, 9.0)) == Unstorable(
        "no lifetime"
    )


KEPT: list[tuple[str, Policy, str, bool]] = [
    # RFC section, policy, field, whether it is kept
    ("9111 3.1", Policy.OBEY, "Test-Header", True),
    ("9111 3.1", Policy.OBEY, "Content-Encoding", True),
    ("9111 3.1", Policy.OBEY, "Set-Cookie", True),
    ("9111 3.1", Policy.OBEY, "Set-Cookie2", True),
    ("9111 3.1", Policy.OBEY, "Content-Range", True),
    ("9111 3.1", Policy.OBEY, "Connection", False),
    ("9111 3.1", Policy.OBEY, "Keep-Alive", False),
    ("9111 3.1", Policy.OBEY, "Proxy-Authenticate", False),
    ("9111 3.1", Policy.OBEY, "Proxy-Authentication-Info", False),
    ("9111 3.1", Policy.OBEY, "Proxy-Authorization", False),
    ("9111 3.1", Policy.OBEY, "Proxy-Connection", False),
    ("9111 3.1", Policy.OBEY, "TE", False),
    ("9111 3.1", Policy.OBEY, "Transfer-Encoding", False),
    ("9111 3.1", Policy.OBEY, "Upgrade", False),
    ("9111 3.1", Policy.OBEY, "Named-By-Connection", False),
    ("9111 5.1", Policy.OBEY, "Age", False),
    ("9111 5.2.2.4", Policy.OBEY, "Uncached", False),
    ("9111 5.2.2.7", Policy.OBEY, "Private", False),
    ("contract", Policy.OBEY, "Via", False),
    ("contract", Policy.IGNORE, "Test-Header", True),
    ("contract", Policy.IGNORE, "Set-Cookie", False),
    ("contract", Policy.IGNORE, "Set-Cookie2", False),
    ("contract", Policy.IGNORE, "Alt-Svc", False),
    ("contract", Policy.IGNORE, "NEL", False),
    ("contract", Policy.IGNORE, "Report-To", False),
    ("contract", Policy.IGNORE, "Strict-Transport-Security", False),
    ("contract", Policy.IGNORE, "X-Usage", False),
    ("contract", Policy.IGNORE, "Uncached", True),
    ("contract", Policy.CAP, "Set-Cookie", False),
    ("contract", Policy.CAP, "Private", False),
]


@pytest.mark.parametrize(("section", "policy", "name", "kept"), KEPT)
def test_fields_that_are_kept(section: str, policy: Policy, name: str, *, kept: bool) -> None:
    """Nothing of the connection, the provider's way here, or meant for one client is replayed."""
    fields = (
        JSON,
        ("Connection", "close, named-by-connection"),
        cc('max-age=9, no-cache="uncached", private="private"'),
        (name, "value"),
    )
    made = stored(endpoint(policy), 200, fields, dropped=frozenset({"x-usage"}))

    assert isinstance(made, Entry)
    assert kept == (first(made.fields, name.lower()) is not None)


UPDATED = [
    # field, whether a 304's takes the place of the stored one (RFC 9111 section 3.2)
    ("Test-Header", True),
    ("Cache-Control", True),
    ("Content-Type", True),
    ("Content-Location", True),
    ("Content-Foo", True),
    ("Set-Cookie", True),
    ("Expires", True),
    ("Content-Length", False),
    ("Content-Encoding", False),
    ("Content-MD5", False),
    ("Content-Range", False),
    ("ETag", False),
    ("Age", False),
]


@pytest.mark.parametrize(("name", "updated"), UPDATED)
def test_a_304_updates_what_does_not_describe_the_body(name: str, *, updated: bool) -> None:
    """9111 3.2: its fields replace the stored ones, but for those that describe what we hold."""
    made = stored(endpoint(Policy.OBEY), 200, ((name, "max-age=1"), cc("max-age=1")))
    assert isinstance(made, Entry)
    confirmed = Fetched(Reply(304, "", ((name, "max-age=5"),), b""), NOW + 9, NOW + 9)
    fresh = storing.freshened(endpoint(Policy.OBEY), made, confirmed, OWN)

    assert updated == (first(fresh.fields, name.lower()) == "max-age=5")


def test_a_304_makes_an_entry_young() -> None:
    """9111 4.3.4: age and lifetimes count from the 304; body, status and key are the same."""
    made = stored(endpoint(Policy.OBEY), 200, (cc("max-age=1"), ("X", "1"), ("ETag", '"a"')))
    assert isinstance(made, Entry)
    answer = Reply(304, "", (cc("max-age=7, must-revalidate"),), b"")
    fresh = storing.freshened(endpoint(Policy.OBEY), made, Fetched(answer, NOW + 99, NOW + 99), OWN)

    assert (fresh.age(NOW + 100), fresh.lifetimes.ttl) == (1.0, 7.0)
    assert fresh.flags == {"must-revalidate"}
    assert first(fresh.fields, "x") == "1"
    assert (fresh.body, fresh.status, fresh.key) == (made.body, 200, "k")


DATED: list[tuple[str, Policy, Fields, Fields, tuple[float, float]]] = [
    # RFC section, policy, the reply's Date, a 304's 90 seconds later, seconds that are stored
    ("9110 6.6.1", Policy.OBEY, (), (), (0, 90)),
    ("9110 6.6.1", Policy.CAP, (), (), (0, 90)),
    ("9110 6.6.1", Policy.IGNORE, (), (), (0, 90)),
    ("9110 6.6.1", Policy.OBEY, (dated(-5),), (), (-5, 90)),
    ("9110 6.6.1", Policy.OBEY, (), (dated(80),), (0, 80)),
    ("9110 6.6.1", Policy.OBEY, (dated(-5),), (dated(80),), (-5, 80)),
]


@pytest.mark.parametrize(("section", "policy", "first_date", "second_date", "expected"), DATED)
def test_what_came_without_a_date_is_dated_when_it_came(
    section: str,
    policy: Policy,
    first_date: Fields,
    second_date: Fields,
    expected: tuple[float, float],
) -> None:
    """Whoever takes it from here tells its age by it, on its day as well as after a 304."""
    made = stored(endpoint(policy), 200, (cc("max-age=9"), JSON, *first_date))
    assert isinstance(made, Entry)
    confirmed = Fetched(Reply(304, "", second_date, b""), NOW + 90, NOW + 90)
    fresh = storing.freshened(endpoint(policy), made, confirmed, OWN)

    assert [values(each.fields, "date") for each in (made, fresh)] == [
        (format_date(NOW + seconds),) for seconds in expected
    ]


def test_what_is_not_stored_goes_out_whole() -> None:
    """An answer that is not kept loses only what is the connection's, and foreign cookies."""
    fields = (
        ("Age", "30"),
        ("Via", "1.1 x"),
        ("Set-Cookie", "a=b"),
        ("Connection", "x"),
        ("X", "1"),
    )
    fetched = Fetched(Reply(200, "OK", fields, b"{}"), NOW, NOW)
    asked = Request("GET", "/x", "", ())

    passed = storing.unstored(endpoint(Policy.IGNORE), asked, fetched, "k")
    obeyed = storing.unstored(endpoint(Policy.OBEY), asked, fetched, "k")

    assert passed.fields == (("Age", "30"), ("Via", "1.1 x"))
    assert obeyed.fields == (("Age", "30"), ("Via", "1.1 x"), ("Set-Cookie", "a=b"))


def test_a_variant_is_stored_beside_the_others() -> None:
    """9111 4.1: under `obey` what varies has a key of its own, and remembers what selected it."""
    fields = (cc("max-age=9"), ("Vary", "Foo"), JSON)
    made = stored(endpoint(Policy.OBEY), 200, fields, request=(("Foo", " 1,2"), ("Bar", "x")))
    ignored = stored(endpoint(Policy.IGNORE), 200, fields, request=(("Foo", "1"),))

    assert isinstance(made, Entry)
    assert isinstance(ignored, Entry)
    assert made.key.startswith("k~")
    assert made.request_fields == (("foo", "1,2"),)
    assert (ignored.key, ignored.request_fields) == ("k", ())


def test_candles_end_with_their_close_confirmed_or_new() -> None:
    """What holds candles lives no longer than these, be it fetched or confirmed by a 304."""
    minute = (NOW // 60 + 1) * 60
    rule = replace(endpoint(Policy.IGNORE), align="interval")
    request = Request("GET", "/x", "interval=1m", ())
    reply = Reply(200, "OK", (("Content-Type", "application/json"),), b"[]")
    made = storing.entry(rule, request, Fetched(reply, minute - 5, minute - 4), OWN, "k")
    confirmed = Fetched(replace(reply, status=304), minute - 3, minute - 2)

    assert not isinstance(made, storing.Unstorable)
    fresh = storing.freshened(rule, made, confirmed, OWN, request=request)

    assert (6, 4) == (made.lifetimes.usable, fresh.lifetimes.usable)
