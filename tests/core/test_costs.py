"""What requests cost: the tables, and what providers document (providers.md)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.costs import arguments, bill, bucket, figure, lifetimes
from proxy.core.model import Lifetimes, Request
from proxy.core.parameters import decode
from proxy.core.routing import Match, Routes, parse_template
from proxy.core.tables import ByValue, Members, PerMember, Sum, Table, UpTo
from proxy.core.upstreams import Algorithm, Cost, Endpoint, Limit, Upstream

COMMA, JSON = Members("comma"), Members("json")


# ── What providers document ──

DEPTH = UpTo("limit", ((100, 5.0), (500, 25.0), (1000, 50.0), (5000, 250.0)), absent=5.0)
DAY = UpTo(
    "symbols",
    ((20, 2.0), (100, 40.0)),
    otherwise=80.0,
    members=JSON,
    absent=ByValue("symbol", (), otherwise=2.0, absent=80.0),
)
PRICE = ByValue("symbols", (), otherwise=4.0, absent=ByValue("symbol", (), 2.0, absent=4.0))
ROLLING = PerMember("symbols", JSON, each=4.0, most=200.0, absent=4.0)
OPEN_ORDERS = ByValue("symbol", (), otherwise=6.0, absent=80.0)
F_DEPTH = UpTo("limit", ((50, 2.0), (100, 5.0), (500, 10.0), (1000, 20.0)), absent=10.0)
F_KLINES = UpTo("limit", ((99, 1.0), (499, 2.0), (1000, 5.0)), absent=5.0, otherwise=10.0)


def _one_or_all(one: float, every: float) -> Table:
    return ByValue("symbol", (), otherwise=one, absent=every)


def _symbols(count: int) -> str:
    return "symbols=[" + ",".join(f'"S{n}"' for n in range(count)) + "]"


@pytest.mark.parametrize(
    ("table", "query", "weight"),
    [
        (DEPTH, "symbol=X", 5),
        (DEPTH, "symbol=X&limit=1", 5),
        (DEPTH, "symbol=X&limit=100", 5),
        (DEPTH, "symbol=X&limit=101", 25),
        (DEPTH, "symbol=X&limit=500", 25),
        (DEPTH, "symbol=X&limit=501", 50),
        (DEPTH, "symbol=X&limit=1000", 50),
        (DEPTH, "symbol=X&limit=5000", 250),
        (DEPTH, "symbol=X&limit=5001", 250),
        (DEPTH, "symbol=X&limit=many", 250),
        (DEPTH, "symbol=X&limit=", 250),
        (DEPTH, "symbol=X&limit=5&limit=5000", 250),
        (DAY, "symbol=X", 2),
        (DAY, "", 80),
        (DAY, _symbols(1), 2),
        (DAY, _symbols(20), 2),
        (DAY, _symbols(21), 40),
        (DAY, _symbols(100), 40),
        (DAY, _symbols(101), 80),
        (DAY, "symbols=%5B%22A%22%2C%22B%22%5D", 2),
        (DAY, "symbols=broken", 80),
        (PRICE, "symbol=X", 2),
        (PRICE, "", 4),
        (PRICE, _symbols(2), 4),
        (ROLLING, "symbol=X", 4),
        (ROLLING, _symbols(1), 4),
        (ROLLING, _symbols(10), 40),
        (ROLLING, _symbols(50), 200),
        (ROLLING, _symbols(100), 200),
        (ROLLING, "symbols=broken", 200),
        (OPEN_ORDERS, "symbol=X", 6),
        (OPEN_ORDERS, "", 80),
        (20.0, "", 20),
    ],
)
def test_binance_spot(table: Table, query: str, weight: float) -> None:
    """Every weight that Binance documents for spot, by parameter."""
    assert figure(table, decode(query)) == weight


@pytest.mark.parametrize(
    ("table", "query", "weight"),
    [
        (F_DEPTH, "limit=5", 2),
        (F_DEPTH, "limit=50", 2),
        (F_DEPTH, "limit=100", 5),
        (F_DEPTH, "limit=500", 10),
        (F_DEPTH, "limit=1000", 20),
        (F_DEPTH, "", 10),
        (F_KLINES, "limit=99", 1),
        (F_KLINES, "limit=100", 2),
        (F_KLINES, "limit=499", 2),
        (F_KLINES, "limit=500", 5),
        (F_KLINES, "limit=1000", 5),
        (F_KLINES, "limit=1500", 10),
        (F_KLINES, "", 5),
        (_one_or_all(1, 10), "symbol=X", 1),
        (_one_or_all(1, 10), "", 10),
        (_one_or_all(1, 40), "", 40),
        (_one_or_all(1, 2), "", 2),
        (_one_or_all(2, 5), "symbol=X", 2),
        (_one_or_all(2, 5), "", 5),
    ],
)
def test_binance_futures(table: Table, query: str, weight: float) -> None:
    """Every weight that Binance documents for USD-M futures, by parameter."""
    assert figure(table, decode(query)) == weight


CONVERT = PerMember("convert", COMMA, less=1.0)
QUOTES = Sum((PerMember("id", COMMA, per=100.0, absent=1.0), CONVERT))
LISTINGS = Sum(
    (UpTo("limit", tuple((200.0 * n, float(n)) for n in range(1, 26)), absent=1.0), CONVERT)
)


def _ids(count: int) -> str:
    return "id=" + ",".join(map(str, range(count)))


@pytest.mark.parametrize(
    ("table", "query", "credits"),
    [
        (QUOTES, _ids(1), 1),
        (QUOTES, _ids(100), 1),
        (QUOTES, _ids(101), 2),
        (QUOTES, _ids(250), 3),
        (QUOTES, _ids(1) + "&convert=USD", 1),
        (QUOTES, _ids(1) + "&convert=USD,EUR", 2),
        (QUOTES, _ids(101) + "&convert=USD%2CEUR%2CBTC", 4),
        (QUOTES, "symbol=BTC", 1),
        (LISTINGS, "", 1),
        (LISTINGS, "limit=200", 1),
        (LISTINGS, "limit=201", 2),
        (LISTINGS, "limit=5000&convert=USD,EUR", 26),
        (PerMember("ids", COMMA, per=250.0), "ids=" + ",".join("x" * 251), 2),
    ],
)
def test_coinmarketcap(table: Table, query: str, credits: float) -> None:  # noqa: A002 - their term
    """CoinMarketCap's credits: by the hundred ids, and one for each further convert."""
    assert figure(table, decode(query)) == credits


