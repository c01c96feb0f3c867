"""CoinGecko's lists and totals, simulated."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from proxy.sandbox.market import Market
from proxy.sandbox.provider import Call, Reply
from proxy.sandbox.providers import coingecko_lists as lists
from tests.values import replace

NAMED = {"id": "text", "name": "text"}
SHAPES = [
    ("/ping", {"gecko_says": "text"}),
    ("/simple/supported_vs_currencies", ["text"]),
    ("/exchanges/list", [NAMED]),
    ("/coins/categories/list", [{"category_id": "text", "name": "text"}]),
    (
        "/global/decentralized_finance_defi",
        {
            "data": {
                **dict.fromkeys(
                    ("defi_market_cap", "eth_market_cap", "defi_to_eth_ratio",
                     "trading_volume_24h", "defi_dominance"), "decimal",
                ),
                "top_coin_name": "text", "top_coin_defi_dominance": "number",
            }
        },
    ),
]  # fmt: skip


@pytest.mark.parametrize(("path", "expected"), SHAPES)
def test_answers_have_the_documented_shape(
    answer: Callable[..., Any], shape: Callable[[Any], Any], path: str, expected: Any
) -> None:
    """Members and their kinds."""
    assert shape(answer("coingecko", f"/api/v3{path}")) == expected


MEMBERS = [
    ("/global", "data", {"active_cryptocurrencies", "total_market_cap", "market_cap_percentage"}),
    ("/search/trending", "coins", {"item"}),
    ("/search?query=bit", "coins", {"id", "api_symbol", "market_cap_rank"}),
    ("/exchanges", None, {"id", "trust_score", "trade_volume_24h_btc"}),
    ("/exchanges/binance", None, {"name", "tickers", "trade_volume_24h_btc"}),
    ("/coins/categories", None, {"id", "market_cap", "top_3_coins", "volume_24h"}),
    ("/asset_platforms", None, {"id", "chain_identifier", "native_coin_id"}),
    ("/exchange_rates", "rates", {"btc", "usd"}),
]


@pytest.mark.parametrize(("path", "member", "names"), MEMBERS)
def test_answers_have_the_members_that_bots_read(
    answer: Callable[..., Any], path: str, member: str | None, names: set[str]
) -> None:
    """At the place where they are documented."""
    found = answer("coingecko", f"/api/v3{path}")
    inner = found if member is None else found[member]

    assert names <= set(inner[0] if isinstance(inner, list) else inner)


def test_an_unknown_exchange_is_not_found(reply: Callable[..., Reply]) -> None:
    """404."""
    assert reply("coingecko", "/api/v3/exchanges/nosuch").status == 404


def test_the_key_tells_what_its_month_has_left(call: Callable[..., Call], market: Market) -> None:
    """By what was counted before this call."""
    asked = replace(call("/api/v3/key"), standing=lambda: {"month": 42})
    found = msgspec.json.decode(lists.key_usage(asked, market).body)

    assert found["current_total_monthly_calls"] == 42
    assert found["current_remaining_monthly_calls"] == 9958
