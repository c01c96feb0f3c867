"""CoinMarketCap, simulated."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from proxy.sandbox.limits import Limit, Refused
from proxy.sandbox.market import Market
from proxy.sandbox.provider import Call, Reply
from proxy.sandbox.providers import coinmarketcap
from proxy.sandbox.providers.catalogue import PROVIDERS
from tests.values import replace

QUOTES = "cryptocurrency/quotes/latest"
IDS_101 = ",".join(str(30_000 + n) for n in range(41, 142))
CREDITS = [
    (f"/v2/{QUOTES}?id=1", 1),
    (f"/v2/{QUOTES}?id={IDS_101}", 2),
    (f"/v2/{QUOTES}?id=1&convert=USD,EUR,BTC", 3),
    (f"/v3/{QUOTES}?id=1,1027", 1),
    ("/v1/cryptocurrency/listings/latest?limit=200", 1),
    ("/v1/cryptocurrency/listings/latest?limit=201", 2),
    ("/v1/simple/price?id=1", 1),
    ("/v2/cryptocurrency/info?id=1,1027", 1),
    ("/v1/global-metrics/quotes/latest", 1),
    ("/v3/fear-and-greed/latest", 1),
    ("/v1/fiat/map", 1),
    ("/v1/exchange/map", 1),
    ("/v1/cryptocurrency/map", 1),
    ("/v1/key/info", 0),
    (f"/v2/{QUOTES}?id=999999999", 0),
]


@pytest.mark.parametrize(("target", "spent"), CREDITS)
def test_the_cost_stands_in_the_body_and_is_what_is_charged(
    reply: Callable[..., Reply], target: str, spent: int
) -> None:
    """`credit_count`, by the documented table; errors and the key's own endpoint are free."""
    found = reply("coinmarketcap", target)

    assert msgspec.json.decode(found.body)["status"]["credit_count"] == spent
    assert found.cost == spent


def test_v2_is_an_object_by_id_and_v3_an_array(answer: Callable[..., Any]) -> None:
    """In the order asked for; v1 by symbol is keyed by symbol, v2 a list for each."""
    assert list(answer("coinmarketcap", f"/v2/{QUOTES}?id=1027,1")["data"]) == ["1027", "1"]
    v3 = answer("coinmarketcap", f"/v3/{QUOTES}?id=1027,1&convert=EUR")["data"]
    assert [(each["id"], each["quote"][0]["symbol"]) for each in v3] == [(1027, "EUR"), (1, "EUR")]
    assert answer("coinmarketcap", f"/v1/{QUOTES}?symbol=btc")["data"]["BTC"]["id"] == 1
    assert answer("coinmarketcap", f"/v2/{QUOTES}?symbol=btc")["data"]["BTC"][0]["id"] == 1
    assert list(answer("coinmarketcap", f"/v2/{QUOTES}?slug=bitcoin")["data"]) == ["1"]


def test_one_bad_id_fails_the_call_unless_it_is_to_be_skipped(
    reply: Callable[..., Reply], answer: Callable[..., Any]
) -> None:
    """400, or the others alone."""
    bad = f"/v2/{QUOTES}?id=1,999999999"

    assert reply("coinmarketcap", bad).status == 400
    assert list(answer("coinmarketcap", f"{bad}&skip_invalid=true")["data"]) == ["1"]
    assert reply("coinmarketcap", f"/v2/{QUOTES}").status == 400


def test_rows_have_the_documented_shape(
    answer: Callable[..., Any], shape: Callable[[Any], Any]
) -> None:
    """Names are text, figures numbers."""
    found = answer("coinmarketcap", "/v1/cryptocurrency/listings/latest?limit=2&start=2")
    row = found["data"][0]

    assert [each["cmc_rank"] for each in found["data"]] == [2, 3]
    assert found["status"]["total_count"] == 300
    assert shape(row["quote"]["USD"])["percent_change_90d"] == "number"
    assert {"id", "name", "symbol", "slug", "circulating_supply", "last_updated"} <= set(row)


def test_no_key_no_data(reply: Callable[..., Reply], call: Callable[..., Call]) -> None:
    """401 with code 1002; the key may stand in the query."""
    found = reply("coinmarketcap", "/v1/key/info", fields=())

    assert found.status == 401
    assert msgspec.json.decode(found.body)["status"]["error_code"] == 1002
    assert coinmarketcap.key(call("/?CMC_PRO_API_KEY=k", fields=())) == "k"


@pytest.mark.parametrize(("limit", "code"), [("minute", 1008), ("day", 1009), ("month", 1010)])
def test_each_limit_has_its_own_code(call: Callable[..., Call], limit: str, code: int) -> None:
    """429; only the minute says when to come back."""
    found = PROVIDERS["coinmarketcap"].refusal(call("/"), Refused(Limit(limit, 1, 60.0), 5.0, {}))

    assert found.status == 429
    assert msgspec.json.decode(found.body)["status"]["error_code"] == code
    assert bool(found.fields) == (limit == "minute")


def test_the_key_tells_its_usage(call: Callable[..., Call], market: Market) -> None:
    """By what was counted before this call."""
    asked = replace(call("/v1/key/info"), standing=lambda: {"month": 7, "minute": 2})
    route, _ = PROVIDERS["coinmarketcap"].route("GET", "/v1/key/info") or pytest.fail("no route")
    usage = msgspec.json.decode(route.answer(asked, market).body)["data"]["usage"]

    assert usage["current_month"] == {"credits_used": 7, "credits_left": 9993}
    assert usage["current_minute"]["requests_made"] == 2
