"""Settlements: (plan, outcome, now) -> answer, write and verdict."""

from dataclasses import replace
from typing import TypeAlias

import pytest

from proxy.core import variants
from proxy.core.dates import format_date
from proxy.core.fields import Fields, first
from proxy.core.model import (
    Denied,
    Entry,
    Failed,
    Failure,
    Fetch,
    Fetched,
    Forward,
    Invalidate,
    Lifetimes,
    Nothing,
    Outcome,
    Policy,
    Put,
    Refuse,
    Reply,
    Request,
    Settlement,
    Touch,
)
from proxy.core.settlements import settle
from proxy.core.upstreams import Endpoint

NOW = 1_763_000_000.0
IGNORE, CAP, OBEY = Policy.IGNORE, Policy.CAP, Policy.OBEY
LIVES = Lifetimes(60.0, stale_while_revalidate=30.0, stale_if_error=600.0)
JSON = ("Content-Type", "application/json")
TAG = ("ETag", '"a"')
URI = "https://api.example.com/x"
Rules: TypeAlias = dict[str, object]


def cc(value: str) -> tuple[str, str]:
    return ("Cache-Control", value)


def endpoint(policy: Policy = IGNORE, **rules: object) -> Endpoint:
    made = Endpoint("e", "u", "/x", (), policy=policy, ttl=60.0)
    return replace(made, **rules)  # type: ignore[arg-type]  # rows name the fields


def entry(age: float = 100, *fields: tuple[str, str], flags: frozenset[str] = frozenset()) -> Entry:
    at = NOW - age
    return Entry("k", 200, "OK", (JSON, *fields), b"old", "", at, at, 0.0, LIVES, flags=flags)


def fetched(status: int, *fields: tuple[str, str], rejected: str = "", body: bytes = b"new",
            length: int | None = None) -> Fetched:  # fmt: skip
    reply = Reply(status, "R", (JSON, *fields), body)
    return Fetched(reply, NOW, NOW, rejected, length)


def asking(*fields: tuple[str, str], method: str = "GET") -> Request:
    return Request(method, "/x", "", fields, host="api.example.com")


def settled(
    outcome: Outcome,
    plan: Fetch | Forward | None = None,
    rule: Endpoint | None = None,
    request: Request | None = None,
    key: str = "k",
) -> Settlement:
    return settle(
        rule or endpoint(), request or asking(), plan or Fetch(), outcome, LIVES, key, NOW, uri=URI
    )


def word(settlement: Settlement) -> str:
    """Return verdict, status and what is written, as a row reads it."""
    write = type(settlement.write).__name__.lower()
    return f"{settlement.verdict} {settlement.reply.status} {write}"


def falling_back(age: float = 100, flags: frozenset[str] = frozenset()) -> Fetch:
    old = entry(age, flags=flags)
    return Fetch(stored=(old,), fallback=old, forward_reason="stale")


QUOTA = Denied("minute", retry_after=7.0, resets_in=40.0)
HOLD = Denied("hold", retry_after=90.0, resets_in=90.0, hold=True)
CONNECT = Failed(Failure.CONNECT, sent=False)
TIMEOUT = Failed(Failure.TIMEOUT, sent=True)
BROKEN = Failed(Failure.PROTOCOL, sent=True)
GONE = Failed(Failure.DISCONNECTED, sent=True)

