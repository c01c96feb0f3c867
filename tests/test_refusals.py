"""Problems of the proxy's own: which limit, and when to come back."""

from proxy import refusals
from proxy.core.model import Client, Denied, Refuse, Request
from proxy.core.routing import Match, NoMatch, OutOfBounds, Routes
from proxy.queues import Overloaded
from tests.house import upstream

GECKO = upstream(retry_after_max=60.0, error_body="coingecko")


def match() -> Match:
    route = Routes((GECKO,)).match(Request("GET", "/coingecko/price", "", ()))
    assert isinstance(route, Match)
    return route


def test_a_denial_says_which_limit_and_when() -> None:
    """The true time stands beside the one that clients may sleep on."""
    refuse = Refuse(429, "Quota exhausted", "the month is used up", "quota-exhausted")
    problem = refusals.refused(GECKO, refuse, Denied("month", 86400.0, 90000.0))

    assert ("month", 86400.0, 60.0, 90000.0) == (
        problem.limit,
        problem.retry_after,
        problem.retry_after_max,
        problem.resets_in,
    )
    assert problem.sdk == "coingecko"


def test_a_private_request_hears_whether_it_was_sent() -> None:
    """What has left may have been acted on; what has not, has not."""
    refuse = Refuse(504, "Too late", "no answer", "upstream-timeout")

    assert (("sent", True), ("outcome", "unknown")) == refusals.refused(
        GECKO, refuse, None, sent=True
    ).members
    assert (("sent", False),) == refusals.refused(GECKO, refuse, None, sent=False).members


def test_statuses() -> None:
    """Each refusal has the status of the contract."""
    problems = [
        refusals.nowhere(NoMatch("no upstream", ("coingecko",))),
        refusals.nowhere(OutOfBounds("a path that climbs")),
        refusals.disabled(upstream(disabled="COINGECKO_API_KEY is not set")),
        refusals.not_allowed(match(), Request("PUT", "/", "", ()), frozenset({"GET"})),
        refusals.client_key_refused(GECKO, ("header x-cg-demo-api-key",)),
        refusals.client_not_let_in(GECKO, Client(name="grid-1")),
        refusals.overloaded(GECKO, Overloaded(1000)),
    ]

    assert [404, 400, 503, 405, 403, 403, 503] == [problem.status for problem in problems]


def test_a_disabled_upstream_names_its_variable() -> None:
    """An operator reads in the answer what to set."""
    problem = refusals.disabled(upstream(disabled="COINGECKO_API_KEY is not set"))

    assert "COINGECKO_API_KEY" in problem.detail


def test_overload_says_when_to_come_back() -> None:
    """Every 503 of the proxy's own has a time."""
    assert refusals.overloaded(GECKO, Overloaded(1)).retry_after is not None
