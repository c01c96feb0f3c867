"""Settlements: (plan, outcome, now) -> answer, write and verdict."""

from typing import TypeAlias

import pytest

from proxy.core import variants
from proxy.core.fields import Fields, first
from proxy.core.model import (
    Entry,
    Failed,
    Fetch,
    Forward,
    Nothing,
    Outcome,
    Policy,
    Put,
    Refuse,
    Touch,
)
from tests.core.settling import (
    BROKEN,
    CAP,
    CONNECT,
    GONE,
    HOLD,
    IGNORE,
    OBEY,
    QUOTA,
    TAG,
    TIMEOUT,
    asking,
    cc,
    endpoint,
    entry,
    falling_back,
    fetched,
    settled,
    word,
)
from tests.values import replace

Rules: TypeAlias = dict[str, object]
MODIFIED = ("Last-Modified", "Wed, 12 Nov 2025 00:00:00 GMT")

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


@pytest.mark.parametrize("names_it", [True, False])
@pytest.mark.parametrize(("section", "outcome", "flags", "expected"), OBEYED)
def test_under_obey_the_origin_says_when_stale_will_do(
    section: str, outcome: Outcome, flags: frozenset[str], expected: str, *, names_it: bool
) -> None:
    """An error's status is rescued where stale-if-error says so; no answer, if nothing forbids."""
    plan = falling_back(flags=flags)
    plan = plan if names_it else replace(plan, fallback=None)

    assert expected == word(settled(outcome, plan, endpoint(OBEY)))


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


NAMELESS: list[tuple[str, Policy, Fields, Fields, str]] = [
    # RFC section, policy, validators of what is stored, the 304's, what comes of it
    ("9111 4.3.4", OBEY, (TAG,), (("ETag", '"b"'),), "REVALIDATED 200 nothing"),
    ("9111 4.3.4", OBEY, (TAG,), (("ETag", 'W/"b"'),), "REVALIDATED 200 nothing"),
    ("9111 4.3.4", OBEY, (TAG,), (("ETag", 'W/"a"'),), "REVALIDATED 200 touch"),
    ("9111 4.3.4", OBEY, (TAG,), (), "REVALIDATED 200 touch"),
    ("9111 4.3.4", OBEY, (MODIFIED,), (TAG,), "REVALIDATED 200 nothing"),
    ("9111 4.3.4", OBEY, (MODIFIED,), (("ETag", 'W/"a"'),), "REVALIDATED 200 touch"),
    ("9111 4.3.4", OBEY, (MODIFIED,), (MODIFIED,), "REVALIDATED 200 touch"),
    ("contract", CAP, (TAG,), (("ETag", '"b"'),), "REVALIDATED 200 touch"),
    ("contract", IGNORE, (TAG,), (("ETag", '"b"'),), "REVALIDATED 200 touch"),
]


@pytest.mark.parametrize(("section", "policy", "held", "named", "expected"), NAMELESS)
def test_a_304_that_names_another_updates_nothing(
    section: str, policy: Policy, held: Fields, named: Fields, expected: str
) -> None:
    """By the letter it speaks of what is not stored; what we asked about still answers.

    Under `ignore` and `cap` a call is not spent again on an origin that spells its tags twice.
    """
    old = entry(100, *held)
    plan = Fetch(validators=(("If-None-Match", '"a"'),), stored=(old,), fallback=old)
    made = settled(fetched(304, *named), plan, endpoint(policy))

    assert expected == word(made)
    assert ("nothing" in expected) == (made.reply is old and not made.shareable)


def test_a_304_that_names_another_gives_nobody_a_strangers_variant() -> None:
    """9111 4.1: of the one variant that is stored, for another selection, nothing is known."""
    held = replace(entry(9, ("Vary", "Foo"), TAG), key="k~1", request_fields=(("foo", "1"),))
    plan = Fetch(validators=(("If-None-Match", '"a"'),), stored=(held,))
    made = settled(fetched(304, ("ETag", '"z"')), plan, endpoint(OBEY), asking(("Foo", "2")))

    assert word(made) == "REFUSED 502 nothing"


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


def test_nothing_is_written_where_nothing_came() -> None:
    """A failure leaves the cache as it is."""
    assert settled(CONNECT, falling_back()).write == Nothing()
