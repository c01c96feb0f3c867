"""Real clients meet a month used up, a hold and a dead upstream.

Each raises its own rate-limit or network error, from what the proxy answers and before it would
have given up by itself, and none sleeps and asks again.
"""

import asyncio
import os
from collections.abc import Callable
from typing import Any

import ccxt
import pytest
import requests
from binance import Client
from binance.exceptions import BinanceAPIException
from pycoingecko import CoinGeckoAPI

from proxy.config.loading import load
from proxy.sandbox import Limit, Sandbox
from tests.berths import free_ports
from tests.stories.stage import PATIENCE, ROOT, Proxy, Stage, shipped

Attempt = Callable[[], Any]


async def raised(proxy: Proxy, attempt: Attempt) -> Exception:
    """Return what a client raises, and see that it asked once and was answered."""
    before = await proxy.stats()
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which one is told by the caller
        await asyncio.to_thread(attempt)
    assert before["requests"] + 1 == (await proxy.stats())["requests"]
    return caught.value


def months(calls: int) -> Callable[[dict[str, Any]], None]:
    """Leave a month of so many tokens, and no other limit."""

    def change(upstream: dict[str, Any]) -> None:
        for name in ("plans", "plan", "usage"):
            upstream.pop(name, None)
        upstream["limits"] = {"month": {"limit": calls, "per": "month"}}

    return change


def ccxt_fetch(proxy: Proxy, **options: Any) -> Attempt:
    exchange = ccxt.binance({"options": {"fetchMarkets": {"types": ["spot"]}}, **options})
    exchange.urls["api"]["public"] = f"{proxy.url}/binance/api/v3"
    return lambda: exchange.public_get_ticker_price({"symbol": "ETHUSDT"})


def python_binance_fetch(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> Attempt:
    monkeypatch.setattr(Client, "API_URL", f"{proxy.url}/binance/api")
    client = Client(ping=False)
    return lambda: client.get_symbol_ticker(symbol="SOLUSDT")


def pycoingecko_fetch(proxy: Proxy) -> Attempt:
    client = CoinGeckoAPI()
    client.api_base_url = f"{proxy.url}/coingecko/api/v3/"
    return lambda: client.get_price("ethereum", "usd")


async def test_a_month_used_up(
    sandbox: Sandbox, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """429 at once: nobody waits for next month, and the provider is not asked."""
    config = shipped(stage.folder, {"binance": months(50), "coingecko": months(4)})
    proxy = await stage.proxy(config)
    for symbol in ("BTCUSDT", "BNBUSDT"):  # 25 each
        await proxy.get(f"/binance/api/v3/trades?symbol={symbol}")
    for number in range(4):
        await proxy.get(f"/coingecko/api/v3/coins/list?include_platform={number}")
    asked = sandbox.counts("binance").requests, sandbox.counts("coingecko").requests

    by_ccxt = await raised(proxy, ccxt_fetch(proxy))
    by_binance = await raised(proxy, python_binance_fetch(proxy, monkeypatch))
    by_coingecko = await raised(proxy, pycoingecko_fetch(proxy))

    assert isinstance(by_ccxt, ccxt.RateLimitExceeded | ccxt.DDoSProtection)
    assert isinstance(by_binance, BinanceAPIException)
    assert (429, -1003) == (by_binance.status_code, by_binance.code)
    assert isinstance(by_coingecko, ValueError | requests.HTTPError)
    assert "429" in str(by_coingecko)
    assert asked == (sandbox.counts("binance").requests, sandbox.counts("coingecko").requests)


async def test_a_hold(sandbox: Sandbox, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the provider's own 429 it is left alone; Retry-After is never above a minute."""
    sandbox.set_limits("binance", [Limit("weight", 1, 600.0)])
    sandbox.set_limits("coingecko", [Limit("minute", 1, 600.0, counts="requests")])
    proxy = await stage.proxy()
    for path in (
        "/binance/api/v3/klines?symbol=BTCUSDT&interval=1h",
        "/coingecko/api/v3/coins/list",
    ):
        await proxy.get(path)
        await proxy.get(f"{path}&limit=7" if "?" in path else f"{path}?include_platform=true")
    asked = sandbox.counts("binance").requests, sandbox.counts("coingecko").requests

    by_ccxt = await raised(proxy, ccxt_fetch(proxy))
    by_binance = await raised(proxy, python_binance_fetch(proxy, monkeypatch))
    by_coingecko = await raised(proxy, pycoingecko_fetch(proxy))
    refused = await proxy.get("/binance/api/v3/ticker/price?symbol=BNBUSDT")

    assert isinstance(by_ccxt, ccxt.RateLimitExceeded | ccxt.DDoSProtection)
    assert isinstance(by_binance, BinanceAPIException)
    assert isinstance(by_coingecko, ValueError | requests.HTTPError)
    assert 429 == refused.status
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert asked == (sandbox.counts("binance").requests, sandbox.counts("coingecko").requests)


async def test_a_dead_upstream(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens there: a network error, not an error of the bot's own making."""
    nowhere = f"http://127.0.0.1:{free_ports(1)[0]}"
    proxy = await stage.proxy(BINANCE_BASE_URL=nowhere, COINGECKO_BASE_URL=nowhere)

    by_ccxt = await raised(proxy, ccxt_fetch(proxy))
    by_binance = await raised(proxy, python_binance_fetch(proxy, monkeypatch))
    by_coingecko = await raised(proxy, pycoingecko_fetch(proxy))

    assert isinstance(by_ccxt, ccxt.NetworkError)
    assert "502" in str(by_ccxt)
    assert isinstance(by_binance, BinanceAPIException)
    assert (502, -1007) == (by_binance.status_code, by_binance.code)
    assert isinstance(by_coingecko, ValueError | requests.RequestException)


async def test_a_silent_upstream(sandbox: Sandbox, stage: Stage) -> None:
    """It takes the request and never answers: 504 before the client gives up by itself.

    A client with more patience hears it, and ccxt's own is longer than the shipped deadline.
    """
    sandbox.fault("binance", "hang")
    proxy = await stage.proxy()

    by_ccxt = await raised(proxy, ccxt_fetch(proxy, timeout=PATIENCE * 1000))

    assert isinstance(by_ccxt, ccxt.NetworkError)
    assert "504" in str(by_ccxt)
    shipped_upstreams = load(ROOT / "config" / "proxy.yaml", dict(os.environ)).upstreams
    assert max(each.deadline for each in shipped_upstreams) < ccxt.binance().timeout / 1000


async def test_with_something_to_fall_back_on_a_bot_notices_nothing(
    sandbox: Sandbox, stage: Stage
) -> None:
    """RESCUED, with its age: the upstream is dead, the answer within `stale_if_error`."""

    def short(upstream: dict[str, Any]) -> None:
        upstream["endpoints"]["ticker_price"].update({"ttl": "1ms", "stale_while_revalidate": 0})

    proxy = await stage.proxy(shipped(stage.folder, {"binance": short}))
    price = "/binance/api/v3/ticker/price?symbol=BTCUSDT"
    fresh = await proxy.get(price)
    sandbox.fault("binance", "down")

    rescued = await proxy.get(price)

    assert (200, "RESCUED") == (rescued.status, rescued.verdict)
    assert fresh.body == rescued.body
    assert "Age" in rescued.headers