RESCUE: list[tuple[Outcome, str, str, str]] = [
    # outcome, with a fallback, its detail, without one
    (QUOTA, "RESCUED 200 nothing", "limit minute", "REFUSED 429 nothing"),
    (HOLD, "RESCUED 200 nothing", "hold", "REFUSED 429 nothing"),
    (CONNECT, "RESCUED 200 nothing", "connect", "REFUSED 502 nothing"),
    (TIMEOUT, "RESCUED 200 nothing", "timeout", "REFUSED 504 nothing"),
    (BROKEN, "RESCUED 200 nothing", "protocol", "REFUSED 502 nothing"),
    (GONE, "RESCUED 200 nothing", "disconnected", "REFUSED 502 nothing"),
    (fetched(500), "RESCUED 200 nothing", "status 500", "MISS 500 nothing"),
    (fetched(502), "RESCUED 200 nothing", "status 502", "MISS 502 nothing"),
    (fetched(503), "RESCUED 200 nothing", "status 503", "MISS 503 nothing"),
    (fetched(504), "RESCUED 200 nothing", "status 504", "MISS 504 nothing"),
    (fetched(418), "RESCUED 200 nothing", "status 418", "MISS 418 nothing"),
    (fetched(429), "RESCUED 200 nothing", "status 429", "MISS 429 nothing"),
    (fetched(200, rejected="x"), "RESCUED 200 nothing", "rejected", "MISS 200 nothing"),
    (fetched(403, rejected="x"), "RESCUED 200 nothing", "rejected", "MISS 403 nothing"),
    (fetched(200), "MISS 200 put", "", "MISS 200 put"),
    (fetched(203), "MISS 203 put", "", "MISS 203 put"),
    (fetched(404), "MISS 404 put", "", "MISS 404 put"),
    (fetched(400), "MISS 400 nothing", "status", "MISS 400 nothing"),
    (fetched(401), "MISS 401 nothing", "status", "MISS 401 nothing"),
    (fetched(402), "MISS 402 nothing", "status", "MISS 402 nothing"),
    (fetched(403), "MISS 403 nothing", "status", "MISS 403 nothing"),
    (fetched(501), "MISS 501 nothing", "status", "MISS 501 nothing"),
    (fetched(505), "MISS 505 nothing", "status", "MISS 505 nothing"),
    (fetched(204), "MISS 204 nothing", "status", "MISS 204 nothing"),
    (fetched(302), "MISS 302 nothing", "status", "MISS 302 nothing"),
    (fetched(304), "REFUSED 502 nothing", "protocol", "REFUSED 502 nothing"),
]


@pytest.mark.parametrize("policy", [IGNORE, CAP])
@pytest.mark.parametrize(("outcome", "rescued", "detail", "alone"), RESCUE)
def test_one_rescue_rule(
    policy: Policy, outcome: Outcome, rescued: str, detail: str, alone: str
) -> None:
    """Contract: a fallback stands in for failures, blocks, holds and empty quotas, no more."""
    saved = settled(outcome, falling_back(), endpoint(policy))

    assert (rescued, detail) == (word(saved), saved.detail)
    assert alone == word(settled(outcome, Fetch(), endpoint(policy)))


YOUNG: list[tuple[float, Rules, Fields, str]] = [
    # age of the fallback (ttl 60, sie 600), rules, request's fields, verdict
    (659, {}, (), "RESCUED"),
    (660, {}, (), "REFUSED"),
    (100, {"max_age": 100.0}, (), "RESCUED"),
    (101, {"max_age": 100.0}, (), "REFUSED"),
    (100, {}, (cc("max-age=99"),), "REFUSED"),
    (100, {}, (cc("max-age=100"),), "RESCUED"),
    (100, {}, (cc("max-stale"),), "RESCUED"),
    (100, {}, (cc("min-fresh=1"),), "REFUSED"),
    (100, {}, (cc("no-cache"),), "RESCUED"),
    (100, {"client_refresh": True}, (cc("no-cache"),), "REFUSED"),
]


@pytest.mark.parametrize(("age", "rules", "fields", "verdict"), YOUNG)
def test_a_fallback_must_be_young_enough_when_it_is_given(
    age: float, rules: Rules, fields: Fields, verdict: str
) -> None:
    """The clock is read again: stale_if_error, the endpoint's max_age and the client rule then."""
    made = settled(QUOTA, falling_back(age), endpoint(**rules), asking(*fields))

    assert verdict == made.verdict


@pytest.mark.parametrize("status", [401, 402])
@pytest.mark.parametrize(
    ("max_age", "verdict"), [(None, "MISS"), (500.0, "RESCUED"), (99.0, "MISS")]
)
def test_a_refused_key_is_rescued_within_max_age_alone(
    status: int, max_age: float | None, verdict: str
) -> None:
    """Contract: 401 and 402 are rescued only where the endpoint says how old an answer may be."""
    made = settled(fetched(status), falling_back(), endpoint(max_age=max_age))

    assert verdict == made.verdict


OBEYED: list[tuple[str, Outcome, frozenset[str], str]] = [
    # RFC section, outcome, the fallback's flags, what is answered under obey
    ("9111 4.2.4", CONNECT, frozenset(), "RESCUED 200 nothing"),
    ("9111 4.2.4", TIMEOUT, frozenset(), "RESCUED 200 nothing"),
    ("9111 4.2.4", QUOTA, frozenset(), "RESCUED 200 nothing"),
    ("9111 4.2.4", HOLD, frozenset(), "RESCUED 200 nothing"),
    ("9111 4.2.4", fetched(503), frozenset(), "MISS 503 nothing"),
    ("5861 4", fetched(503), frozenset({"stale-if-error"}), "RESCUED 200 nothing"),
    ("5861 4", fetched(500), frozenset({"stale-if-error"}), "RESCUED 200 nothing"),
    ("5861 4", fetched(429), frozenset({"stale-if-error"}), "MISS 429 nothing"),
    ("5861 4", fetched(404, cc("max-age=9")), frozenset({"stale-if-error"}), "MISS 404 put"),
    ("9111 3", fetched(503, cc("max-age=9")), frozenset(), "MISS 503 put"),
]


