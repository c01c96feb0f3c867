"""CoinGecko's on-chain pools, simulated."""

from collections.abc import Callable
from typing import Any

import pytest

from proxy.sandbox.market import Market
from proxy.sandbox.provider import Reply
from proxy.sandbox.providers.dexscreener import pool_address

ONCHAIN = "/api/v3/onchain"
ETH = f"{ONCHAIN}/networks/eth"


@pytest.fixture
def address(market: Market) -> str:
    """A pool of wrapped bitcoin."""
    return pool_address(market.by_symbol["WBTC"], "ethereum", 0)


@pytest.mark.parametrize(
    "path",
    ["/networks/trending_pools", "/networks/new_pools", "/networks/solana/pools",
     "/networks/eth/trending_pools", "/networks/eth/new_pools",
     "/networks/eth/dexes/uniswap_v3/pools", "/search/pools?query=bitcoin"],
)  # fmt: skip
def test_lists_are_pages_of_pools(
    answer: Callable[..., Any], shape: Callable[[Any], Any], path: str
) -> None:
    """Figures are decimal strings; tokens are related by id."""
    rows = answer("coingecko", ONCHAIN + path)["data"]

    assert 0 < len(rows) <= 20
    assert {row["type"] for row in rows} == {"pool"}
    assert shape(rows[0]["attributes"]["base_token_price_usd"]) == "decimal"
    assert set(rows[0]["relationships"]) == {"base_token", "quote_token", "dex"}


def test_the_second_page_follows_the_first(answer: Callable[..., Any]) -> None:
    """No pool stands on both."""
    first, second = (answer("coingecko", f"{ETH}/pools?page={page}")["data"] for page in (1, 2))

    assert not {row["id"] for row in first} & {row["id"] for row in second}


def test_pools_come_alone_or_in_a_list(
    answer: Callable[..., Any], reply: Callable[..., Reply], address: str
) -> None:
    """In any case of letters, in the order asked for, unknown ones left out."""
    one = answer("coingecko", f"{ETH}/pools/{address}")["data"]

    assert answer("coingecko", f"{ETH}/pools/multi/0xno,{address.lower()}")["data"] == [one]
    token = one["relationships"]["base_token"]["data"]["id"].removeprefix("eth_")
    assert answer("coingecko", f"{ETH}/tokens/{token}/pools")["data"] == [one]
    assert reply("coingecko", f"{ETH}/pools/0xno").status == 404


def test_candles_have_six_members_newest_first(
    answer: Callable[..., Any], reply: Callable[..., Reply], address: str
) -> None:
    """By day, hour or minute, before a moment."""
    found = answer("coingecko", f"{ETH}/pools/{address}/ohlcv/hour?limit=3")
    rows = found["data"]["attributes"]["ohlcv_list"]

    assert [len(rows), len(rows[0]), rows[0][0] - rows[1][0]] == [3, 6, 3600]
    assert found["meta"]["base"]["symbol"] == "WBTC"
    older = f"{ETH}/pools/{address}/ohlcv/hour?limit=1&before_timestamp={rows[-1][0]}"
    assert answer("coingecko", older)["data"]["attributes"]["ohlcv_list"] == [rows[-1]]
    assert reply("coingecko", f"{ETH}/pools/{address}/ohlcv/week").status == 404


def test_trades_and_descriptions_belong_to_the_pool(
    answer: Callable[..., Any], reply: Callable[..., Reply], address: str
) -> None:
    """And are 404 for a pool or a token that is not there."""
    trades = answer("coingecko", f"{ETH}/pools/{address}/trades")["data"]
    tokens = answer("coingecko", f"{ETH}/pools/{address}/info")["data"]
    token = answer("coingecko", f"{ETH}/tokens/{tokens[0]['attributes']['address']}/info")["data"]

    assert {trade["attributes"]["kind"] for trade in trades} == {"buy", "sell"}
    assert [each["attributes"]["symbol"] for each in tokens] == ["WBTC", "USDC"]
    assert token == tokens[0]
    assert len(answer("coingecko", f"{ONCHAIN}/tokens/info_recently_updated")["data"]) == 20
    assert answer("coingecko", f"{ETH}/dexes")["data"][0]["id"] == "uniswap_v3"
    for path in ("pools/0xno/trades", "pools/0xno/info", "tokens/0xno/info"):
        assert reply("coingecko", f"{ETH}/{path}").status == 404
