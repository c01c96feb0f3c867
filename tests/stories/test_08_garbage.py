"""Providers and clients that send garbage. Nothing broken is stored, nothing of it is passed on."""

import asyncio
from typing import Any

from proxy.sandbox import Sandbox
from tests.stories.stage import PATIENCE, Proxy, Stage, shipped

SYMBOLS = ("BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "XRPUSDT", "ADAUSDT", "DOGEUSDT")
PRICE = "/binance/api/v3/ticker/price?symbol=BTCUSDT"


def hasty(upstream: dict[str, Any]) -> None:
    """Give up after four seconds."""
    upstream.update({"deadline": "4s", "timeout": "4s"})


FAULTS = {
    "garbage": 502,
    "half": 502,
    "drop": 502,
    "down": 502,
    "hang": 504,
    "error": 500,
    "unavailable": 503,
}


async def test_a_broken_answer_is_never_stored(sandbox: Sandbox, stage: Stage) -> None:
    """It fails its own request alone; the next one gets a good answer."""
    proxy = await stage.proxy(shipped(stage.folder, {"binance": hasty}))

    for (fault, status), symbol in zip(FAULTS.items(), SYMBOLS, strict=True):
        price = f"/binance/api/v3/ticker/price?symbol={symbol}"
        sandbox.fault("binance", fault)
        broken = await proxy.get(price)
        sandbox.mend("binance")
        whole = await proxy.get(price)

        assert (fault, status) == (fault, broken.status)
        assert (fault, 200, "MISS") == (fault, whole.status, whole.verdict)
        assert symbol == whole.json()["symbol"]


async def test_a_challenge_page_is_no_price(sandbox: Sandbox, stage: Stage) -> None:
    """200 and HTML where JSON is declared: passed on, never stored."""
    proxy = await stage.proxy()
    sandbox.fault("binance", "challenge", times=1)

    page, price = await proxy.get(PRICE), await proxy.get(PRICE)

    assert b"<html>" in page.body
    assert "BTCUSDT" == price.json()["symbol"]


async def said(proxy: Proxy, raw: bytes) -> bytes:
    """Write bytes to the traffic port and return all that comes back until it is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.ports[0])
    writer.write(raw)
    try:
        return await asyncio.wait_for(reader.read(), PATIENCE)
    finally:
        writer.close()


GARBAGE = {
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
    "words": b"hello there\r\n\r\n",
    "out of bounds": b"GET /binance/../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
    "no host": b"GET /binance/api/v3/ping HTTP/1.1\r\n\r\n",
    "length": b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "both": b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
}


async def test_garbage_from_a_client_is_400(sandbox: Sandbox, stage: Stage) -> None:
    """It reaches no provider, and the proxy goes on."""
    proxy = await stage.proxy()

    for name, raw in GARBAGE.items():
        assert (name, b"HTTP/1.1 400 ") == (name, (await said(proxy, raw))[:13])

    assert 200 == (await proxy.get(PRICE)).status
    assert ["/api/v3/ticker/price"] == list(sandbox.counts("binance").by_path)