@pytest.mark.parametrize(("section", "outcome", "flags", "expected"), OBEYED)
def test_under_obey_the_origin_says_when_stale_will_do(
    section: str, outcome: Outcome, flags: frozenset[str], expected: str
) -> None:
    """An error's status is rescued where stale-if-error says so; no answer, if nothing forbids."""
    assert expected == word(settled(outcome, falling_back(flags=flags), endpoint(OBEY)))


@pytest.mark.parametrize("outcome", [CONNECT, TIMEOUT, BROKEN, GONE])
def test_where_stale_is_forbidden_the_answer_is_504(outcome: Failed) -> None:
    """9111 5.2.2.2: what must be revalidated and cannot be is answered with 504."""
    old = entry(flags=frozenset({"must-revalidate"}))
    made = settled(outcome, Fetch(stored=(old,)), endpoint(OBEY))

    assert word(made) == "REFUSED 504 nothing"


KINDS = [
    (QUOTA, "quota-exhausted", 7.0),
    (HOLD, "upstream-hold", 90.0),
    (CONNECT, "upstream-unreachable", None),
    (TIMEOUT, "upstream-timeout", None),
    (BROKEN, "upstream-broken", None),
    (GONE, "upstream-unreachable", None),
]


@pytest.mark.parametrize("plan", [Fetch(), Forward(private=True)])
@pytest.mark.parametrize(("outcome", "kind", "retry_after"), KINDS)
def test_a_problem_of_our_own_says_what_it_is(
    plan: Fetch | Forward, outcome: Outcome, kind: str, retry_after: float | None
) -> None:
    """Each way to have no answer has its own kind of problem, and a denial its time."""
    made = settled(outcome, plan)

    assert isinstance(made.reply, Refuse)
    assert (kind, retry_after) == (made.reply.kind, made.retry_after)


# ── 304 ──


@pytest.mark.parametrize("policy", Policy)
def test_a_304_confirms_what_is_stored(policy: Policy) -> None:
    """9111 4.3.4: the entry is given with its fields updated, and is young again."""
    old = entry(100, TAG, ("X", "1"))
    plan = Fetch(validators=(("If-None-Match", '"a"'),), stored=(old,), fallback=old)
    made = settled(fetched(304, ("X", "2"), TAG, cc("max-age=9")), plan, endpoint(policy))

    assert word(made) == "REVALIDATED 200 touch"
    assert isinstance(made.write, Touch)
    assert first(made.write.entry.fields, "x") == "2"
    assert (made.write.entry.body, made.age) == (b"old", 0.0)
    assert made.write.entry.lifetimes.ttl == (60.0 if policy is IGNORE else 9.0)


def test_a_304_to_a_clients_own_condition_is_the_clients() -> None:
    """9110 15.4.5: nothing stored, nothing confirmed: it is passed on, to the one who asked."""
    made = settled(fetched(304), Fetch(), endpoint(OBEY), asking(("If-None-Match", '"z"')))

    assert (word(made), made.shareable) == ("MISS 304 nothing", False)


def test_a_304_names_the_variant_it_confirms() -> None:
    """9111 4.3.4: the variant whose tag it names answers, under this request's variant key too."""
    vary = ("Vary", "Foo")
    one = replace(entry(9, vary, TAG), key="k~1", request_fields=(("foo", "1"),))
    two = replace(entry(9, vary, ("ETag", '"b"')), key="k~2", request_fields=(("foo", "2"),))
    plan = Fetch(validators=(("If-None-Match", '"a", "b"'),), stored=(one, two))
    request = asking(("Foo", "3"))
    made = settled(fetched(304, ("ETag", '"b"')), plan, endpoint(OBEY), request)

    assert isinstance(made.write, Put)
    assert made.write.entry.key == variants.variant_key("k", (vary,), request)
    assert made.write.entry.request_fields == (("foo", "3"),)
    assert first(made.write.entry.fields, "etag") == '"b"'
    assert made.write.index is not None
    listed = variants.listed(made.write.index)
    assert listed == (made.write.entry.key, "k~1", "k~2")


