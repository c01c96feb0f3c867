"""CoinGecko's coins, simulated."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from proxy.sandbox.provider import Reply

COINS = "/api/v3/coins"
WBTC = "0x2260FAC5E5542a773Aa44fBCfeDf7C193bc2C599"


def test_the_list_has_platforms_only_where_asked(
    answer: Callable[..., Any], shape: Callable[[Any], Any]
) -> None:
    """Ids in order, three members, or four."""
    plain = answer("coingecko", f"{COINS}/list")

    assert shape(plain) == [{"id": "text", "symbol": "text", "name": "text"}]
    assert [each["id"] for each in plain] == sorted(each["id"] for each in plain)
    assert "platforms" in answer("coingecko", f"{COINS}/list?include_platform=true")[0]


@pytest.mark.parametrize(
    ("query", "step"), [("days=1", 300), ("days=30", 3600), ("days=365", 86_400), ("", 86_400)]
)
def test_charts_are_as_fine_as_their_range_allows(
    answer: Callable[..., Any], query: str, step: int
) -> None:
    """5 minutes up to a day, hours up to 90 days, then days."""
    found = answer("coingecko", f"{COINS}/bitcoin/market_chart?vs_currency=usd&{query}")
    moments = [moment for moment, _ in found["prices"]]

    assert set(found) == {"prices", "market_caps", "total_volumes"}
    assert {later - earlier for earlier, later in pairwise(moments)} == {step * 1000}


def test_a_range_is_cut_to_what_is_past_and_to_a_year(
    answer: Callable[..., Any], reply: Callable[..., Reply]
) -> None:
    """The future is empty; further back than 365 days is 401."""
    target = f"{COINS}/bitcoin/market_chart/range?vs_currency=usd"
    found = answer("coingecko", f"{target}&from=1795100000&to=9795100000")

    assert found["prices"][-1][0] <= 1_795_232_239_000
    assert reply("coingecko", f"{target}&from=1600000000&to=1600100000").status == 401


def test_candles_have_five_members(answer: Callable[..., Any]) -> None:
    """Moment, open, high, low, close."""
    for row in answer("coingecko", f"{COINS}/bitcoin/ohlc?vs_currency=usd&days=1"):
        assert len(row) == 5
        assert row[3] <= min(row[1], row[4]) <= max(row[1], row[4]) <= row[2]


def test_a_past_day_is_told_by_its_date(
    answer: Callable[..., Any], reply: Callable[..., Reply]
) -> None:
    """`dd-mm-yyyy`, or 400."""
    found = answer("coingecko", f"{COINS}/ethereum/history?date=01-02-2026")

    assert set(found["market_data"]) == {"current_price", "market_cap", "total_volume"}
    assert reply("coingecko", f"{COINS}/ethereum/history?date=2026-02-01").status == 400


def test_a_contract_is_its_coin(answer: Callable[..., Any]) -> None:
    """Any case on EVM chains."""
    for address in (WBTC, WBTC.lower()):
        found = answer("coingecko", f"{COINS}/ethereum/contract/{address}")
        assert found["id"] == "wrapped-bitcoin"


@pytest.mark.parametrize(
    "path",
    ["/nosuch", "/nosuch/ohlc", "/nosuch/tickers", "/nosuch/market_chart", "/nosuch/history",
     "/ethereum/contract/0x0", "/nosuch/contract/0x0"],
)  # fmt: skip
def test_unknown_coins_are_not_found(reply: Callable[..., Reply], path: str) -> None:
    """404 in the short form."""
    found = reply("coingecko", COINS + path)

    assert (found.status, found.body) == (404, b'{"error":"coin not found"}')
