"""`explain` over every shipped endpoint: the right rule, its TTL and its cost."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from proxy.config.loading import load
from proxy.config.settings import Settings
from proxy.core.routing import Routes
from proxy.core.upstreams import Endpoint, Upstream
from proxy.explain import asking, explain

CONFIG = Path(__file__).parents[2] / "config" / "proxy.yaml"
KEYS = {
    "COINGECKO_API_KEY": "k",
    "COINMARKETCAP_API_KEY": "k",
    "CRYPTOPANIC_API_KEY": "k",
}


@cache
def settings() -> Settings:
    return load(CONFIG, KEYS)


def explained(url: str, method: str = "GET") -> dict[str, Any]:
    return dict(explain(Routes(settings().upstreams), asking(url, method, ())))


def example(upstream: Upstream, endpoint: Endpoint) -> str:
    """Return a URL that is meant for the endpoint: its template filled in, its conditions met."""
    path = re.sub(r"\{\w+:path\}", "rest", endpoint.path)
    path = re.sub(r"\{\w+\}", "example", path)
    query = "&".join(f"{name}={value}" for name, value in endpoint.conditions)
    return f"{upstream.prefix}{path}?{query}"


def shipped() -> Iterator[Any]:
    for upstream in settings().upstreams:
        for endpoint in upstream.endpoints:
            yield pytest.param(upstream, endpoint, id=f"{upstream.name}-{endpoint.name}")


@pytest.mark.parametrize(("upstream", "endpoint"), tuple(shipped()))
def test_each_shipped_endpoint_is_met_by_its_own_url(
    upstream: Upstream, endpoint: Endpoint
) -> None:
    """No shipped rule is hidden by another, and each charges a limit and has a known lifetime."""
    found = explained(example(upstream, endpoint))

    assert (upstream.name, endpoint.name) == (found["upstream"], found["endpoint"])
    assert all(cost > 0 for cost in found["cost"].values())
    assert found["treatment"] != "cached" or found["ttl"] > 0


@pytest.mark.parametrize(
    ("url", "endpoint", "ttl", "limit", "cost"),
    [
        # providers.md, the operators' TTLs and the documented costs
        ("/coingecko/api/v3/simple/price?ids=bitcoin&vs_currencies=usd", "price", 90, "minute", 1),
        ("/coingecko/api/v3/coins/bitcoin?market_data=false", "coin_metadata", 3600, "minute", 1),
        ("/coingecko/api/v3/coins/bitcoin", "coin", 300, "minute", 1),
        ("/coingecko/api/v3/coins/bitcoin/market_chart?days=1", None, 600, "month", 1),
        ("/coingecko/api/v3/search/trending", None, 900, "month", 1),
        ("/coingecko/api/v3/global", None, 300, "month", 1),
        ("/coingecko/api/v3/search?query=a", None, 1800, "month", 1),
        ("/binance/api/v3/klines?interval=1m", "klines", 60, "weight", 2),
        ("/binance/api/v3/klines?interval=5m", "klines", 180, "weight", 2),
        ("/binance/api/v3/klines?interval=15m", "klines", 300, "weight", 2),
        ("/binance/api/v3/klines?interval=1h", "klines", 600, "weight", 2),
        ("/binance/api/v3/klines?interval=4h", "klines", 1800, "weight", 2),
        ("/binance/api/v3/klines?interval=1d", "klines", 3600, "weight", 2),
        ("/binance/api/v3/ticker/price?symbol=BTCUSDT", None, 30, "weight", 2),
        ("/binance/api/v3/ticker/price", None, 30, "weight", 4),
        ('/binance/api/v3/ticker/price?symbols=["A","B"]', None, 30, "weight", 4),
        ("/binance/api/v3/ticker/24hr?symbol=BTCUSDT", None, 30, "weight", 2),
        ("/binance/api/v3/ticker/24hr", None, 30, "weight", 80),
        ('/binance/api/v3/ticker/24hr?symbols=["A","B"]', None, 30, "weight", 2),
        ("/binance/api/v3/ticker/24hr?symbols=" + "%5B" + ",".join(['"A"'] * 21) + "%5D",
         None, 30, "weight", 40),
        ("/binance/api/v3/ticker/24hr?symbols=[" + ",".join(['"A"'] * 101) + "]",
         None, 30, "weight", 80),
        ("/binance/api/v3/depth?symbol=A", "depth", 2, "weight", 5),
        ("/binance/api/v3/depth?symbol=A&limit=500", "depth", 2, "weight", 25),
        ("/binance/api/v3/depth?symbol=A&limit=5000", "depth", 2, "weight", 250),
        ("/binance/api/v3/depth?symbol=A&limit=9999", "depth", 2, "weight", 250),
        ("/binance/api/v3/exchangeInfo", None, 3600, "weight", 20),
        ("/binance/api/v3/trades?symbol=A", None, None, "weight", 25),
        ("/binance/api/v3/aggTrades?symbol=A", None, None, "weight", 4),
        ("/binance/api/v3/avgPrice?symbol=A", None, None, "weight", 2),
        ('/binance/api/v3/ticker?symbols=["A","B","C"]', None, None, "weight", 12),
        ("/binance/api/v3/openOrders?symbol=A&signature=x", None, None, "weight", 6),
        ("/binance/api/v3/openOrders?signature=x", None, None, "weight", 80),
        ("/binance-futures/fapi/v1/klines?interval=1m&limit=99", None, 60, "weight", 1),
        ("/binance-futures/fapi/v1/klines?interval=1m&limit=499", None, 60, "weight", 2),
        ("/binance-futures/fapi/v1/klines?interval=1m&limit=1000", None, 60, "weight", 5),
        ("/binance-futures/fapi/v1/klines?interval=1m&limit=1500", None, 60, "weight", 10),
        ("/binance-futures/fapi/v1/depth?symbol=A&limit=1000", None, None, "weight", 20),
        ("/binance-futures/fapi/v1/premiumIndex", None, None, "weight", 10),
        ("/binance-futures/fapi/v1/premiumIndex?symbol=A", None, None, "weight", 1),
        ("/binance-futures/fapi/v1/fundingRate?symbol=A", None, 3600, "funding", 1),
        ("/binance-futures/fapi/v1/openInterest?symbol=A", None, 300, "weight", 1),
        ("/binance-futures/futures/data/openInterestHist?symbol=A&period=5m",
         None, None, "data", 1),
        ("/dexscreener/latest/dex/search?q=a", None, 300, "fast", 1),
        ("/dexscreener/token-pairs/v1/solana/a", None, 300, "fast", 1),
        ("/dexscreener/tokens/v1/solana/a,b", None, 60, "fast", 1),
        ("/dexscreener/token-boosts/top/v1", None, None, "slow", 1),
        ("/coinmarketcap/v2/cryptocurrency/quotes/latest?id=1", None, 300, "month", 1),
        ("/coinmarketcap/v2/cryptocurrency/quotes/latest?id=1&convert=USD,EUR",
         None, 300, "month", 2),
        ("/coinmarketcap/v2/cryptocurrency/quotes/latest?id=" + ",".join(map(str, range(101))),
         None, 300, "month", 2),
        ("/coinmarketcap/v1/cryptocurrency/listings/latest?limit=400", None, None, "month", 2),
        ("/cryptopanic/api/developer/v2/posts/", None, 900, "month", 1),
        ("/fear-and-greed/fng/?limit=10", None, 3600, "minute", 1),
    ],
)  # fmt: skip
def test_documented_lifetimes_and_costs(
    url: str, endpoint: str | None, ttl: float | None, limit: str, cost: float
) -> None:
    """What the providers document is what a request costs, by its parameters."""
    found = explained(url)

    assert endpoint in (None, found["endpoint"])
    assert ttl in (None, found["ttl"])
    assert cost == found["cost"][limit]


def test_futures_data_has_no_weight() -> None:
    """What costs no weight spends only from the limit that is its own."""
    found = explained("/binance-futures/fapi/v1/fundingRate?symbol=A")

    assert list(found["cost"]) == ["funding"]


def test_signed_requests_are_private() -> None:
    """A signature makes a request private; a public one with a key alone is not."""
    signed = explained("/binance/api/v3/account?signature=x")

    assert "private" in signed["treatment"]
    assert signed["key"] is None
