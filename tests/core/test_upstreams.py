"""What follows from an endpoint's rules."""

import pytest

from proxy.core import costs
from proxy.core.model import Lifetimes, Policy
from proxy.core.tables import ByValue
from proxy.core.upstreams import BodyCheck, Credentials, Endpoint, Hold, Upstream, Usage
from tests.values import replace

PRICE = Endpoint("price", "u", "/price", (), ttl=60.0)


@pytest.mark.parametrize(
    ("changed", "refreshable"),
    [
        ({}, True),
        ({"live": True}, False),
        ({"private": True}, False),
        ({"ttl": 0.0}, False),
        ({"policy": Policy.OBEY, "ttl": None}, False),
    ],
)
def test_what_can_be_refreshed_for_nobody(changed: dict[str, object], *, refreshable: bool) -> None:
    """Answers that are stored, and are the same whoever asks."""
    assert refreshable is replace(PRICE, **changed).refreshable  # type: ignore[arg-type]  # rows name the fields


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, Lifetimes(60.0)),
        ({"ttl": None, "policy": Policy.OBEY}, Lifetimes(0.0)),
        ({"stale_while_revalidate": -1.0, "stale_if_error": 5}, Lifetimes(60.0, 0.0, 5.0)),
        ({"ttl": ByValue("interval", (), 1.0)}, None),
        ({"stale_if_error": ByValue("interval", (), 1.0)}, None),
    ],
)
def test_lifetimes_that_no_parameter_changes_are_known(
    changed: dict[str, object], expected: Lifetimes | None
) -> None:
    """They are what `costs.lifetimes` says whatever is asked; a table must be read each time."""
    endpoint = replace(PRICE, **changed)  # type: ignore[arg-type]  # rows name the fields

    assert expected == endpoint.lifetimes
    assert expected in (None, costs.lifetimes(endpoint, (("interval", "1m"),)))


def test_what_is_heeded_is_all_that_any_rule_speaks_of() -> None:
    """Keys, marks, what endpoints name, Accept; the proxy's own key is one in any spelling."""
    one, other = replace(PRICE, headers=("x-one",)), replace(PRICE, headers=("x-other",))
    upstream = Upstream(
        "u",
        "https://u.test",
        "/u",
        (one,),
        other,
        credentials=Credentials(header="X-Own", query="ApiKey"),
        secret_headers=frozenset({"x-secret"}),
        secret_parameters=frozenset({"Token"}),
        private_headers=frozenset({"x-private"}),
    )

    assert {"x-own", "x-secret"} == upstream.keys_in_fields
    assert {"apikey", "token"} == upstream.keys_in_query
    assert upstream.heeded >= {"x-one", "x-other", "x-own", "x-secret", "x-private", "accept"}
    assert upstream.heeded >= {"authorization", "cookie", "api-sign", "content-type"}


def test_what_follows_is_no_part_of_what_is_compared() -> None:
    """Two rules are the same where what an operator wrote is; a changed one follows anew."""
    assert PRICE == replace(PRICE, ttl=60)
    assert Lifetimes(5.0) == replace(PRICE, ttl=5.0).lifetimes


def test_which_answers_may_tell_something_is_known() -> None:
    """Statuses that hold us off, block, or are checked for hidden errors; usage in bodies."""
    upstream = Upstream(
        "u",
        "https://u.test",
        "/u",
        (PRICE,),
        None,
        body_checks=(BodyCheck("error", statuses=frozenset({200, 201})),),
        hold=Hold(statuses=frozenset({429}), blocked_statuses=((403, "blocked", 1.0),)),
        usage=(Usage("minute", body="credits"),),
    )

    assert {200, 201, 403, 429} == upstream.telling
    assert upstream.counts_in_body
    assert not replace(upstream, usage=(Usage("minute", header="X-Used"),)).counts_in_body
