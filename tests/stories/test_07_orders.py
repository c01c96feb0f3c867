"""A signed order goes through untouched, once, at once."""

import asyncio
from typing import Any

import aiohttp
import ccxt
from yarl import URL

from proxy.sandbox import Limit, Sandbox
from proxy.sandbox.counts import Received
from tests.stories.stage import Got, Proxy, Stage, shipped

ORDER = "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=1.0&signature=ab%2Bc&x=%7e"
HEADERS = {"X-MBX-APIKEY": "k" * 64, "Content-Type": "application/x-www-form-urlencoded"}


async def post(proxy: Proxy, path: str, body: str) -> Got:
    """Send an order as a bot does."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(URL(proxy.url + path, encoded=True), data=body, headers=HEADERS) as answer,
    ):
        return Got(answer.status, answer.headers, await answer.read())


def orders(sandbox: Sandbox) -> list[Received]:
    return [each for each in sandbox.received("binance") if each.target.startswith("/api/v3/order")]


async def test_a_ccxt_order_arrives_as_ccxt_wrote_it(sandbox: Sandbox, stage: Stage) -> None:
    """Its body, signature and key are the bot's own, to the byte."""
    proxy = await stage.proxy()
    exchange = ccxt.binance(
        {
            "apiKey": "k" * 64,
            "secret": "s" * 64,
            "options": {"fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False,
                        "fetchMargins": False},
        }
    )  # fmt: skip
    for name in ("public", "private"):
        exchange.urls["api"][name] = f"{proxy.url}/binance/api/v3"

    order = await asyncio.to_thread(
        exchange.create_order, "BTC/USDT", "limit", "buy", 0.5, 10_000.0
    )

    [received] = orders(sandbox)
    assert order["id"]
    assert "POST" == received.method
    assert exchange.last_request_body == received.body.decode()
    assert {"k" * 64} == {
        value for name, value in received.fields if name.upper() == "X-MBX-APIKEY"
    }


async def test_an_order_is_byte_for_byte_and_never_stored(sandbox: Sandbox, stage: Stage) -> None:
    """Two equal orders are two orders; query and body keep their spelling."""
    proxy = await stage.proxy()

    first = await post(proxy, "/binance/api/v3/order?recvWindow=5%30", ORDER)
    second = await post(proxy, "/binance/api/v3/order?recvWindow=5%30", ORDER)

    assert (200, 200) == (first.status, second.status)
    assert ("BYPASS", "BYPASS") == (first.verdict, second.verdict)
    assert ["/api/v3/order?recvWindow=5%30"] * 2 == [each.target for each in orders(sandbox)]
    assert [ORDER.encode()] * 2 == [each.body for each in orders(sandbox)]


async def test_a_lost_answer_is_not_asked_for_again(sandbox: Sandbox, stage: Stage) -> None:
    """The order may have been taken: it says so, and is sent once."""
    sandbox.fault("binance", "drop", path="/api/v3/order")
    proxy = await stage.proxy()

    lost = await post(proxy, "/binance/api/v3/order", ORDER)

    assert 502 == lost.status
    assert {"sent": True, "outcome": "unknown"}.items() <= lost.json().items()
    assert 1 == len(orders(sandbox))


async def test_an_order_waits_for_nobody(sandbox: Sandbox, stage: Stage) -> None:
    """During a hold it is told so at once, and that nothing was sent."""
    sandbox.set_limits("binance", [Limit("weight", 1, 600.0)])
    proxy = await stage.proxy()
    await proxy.get("/binance/api/v3/klines?symbol=BTCUSDT&interval=1h")

    refused = await post(proxy, "/binance/api/v3/order", ORDER)

    assert 429 == refused.status
    assert refused.json()["sent"] is False
    assert [] == orders(sandbox)


async def test_an_order_overtakes_the_reads_that_wait(sandbox: Sandbox, stage: Stage) -> None:
    """The reserve is for orders: it goes while reads are still in the queue."""

    def scarce(upstream: dict[str, Any]) -> None:
        upstream["limits"] = {"weight": {"limit": 40, "per": "1h", "reserve": "10%"}}
        upstream.pop("usage", None)

    proxy = await stage.proxy(shipped(stage.folder, {"binance": scarce}))
    for number in range(9):  # four tokens each
        await proxy.get(f"/binance/api/v3/aggTrades?symbol=BTCUSDT&limit={number + 1}")
    read = await proxy.get("/binance/api/v3/aggTrades?symbol=BTCUSDT")

    order = await post(proxy, "/binance/api/v3/order", ORDER)

    assert 429 == read.status
    assert 200 == order.status
