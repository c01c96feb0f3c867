"""Kraken, simulated."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from proxy.sandbox.limits import Limit, Refused
from proxy.sandbox.provider import Call, Reply
from proxy.sandbox.providers.catalogue import PROVIDERS

PUBLIC = "/0/public"


def test_too_much_is_said_in_a_200(call: Callable[..., Call]) -> None:
    """And so is every other error."""
    provider = PROVIDERS["kraken"]
    refused = provider.refusal(call("/"), Refused(Limit("second", 1, 1.0), 0.5, {}))

    assert refused.status == 200
    assert msgspec.json.decode(refused.body) == {"error": ["EGeneral:Too many requests"]}
    assert provider.missing(call("/")).status == 200


@pytest.mark.parametrize("name", ["XBTUSD", "BTCUSD", "XXBTZUSD", "XBT/USD", "xbtusd"])
def test_a_pair_has_many_names_and_answers_to_one(answer: Callable[..., Any], name: str) -> None:
    """The reply is keyed by the exchange's own name."""
    assert list(answer("kraken", f"{PUBLIC}/Ticker?pair={name}")["result"]) == ["XXBTZUSD"]


def test_answers_have_the_documented_shape(
    answer: Callable[..., Any], shape: Callable[[Any], Any]
) -> None:
    """Ticker, depth, candles and trades."""
    pair = "?pair=XBTUSD"
    ticker = answer("kraken", f"{PUBLIC}/Ticker{pair}")["result"]["XXBTZUSD"]
    depth = answer("kraken", f"{PUBLIC}/Depth{pair}&count=3")["result"]["XXBTZUSD"]
    candles = answer("kraken", f"{PUBLIC}/OHLC{pair}&interval=60")["result"]
    trades = answer("kraken", f"{PUBLIC}/Trades{pair}&count=4")["result"]

    assert list(ticker) == ["a", "b", "c", "v", "p", "t", "l", "h", "o"]
    assert [len(depth["asks"]), len(depth["bids"]), len(depth["asks"][0])] == [3, 3, 3]
    row = ["number", *["decimal"] * 6, "number"]
    assert [shape(member) for member in candles["XXBTZUSD"][0]] == row
    assert len(candles["XXBTZUSD"]) == 720
    assert candles["last"] == candles["XXBTZUSD"][-2][0]
    assert [len(trades["XXBTZUSD"]), len(trades["XXBTZUSD"][0])] == [4, 7]
    assert len(answer("kraken", f"{PUBLIC}/Spread{pair}")["result"]["XXBTZUSD"][0]) == 3


def test_candles_are_given_since_a_moment(answer: Callable[..., Any]) -> None:
    """Those that open later than it."""
    target = f"{PUBLIC}/OHLC?pair=XBTUSD&interval=60"

    assert len(answer("kraken", f"{target}&since=1795222800")["result"]["XXBTZUSD"]) == 2


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("/Ticker?pair=NOPE", "EQuery:Unknown asset pair"),
        ("/OHLC", "EGeneral:Invalid arguments"),
        ("/OHLC?pair=XBTUSD&interval=7", "EGeneral:Invalid arguments"),
        ("/Depth?pair=NOPE", "EQuery:Unknown asset pair"),
        ("/Trades", "EGeneral:Invalid arguments"),
    ],
)
def test_mistakes_earn_krakens_own_errors(
    answer: Callable[..., Any], target: str, error: str
) -> None:
    """A list with one word in it."""
    assert answer("kraken", PUBLIC + target) == {"error": [error]}


def test_assets_pairs_and_status_are_told(
    answer: Callable[..., Any], reply: Callable[..., Reply]
) -> None:
    """What clients load first."""
    assert answer("kraken", f"{PUBLIC}/Assets")["result"]["XXBT"]["altname"] == "XBT"
    assert answer("kraken", f"{PUBLIC}/AssetPairs")["result"]["XETHZUSD"]["wsname"] == "ETH/USD"
    assert answer("kraken", f"{PUBLIC}/SystemStatus")["result"]["status"] == "online"
    assert answer("kraken", f"{PUBLIC}/Time")["result"]["unixtime"] == 1_795_232_239
    assert reply("kraken", f"{PUBLIC}/AssetPairs?pair=NOPE").status == 200
