"""Plans: which one is in force, and what it takes from the upstream."""

from collections.abc import Callable

import pytest

from proxy.core.upstreams import Upstream

PLANS = """\
plan: ${PLAN:-auto}
limits:
  second: {limit: 2, per: 1s}
plans:
  keyless:
    limits:
      minute: {limit: 5, per: 60s}
  demo:
    credentials: {header: x-demo, value: "${KEY:-}"}
    limits:
      minute: {limit: 30, per: 60s}
      month: {limit: 10000, per: month}
  pro:
    base_url: http://pro
    credentials: {header: x-pro, value: "${KEY:-}"}
    limits:
      second: {limit: 20, per: 1s}
usage:
  - {limit: month, header: X-Month}
endpoints:
  x: {path: /x, ttl: 1, cost: {month: 3, second: 2}}
"""

OneUpstream = Callable[..., Upstream]


@pytest.mark.parametrize(
    ("environ", "plan", "base_url", "header", "limits"),
    [
        ({}, "keyless", "http://a", None, {"second": 2, "minute": 5}),
        ({"KEY": "k"}, "demo", "http://a", "x-demo", {"second": 2, "minute": 30, "month": 10000}),
        ({"KEY": "k", "PLAN": "pro"}, "pro", "http://pro", "x-pro", {"second": 20}),
        ({"KEY": "k", "PLAN": "keyless"}, "keyless", "http://a", None, {"second": 2, "minute": 5}),
    ],
)
def test_the_plan_in_force(
    one: OneUpstream,
    environ: dict[str, str],
    plan: str,
    base_url: str,
    header: str | None,
    limits: dict[str, float],
) -> None:
    """`auto` is the first plan whose key is set, else the keyless one; a name chooses itself."""
    upstream = one(PLANS, environ)

    assert (upstream.plan, upstream.base_url, upstream.disabled) == (plan, base_url, "")
    assert upstream.credentials.header == header
    assert {limit.name: limit.limit for limit in upstream.limits} == limits


def test_costs_and_usage_of_another_plan_are_left_out(one: OneUpstream) -> None:
    """A cost may name a limit that only another plan has: it is not spent now."""
    keyless = one(PLANS)
    demo = one(PLANS, {"KEY": "k"})

    assert keyless.endpoints[0].cost.named == (("second", 2.0),)
    assert keyless.usage == ()
    assert demo.endpoints[0].cost.named == (("month", 3.0), ("second", 2.0))
    assert [usage.limit for usage in demo.usage] == ["month"]


def test_a_plan_whose_key_is_missing_disables_the_upstream(one: OneUpstream) -> None:
    """What is missing is named: the variable, not the key."""
    upstream = one(PLANS, {"PLAN": "demo"})

    assert upstream.disabled == "plan demo needs a key: set KEY"


def test_a_required_key_without_plans(one: OneUpstream) -> None:
    """`required` on the upstream's own credentials disables it too, until the key is there."""
    text = 'credentials: {query: token, value: "${TOKEN:-}", required: true}\n'

    assert one(text).disabled == "needs a key: set TOKEN"
    assert one(text, {"TOKEN": "t"}).disabled == ""


def test_an_optional_key(one: OneUpstream) -> None:
    """Credentials of an upstream are optional: without a value nothing is sent along."""
    upstream = one('credentials: {header: x, value: "${KEY:-}"}\n')

    assert upstream.disabled == ""
    assert upstream.credentials.value == ""
    assert upstream.credentials.variable == "KEY"


def test_a_key_has_no_repr(one: OneUpstream) -> None:
    """A secret is not in what a log or a traceback might show."""
    assert "s3cr3t" not in repr(one(PLANS, {"KEY": "s3cr3t"}))


def test_the_keys_of_every_plan_are_secret(one: OneUpstream) -> None:
    """A bot may bring the key of another plan: it is a key all the same."""
    assert one(PLANS).secret_headers == {"x-demo", "x-pro"}
