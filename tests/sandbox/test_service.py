"""HTTP around one simulated provider."""

import asyncio
import gzip

import aiohttp
import pytest

from proxy.sandbox import Latency, Limit, Sandbox
from proxy.sandbox.service import COMPRESSED_FROM

COINGECKO = {"x-cg-demo-api-key": "k"}


async def _raw(sandbox: Sandbox, head: str) -> bytes:
    """Send one request as it is written, and read until the connection closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", sandbox.port)
    writer.write(f"{head}\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    async with asyncio.timeout(60):
        found = await reader.read()
    writer.close()
    return found


async def test_what_was_sent_is_remembered_to_the_byte() -> None:
    """Method, target, fields in their spelling and order, body."""
    async with Sandbox(["binance"]) as sandbox, aiohttp.ClientSession() as session:
        target = "/api/v3/order?symbol=BTCUSDT&signature=%61b"
        url = aiohttp.client.URL(sandbox.base_url("binance") + target, encoded=True)
        await session.post(url, data=b"side=BUY&x=%20+", headers={"X-MBX-ApiKey": "K"})

        (received,) = sandbox.received("binance")
        assert (received.method, received.target) == ("POST", target)
        assert received.body == b"side=BUY&x=%20+"
        assert ("X-MBX-ApiKey", "K") in received.fields
        assert received.status == 200


async def test_raw_quotes_in_a_query_are_understood() -> None:
    """python-binance sends them unencoded."""
    async with Sandbox(["binance"]) as sandbox:
        line = 'GET /binance/api/v3/ticker/price?symbols=["BTCUSDT"] HTTP/1.1'

        assert b'[{"symbol":"BTCUSDT"' in await _raw(sandbox, line)


async def test_a_known_etag_is_answered_with_304_and_counted() -> None:
    """Weak comparison, as CoinGecko's are weak; another body is sent whole."""
    async with Sandbox(["coingecko"]) as sandbox, aiohttp.ClientSession() as session:
        url = f"{sandbox.base_url('coingecko')}/api/v3/ping"
        async with session.get(url, headers=COINGECKO) as response:
            etag = response.headers["ETag"]
        async with session.get(url, headers={**COINGECKO, "If-None-Match": etag}) as response:
            known = response.status, await response.read(), response.headers["ETag"]
        async with session.get(url, headers={**COINGECKO, "If-None-Match": 'W/"0"'}) as response:
            other = response.status

        assert known == (304, b"", etag)
        assert other == 200
        assert sandbox.counts("coingecko").spent == 3


async def test_large_bodies_are_compressed_for_those_who_ask() -> None:
    """With gzip, the same bytes each time; small ones never."""
    async with (
        Sandbox(["binance"], frozen_at=1.7e9) as sandbox,
        aiohttp.ClientSession(auto_decompress=False) as session,
    ):

        async def ask(path: str, coding: str) -> tuple[str | None, bytes]:
            url = f"{sandbox.base_url('binance')}/api/v3/{path}"
            async with session.get(url, headers={"Accept-Encoding": coding}) as response:
                return response.headers.get("Content-Encoding"), await response.read()

        plain, packed = await ask("ticker/price", "identity"), await ask("ticker/price", "gzip, br")
        small = await ask("ping", "gzip")

        assert (plain[0], packed[0], small[0]) == (None, "gzip", None)
        assert gzip.decompress(packed[1]) == plain[1]
        assert len(plain[1]) > COMPRESSED_FROM > len(small[1])


async def test_errors_take_no_credit_where_the_provider_charges_none() -> None:
    """CoinGecko's month counts each 200; its minute counts every request."""
    async with Sandbox(["coingecko"]) as sandbox, aiohttp.ClientSession() as session:
        for path in ("ping", "coins/nosuch"):
            url = f"{sandbox.base_url('coingecko')}/api/v3/{path}"
            async with session.get(url, headers=COINGECKO):
                pass

        assert sandbox.used("coingecko")["month"] == {"k": 1}
        assert sandbox.used("coingecko")["minute"] == {"k": 2}


