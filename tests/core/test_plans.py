"""Plans: (request, stored, now) -> what to do."""

from typing import TypeAlias

import pytest

from proxy.core import plans, variants
from proxy.core.dates import format_date
from proxy.core.fields import Fields
from proxy.core.model import (
    Entry,
    Fetch,
    Forward,
    Lifetimes,
    Plan,
    Policy,
    Refuse,
    Serve,
    ServeThenRefresh,
)
from proxy.core.plans import plan
from proxy.core.tables import ByValue
from proxy.core.upstreams import Endpoint
from tests.core.settling import CAP, IGNORE, NOW, OBEY, asking, cc
from tests.values import replace

Rules: TypeAlias = dict[str, object]
LIVES = Lifetimes(60.0, stale_while_revalidate=30.0, stale_if_error=600.0, keep=6000.0)


def endpoint(policy: Policy, rules: Rules) -> Endpoint:
    made = Endpoint("e", "u", "/x", (), policy=policy, ttl=60.0)
    return replace(made, **rules)  # type: ignore[arg-type]  # rows name the fields


def entry(age: float, *fields: tuple[str, str], flags: frozenset[str] = frozenset()) -> Entry:
    return Entry("k", 200, "OK", fields, b"{}", "", NOW - age, NOW - age, 0.0, LIVES, flags=flags)


def word(made: Plan) -> str:
    """Return a plan as a word: rows stay readable."""
    match made:
        case Serve():
            return f"serve {made.verdict}"
        case ServeThenRefresh():
            return "serve and refresh"
        case Fetch():
            return "fetch with fallback" if made.fallback else "fetch"
        case Forward():
            return "forward privately" if made.private else "forward"
        case Refuse():
            return f"refuse {made.status}"


PHASES: list[tuple[str, float | None, str]] = [
    # RFC section, age of what is stored (None: nothing), plan; alike under every policy
    ("9111 4", None, "fetch"),
    ("9111 4.2", 0, "serve HIT"),
    ("9111 4.2", 59.9, "serve HIT"),
    ("5861 3", 60, "serve and refresh"),
    ("5861 3", 89.9, "serve and refresh"),
    ("5861 4", 90, "fetch with fallback"),
    ("5861 4", 659.9, "fetch with fallback"),
    ("9111 4.3", 660, "fetch"),
    ("9111 4.3", 5000, "fetch"),
    ("9111 4.2.3", -59, "serve HIT"),
    ("9111 4.2.3", -61, "fetch"),
]


@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize(("section", "age", "expected"), PHASES)
def test_age_decides(policy: Policy, section: str, age: float | None, expected: str) -> None:
    """Fresh, stale while refreshed, a fallback, nothing; one machine under all three policies."""
    stored = () if age is None else (entry(age),)
    made = word(plan(endpoint(policy, {}), asking(), stored, NOW, private=False))

    assert (expected.removesuffix(" with fallback") if policy is OBEY else expected) == made


UNCACHEABLE: list[tuple[Policy, Rules, str, str]] = [
    # policy, the endpoint's rules, method, plan (with a fresh entry at hand)
    (IGNORE, {}, "HEAD", "serve HIT"),
    (OBEY, {}, "HEAD", "serve HIT"),
    (IGNORE, {}, "POST", "forward"),
    (CAP, {}, "PUT", "forward"),
    (OBEY, {}, "DELETE", "forward"),
    (OBEY, {}, "POST", "forward"),
    (OBEY, {}, "OPTIONS", "forward"),
    (IGNORE, {"live": True}, "GET", "forward"),
    (OBEY, {"live": True}, "GET", "forward"),
    (IGNORE, {"private": True}, "GET", "forward privately"),
    (IGNORE, {"ttl": 0.0}, "GET", "forward"),
    (IGNORE, {"ttl": 0}, "GET", "forward"),
    (CAP, {"ttl": None}, "GET", "forward"),
    (OBEY, {"ttl": None}, "GET", "serve HIT"),
    (OBEY, {"ttl": 0.0}, "GET", "serve HIT"),
    (IGNORE, {"ttl": ByValue("interval", (("1m", 0.0),), 60.0)}, "GET", "serve HIT"),
]


@pytest.mark.parametrize(("policy", "rules", "method", "expected"), UNCACHEABLE)
def test_what_no_cache_answers_is_forwarded(
    policy: Policy, rules: Rules, method: str, expected: str
) -> None:
    """9111 3, contract: other methods, live and private endpoints, and a TTL of 0."""
    made = plan(endpoint(policy, rules), asking(method=method), (entry(1),), NOW, private=False)

    assert expected == word(made)


