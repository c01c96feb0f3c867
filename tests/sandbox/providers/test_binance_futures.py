"""Binance USD-M futures, simulated."""

from collections.abc import Callable
from typing import Any

import pytest

from proxy.sandbox.limits import Counted
from proxy.sandbox.provider import Call, Reply
from proxy.sandbox.providers.catalogue import PROVIDERS

V1 = "/fapi/v1"
KLINES = f"{V1}/klines?symbol=BTCUSDT&interval=1m"
WEIGHTS = [
    (f"{V1}/ping", 1),
    (f"{V1}/exchangeInfo", 1),
    (f"{V1}/openInterest?symbol=BTCUSDT", 1),
    (f"{V1}/depth?symbol=BTCUSDT&limit=50", 2),
    (f"{V1}/depth?symbol=BTCUSDT&limit=100", 5),
    (f"{V1}/depth?symbol=BTCUSDT", 10),
    (f"{V1}/depth?symbol=BTCUSDT&limit=1000", 20),
    (f"{V1}/trades?symbol=BTCUSDT", 5),
    (f"{V1}/aggTrades?symbol=BTCUSDT", 20),
    (f"{V1}/historicalTrades?symbol=BTCUSDT", 200),
    (f"{KLINES}&limit=99", 1),
    (f"{KLINES}&limit=100", 2),
    (f"{KLINES}&limit=499", 2),
    (KLINES, 5),
    (f"{KLINES}&limit=1000", 5),
    (f"{KLINES}&limit=1001", 10),
    (f"{V1}/premiumIndex?symbol=BTCUSDT", 1),
    (f"{V1}/premiumIndex", 10),
    (f"{V1}/ticker/24hr?symbol=BTCUSDT", 1),
    (f"{V1}/ticker/24hr", 40),
    (f"{V1}/ticker/price?symbol=BTCUSDT", 1),
    (f"{V1}/ticker/price", 2),
    (f"{V1}/ticker/bookTicker?symbol=BTCUSDT", 2),
    (f"{V1}/ticker/bookTicker", 5),
    (f"{V1}/fundingRate", 0),
    ("/futures/data/basis?pair=BTCUSDT", 0),
]


@pytest.mark.parametrize(("target", "weight"), WEIGHTS)
def test_weights_follow_the_parameters(
    charge: Callable[..., int], target: str, weight: int
) -> None:
    """Each endpoint weighs what Binance documents."""
    assert charge("binance-futures", target) == weight


DEPTH = {"lastUpdateId": "number", "E": "number", "T": "number", "bids": [["decimal"]],
         "asks": [["decimal"]]}  # fmt: skip
MARK = {
    "symbol": "text", "markPrice": "decimal", "indexPrice": "decimal",
    "estimatedSettlePrice": "decimal", "lastFundingRate": "decimal", "interestRate": "decimal",
    "nextFundingTime": "number", "time": "number",
}  # fmt: skip
BOOK = {"lastUpdateId": "number", "symbol": "text", "bidPrice": "decimal", "bidQty": "decimal",
        "askPrice": "decimal", "askQty": "decimal", "time": "number"}  # fmt: skip
SHAPES = [
    (f"{V1}/depth?symbol=BTCUSDT", DEPTH),
    (f"{V1}/premiumIndex?symbol=BTCUSDT", MARK),
    (f"{V1}/premiumIndex", [MARK]),
    (f"{V1}/ticker/price?symbol=BTCUSDT", {"symbol": "text", "price": "decimal",
                                           "time": "number"}),
    (f"{V1}/ticker/bookTicker", [BOOK]),
    (f"{V1}/openInterest?symbol=BTCUSDT", {"openInterest": "decimal", "symbol": "text",
                                           "time": "number"}),
    (f"{V1}/fundingRate?symbol=BTCUSDT", [{"symbol": "text", "fundingTime": "number",
                                           "fundingRate": "decimal", "markPrice": "decimal"}]),
    ("/futures/data/globalLongShortAccountRatio?symbol=BTCUSDT", [
        {"symbol": "text", "longShortRatio": "decimal", "longAccount": "decimal",
         "shortAccount": "decimal", "timestamp": "number"}]),
]  # fmt: skip


@pytest.mark.parametrize(("target", "expected"), SHAPES)
def test_answers_have_the_documented_shape(
    answer: Callable[..., Any], shape: Callable[[Any], Any], target: str, expected: Any
) -> None:
    """Members and their kinds, figures as decimal strings."""
    assert shape(answer("binance-futures", target)) == expected


def test_there_is_no_list_parameter(answer: Callable[..., Any]) -> None:
    """`symbols=` is not known: all pairs are answered, as without it."""
    target = f"{V1}/ticker/price"

    assert answer("binance-futures", f'{target}?symbols=["BTCUSDT"]') == answer(
        "binance-futures", target
    )


def test_contracts_are_perpetual(answer: Callable[..., Any]) -> None:
    """What ccxt needs to tell swaps from futures; coin-margined ones have a size."""
    linear = answer("binance-futures", f"{V1}/exchangeInfo")["symbols"]
    inverse = answer("binance-futures", "/dapi/v1/exchangeInfo")["symbols"]

    assert {each["contractType"] for each in linear} == {"PERPETUAL"}
    assert [each["symbol"] for each in inverse] == ["BTCUSD_PERP", "ETHUSD_PERP"]
    assert inverse[0]["contractSize"] == 100


def test_the_used_weight_is_wrong_where_binances_is(call: Callable[..., Call]) -> None:
    """BookTicker and v2 ticker/price tell a figure not to be trusted."""
    usage, counted = PROVIDERS["binance-futures"].usage, Counted({"weight": 5})

    assert dict(usage(call(f"{V1}/ping"), counted))["X-MBX-USED-WEIGHT-1M"] == "5"
    for path in (f"{V1}/ticker/bookTicker", "/fapi/v2/ticker/price"):
        assert dict(usage(call(path), counted))["X-MBX-USED-WEIGHT-1M"] == "15"


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (f"{V1}/ticker/price?symbol=NOPE", 400),
        (f"{V1}/fundingRate?symbol=NOPE", 400),
        (f"{V1}/indexPriceKlines?pair=NOPE&interval=1m", 400),
        ("/futures/data/basis?pair=NOPE", 400),
        ("/futures/data/nothing?symbol=BTCUSDT", 404),
    ],
)
def test_unknown_symbols_are_refused(reply: Callable[..., Reply], target: str, status: int) -> None:
    """-1121, as on the spot exchange."""
    assert reply("binance-futures", target).status == status
