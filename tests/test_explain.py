"""What the configuration makes of a request: nothing is sent, and nothing secret is shown."""

import pytest

from proxy.core.model import Policy
from proxy.core.routing import Routes
from proxy.core.series import Contains
from proxy.core.shapes import Batch
from proxy.core.upstreams import Cost
from proxy.explain import as_text, asking, explain
from tests.house import PRICE, endpoint, upstream
from tests.values import replace

ROUTES = Routes((upstream(PRICE, endpoint("clock", "/time", live=True)),))


def test_a_cacheable_request() -> None:
    """Rule, key, lifetimes, cost, limits and target stand as a request would meet them."""
    told = explain(ROUTES, asking("/coingecko/price?vs=usd&ids=bitcoin", "GET", ()))

    assert ("coingecko", "price", "cached") == (
        told["upstream"],
        told["endpoint"],
        told["treatment"],
    )
    assert (60.0, 30.0, 600.0) == (
        told["ttl"],
        told["stale_while_revalidate"],
        told["stale_if_error"],
    )
    assert {"minute": 1.0} == told["cost"]
    assert "http://provider/price" == told["forwards_to"]
    assert (
        told["key"]
        == explain(ROUTES, asking("/coingecko/price?ids=bitcoin&vs=usd", "GET", ()))["key"]
    )


def test_a_whole_address_is_met_by_its_host() -> None:
    """An address is taken apart as a client's request would be: Host and port choose too."""
    gecko = upstream(PRICE, hosts=("gecko.localhost",))
    told = explain(Routes((gecko,)), asking("http://gecko.localhost:8080/price", "GET", ()))

    assert "price" == told["endpoint"]


@pytest.mark.parametrize(
    ("target", "method", "said"),
    [
        ("/coingecko/price?signature=abc", "GET", "private"),
        ("/coingecko/price", "POST", "private"),
        ("/coingecko/time", "GET", "live"),
        ("/coingecko/other", "GET", "ttl 0"),
    ],
)
def test_what_is_not_cached_says_why(target: str, method: str, said: str) -> None:
    """The one thing an operator asks when a bot's requests do not hit."""
    told = explain(ROUTES, asking(target, method, ()))

    assert said in told["treatment"]
    assert (told["key"] is None) == (said == "private")


def test_what_meets_nothing_says_what_there_is() -> None:
    """No upstream: the reason, and not a traceback."""
    told = explain(ROUTES, asking("/nowhere/price", "GET", ()))

    assert not told["met"]
    assert as_text(told).startswith("meets nothing: ")


def test_the_text_has_a_line_for_each_fact() -> None:
    """What a terminal shows is what the JSON says."""
    text = as_text(explain(ROUTES, asking("/coingecko/price?ids=bitcoin", "GET", ())))

    for fact in (
        "coingecko",
        "price",
        "ttl 60 s",
        "minute 1",
        "30 per 60 s",
        "http://provider/price",
    ):
        assert fact in text


def test_a_disabled_upstream_is_said_so() -> None:
    """The missing variable is named before anyone wonders."""
    disabled = upstream(disabled="COINGECKO_API_KEY is not set")
    text = as_text(explain(Routes((disabled,)), asking("/coingecko/price", "GET", ())))

    assert "COINGECKO_API_KEY is not set" in text


def test_no_secret_is_shown() -> None:
    """Neither the proxy's own key nor the one a client brings appears anywhere."""
    fields = (("x-cg-demo-api-key", "theirs"),)
    for target in ("/coingecko/price?ids=bitcoin", "/coingecko/price?signature=abc"):
        told = str(explain(ROUTES, asking(target, "GET", fields)))

        assert "own-key" not in told
        assert "theirs" not in told


def test_obey_leaves_lifetimes_to_the_origin() -> None:
    """Under `obey` no TTL of ours is claimed."""
    obedient = replace(PRICE, policy=Policy.OBEY, ttl=None)
    told = explain(Routes((upstream(obedient),)), asking("/coingecko/price", "GET", ()))

    assert told["ttl"] is None
    assert "as the upstream says" in as_text(told)


def test_a_cost_that_is_nothing() -> None:
    """An endpoint that spends nothing says 0 and not an empty line."""
    free = endpoint("free", "/free", cost=Cost(0.0))
    told = explain(Routes((upstream(free),)), asking("/coingecko/free", "GET", ()))

    assert {} == told["cost"]
    assert any(line.split() == ["cost", "0"] for line in as_text(told).splitlines())


def test_what_requests_share_is_said() -> None:
    """That a call asks for more than its client did should surprise nobody."""
    rows = endpoint("rows", "/rows", contains=Contains("limit", fetch=(499, 99)))
    listed = endpoint("listed", "/listed", batch=Batch("ids", most=50))
    alone = endpoint("alone", "/alone", batch=Batch("ids", riders=False))
    routes = Routes((upstream(rows, listed, alone, PRICE),))
    told = [explain(routes, asking(f"/coingecko/{each}?limit=5", "GET", ()))["shares"]
            for each in ("rows", "listed", "alone", "price")]  # fmt: skip

    assert "99 or 499 are asked for where that costs no more" in told[0]
    assert "a call with others of its list, up to 50" == told[1][0]
    assert [2, 2, 1, 0] == list(map(len, told))
    text = as_text(explain(routes, asking("/coingecko/listed?ids=a", "GET", ())))
    assert "shares     a call with others of its list" in text
