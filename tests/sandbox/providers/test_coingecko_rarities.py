"""What bots seldom ask CoinGecko for, simulated."""

from collections.abc import Callable
from typing import Any

import pytest

from proxy.sandbox.provider import Reply

V3 = "/api/v3"
POINT = ["number"]
NAMED = {"id": "text", "name": "text"}
SHAPES = [
    ("/coins/list/new", [{**NAMED, "symbol": "text", "activated_at": "number"}]),
    ("/coins/bitcoin/circulating_supply_chart?days=3", {"circulating_supply": [POINT]}),
    ("/global/market_cap_chart?days=3", {"market_cap_chart": {"market_cap": [POINT],
                                                              "volume": [POINT]}}),
    ("/exchanges/binance/volume_chart?days=1", [POINT]),
    ("/derivatives/exchanges/list", [NAMED]),
    ("/nfts/list", [{**NAMED, "contract_address": "text", "asset_platform_id": "text",
                     "symbol": "text"}]),
    ("/entities/list", [{**NAMED, "symbol": "text", "country": "text"}]),
    ("/public_treasury/strategy/bitcoin/holding_chart", {"holdings": [POINT],
                                                         "holding_value_in_usd": [POINT]}),
]  # fmt: skip


@pytest.mark.parametrize(("path", "expected"), SHAPES)
def test_answers_have_the_documented_shape(
    answer: Callable[..., Any], shape: Callable[[Any], Any], path: str, expected: Any
) -> None:
    """Members and their kinds."""
    assert shape(answer("coingecko", V3 + path)) == expected


MEMBERS = [
    ("/exchanges/binance/tickers", "tickers", {"base", "target", "last", "converted_last"}),
    ("/derivatives", None, {"market", "symbol", "price", "funding_rate", "open_interest"}),
    ("/derivatives/exchanges", None, {"id", "name", "open_interest_btc"}),
    ("/derivatives/exchanges/bybit", None, {"name", "tickers"}),
    ("/nfts/penguins", None, {"id", "floor_price", "market_cap", "total_supply"}),
    ("/token_lists/ethereum/all.json", "tokens", {"chainId", "address", "symbol", "decimals"}),
    ("/companies/public_treasury/bitcoin", "companies", {"name", "total_holdings"}),
    ("/public_treasury/strategy", "holdings", {"coin_id", "amount", "unrealized_pnl"}),
    ("/public_treasury/strategy/transaction_history", "transactions", {"date", "type"}),
]


@pytest.mark.parametrize(("path", "member", "names"), MEMBERS)
def test_answers_have_the_members_that_bots_read(
    answer: Callable[..., Any], path: str, member: str | None, names: set[str]
) -> None:
    """At the place where they are documented."""
    found = answer("coingecko", V3 + path)
    inner = found if member is None else found[member]

    assert names <= set(inner[0] if isinstance(inner, list) else inner)


def test_a_collection_is_met_by_its_contract_too(answer: Callable[..., Any]) -> None:
    """In any case of letters."""
    named = answer("coingecko", f"{V3}/nfts/punks")
    address = named["contract_address"].upper().replace("X", "x", 1)

    assert answer("coingecko", f"{V3}/nfts/ethereum/contract/{address}") == named


@pytest.mark.parametrize(
    "path",
    ["/coins/nosuch/circulating_supply_chart", "/exchanges/nosuch/tickers",
     "/exchanges/nosuch/volume_chart", "/derivatives/exchanges/nosuch", "/nfts/nosuch",
     "/nfts/ethereum/contract/0x0", "/companies/public_treasury/nosuch",
     "/public_treasury/nosuch", "/public_treasury/nosuch/bitcoin/holding_chart",
     "/public_treasury/nosuch/transaction_history"],
)  # fmt: skip
def test_what_is_not_there_is_not_found(reply: Callable[..., Reply], path: str) -> None:
    """404."""
    assert reply("coingecko", V3 + path).status == 404