# ── The tables themselves ──


@pytest.mark.parametrize(
    ("table", "query", "expected"),
    [
        (3, "", 3),
        (ByValue("i", (("1m", 60.0), ("1h", 600.0)), 30.0), "i=1h", 600),
        (ByValue("i", (("1m", 60.0),), 30.0), "i=1M", 30),
        (ByValue("i", (("1m", 60.0),), 30.0), "", 30),
        (ByValue("i", (("1m", 60.0),), 30.0, absent=5.0), "", 5),
        (ByValue("i", (("1m", 60.0),), 30.0), "i=1m&i=1m", 30),
        (ByValue("i", (("", 1.0),), 30.0), "i", 1),
        (ByValue("a", (("x", ByValue("b", (("y", 7.0),), 8.0)),), 9.0), "a=x&b=y", 7),
        (UpTo("n", ((10, 1.0),), absent=0.0, otherwise=9.0), "n=11", 9),
        (UpTo("n", ((10, 1.0),), absent=0.0, otherwise=9.0), "n=ten", 9),
        (UpTo("n", ((10, 1.0), (20, 5.0), (30, 2.0)), absent=0.0), "n=31", 5),
        (UpTo("n", ((10, 1.0), (20, 5.0)), absent=0.0), "n=10.5", 5),
        (UpTo("n", ((10, 1.0), (20, 5.0)), absent=0.0), "n=-1", 1),
        (UpTo("n", ((10, 1.0), (20, 5.0)), absent=0.0), "n=nan", 5),
        (UpTo("n", ((10, 1.0), (20, 5.0)), absent=0.0), "n=1_0", 5),
        (UpTo("n", ((10, 1.0), (20, 5.0)), absent=0.0), "n=1e1", 5),
        (UpTo("n", ((10, 1.0), (20, 5.0)), absent=0.0), "n=%D9%A3", 5),
        (UpTo("n", ((1, 1.0), (2, 5.0)), absent=0.0, members=COMMA), "n=a&n=b", 5),
        (UpTo("n", ((1, 1.0), (2, 5.0)), absent=0.0, members=JSON), 'n=["a","b,c"]', 5),
        (UpTo("n", ((1, 1.0), (2, 5.0)), absent=0.0, members=JSON), "n={}", 5),
        (UpTo("n", ((1, 1.0), (2, 5.0)), absent=0.0, members=JSON), "n=%FF", 5),
        (UpTo("n", ((1, 1.0), (2, 5.0)), absent=0.0, members=JSON), "n=[%22%FF%22]", 1),
        (UpTo("n", ((1, 1.0), (2, 5.0)), absent=0.0, members=JSON), "n=" + "[" * 9999, 5),
        (PerMember("n", COMMA), "n=", 1),
        (PerMember("n", COMMA, per=2.0, each=3.0), "n=a,b,c", 6),
        (PerMember("n", COMMA, less=5.0), "n=a", 0),
        (PerMember("n", COMMA, absent=4.0), "", 4),
        (PerMember("n", JSON), "n=a,b", 2),
        (PerMember("n", COMMA), "n=a&n=b,c", 3),
        (Sum(()), "", 0),
        (Sum((1.0, ByValue("a", (("x", 2.0),), 3.0))), "a=x", 3),
    ],
)
def test_tables(table: Table, query: str, expected: float) -> None:
    """Values, steps, members and sums, and what is no number or no list."""
    assert figure(table, decode(query)) == expected