@pytest.mark.parametrize("policy", Policy)
def test_private_requests_pass_by_the_cache(policy: Policy) -> None:
    """Contract: what concerns its sender alone is forwarded, whatever is stored or asked."""
    request = asking(cc("only-if-cached"))
    made = plan(endpoint(policy, {}), request, (entry(1),), NOW, private=True)

    assert word(made) == "forward privately"


def test_a_post_that_only_reads_is_cached_by_its_body() -> None:
    """Contract: an endpoint may declare a POST that only reads; without its body it is no key."""
    rule = endpoint(IGNORE, {"cache_body": True})
    post = replace(asking(method="POST"), body=b"{}")

    assert word(plan(rule, post, (entry(1),), NOW, private=False)) == "serve HIT"
    assert word(plan(rule, replace(post, body=None), (), NOW, private=False)) == "forward"


@pytest.mark.parametrize(
    ("policy", "method", "rules", "expected"),
    [(OBEY, "POST", {}, True), (OBEY, "PUT", {}, False), (IGNORE, "POST", {}, False),
     (OBEY, "POST", {"live": True}, False)],
)  # fmt: skip
def test_a_posts_reply_may_be_stored_under_obey(
    policy: Policy, method: str, rules: Rules, *, expected: bool
) -> None:
    """9110 9.3.3: the reply to a POST may answer later GETs, so it is read whole."""
    made = plan(endpoint(policy, rules), asking(method=method), (), NOW, private=True)

    assert isinstance(made, Forward)
    assert made.storable is expected


DIRECTIVES: list[tuple[str, Policy, bool, str, float | None, str]] = [
    # RFC 9111 section, policy, client_refresh, Cache-Control, age (ttl 60, swr 30, sie 600), plan
    ("5.2.1.7", IGNORE, False, "only-if-cached", None, "refuse 504"),
    ("5.2.1.7", IGNORE, False, "only-if-cached", 10, "serve HIT"),
    ("5.2.1.7", IGNORE, False, "only-if-cached", 70, "serve STALE"),
    ("5.2.1.7", IGNORE, False, "only-if-cached", 100, "refuse 504"),
    ("5.2.1.7", OBEY, False, "only-if-cached", None, "refuse 504"),
    ("5.2.1.7", OBEY, False, "only-if-cached", 10, "serve HIT"),
    ("5.2.1.7", OBEY, False, "only-if-cached, max-age=5", 10, "refuse 504"),
    ("5.2.1.7", OBEY, False, "only-if-cached, no-cache", 10, "refuse 504"),
    ("5.2.1.7", IGNORE, False, "only-if-cached, max-age=5", 10, "serve HIT"),
    ("5.2.1.7", IGNORE, False, "only-if-cached, max-stale", 500, "serve STALE"),
    ("5.2.1.2", IGNORE, False, "max-stale", 70, "serve and refresh"),
    ("5.2.1.2", IGNORE, False, "max-stale", 100, "serve STALE"),
    ("5.2.1.2", IGNORE, False, "max-stale=1000", 100, "serve STALE"),
    ("5.2.1.2", IGNORE, False, "max-stale=39", 100, "fetch with fallback"),
    ("5.2.1.2", OBEY, False, "max-stale=1000", 100, "serve STALE"),
    ("5.2.1.2", OBEY, False, "max-stale=1000", 900, "serve STALE"),
    ("5.2.1.2", OBEY, False, "max-stale=x", 100, "fetch"),
    ("5.2.1.1", OBEY, False, "max-age=0", 10, "fetch"),
    ("5.2.1.1", OBEY, False, "max-age=5", 10, "fetch"),
    ("5.2.1.1", OBEY, False, "max-age=10", 10, "serve HIT"),
    ("5.2.1.1", OBEY, False, "max-age=600", 70, "fetch"),
    ("5.2.1.1", OBEY, False, "max-age=600, max-stale", 70, "serve and refresh"),
    ("5.2.1.1", OBEY, False, "max-age=600, max-stale=100", 100, "serve STALE"),
    ("5.2.1.1", IGNORE, False, "max-age=5", 10, "serve HIT"),
    ("5.2.1.1", IGNORE, True, "max-age=5", 10, "fetch"),
    ("5.2.1.1", CAP, True, "max-age=5", 10, "fetch"),
    ("5.2.1.1", IGNORE, False, "max-age=5", 70, "fetch"),
    ("5.2.1.1", IGNORE, False, "max-age=65", 70, "fetch"),
    ("5.2.1.1", IGNORE, False, "max-age=65", 100, "fetch"),
    ("5.2.1.1", IGNORE, False, "max-age=80", 70, "serve and refresh"),
    ("5.2.1.1", IGNORE, False, "max-age=300", 100, "fetch with fallback"),
    ("5.2.1.3", OBEY, False, "min-fresh=20", 30, "serve HIT"),
    ("5.2.1.3", OBEY, False, "min-fresh=20", 50, "fetch"),
    ("5.2.1.3", OBEY, False, "min-fresh=2000", 0, "fetch"),
    ("5.2.1.3", IGNORE, False, "min-fresh=20", 50, "serve HIT"),
    ("5.2.1.3", IGNORE, True, "min-fresh=20", 50, "fetch"),
    ("5.2.1.3", IGNORE, False, "min-fresh=20", 70, "fetch"),
    ("5.2.1.4", OBEY, False, "no-cache", 10, "fetch"),
    ("5.2.1.4", OBEY, False, "no-cache", 70, "fetch"),
    ("5.2.1.4", IGNORE, False, "no-cache", 10, "serve HIT"),
    ("5.2.1.4", CAP, False, "no-cache", 10, "serve HIT"),
    ("5.2.1.4", IGNORE, True, "no-cache", 10, "fetch"),
    ("5.2.1.4", IGNORE, False, "no-cache", 70, "serve and refresh"),
    ("5.2.1.4", IGNORE, True, "no-cache", 70, "fetch"),
    ("5.2.1.4", IGNORE, True, "no-cache", 100, "fetch"),
    ("5.2.1.5", OBEY, False, "no-store", 10, "forward"),
    ("5.2.1.5", IGNORE, False, "no-store", 10, "serve HIT"),
    ("5.2.1.5", IGNORE, True, "no-store", 10, "forward"),
    ("5.2.1.6", OBEY, False, "no-transform", 10, "serve HIT"),
]


