"""OKX's further public endpoints, simulated."""

from collections.abc import Callable
from typing import Any

import pytest

V5 = "/api/v5"
SWAP = "instId=BTC-USDT-SWAP"
MEMBERS = [
    ("/market/index-tickers?instId=BTC-USDT", {"instId", "idxPx", "high24h", "low24h", "ts"}),
    ("/market/platform-24-volume", {"volUsd", "volCny", "ts"}),
    (f"/public/mark-price?{SWAP}", {"instType", "instId", "markPx", "ts"}),
    (f"/public/price-limit?{SWAP}", {"instId", "buyLmt", "sellLmt", "enabled"}),
    (f"/public/open-interest?{SWAP}", {"instId", "oi", "oiCcy", "ts"}),
    (f"/public/funding-rate?{SWAP}", {"instId", "fundingRate", "fundingTime", "nextFundingTime"}),
    (f"/public/funding-rate-history?{SWAP}", {"instId", "fundingRate", "realizedRate"}),
    ("/public/position-tiers?instId=BTC-USDT", {"tier", "maxLever", "imr", "mmr"}),
    ("/public/interest-rate-loan-quota", {"basic", "vip", "regular"}),
]


@pytest.mark.parametrize(("path", "names"), MEMBERS)
def test_answers_have_the_documented_members(
    answer: Callable[..., Any], path: str, names: set[str]
) -> None:
    """In the first element of `data`."""
    found = answer("okx", V5 + path)

    assert found["code"] == "0"
    assert names <= set(found["data"][0])


def test_an_index_is_made_of_its_components(answer: Callable[..., Any]) -> None:
    """`data` is an object here."""
    found = answer("okx", f"{V5}/market/index-components?index=BTC-USDT")["data"]

    assert found["last"] == found["components"][0]["symPx"]
    assert answer("okx", f"{V5}/market/index-components")["code"] == "51000"


def test_candles_of_an_index_have_no_volume(answer: Callable[..., Any]) -> None:
    """Six members instead of nine."""
    for path in ("index-candles", "mark-price-candles"):
        rows = answer("okx", f"{V5}/market/{path}?instId=BTC-USDT&limit=2")["data"]
        assert [len(row) for row in rows] == [6, 6]


def test_funding_comes_every_eight_hours(answer: Callable[..., Any]) -> None:
    """Past rates newest first; without an instrument there is none."""
    rows = answer("okx", f"{V5}/public/funding-rate-history?{SWAP}&limit=3")["data"]
    times = [int(row["fundingTime"]) for row in rows]

    assert [times[0] - times[1], times[1] - times[2]] == [28_800_000] * 2
    for path in ("funding-rate", "funding-rate-history"):
        assert answer("okx", f"{V5}/public/{path}")["code"] == "51001"


def test_lists_and_status_are_there(answer: Callable[..., Any]) -> None:
    """Underlyings, all swaps, and no maintenance."""
    assert answer("okx", f"{V5}/public/underlying")["data"][0][0] == "BTC-USDT"
    assert len(answer("okx", f"{V5}/public/mark-price")["data"]) == 99
    assert answer("okx", f"{V5}/system/status")["data"] == []
    for path in ("market/index-tickers", "public/price-limit"):
        assert answer("okx", f"{V5}/{path}")["code"] == "50014"


def test_private_endpoints_want_key_and_signature(answer: Callable[..., Any]) -> None:
    """Any will do."""
    signed = (("OK-ACCESS-KEY", "k"), ("OK-ACCESS-SIGN", "s"))

    assert answer("okx", f"{V5}/trade/order", method="POST", fields=signed)["code"] == "0"
    assert answer("okx", f"{V5}/account/balance")["code"] == "50103"