@given(st.text(max_size=20))
def test_any_value_has_a_figure(value: str) -> None:
    """No value, however odd, is cheaper than the cheapest step or dearer than the dearest."""
    assert 2 <= figure(DAY, (("symbols", value),)) <= 80
    assert 5 <= figure(DEPTH, (("limit", value),)) <= 250


def _endpoint(**settings: Any) -> Endpoint:
    return Endpoint("e", "u", "/e", parse_template("/e"), **settings)


def test_lifetimes_by_value() -> None:
    """All three lifetimes may hang on a parameter."""
    endpoint = _endpoint(
        ttl=ByValue("interval", (("1m", 60.0), ("1h", 600.0)), 60.0),
        stale_while_revalidate=ByValue("interval", (("1h", 30.0),), 0.0),
        stale_if_error=300.0,
    )

    assert lifetimes(endpoint, decode("interval=1h")) == Lifetimes(600, 30, 300)
    assert lifetimes(endpoint, decode("interval=1m")) == Lifetimes(60, 0, 300)
    assert lifetimes(endpoint, ()) == Lifetimes(60, 0, 300)


def test_lifetimes_in_doubt_are_short() -> None:
    """Where no step fits, the shortest is promised; none is ever negative; obey has none."""
    table = UpTo("days", ((1, 30.0), (90, 1800.0)), absent=30.0)

    assert lifetimes(_endpoint(ttl=table), decode("days=max")).ttl == 30
    assert lifetimes(_endpoint(ttl=-5.0), ()).ttl == 0
    assert lifetimes(_endpoint(ttl=None), ()).ttl == 0


# ── Bills ──


def _limit(name: str, **settings: Any) -> Limit:
    return Limit(name, 100.0, 60.0, Algorithm.SLIDING_WINDOW, **settings)


