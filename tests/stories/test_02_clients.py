"""Real clients work through the proxy with nothing changed but the base URL."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from typing import Any

import ccxt
import pytest
from binance import AsyncClient, Client
from pycoingecko import CoinGeckoAPI

from proxy.sandbox import Sandbox
from tests.stories.stage import Proxy, Stage

SPOT = {"options": {"defaultType": "spot", "fetchMarkets": {"types": ["spot"]}}}


@pytest.fixture
async def proxy(stage: Stage) -> AsyncIterator[Proxy]:
    """An instance with the shipped configuration."""
    return await stage.proxy()


def ccxt_binance(proxy: Proxy, **options: Any) -> ccxt.binance:
    """Return ccxt's Binance as the README points it at the proxy."""
    exchange = ccxt.binance({**SPOT, **options})
    for name in ("public", "private"):
        exchange.urls["api"][name] = f"{proxy.url}/binance/api/v3"
    exchange.urls["api"]["sapi"] = f"{proxy.url}/binance/sapi/v1"
    return exchange


async def twice(sandbox: Sandbox, provider: str, call: Any) -> None:
    """Let a client make the same call twice: it is answered twice, and asked for once."""
    first = await asyncio.to_thread(call)
    asked = sandbox.counts(provider).requests
    second = await asyncio.to_thread(call)

    assert first
    assert first == second
    assert asked >= 1
    assert asked == sandbox.counts(provider).requests


async def test_ccxt(sandbox: Sandbox, proxy: Proxy) -> None:
    """load_markets, fetch_ticker and fetch_ohlcv; the second of each is free."""
    exchange = ccxt_binance(proxy)

    await twice(sandbox, "binance", lambda: exchange.load_markets(reload=True))
    await twice(sandbox, "binance", lambda: exchange.fetch_ticker("BTC/USDT"))
    await twice(sandbox, "binance", lambda: exchange.fetch_ohlcv("BTC/USDT", "1h"))


async def test_a_ccxt_bot_with_a_key_of_its_own_gets_hits_on_public_data(
    sandbox: Sandbox, proxy: Proxy
) -> None:
    """Its key is cut off on public data, so the answer is everybody's; the provider sees no key."""
    with_key = ccxt_binance(proxy, apiKey="k" * 64, secret="s" * 64)
    without = ccxt_binance(proxy)

    await asyncio.to_thread(with_key.fetch_ohlcv, "BTC/USDT", "1h")
    asked = sandbox.counts("binance").requests
    await asyncio.to_thread(without.load_markets)
    markets = sandbox.counts("binance").by_path["/api/v3/exchangeInfo"]
    await asyncio.to_thread(without.fetch_ohlcv, "BTC/USDT", "1h")

    assert asked == sandbox.counts("binance").requests
    assert 1 == markets
    public = [each for each in sandbox.received("binance") if "signature" not in each.target]
    assert not any("k" * 64 in str(each.fields) for each in public)


async def test_python_binance(sandbox: Sandbox, proxy: Proxy, monkeypatch: Any) -> None:
    """The synchronous client; its raw `symbols=["A","B"]` too."""
    monkeypatch.setattr(Client, "API_URL", f"{proxy.url}/binance/api")
    client = await asyncio.to_thread(Client)

    await twice(sandbox, "binance", lambda: client.get_symbol_ticker(symbol="BTCUSDT"))
    await twice(sandbox, "binance", lambda: client.get_klines(symbol="BTCUSDT", interval="1h"))
    await twice(sandbox, "binance", lambda: client.get_ticker(symbols='["BTCUSDT","ETHUSDT"]'))


async def test_python_binance_async(sandbox: Sandbox, proxy: Proxy, monkeypatch: Any) -> None:
    """The asynchronous client."""
    monkeypatch.setattr(AsyncClient, "API_URL", f"{proxy.url}/binance/api")
    client = await AsyncClient.create()
    try:
        first = await client.get_orderbook_ticker(symbol="ETHUSDT")
        klines = await client.get_klines(symbol="ETHUSDT", interval="5m")
        asked = sandbox.counts("binance").by_path["/api/v3/klines"]
        again = await client.get_klines(symbol="ETHUSDT", interval="5m")
    finally:
        await client.close_connection()

    assert "ETHUSDT" == first["symbol"]
    assert klines == again
    assert 1 == asked == sandbox.counts("binance").by_path["/api/v3/klines"]


async def test_pycoingecko(sandbox: Sandbox, proxy: Proxy) -> None:
    """With a key of its own in the query, which goes no further than the proxy."""
    client = CoinGeckoAPI(demo_api_key="CG-bots-own-key")
    client.api_base_url = f"{proxy.url}/coingecko/api/v3/"

    await twice(sandbox, "coingecko", lambda: client.get_price("bitcoin,ethereum", "usd"))
    await twice(sandbox, "coingecko", lambda: client.get_coin_by_id("bitcoin", market_data="false"))

    assert not any("bots-own-key" in each.target for each in sandbox.received("coingecko"))


async def test_curl(sandbox: Sandbox, proxy: Proxy) -> None:
    """`curl -i`, as the README has it; a trailing slash and a doubled one are forgiven."""

    def curl(path: str) -> str:
        command = ["curl", "--silent", "--show-error", "--include", proxy.url + path]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    fresh = await asyncio.to_thread(
        curl, "/coingecko/api/v3/simple/price?ids=bitcoin&vs_currencies=usd"
    )
    hit = await asyncio.to_thread(
        curl, "/coingecko//api/v3/simple/price/?vs_currencies=usd&ids=bitcoin"
    )

    assert "X-Cache: MISS" in fresh
    assert "X-Cache: HIT" in hit
    assert '"bitcoin"' in hit
    assert 1 == sandbox.counts("coingecko").requests
