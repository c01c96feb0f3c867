"""Binance spot, simulated."""

from collections.abc import Callable
from typing import Any

import pytest

from proxy.sandbox.provider import Reply

V3 = "/api/v3"
LIST_OF_21 = "[" + ",".join(f'"A{n}"' for n in range(21)) + "]"
LIST_OF_101 = "[" + ",".join(f'"A{n}"' for n in range(101)) + "]"

# Rows of providers.md: (target, weight)
WEIGHTS = [
    ("/ping", 1),
    ("/time", 1),
    ("/exchangeInfo", 20),
    ("/depth?symbol=BTCUSDT", 5),
    ("/depth?symbol=BTCUSDT&limit=100", 5),
    ("/depth?symbol=BTCUSDT&limit=101", 25),
    ("/depth?symbol=BTCUSDT&limit=1000", 50),
    ("/depth?symbol=BTCUSDT&limit=5000", 250),
    ("/trades?symbol=BTCUSDT", 25),
    ("/historicalTrades?symbol=BTCUSDT", 25),
    ("/aggTrades?symbol=BTCUSDT", 4),
    ("/klines?symbol=BTCUSDT&interval=1m", 2),
    ("/uiKlines?symbol=BTCUSDT&interval=1m", 2),
    ("/avgPrice?symbol=BTCUSDT", 2),
    ("/ticker/24hr?symbol=BTCUSDT", 2),
    ("/ticker/24hr", 80),
    ('/ticker/24hr?symbols=["BTCUSDT"]', 2),
    (f"/ticker/24hr?symbols={LIST_OF_21}", 40),
    (f"/ticker/24hr?symbols={LIST_OF_101}", 80),
    ("/ticker/price?symbol=BTCUSDT", 2),
    ("/ticker/price", 4),
    ('/ticker/price?symbols=["BTCUSDT"]', 4),
    ("/ticker/bookTicker", 4),
    ("/ticker?symbol=BTCUSDT", 4),
    ('/ticker/tradingDay?symbols=["BTCUSDT","ETHUSDT"]', 8),
    (f"/ticker?symbols={LIST_OF_101}", 200),
    ("/account", 20),
    ("/order", 4),
    ("/openOrders?symbol=BTCUSDT", 6),
    ("/openOrders", 80),
    ("/allOrders", 20),
    ("/myTrades", 20),
]


@pytest.mark.parametrize(("target", "weight"), WEIGHTS)
def test_weights_follow_the_parameters(
    charge: Callable[..., int], target: str, weight: int
) -> None:
    """Each endpoint weighs what Binance documents."""
    assert charge("binance", V3 + target) == weight


TICKER = {"symbol": "text", "price": "decimal"}
BOOK = {"symbol": "text", "bidPrice": "decimal", "bidQty": "decimal", "askPrice": "decimal",
        "askQty": "decimal"}  # fmt: skip
WINDOW = {
    "symbol": "text", "priceChange": "decimal", "priceChangePercent": "decimal",
    "weightedAvgPrice": "decimal", "openPrice": "decimal", "highPrice": "decimal",
    "lowPrice": "decimal", "lastPrice": "decimal", "volume": "decimal", "quoteVolume": "decimal",
    "openTime": "number", "closeTime": "number", "firstId": "number", "lastId": "number",
    "count": "number",
}  # fmt: skip
TRADE = {"id": "number", "price": "decimal", "qty": "decimal", "quoteQty": "decimal",
         "time": "number", "isBuyerMaker": "flag", "isBestMatch": "flag"}  # fmt: skip
AGGREGATE = {"a": "number", "p": "decimal", "q": "decimal", "f": "number", "l": "number",
             "T": "number", "m": "flag", "M": "flag"}  # fmt: skip
SHAPES = [
    ("/ping", {}),
    ("/time", {"serverTime": "number"}),
    ("/depth?symbol=BTCUSDT", {"lastUpdateId": "number", "bids": [["decimal"]],
                               "asks": [["decimal"]]}),
    ("/trades?symbol=BTCUSDT", [TRADE]),
    ("/aggTrades?symbol=BTCUSDT", [AGGREGATE]),
    ("/avgPrice?symbol=BTCUSDT", {"mins": "number", "price": "decimal", "closeTime": "number"}),
    ("/ticker/price?symbol=BTCUSDT", TICKER),
    ("/ticker/price", [TICKER]),
    ('/ticker/price?symbols=["BTCUSDT"]', [TICKER]),
    ("/ticker/bookTicker?symbol=BTCUSDT", BOOK),
    ("/ticker/bookTicker", [BOOK]),
    ("/ticker/24hr?symbol=BTCUSDT", {**WINDOW, **BOOK, "prevClosePrice": "decimal",
                                     "lastQty": "decimal"}),
    ("/ticker?symbol=BTCUSDT", WINDOW),
    ("/ticker/tradingDay?symbol=BTCUSDT", WINDOW),
]  # fmt: skip