LIMITS = (
    _limit("weight"),
    _limit("raw", counts="requests"),
    _limit("funding", scope="named"),
    _limit("second", each_endpoint=True, of="credential"),
    _limit("orders", scope="named", counts="requests", of="credential"),
)


def _match(request: Request, cost: Cost, **upstream: Any) -> Match:
    rule = Endpoint("e", "u", "/e/{v}", parse_template("/e/{v}"), ttl=1.0, cost=cost)
    other = Endpoint("unmatched", "u", "", (), ttl=0.0, cost=Cost(99.0))
    built = Upstream(
        "u", "https://u.test", "/u", (rule,), other, limits=LIMITS, timeout=7.0, **upstream
    )
    route = Routes((built,)).match(request)
    assert isinstance(route, Match)
    return route


def _charges(cost: Cost, query: str = "", credential: str = "") -> dict[str, float]:
    request = Request("GET", "/u/e/x", query, ())
    found = bill(_match(request, cost), request, credential)
    return {charge.bucket: charge.cost for charge in found.charges}


@pytest.mark.parametrize(
    ("cost", "expected"),
    [
        (Cost(5.0), {"weight": 5, "raw": 1, "second/e": 5}),
        (Cost(), {"weight": 1, "raw": 1, "second/e": 1}),
        (Cost(0.0), {"raw": 1}),
        (Cost(0.0, (("funding", 1.0),)), {"raw": 1, "funding": 1}),
        (Cost(1.0, (("weight", 9.0),)), {"weight": 9, "raw": 1, "second/e": 1}),
        (Cost(1.0, (("orders", 3.0),)), {"weight": 1, "raw": 1, "second/e": 1, "orders": 1}),
        (Cost(1.0, (("raw", 0.0),)), {"weight": 1, "second/e": 1}),
    ],
)
def test_which_limits_are_charged(cost: Cost, expected: dict[str, float]) -> None:
    """A figure goes to every cost limit for all; a named limit is reached by its name alone."""
    assert _charges(cost) == expected


def test_costs_by_parameter_and_by_variable() -> None:
    """A table looks at the query's parameters and at the path's variables."""
    by_path = Cost(ByValue("v", (("x", 3.0),), 4.0))

    assert _charges(Cost(DEPTH), "limit=5000")["weight"] == 250
    assert _charges(by_path)["weight"] == 3
    request = Request("GET", "/u/e/x", "a=1", ())
    assert arguments(_match(request, Cost())) == (("a", "1"), ("v", "x"))


def test_counts_of_a_credential() -> None:
    """A limit of the credential counts the client's own by itself, where that goes upstream."""
    cost = Cost(1.0, (("orders", 1.0),))

    assert set(_charges(cost, credential="ab12")) == {
        "weight",
        "raw",
        "second/e@ab12",
        "orders@ab12",
    }
    assert bucket(LIMITS[3], _match(Request("GET", "/u/e/x", "", ()), cost).endpoint) == "second/e"


def test_unmatched_requests_have_their_own_cost() -> None:
    """What meets no endpoint is charged `unmatched_cost`."""
    request = Request("GET", "/u/nope", "", ())
    found = bill(_match(request, Cost(5.0), unmatched_cost=Cost(2.0)), request)

    assert {charge.bucket: charge.cost for charge in found.charges} == {
        "weight": 2,
        "raw": 1,
        "second/unmatched": 2,
    }


def test_a_bill_says_whose_and_how_urgent() -> None:
    """Private requests are urgent; the answer is due within the upstream's timeout."""
    public, private = (Request("GET", "/u/e/x", query, ()) for query in ("", "signature=x"))
    plain = bill(_match(public, Cost()), public)
    signed = bill(_match(private, Cost()), private, answer_within=3.0)

    assert (plain.upstream, plain.urgent, plain.answer_within) == ("u", False, 7.0)
    assert (signed.urgent, signed.answer_within) == (True, 3.0)
    assert bill(_match(public, Cost()), public, urgent=True).urgent
