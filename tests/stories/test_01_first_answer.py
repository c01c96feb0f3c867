"""The simplest story: a bot asks twice, the provider is asked once."""

import re

from proxy.sandbox import Sandbox
from tests.stories.stage import Stage

PRICE = "/binance/api/v3/ticker/price?symbol=BTCUSDT"


async def test_the_second_identical_request_costs_the_provider_nothing(
    sandbox: Sandbox, stage: Stage
) -> None:
    """The first is a MISS and one call, the second a HIT and none; both bodies are the same."""
    proxy = await stage.proxy()

    first, second = await proxy.get(PRICE), await proxy.get(PRICE)

    assert (200, "MISS") == (first.status, first.verdict)
    assert (200, "HIT") == (second.status, second.verdict)
    assert first.body == second.body
    assert 1 == sandbox.counts("binance").requests


async def test_an_answer_says_how_old_it_is_and_why_it_was_given(stage: Stage) -> None:
    """Age, Cache-Status and the quota's state stand on what comes from the cache."""
    proxy = await stage.proxy()
    await proxy.get(PRICE)

    hit = await proxy.get(PRICE)

    assert hit.headers["Age"].isdigit()
    assert re.match(r"quota-proxy; ?hit", hit.headers["Cache-Status"])
    assert "weight" in hit.headers["RateLimit"]
    assert "weight" in hit.headers["RateLimit-Policy"]


async def test_the_order_of_parameters_and_their_encoding_do_not_matter(
    sandbox: Sandbox, stage: Stage
) -> None:
    """Four encodings of one list, and two orders of two parameters, are one entry each."""
    proxy = await stage.proxy()
    lists = ('["BTCUSDT","ETHUSDT"]', "%5B%22BTCUSDT%22,%22ETHUSDT%22%5D",
             "%5B%22BTCUSDT%22%2C%22ETHUSDT%22%5D", "[%22BTCUSDT%22,%22ETHUSDT%22]")  # fmt: skip
    queries = ("symbol=BTCUSDT&interval=1h", "interval=1h&symbol=BTCUSDT")

    for value in lists:
        assert 200 == (await proxy.get(f"/binance/api/v3/ticker/price?symbols={value}")).status
    for query in queries:
        assert 200 == (await proxy.get(f"/binance/api/v3/klines?{query}")).status

    assert {"/api/v3/ticker/price": 1, "/api/v3/klines": 1} == dict(
        sandbox.counts("binance").by_path
    )


async def test_no_such_upstream_lists_those_there_are(stage: Stage) -> None:
    """404 is problem+json and names the upstreams."""
    proxy = await stage.proxy()

    lost = await proxy.get("/nobody/x")

    assert 404 == lost.status
    assert "application/problem+json" == lost.headers["Content-Type"]
    assert "binance" in lost.json()["upstreams"]


async def test_the_account_of_the_proxy_is_the_providers_account(
    sandbox: Sandbox, stage: Stage
) -> None:
    """What stats and quota say was spent is what the provider counted."""
    proxy = await stage.proxy()
    for coin in ("bitcoin", "ethereum", "bitcoin"):
        await proxy.get(f"/coingecko/api/v3/simple/price?ids={coin}&vs_currencies=usd")

    stats = await proxy.stats()
    minute = await proxy.quota("coingecko", "minute")

    assert sandbox.counts("coingecko").requests == stats["upstream_calls"]
    assert (3, 1) == (stats["requests"], stats["calls_saved"])
    assert {"HIT": 1, "MISS": 2}.items() <= stats["verdicts"].items()
    assert sandbox.counts("coingecko").spent == minute["used"]