@pytest.mark.parametrize(("target", "expected"), SHAPES)
def test_answers_have_the_documented_shape(
    answer: Callable[..., Any], shape: Callable[[Any], Any], target: str, expected: Any
) -> None:
    """Members and their kinds, figures as decimal strings."""
    assert shape(answer("binance", V3 + target)) == expected


def test_exchange_information_is_as_large_as_clients_expect(answer: Callable[..., Any]) -> None:
    """Hundreds of pairs, each with its filters, and the limits in force."""
    found = answer("binance", f"{V3}/exchangeInfo")
    one = answer("binance", f"{V3}/exchangeInfo?symbol=ETHBTC")["symbols"]

    assert len(found["symbols"]) > 350
    assert [limit["limit"] for limit in found["rateLimits"]] == [6000, 100, 200_000, 61_000]
    assert {each["filterType"] for each in found["symbols"][0]["filters"]} >= {
        "PRICE_FILTER", "LOT_SIZE", "NOTIONAL",
    }  # fmt: skip
    assert [each["symbol"] for each in one] == ["ETHBTC"]


def test_prices_have_eight_decimals_whatever_their_tick(answer: Callable[..., Any]) -> None:
    """`46469.84000000`, and cheap coins finer than dear ones."""
    for row in answer("binance", f"{V3}/ticker/price"):
        assert len(row["price"].split(".")[1]) == 8
        assert float(row["price"]) > 0


def test_a_list_is_answered_in_the_exchanges_own_order(answer: Callable[..., Any]) -> None:
    """The caller's order does not matter."""
    every = [row["symbol"] for row in answer("binance", f"{V3}/ticker/price")]
    listed = answer("binance", f'{V3}/ticker/price?symbols=["ETHBTC","BTCUSDT","ADAUSDT"]')

    symbols = [row["symbol"] for row in listed]
    assert symbols == sorted(symbols, key=every.index)
    assert set(symbols) == {"ETHBTC", "BTCUSDT", "ADAUSDT"}


def test_members_of_a_list_are_byte_for_byte_what_they_are_alone(
    reply: Callable[..., Reply],
) -> None:
    """A list is its members, joined."""
    for kind in ("price", "bookTicker", "24hr"):
        listed = reply("binance", f'{V3}/ticker/{kind}?symbols=["BTCUSDT","ETHUSDT"]').body
        alone = [
            reply("binance", f"{V3}/ticker/{kind}?symbol={symbol}").body
            for symbol in ("BTCUSDT", "ETHUSDT")
        ]

        assert listed == b"[" + b",".join(alone) + b"]"


ERRORS = [
    ("/ticker/price?symbol=NOPE", 400, -1121),
    ('/ticker/price?symbols=["BTCUSDT","NOPE"]', 400, -1121),
    ('/ticker/price?symbols=["BTCUSDT","BTCUSDT"]', 400, -1151),
    ('/ticker/price?symbol=BTCUSDT&symbols=["BTCUSDT"]', 400, -1128),
    ("/ticker/price?symbols=BTCUSDT", 400, -1100),
    ("/ticker/price?symbols=[]", 400, -1100),
    ("/ticker/price?symbol=btcusdt", 400, -1100),
    ("/klines?interval=1m", 400, -1102),
    ("/klines?symbol=BTCUSDT&interval=7m", 400, -1120),
    ("/ticker", 400, -1128),
]


@pytest.mark.parametrize(("target", "status", "code"), ERRORS)
def test_mistakes_earn_binances_own_errors(
    reply: Callable[..., Reply], answer: Callable[..., Any], target: str, status: int, code: int
) -> None:
    """One bad symbol fails the whole call, and each mistake has its code."""
    assert reply("binance", V3 + target).status == status
    assert answer("binance", V3 + target)["code"] == code
