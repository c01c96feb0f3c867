"""Lists through the proxy are the provider's own, byte for byte, for every shipped batch."""

import asyncio
import json
import os
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from proxy.app import DEMONSTRATION, serving
from proxy.config.loading import load
from proxy.sandbox import Sandbox
from proxy.workers import Worker
from tests.values import replace

ROOT = Path(__file__).parents[2]
LISTS = 1000 if os.environ.get("QUOTA_PROXY_LONG") else 60
FROZEN = 1_795_000_000.0
KEYS = {"COINGECKO_API_KEY": "k", "COINMARKETCAP_API_KEY": "k", "CRYPTOPANIC_API_KEY": "k"}


@dataclass
class Shop:
    """A proxy without limits before a market that stands still."""

    proxy: str
    sandbox: Sandbox
    session: aiohttp.ClientSession

    async def through(self, provider: str, target: str) -> bytes:
        return await self.get(f"{self.proxy}/{provider}{target}")

    async def directly(self, provider: str, target: str) -> bytes:
        return await self.get(self.sandbox.base_url(provider) + target)

    async def get(self, url: str) -> bytes:
        status, body = await self.said(url)
        assert status == 200, body
        return body

    async def said(self, url: str) -> tuple[int, bytes]:
        headers = {"X-CMC_PRO_API_KEY": "k"} if "coinmarketcap" in url else {}
        async with self.session.get(URL(url, encoded=True), headers=headers) as response:
            return response.status, await response.read()


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    async with Sandbox(frozen_at=FROZEN) as sandbox, aiohttp.ClientSession() as session:
        for name in sandbox.services:
            sandbox.set_limits(name, [])
        environ = {**os.environ, **DEMONSTRATION, **KEYS, **sandbox.environment()}
        settings = load(ROOT / "config" / "proxy.yaml", environ)
        free = tuple(replace(upstream, limits=()) for upstream in settings.upstreams)
        async with serving(replace(settings, upstreams=free), Worker()) as addresses:
            yield Shop(f"http://{addresses['traffic']}", sandbox, session)


def same(one: bytes, other: bytes) -> bool:
    return one == other


def same_members(one: bytes, other: bytes) -> bool:
    """Compare arrays whose order the provider does not define, element by element."""
    return sorted(map(str, json.loads(one, parse_float=str))) == sorted(
        map(str, json.loads(other, parse_float=str))
    )


def same_data(one: bytes, other: bytes) -> bool:
    """Compare what stands beside a status block, which tells of the call."""
    cut = [text[text.index(b'"data":') :].rsplit(b',"status"', 1)[0].rstrip(b"}")
           for text in (one, other)]  # fmt: skip
    return cut[0] == cut[1]


def comma(values: list[str]) -> str:
    return ",".join(values)


def array(values: list[str]) -> str:
    return json.dumps(values, separators=(",", ":")).replace('"', "%22")


CASES = [
    ("coingecko", "/api/v3/simple/price?vs_currencies=usd,eur&ids=", "coins", comma, same),
    ("coingecko", "/api/v3/coins/markets?vs_currency=usd&ids=", "coins", comma, same),
    ("coingecko", "/api/v3/simple/token_price/ethereum?vs_currencies=usd&contract_addresses=",
     "tokens", comma, same),
    ("binance", "/api/v3/ticker/price?symbols=", "symbols", array, same_members),
    ("binance", "/api/v3/ticker/bookTicker?symbols=", "symbols", array, same_members),
    ("binance", "/api/v3/ticker/24hr?symbols=", "symbols", array, same_members),
    ("dexscreener", "/tokens/v1/ethereum/", "tokens", comma, same_members),
    ("coinmarketcap", "/v2/cryptocurrency/quotes/latest?id=", "numbers", comma, same_data),
    ("coinmarketcap", "/v3/cryptocurrency/quotes/latest?id=", "numbers", comma, same_data),
]  # fmt: skip


async def catalogue(shop: Shop, kind: str) -> list[str]:
    """Return names that the provider knows."""
    market = shop.sandbox.market
    match kind:
        case "coins":
            return [asset.id for asset in market.assets[:60]]
        case "numbers":
            return [str(asset.number) for asset in market.assets[:60]]
        case "symbols":
            found = json.loads(await shop.directly("binance", "/api/v3/ticker/price"))
            return [row["symbol"] for row in found[:60]]
        case _:
            return [asset.ethereum for asset in market.assets[:60]]


@pytest.mark.parametrize(("provider", "target", "kind", "write", "equal"), CASES)
async def test_composed_replies_are_the_providers_own(
    shop: Shop,
    provider: str,
    target: str,
    kind: str,
    write: Callable[[list[str]], str],
    equal: Callable[[bytes, bytes], bool],
) -> None:
    """Random lists, from members that are stored and members that are not."""
    chosen = random.Random(f"{provider}{target}")
    names = await catalogue(shop, kind)
    for _ in range(LISTS):
        asked = chosen.sample(names, chosen.randint(1, min(20, len(names))))
        through, directly = await asyncio.gather(
            shop.through(provider, target + write(asked)),
            shop.directly(provider, target + write(asked)),
        )

        assert equal(through, directly), (asked, through[:300], directly[:300])


