"""Endpoints: whose word an attribute is, and the rule for what meets none."""

import math
from collections.abc import Callable

import pytest

from proxy.core.model import Policy
from proxy.core.tables import ByValue
from proxy.core.upstreams import Cost, Endpoint, Segment, Upstream

OneUpstream = Callable[..., Upstream]


def only(upstream: Upstream) -> Endpoint:
    """Return the upstream's endpoint."""
    (endpoint,) = upstream.endpoints
    return endpoint


def test_the_least_that_an_endpoint_says(one: OneUpstream) -> None:
    """A path and a ttl: everything else is the core's default."""
    endpoint = only(one("endpoints: {x: {path: '/x/{id}', ttl: 90s}}\n"))

    assert endpoint == Endpoint(
        name="x",
        upstream="a",
        path="/x/{id}",
        segments=(Segment("literal", "x"), Segment("variable", "id")),
        ttl=90.0,
    )


def test_everything_that_an_endpoint_can_say(one: OneUpstream) -> None:
    """Each key arrives in the core's value."""
    endpoint = only(
        one(
            "limits: {weight: {limit: 9, per: 1m}}\n"
            "endpoints:\n"
            "  x:\n"
            "    path: /x\n"
            '    query: {market_data: "false", deep: true, n: 3}\n'
            "    ttl: {by: interval, 1m: 60s, else: 5m}\n"
            "    stale_while_revalidate: 15s\n"
            "    stale_if_error: 5m\n"
            "    upstream_cache_control: cap\n"
            "    max_age: 15m\n"
            "    negative_ttl: 10m\n"
            "    negative: {400: 30s, 500: 1s}\n"
            "    stretch: 3x\n"
            "    cost: {weight: 2}\n"
            "    methods: [GET, POST]\n"
            "    cache_body: true\n"
            "    needs_client_key: true\n"
            "    client_refresh: true\n"
            "    headers: [X-MBX-TIME-UNIT]\n"
            "    ignored_parameters: [_]\n"
            "    content_type: any\n"
            "    max_size: any\n"
            "    ignore_usage: true\n"
            "    max_wait: 1s\n"
            "    rescue_after: 100ms\n"
            "    priority: 1\n"
            "    tags: [prices]\n"
        )
    )

    assert endpoint == Endpoint(
        name="x",
        upstream="a",
        path="/x",
        segments=(Segment("literal", "x"),),
        conditions=(("market_data", "false"), ("deep", "true"), ("n", "3")),
        methods=frozenset({"GET", "POST"}),
        policy=Policy.CAP,
        ttl=ByValue("interval", (("1m", 60.0),), 300.0),
        stale_while_revalidate=15.0,
        stale_if_error=300.0,
        max_age=900.0,
        negative_ttl=600.0,
        negative=((400, 30.0), (500, 1.0)),
        stretch=3.0,
        cost=Cost(1.0, (("weight", 2.0),)),
        cache_body=True,
        needs_client_key=True,
        client_refresh=True,
        headers=("x-mbx-time-unit",),
        ignored_parameters=frozenset({"_"}),
        content_type=None,
        max_size=math.inf,
        ignore_usage=True,
        max_wait=1.0,
        rescue_after=0.1,
        priority=1,
        tags=("prices",),
    )


@pytest.mark.parametrize(
    ("upstream", "defaults", "endpoint", "expected"),
    [
        ("", "", "", 5.0),
        ("max_wait: 4s", "", "", 4.0),
        ("max_wait: 4s", "max_wait: 3s", "", 3.0),
        ("max_wait: 4s", "max_wait: 3s", "max_wait: 2s", 2.0),
        ("max_wait: 4s", "", "max_wait: 0", 0.0),
    ],
)
def test_the_nearest_word_counts(
    one: OneUpstream, upstream: str, defaults: str, endpoint: str, expected: float
) -> None:
    """The endpoint, else `defaults`, else the upstream, else the core; a 0 is a word too."""
    more = f", {endpoint}" if endpoint else ""
    text = f"{upstream}\ndefaults: {{{defaults}}}\nendpoints: {{x: {{path: /x, ttl: 1{more}}}}}\n"

    assert only(one(text)).max_wait == expected


def test_live_and_private_need_no_ttl(one: OneUpstream) -> None:
    """Neither is ever stored; under `obey` the upstream's own word is all there is."""
    live = only(one("endpoints: {time: {path: /time, live: true}}\n"))
    private = only(one("endpoints: {order: {path: /order, private: true}}\n"))
    obeying = only(one("endpoints: {x: {path: /x, upstream_cache_control: obey}}\n"))

    assert (live.live, live.ttl) == (True, 0.0)
    assert (private.private, private.ttl) == (True, 0.0)
    assert (obeying.policy, obeying.ttl) == (Policy.OBEY, None)


def test_a_live_endpoint_does_not_inherit_a_ttl(one: OneUpstream) -> None:
    """The defaults' ttl is for what is stored."""
    assert only(one("defaults: {ttl: 1m}\nendpoints: {t: {path: /t, live: true}}\n")).ttl == 0.0


def test_a_clock_may_be_forwarded_uncached(one: OneUpstream) -> None:
    """`ttl: 0` on a clock stores nothing, and is allowed; a variable is no clock."""
    assert only(one("endpoints: {t: {path: /api/time, ttl: 0}}\n")).ttl == 0.0
    assert only(one("endpoints: {t: {path: '/api/{time}', ttl: 1}}\n")).ttl == 1.0


@pytest.mark.parametrize("path", ["/time", "/api/v3/time", "/0/public/Time", "/x/serverTime/"])
def test_a_clock_with_a_ttl_fails(complaints: Callable[..., object], path: str) -> None:
    """A bot that sets its clock by an old answer signs requests that are refused."""
    found = complaints(
        a="name: a\nbase_url: http://a\ndefaults: {ttl: 1m}\n"
        f"endpoints: {{t: {{path: {path}}}}}\n"
    )

    assert "a provider's clock cannot be cached" in str(found)


def test_what_meets_no_endpoint(one: OneUpstream) -> None:
    """It passes uncached, is kept for the defaults' ttl, or is refused."""
    passing = one("methods: [GET]\nunmatched_cost: 10\n")
    caching = one("unmatched: cache\ndefaults: {ttl: 1m}\n").unmatched

    assert passing.unmatched is not None
    assert (passing.unmatched.name, passing.unmatched.ttl) == ("unmatched", 0.0)
    assert passing.unmatched.methods == {"GET"}
    assert passing.unmatched_cost == passing.unmatched.cost == Cost(10.0)
    assert caching is not None
    assert caching.ttl == 60.0
    assert one("unmatched: refuse\n").unmatched is None


def test_conditions_tell_endpoints_apart(one: OneUpstream) -> None:
    """The same path with other conditions, or more of them, is no tie."""
    upstream = one(
        "defaults: {ttl: 1m}\n"
        "endpoints:\n"
        "  all: {path: '/coins/{id}'}\n"
        "  some: {path: '/coins/{name}', query: {a: x}}\n"
        "  others: {path: '/coins/{id}', query: {a: y}}\n"
    )

    assert len(upstream.endpoints) == 3