@pytest.mark.parametrize(("section", "policy", "refresh", "value", "age", "expected"), DIRECTIVES)
def test_what_a_client_says(
    section: str, policy: Policy, *, refresh: bool, value: str, age: float | None, expected: str
) -> None:
    """What spends quota is granted where it may be; what spends none, always."""
    rule = endpoint(policy, {"client_refresh": refresh})
    stored = () if age is None else (entry(age),)

    assert expected == word(plan(rule, asking(cc(value)), stored, NOW, private=False))


@pytest.mark.parametrize("rules", [{"live": True}, {"ttl": 0.0}])
def test_only_if_cached_sends_nothing_where_nothing_is_ever_stored(rules: Rules) -> None:
    """9111 5.2.1.7: a client that wants no traffic causes none."""
    made = plan(endpoint(IGNORE, rules), asking(cc("only-if-cached")), (), NOW, private=False)

    assert word(made) == "refuse 504"


DETAILS: list[tuple[str, float, str]] = [
    # Cache-Control under ignore, age, what Cache-Status's detail says
    ("no-cache", 10, "no-cache not obeyed"),
    ("no-store", 10, "no-store not obeyed"),
    ("max-age=5", 10, "max-age not obeyed"),
    ("min-fresh=55", 10, "min-fresh not obeyed"),
    ("no-cache, no-store", 70, "no-cache not obeyed, no-store not obeyed"),
    ("max-stale", 100, "max-stale"),
    ("max-age=500", 10, ""),
    ("max-stale=5", 10, ""),
]


@pytest.mark.parametrize(("value", "age", "expected"), DETAILS)
def test_what_was_not_obeyed_is_said(value: str, age: float, expected: str) -> None:
    """Contract: what was asked and not granted stands in the detail."""
    made = plan(endpoint(IGNORE, {}), asking(cc(value)), (entry(age),), NOW, private=False)

    assert isinstance(made, Serve | ServeThenRefresh)
    assert expected == made.detail


OLDEST: list[tuple[float, str, str]] = [
    # age with max_age: 80, Cache-Control, plan
    (50, "", "serve HIT"),
    (79, "", "serve and refresh"),
    (80, "", "serve and refresh"),
    (81, "", "fetch"),
    (100, "", "fetch"),
    (100, "max-stale", "fetch"),
    (100, "only-if-cached", "refuse 504"),
]


