"""Real client libraries straight at the sandbox: it must pass for the providers it simulates."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import ccxt
import ccxt.async_support
import pytest
from binance.async_client import AsyncClient
from binance.client import Client
from binance.exceptions import BinanceAPIException
from pycoingecko import CoinGeckoAPI

from proxy.sandbox import Limit, Sandbox


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """All providers."""
    async with Sandbox() as running:
        yield running


def _pointed(exchange: Any, sandbox: Sandbox) -> Any:
    """Point a ccxt Binance at the sandbox."""
    spot, futures = sandbox.base_url("binance"), sandbox.base_url("binance-futures")
    exchange.urls["api"].update(
        public=f"{spot}/api/v3",
        private=f"{spot}/api/v3",
        sapi=f"{spot}/sapi/v1",
        fapiPublic=f"{futures}/fapi/v1",
        fapiPrivate=f"{futures}/fapi/v1",
        dapiPublic=f"{futures}/dapi/v1",
    )
    return exchange


async def test_ccxt_loads_markets_and_fetches(sandbox: Sandbox) -> None:
    """Spot and swaps, tickers, candles, order books, trades, funding."""

    def trade() -> None:
        exchange = _pointed(ccxt.binance(), sandbox)
        markets = exchange.load_markets()
        assert {"BTC/USDT", "ETH/BTC", "BTC/USDT:USDT", "BTC/USD:BTC"} <= set(markets)
        for symbol in ("BTC/USDT", "BTC/USDT:USDT"):
            assert exchange.fetch_ticker(symbol)["last"] > 0
            candles = exchange.fetch_ohlcv(symbol, "1h", limit=5)
            assert [len(candles), candles[0][0] % 3_600_000] == [5, 0]
        assert exchange.fetch_order_book("BTC/USDT", 5)["bids"]
        assert len(exchange.fetch_trades("BTC/USDT", limit=3)) == 3
        assert len(exchange.fetch_tickers(["BTC/USDT", "ETH/USDT"])) == 2
        assert exchange.fetch_funding_rate("BTC/USDT:USDT")["fundingRate"] > 0
        with pytest.raises(ccxt.BadSymbol):
            exchange.publicGetTickerPrice({"symbol": "NOPE"})

    await asyncio.to_thread(trade)


async def test_ccxt_works_asynchronously_and_with_one_kind_of_market(sandbox: Sandbox) -> None:
    """`fetchMarkets` narrows what is asked for."""
    exchange = _pointed(
        ccxt.async_support.binance({"options": {"fetchMarkets": {"types": ["spot"]}}}), sandbox
    )
    try:
        assert "BTC/USDT" in await exchange.load_markets()
        assert sandbox.counts("binance-futures").requests == 0
    finally:
        await exchange.close()


async def test_ccxt_trades_with_a_key_of_its_own(sandbox: Sandbox) -> None:
    """Balance and orders are signed; each order is counted once."""

    def trade() -> None:
        exchange = _pointed(ccxt.binance({"apiKey": "k", "secret": "s"}), sandbox)
        assert exchange.fetch_balance()["BTC"]["free"] == 1000.0
        assert exchange.create_order("BTC/USDT", "limit", "buy", 0.01, 50_000)["id"]

    await asyncio.to_thread(trade)

    orders = [each for each in sandbox.received("binance") if each.target == "/api/v3/order"]
    assert [order.method for order in orders] == ["POST"]
    assert b"signature=" in orders[0].body
    assert ("X-MBX-APIKEY", "k") in orders[0].fields


async def test_ccxt_understands_each_refusal(sandbox: Sandbox) -> None:
    """429 and a ban on Binance, an error in a 200 on Kraken, 50011 on OKX."""
    exchange = _pointed(ccxt.binance({"options": {"maxRetriesOnFailure": 0}}), sandbox)
    for provider in ("binance", "kraken", "okx"):
        sandbox.set_limits(provider, [Limit("none", 0, 60.0)])

    def ask() -> None:
        with pytest.raises(ccxt.DDoSProtection):  # ccxt's word for Binance's and Kraken's
            exchange.publicGetPing()
        kraken = ccxt.kraken()
        kraken.urls["api"]["public"] = sandbox.base_url("kraken")
        with pytest.raises(ccxt.DDoSProtection):
            kraken.publicGetTime()
        okx = ccxt.okx()
        okx.urls["api"]["rest"] = sandbox.base_url("okx")
        with pytest.raises(ccxt.RateLimitExceeded):
            okx.publicGetPublicTime()

    await asyncio.to_thread(ask)


@pytest.mark.parametrize(("name", "symbol"), [("kraken", "BTC/USD"), ("okx", "BTC/USDT")])
async def test_ccxt_works_on_the_further_presets(sandbox: Sandbox, name: str, symbol: str) -> None:
    """Markets, ticker, candles, order book."""
    sandbox.set_limits(name, [Limit("many", 100, 1.0)])

    def trade() -> None:
        exchange = getattr(ccxt, name)({"enableRateLimit": False})
        exchange.urls["api"]["public" if name == "kraken" else "rest"] = sandbox.base_url(name)
        exchange.options["fetchMarkets"] = {"types": ["spot", "swap"]}
        assert symbol in exchange.load_markets()
        assert exchange.fetch_ticker(symbol)["last"] > 0
        assert len(exchange.fetch_ohlcv(symbol, "1h", limit=3)) == 3
        assert exchange.fetch_order_book(symbol)["asks"]

    await asyncio.to_thread(trade)


async def test_python_binance_works(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """With raw `symbols=["A","B"]` in the query; errors carry their code."""
    monkeypatch.setattr(Client, "API_URL", f"{sandbox.base_url('binance')}/api")

    def trade() -> None:
        client = Client()
        assert float(client.get_symbol_ticker(symbol="BTCUSDT")["price"]) > 0
        assert len(client.get_ticker(symbols='["BTCUSDT","ETHUSDT"]')) == 2
        assert len(client.get_klines(symbol="BTCUSDT", interval="1h", limit=4)) == 4
        assert client.get_symbol_info("ETHBTC")["baseAsset"] == "ETH"
        with pytest.raises(BinanceAPIException) as raised:
            client.get_symbol_ticker(symbol="NOPE")
        assert raised.value.code == -1121

    await asyncio.to_thread(trade)


async def test_python_binance_works_asynchronously(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same API over aiohttp."""
    monkeypatch.setattr(AsyncClient, "API_URL", f"{sandbox.base_url('binance')}/api")
    client = await AsyncClient.create()
    try:
        assert len(await client.get_all_tickers()) > 300
    finally:
        await client.close_connection()


async def test_pycoingecko_works(sandbox: Sandbox) -> None:
    """Prices, coins, markets, charts, with the key in the query."""

    def ask() -> None:
        client = CoinGeckoAPI(demo_api_key="k")
        client.api_base_url = f"{sandbox.base_url('coingecko')}/api/v3/"
        prices = client.get_price(ids=["bitcoin", "ethereum"], vs_currencies=["usd", "eur"])
        assert set(prices) == {"bitcoin", "ethereum"}
        assert client.get_coin_by_id("bitcoin")["market_data"]["current_price"]["usd"] > 0
        assert len(client.get_coins_markets("usd", per_page=7)) == 7
        assert client.get_coin_market_chart_by_id("bitcoin", "usd", 1)["prices"]
        assert client.get_global()["active_cryptocurrencies"] == 300
        sandbox.set_limits("coingecko", [Limit("none", 0, 60.0)])
        with pytest.raises(ValueError, match="exceeded the Rate Limit"):
            client.ping()

    await asyncio.to_thread(ask)