def test_a_304_that_confirms_nobody_is_no_answer() -> None:
    """9111 4.3.4: of several variants, none named: no entry may be updated by it."""
    one, two = entry(9, ("Vary", "Foo"), TAG), entry(9, ("Vary", "Foo"), ("ETag", '"b"'))
    plan = Fetch(validators=(("If-None-Match", '"a", "b"'),), stored=(one, two))

    made = settled(fetched(304), plan, endpoint(OBEY), asking(("Foo", "3")))

    assert word(made) == "REFUSED 502 nothing"


# ── What is answered, and what is shared ──


def test_a_new_reply_is_whole_for_who_asked_and_clean_for_others() -> None:
    """Under `obey` a field meant for one client goes to that client, and is not kept."""
    fields = (cc('max-age=9, private="x", no-cache="y"'), ("X", "1"), ("Y", "2"), ("Age", "3"))
    made = settled(fetched(200, *fields), Fetch(), endpoint(OBEY))

    assert isinstance(made.reply, Entry)
    assert isinstance(made.shared, Entry)
    assert [first(made.reply.fields, name) for name in ("x", "y", "age")] == ["1", "2", "3"]
    assert [first(made.shared.fields, name) for name in ("x", "y", "age")] == [None, None, None]


def test_cookies_go_nowhere_under_ignore() -> None:
    """Contract: Set-Cookie is dropped where `obey` is not set: from the answer and the entry."""
    made = settled(fetched(200, ("Set-Cookie", "a=b")))
    kept = settled(fetched(200, ("Set-Cookie", "a=b"), cc("max-age=9")), rule=endpoint(OBEY))

    assert isinstance(made.reply, Entry)
    assert isinstance(made.shared, Entry)
    assert isinstance(kept.shared, Entry)
    assert first(made.reply.fields, "set-cookie") is None
    assert first(made.shared.fields, "set-cookie") is None
    assert first(kept.shared.fields, "set-cookie") == "a=b"


@pytest.mark.parametrize(
    ("policy", "value", "shareable"),
    [
        (OBEY, "max-age=9", True),
        (OBEY, "no-store", False),
        (OBEY, "private", False),
        (IGNORE, "no-store", True),
    ],
)
def test_what_may_not_be_stored_is_not_shared(
    policy: Policy, value: str, *, shareable: bool
) -> None:
    """9111 4: those who waited may take the answer only where it may be stored."""
    made = settled(fetched(200, cc(value)), Fetch(), endpoint(policy))

    assert made.shareable is shareable


def test_a_variant_is_put_beside_the_others() -> None:
    """9111 4.1: the index lists the new variant first, then those that were there."""
    old = replace(entry(9, ("Vary", "Foo")), key="k~old", request_fields=(("foo", "1"),))
    outcome = fetched(200, ("Vary", "Foo"), cc("max-age=9"))
    made = settled(outcome, Fetch(stored=(old,)), endpoint(OBEY), asking(("Foo", "2")))

    assert isinstance(made.write, Put)
    assert made.write.index is not None
    assert made.write.index.key == "k"
    assert variants.listed(made.write.index) == (made.write.entry.key, "k~old")


# ── HEAD ──


HEADS: list[tuple[Fields, Fetched, str, float | None]] = [
    # stored fields, the HEAD's answer under obey, what comes of it, ttl then
    ((TAG,), fetched(200, TAG, cc("max-age=500")), "MISS 200 touch", 500),
    ((), fetched(200, cc("max-age=500")), "MISS 200 touch", 500),
    ((), fetched(200, cc("max-age=500"), length=3), "MISS 200 touch", 500),
    ((), fetched(200, cc("max-age=500"), length=4), "MISS 200 touch", 0),
    ((TAG,), fetched(200, ("ETag", '"b"'), cc("max-age=500")), "MISS 200 touch", 0),
    ((), fetched(410, cc("max-age=500")), "MISS 410 nothing", None),
    ((), fetched(200, cc("no-store")), "MISS 200 touch", 0),
]


@pytest.mark.parametrize(("fields", "outcome", "expected", "ttl"), HEADS)
def test_a_head_updates_or_ends_the_stored_get(
    fields: Fields, outcome: Fetched, expected: str, ttl: float | None
) -> None:
    """9111 4.3.5: the same representation is updated; another makes the stored one stale."""
    old = entry(100, *fields)
    plan = Fetch(stored=(old,), joinable=False)
    made = settled(outcome, plan, endpoint(OBEY), asking(method="HEAD"))

    assert expected == word(made)
    if ttl is not None:
        assert isinstance(made.write, Touch)
        assert (ttl, b"old") == (made.write.entry.lifetimes.ttl, made.write.entry.body)