@pytest.mark.parametrize(("age", "value", "expected"), OLDEST)
def test_max_age_caps_everything(age: float, value: str, expected: str) -> None:
    """Contract: nothing older than the endpoint's max_age is ever given, or fallen back on."""
    rule = endpoint(IGNORE, {"max_age": 80.0})

    assert expected == word(plan(rule, asking(cc(value)), (entry(age),), NOW, private=False))


def test_max_age_caps_what_is_fresh() -> None:
    """A stretched TTL beyond max_age does not make an entry fresh."""
    made = plan(endpoint(IGNORE, {"max_age": 30.0}), asking(), (entry(40),), NOW, private=False)

    assert word(made) == "fetch"


def test_must_revalidate_is_stronger_than_max_stale() -> None:
    """9111 5.2.2.2: what must be revalidated is never given stale, whatever the client takes."""
    stored = (entry(100, flags=frozenset({"must-revalidate"})),)
    made = plan(endpoint(OBEY, {}), asking(cc("max-stale")), stored, NOW, private=False)

    assert isinstance(made, Fetch)


TAG, MODIFIED = ("ETag", '"a"'), ("Last-Modified", format_date(NOW - 9000))
INM, IMS = "If-None-Match", "If-Modified-Since"
VALIDATORS: list[tuple[str, Fields, Fields]] = [
    ("9111 4.3.1", (TAG,), ((INM, '"a"'),)),
    ("9111 4.3.1", (("ETag", 'W/"a"'),), ((INM, 'W/"a"'),)),
    ("9111 4.3.1", (MODIFIED,), ((IMS, MODIFIED[1]),)),
    ("9111 4.3.1", (TAG, MODIFIED), ((INM, '"a"'), (IMS, MODIFIED[1]))),
    ("9111 4.3.1", (), ()),
]


@pytest.mark.parametrize("age", [70, 100, 900])
@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize(("section", "fields", "expected"), VALIDATORS)
def test_what_is_stale_is_asked_about(
    age: float, policy: Policy, section: str, fields: Fields, expected: Fields
) -> None:
    """A refresh or a fetch carries the validators of what is stored."""
    made = plan(endpoint(policy, {}), asking(), (entry(age, *fields),), NOW, private=False)

    assert isinstance(made, Fetch | ServeThenRefresh)
    assert expected == made.validators


REASONS: list[tuple[Policy, Fields, float | None, str]] = [
    # policy, request's fields, age, `fwd=` (RFC 9211 section 2.2)
    (IGNORE, (), None, "uri-miss"),
    (IGNORE, (), 100, "stale"),
    (IGNORE, (), 900, "stale"),
    (OBEY, (cc("no-cache"),), 10, "request"),
    (OBEY, (cc("no-cache"),), 100, "stale"),
    (OBEY, (cc("no-store"),), 10, "request"),
    (OBEY, (("Foo", "2"),), 10, "vary-miss"),
    (OBEY, (("Range", "bytes=0-1"),), None, "request"),
    (OBEY, (("If-Match", '"a"'),), 10, "request"),
    (OBEY, (("If-Unmodified-Since", "x"),), 10, "request"),
]


@pytest.mark.parametrize(("policy", "fields", "age", "expected"), REASONS)
def test_why_it_goes_forward(
    policy: Policy, fields: Fields, age: float | None, expected: str
) -> None:
    """9211 2.2: the reason for going upstream is one of the registered words."""
    stored: tuple[Entry, ...] = () if age is None else (entry(age),)
    if expected == "vary-miss":
        stored = (replace(entry(10, ("Vary", "Foo"), TAG), request_fields=(("foo", "1"),)),)
    made = plan(endpoint(policy, {}), asking(*fields), stored, NOW, private=False)

    assert isinstance(made, Fetch | Forward)
    assert expected == made.forward_reason


JOINABLE: list[tuple[Policy, str, Fields, float | None, bool]] = [
    # policy, method, request's fields, age, whether others may share the fetch
    (IGNORE, "GET", (), None, True),
    (IGNORE, "HEAD", (), None, True),
    (IGNORE, "GET", (("Range", "bytes=0-1"), (INM, '"x"')), None, True),
    (OBEY, "GET", (), None, True),
    (OBEY, "GET", (("Cookie", "a=b"),), None, True),
    (OBEY, "HEAD", (), None, False),
    (OBEY, "GET", (("Authorization", "x"),), None, False),
    (OBEY, "GET", ((INM, '"x"'),), None, False),
    (OBEY, "GET", ((IMS, "x"),), 900, False),
    (OBEY, "GET", (("Range", "bytes=0-1"),), 900, False),
]


