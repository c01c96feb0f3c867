"""OKX, simulated."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from proxy.sandbox.limits import Limit, Refused
from proxy.sandbox.provider import Call, Reply
from proxy.sandbox.providers.catalogue import PROVIDERS

V5 = "/api/v5"
BTC = "instId=BTC-USDT"


def test_too_much_is_429_with_its_own_code(call: Callable[..., Call]) -> None:
    """50011."""
    refused = PROVIDERS["okx"].refusal(call("/"), Refused(Limit("twenty", 20, 2.0), 0.5, {}))

    assert refused.status == 429
    assert msgspec.json.decode(refused.body)["code"] == "50011"


@pytest.mark.parametrize(
    ("path", "group"),
    [
        ("/market/ticker", "20 in 2 s"),
        ("/market/tickers", "20 in 2 s"),
        ("/market/books", "40 in 2 s"),
        ("/market/candles", "40 in 2 s"),
        ("/market/trades", "100 in 2 s"),
    ],
)
def test_each_endpoint_has_its_own_limit(path: str, group: str) -> None:
    """20, 40 or 100 in 2 seconds, counted for each endpoint apart."""
    provider = PROVIDERS["okx"]
    route, _ = provider.route("GET", V5 + path) or pytest.fail("no route")
    limit = next(each for each in provider.limits if each.group == group)

    assert route.groups == (group,)
    assert (f"{limit.limit} in {limit.per:g} s", limit.each) == (group, True)


def test_every_figure_is_a_string(answer: Callable[..., Any], shape: Callable[[Any], Any]) -> None:
    """Ticker, candles, books and trades."""
    ticker = answer("okx", f"{V5}/market/ticker?{BTC}")
    candles = answer("okx", f"{V5}/market/candles?{BTC}&bar=1H&limit=3")["data"]
    book = answer("okx", f"{V5}/market/books?{BTC}&sz=2")["data"][0]
    trade = answer("okx", f"{V5}/market/trades?{BTC}&limit=1")["data"][0]

    assert (ticker["code"], ticker["msg"]) == ("0", "")
    assert set(shape(ticker["data"][0]).values()) == {"text", "decimal"}
    assert [shape(member) for member in candles[0]] == ["decimal"] * 9
    assert [row[8] for row in candles] == ["0", "1", "1"]
    assert shape(book) == {"asks": [["decimal"]], "bids": [["decimal"]], "ts": "decimal"}
    assert set(trade) == {"instId", "side", "sz", "px", "tradeId", "ts"}


def test_candles_come_newest_first_and_before_a_moment(answer: Callable[..., Any]) -> None:
    """`after` pages back."""
    target = f"{V5}/market/candles?{BTC}&bar=1H&limit=2"
    newest = answer("okx", target)["data"]
    older = answer("okx", f"{target}&after={newest[-1][0]}")["data"]

    assert int(newest[0][0]) - int(newest[1][0]) == 3_600_000
    assert int(newest[1][0]) - int(older[0][0]) == 3_600_000


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("/market/ticker", "50014"),
        ("/market/ticker?instId=NO-PE", "51001"),
        ("/market/candles?instId=BTC-USDT&bar=7m", "51000"),
        ("/market/tickers?instType=NOPE", "51000"),
        ("/market/books?instId=NO-PE", "51001"),
        ("/market/trades?instId=NO-PE", "51001"),
    ],
)
def test_mistakes_earn_okxs_own_codes(answer: Callable[..., Any], target: str, code: str) -> None:
    """In `code`, with no data."""
    found = answer("okx", V5 + target)

    assert (found["code"], found["data"]) == (code, [])


def test_instruments_are_spot_or_swap(
    answer: Callable[..., Any], reply: Callable[..., Reply]
) -> None:
    """Others there are none."""
    kinds = {kind: answer("okx", f"{V5}/public/instruments?instType={kind}")["data"]
             for kind in ("SPOT", "SWAP", "OPTION")}  # fmt: skip

    assert kinds["SPOT"][0]["instId"] == "BTC-USDT"
    assert kinds["SWAP"][0]["settleCcy"] == "USDT"
    assert kinds["OPTION"] == []
    assert reply("okx", f"{V5}/public/time").status == 200
    assert len(answer("okx", f"{V5}/market/tickers?instType=SWAP")["data"]) == len(kinds["SWAP"])