async def test_a_thousand_lists_cost_a_handful_of_calls(shop: Shop) -> None:
    """However lists overlap, each member is asked for once while it is fresh."""
    names = await catalogue(shop, "coins")
    chosen = random.Random(1)
    shop.sandbox.reset("coingecko")
    lists = [chosen.sample(names, 5) for _ in range(100)]
    await asyncio.gather(
        *(
            shop.through("coingecko", f"/api/v3/simple/price?vs_currencies=usd&ids={comma(asked)}")
            for asked in lists
        )
    )

    assert shop.sandbox.counts("coingecko").requests <= 3


@pytest.mark.parametrize(
    ("provider", "path"), [("binance", "/api/v3"), ("binance-futures", "/fapi/v1")]
)
async def test_candles_are_the_providers_own(shop: Shop, provider: str, path: str) -> None:
    """Whatever the limit and the start: cut from longer answers, or fetched as they are."""
    chosen = random.Random(provider)
    shop.sandbox.reset(provider)
    seconds = {"1m": 60, "1h": 3600, "4h": 14_400, "1d": 86_400}
    for _ in range(LISTS):
        interval = chosen.choice(tuple(seconds))
        target = f"{path}/klines?symbol={chosen.choice(('BTCUSDT', 'ETHUSDT'))}&interval={interval}"
        limit = chosen.choice((0, 1, 2, 50, 99, 100, 499, 500, 600))
        target += f"&limit={limit}" if limit else ""
        if chosen.random() < 0.5:
            back = chosen.randrange(1, 700) * seconds[interval] * 1000 + chosen.randrange(1000)
            target += f"&startTime={int(FROZEN * 1000) - back}"
        through, directly = await asyncio.gather(
            shop.through(provider, target), shop.directly(provider, target)
        )

        assert through == directly, target
    counts = shop.sandbox.counts(provider)

    assert counts.requests - LISTS < 0.8 * LISTS


ODD = [
    ("coingecko", f"/api/v3/simple/price?vs_currencies=usd&ids={ids}")
    for ids in (
        "bitcoin%2Cethereum", "ethereum,bitcoin,bitcoin", "Bitcoin,ethereum",
        "Zcash,BITCOIN,bitcoin",
        "bitcoin,%C3%A9", "bitcoin,é", "%C3%A9", "é", "bitcoin,%FF", "bitcoin,,ethereum", ",",
        "bitcoin%20,ethereum", "bitcoin%252Cethereum", "bitcoin,%22ethereum%22",
    )
] + [
    ("binance", f"/api/v3/ticker/price?symbols={symbols}")
    for symbols in (
        "%5B%22BTCUSDT%22%2C%22ETHUSDT%22%5D", '["BTCUSDT","\\u0045THUSDT"]', '["BTCUSDT","é"]',
        "%5B%22BTCUSDT%22,%22%C3%A9%22%5D", '["BTC,USDT"]', '["BTCUSDT,ETHUSDT"]', '["btcusdt"]',
        '["BTCUSDT","ethusdt"]', "[]", "BTCUSDT,ETHUSDT", '["BTCUSDT","BTCUSDT"]',
        '["ETHUSDT","BTCUSDT","ETHUSDT"]', '["BTCUSDT","\\u0042TCUSDT"]',
    )
]  # fmt: skip


GOOD = {
    "coingecko": "/api/v3/simple/price?vs_currencies=usd&ids=bitcoin,solana",
    "binance": "/api/v3/ticker/price?symbols=%5B%22BTCUSDT%22,%22SOLUSDT%22%5D",
}


@pytest.mark.parametrize(("provider", "target"), ODD)
async def test_odd_lists_are_answered_as_the_provider_does(
    shop: Shop, provider: str, target: str
) -> None:
    """Commas, other alphabets, other spellings, raw or encoded: the same status, the same data.

    And again beside others who ask for what is in order, who get their own.
    """
    good = GOOD[provider]
    expected = [await shop.said(shop.sandbox.base_url(provider) + each) for each in (target, good)]
    got = await asyncio.gather(
        *(shop.said(f"{shop.proxy}/{provider}{each}") for each in (target, good))
    )

    assert [_in_order(each) for each in expected] == [_in_order(each) for each in got]


def _in_order(said: tuple[int, bytes]) -> tuple[int, object]:
    """Return a status and its data; Binance defines no order of what it lists.

    What is no HTTP (octets beyond ASCII in a target) is refused by each in its own words.
    """
    try:
        told = json.loads(said[1], parse_float=str)
    except ValueError:
        return said[0], None
    if isinstance(told, dict) and str(told.get("type")).endswith(":bad-request"):
        return said[0], None
    return said[0], sorted(map(str, told)) if isinstance(told, list) else told