@pytest.mark.parametrize(("policy", "method", "fields", "age", "expected"), JOINABLE)
def test_who_may_share_a_fetch(
    policy: Policy, method: str, fields: Fields, age: float | None, *, expected: bool
) -> None:
    """Under `obey` fields go through, so what is asked for one alone is fetched for one alone."""
    stored = () if age is None else (entry(age),)
    request = asking(*fields, method=method)
    made = plan(endpoint(policy, {}), request, stored, NOW, private=False)

    assert isinstance(made, Fetch)
    assert expected is made.joinable


@pytest.mark.parametrize(("policy", "method"), [(IGNORE, "GET"), (CAP, "GET"), (OBEY, "")])
def test_a_head_fetches_what_can_be_stored(policy: Policy, method: str) -> None:
    """A HEAD with nothing stored is asked as a GET; by the letter, as the HEAD that it is."""
    made = plan(endpoint(policy, {}), asking(method="HEAD"), (), NOW, private=False)

    assert isinstance(made, Fetch)
    assert method == made.method


def test_a_part_of_what_is_stored_needs_no_fetch() -> None:
    """9110 14.2: a Range is cut out of the stored whole."""
    request = asking(("Range", "bytes=0-1"))

    assert word(plan(endpoint(OBEY, {}), request, (entry(1),), NOW, private=False)) == "serve HIT"


def test_under_ignore_nobody_negotiates() -> None:
    """Contract: what is not in the key was not sent, so Vary on it means nothing."""
    stored = (entry(1, ("Vary", "Foo, *")),)
    request = asking(("Foo", "2"))

    assert word(plan(endpoint(IGNORE, {}), request, stored, NOW, private=False)) == "serve HIT"
    assert word(plan(endpoint(OBEY, {}), request, stored, NOW, private=False)) == "fetch"


def test_a_variant_that_does_not_match_is_still_asked_about() -> None:
    """9111 4.1: the tags of all variants go along, and a 304 says which one is meant."""
    one = replace(entry(1, ("Vary", "Foo"), TAG), request_fields=(("foo", "1"),))
    two = replace(entry(1, ("Vary", "Foo"), ("ETag", '"b"')), request_fields=(("foo", "2"),))
    made = plan(endpoint(OBEY, {}), asking(("Foo", "3")), (one, two), NOW, private=False)

    assert isinstance(made, Fetch)
    assert made.validators == ((INM, '"a", "b"'),)
    assert (made.stored, made.fallback) == ((one, two), None)


def test_an_index_is_no_answer() -> None:
    """A list of variants is not served, even where it comes alone."""
    index = variants.index("k", entry(1), ())

    assert word(plan(endpoint(IGNORE, {}), asking(), (index,), NOW, private=False)) == "fetch"


@pytest.mark.parametrize("policy", [IGNORE, CAP, OBEY])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize("rules", [{}, {"live": True}, {"ttl": 0.0}, {"cache_body": True}])
def test_a_remembered_plan_is_the_one_that_is_made(
    policy: Policy, method: str, rules: Rules, *, private: bool
) -> None:
    """Where nothing is stored, a plan is remembered: for no request that says something special."""
    rule, other = endpoint(policy, rules), endpoint(policy, rules)
    spoken = (cc("only-if-cached"), cc("no-store"), ("Range", "bytes=0-1"), ("Authorization", "k"))
    for fields in ((), *((each,) for each in spoken), (("If-Match", '"t"'),), (("X", "1"),), ()):
        request = asking(*fields, method=method)
        made = plans._made(rule, request, (), NOW, private=private, stretch=1.0)

        assert made == plan(rule, request, (), NOW, private=private)
        assert made == plan(rule, request, (), NOW + 9.0, private=private, stretch=2.0)
        assert made == plan(other, request, (), NOW, private=private)


def test_remembered_plans_are_bounded() -> None:
    """A reload brings other endpoints: those of before are not held for ever."""
    held = [endpoint(IGNORE, {}) for _ in range(plans._MOST_PLAIN + 10)]
    for rule in held:
        plan(rule, asking(), (), NOW, private=False)

    assert len(plans._plain) <= plans._MOST_PLAIN