async def test_an_address_that_goes_on_is_banned_with_everything() -> None:
    """429 five times, then 418 even for what would fit."""
    async with Sandbox(["binance"]) as sandbox, aiohttp.ClientSession() as session:
        sandbox.spend("binance", "weight", 6000)
        statuses = []
        for _ in range(7):
            async with session.get(f"{sandbox.base_url('binance')}/api/v3/ping") as response:
                statuses.append((response.status, "Retry-After" in response.headers))

        assert statuses == [(429, True)] * 5 + [(418, True)] * 2
        assert sandbox.counts("binance").banned == 2


@pytest.mark.parametrize(
    ("kind", "begins", "ends"),
    [
        ("drop", b"", b""),
        ("garbage", b"\x16\x03\x01", b"\xff"),
        ("half", b"HTTP/1.1 200", b""),
        ("down", b"", b""),
    ],
)
async def test_faults_break_the_connection_after_the_count(
    kind: str, begins: bytes, ends: bytes
) -> None:
    """All but `down`, which is never counted; the next request is well again."""
    async with Sandbox(["binance"]) as sandbox:
        sandbox.fault("binance", kind, times=1)
        line = "GET /binance/api/v3/ticker/price HTTP/1.1"
        broken, whole = await _raw(sandbox, line), await _raw(sandbox, line)
        counts = sandbox.counts("binance")

        assert broken.startswith(begins)
        assert broken.endswith(ends)
        assert len(broken) < len(whole)
        assert (counts.requests, counts.turned_away) == ((1, 1) if kind == "down" else (2, 0))
        assert counts.by_status[0] == (kind != "down")


async def test_half_a_body_promises_the_whole() -> None:
    """The length that was said is twice what comes."""
    async with Sandbox(["binance"]) as sandbox:
        sandbox.fault("binance", "half")
        head, _, body = (
            await _raw(sandbox, "GET /binance/api/v3/exchangeInfo?symbol=BTCUSDT HTTP/1.1")
        ).partition(b"\r\n\r\n")

        lengths = [line for line in head.split(b"\r\n") if line.startswith(b"Content-Length")]
        assert int(lengths[0].split(b":")[1]) // 2 == len(body) > 0


@pytest.mark.parametrize(("kind", "status"), [("error", 500), ("unavailable", 503),
                                              ("challenge", 200)])  # fmt: skip
async def test_pages_come_in_place_of_data(kind: str, status: int) -> None:
    """HTML, whatever the status says."""
    async with Sandbox(["okx"]) as sandbox, aiohttp.ClientSession() as session:
        sandbox.fault("okx", kind)
        async with session.get(f"{sandbox.base_url('okx')}/api/v5/public/time") as response:
            found = response.status, response.content_type

        assert found == (status, "text/html")


async def test_a_hanging_answer_ends_with_the_sandbox() -> None:
    """It never comes, it was counted, and it does not hold the end up."""
    async with aiohttp.ClientSession() as session, Sandbox(["okx"]) as sandbox:
        sandbox.fault("okx", "hang")
        asking = asyncio.get_running_loop().create_task(
            session.get(f"{sandbox.base_url('okx')}/api/v5/public/time")
        )
        await sandbox.seen("okx", 1)
        assert not asking.done()
    with pytest.raises(aiohttp.ClientError):
        await asking


async def test_a_request_is_counted_when_it_arrives_whoever_stays_for_the_answer() -> None:
    """Before the latency, after the way; a client that goes has spent all the same."""
    async with Sandbox(["okx"], limits={"okx": [Limit("m", 9, 60.0)]}) as sandbox:
        sandbox.set_latency("okx", Latency(mean=60.0, transit=0.01))
        _, writer = await asyncio.open_connection("127.0.0.1", sandbox.port)
        writer.write(b"GET /okx/api/v5/public/time HTTP/1.1\r\nHost: x\r\n\r\n")
        await writer.drain()
        writer.close()
        async with asyncio.timeout(60):
            await sandbox.seen("okx", 1)

        assert sandbox.used("okx") == {"m": {"127.0.0.1": 1}}