def test_a_head_alone_stores_nothing() -> None:
    """9110 9.3.2: without a stored GET an answer to HEAD is only passed on."""
    made = settled(fetched(200, cc("max-age=9")), Fetch(), endpoint(OBEY), asking(method="HEAD"))

    assert word(made) == "MISS 200 nothing"


def test_a_head_fetched_as_a_get_is_stored() -> None:
    """Under `ignore` a HEAD is asked as a GET, so what comes is everyone's."""
    assert word(settled(fetched(200), Fetch(method="GET"), request=asking(method="HEAD"))) == (
        "MISS 200 put"
    )


# ── Forward ──

LOCATED = ("Content-Location", "/x")
SOON = ("Expires", format_date(NOW + 900))

FORWARDED: list[tuple[Policy, str, Outcome, bool, str]] = [
    # policy, method, outcome, storable, what comes of it
    (IGNORE, "GET", fetched(200), False, "BYPASS 200 nothing"),
    (IGNORE, "GET", fetched(500), False, "BYPASS 500 nothing"),
    (IGNORE, "POST", fetched(200), False, "BYPASS 200 invalidate"),
    (IGNORE, "DELETE", fetched(204), False, "BYPASS 204 invalidate"),
    (IGNORE, "POST", fetched(500), False, "BYPASS 500 nothing"),
    (IGNORE, "POST", fetched(429), False, "BYPASS 429 nothing"),
    (CAP, "PUT", fetched(201), False, "BYPASS 201 invalidate"),
    (OBEY, "M-SEARCH", fetched(200), False, "BYPASS 200 invalidate"),
    (OBEY, "OPTIONS", fetched(200), False, "BYPASS 200 nothing"),
    (OBEY, "POST", fetched(200, LOCATED, SOON), True, "BYPASS 200 put"),
    (OBEY, "POST", fetched(200, LOCATED, cc("max-age=9")), True, "BYPASS 200 put"),
    (OBEY, "POST", fetched(200, LOCATED), True, "BYPASS 200 invalidate"),
    (OBEY, "POST", fetched(200, SOON), True, "BYPASS 200 invalidate"),
    (OBEY, "POST", fetched(200, ("Content-Location", "/y"), SOON), True, "BYPASS 200 invalidate"),
    (OBEY, "POST", fetched(200, LOCATED, cc("no-store, max-age=9")), True, "BYPASS 200 invalidate"),
    (OBEY, "POST", fetched(404, LOCATED, SOON), True, "BYPASS 404 nothing"),
    (OBEY, "POST", fetched(200, LOCATED, SOON), False, "BYPASS 200 invalidate"),
    (IGNORE, "GET", QUOTA, False, "REFUSED 429 nothing"),
    (IGNORE, "POST", HOLD, False, "REFUSED 429 nothing"),
    (IGNORE, "POST", TIMEOUT, False, "REFUSED 504 nothing"),
    (IGNORE, "POST", CONNECT, False, "REFUSED 502 nothing"),
]


@pytest.mark.parametrize(("policy", "method", "outcome", "storable", "expected"), FORWARDED)
def test_what_is_forwarded(
    policy: Policy, method: str, outcome: Outcome, *, storable: bool, expected: str
) -> None:
    """9111 4.4, 9110 9.3.3: it passes; unsafe methods invalidate; a POST may be stored for GETs."""
    plan = Forward("method", storable=storable)
    made = settled(outcome, plan, endpoint(policy), asking(method=method))

    assert expected == word(made)
    assert made.shareable is not isinstance(outcome, Fetched)


def test_an_invalidation_names_absolute_uris() -> None:
    """9111 4.4: the target and what Location names."""
    outcome = fetched(201, ("Location", "y"))
    made = settled(outcome, Forward("method"), request=asking(method="POST"))

    assert made.write == Invalidate((URI, "https://api.example.com/y"))


def test_without_a_uri_the_requests_own_is_taken() -> None:
    """The target of a request is what it names itself."""
    request = replace(asking(method="PUT"), query="a=1")
    made = settle(endpoint(), request, Forward("method"), fetched(200), LIVES, "", NOW)

    assert made.write == Invalidate(("http://api.example.com/x?a=1",))


def test_without_a_key_nothing_is_stored() -> None:
    """A private POST has no key, and is for nobody else."""
    plan = Forward("method", private=True, storable=True)
    outcome = fetched(200, LOCATED, SOON)
    made = settled(outcome, plan, endpoint(OBEY), asking(method="POST"), key="")

    assert isinstance(made.write, Invalidate)
    assert made.stored is False


def test_nothing_is_written_where_nothing_came() -> None:
    """A failure leaves the cache as it is."""
    assert settled(CONNECT, falling_back()).write == Nothing()
