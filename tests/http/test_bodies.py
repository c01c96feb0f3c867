"""Requests' bodies."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from proxy.answer import Answer
from proxy.core.model import Request
from proxy.http.front import Bounds
from proxy.http.patience import Patience
from tests.http.conftest import Raw, Standing, standing, until, whole

POST = b"POST /x HTTP/1.1\r\nHost: P\r\n%b\r\n"


async def echo(request: Request, body: AsyncIterator[bytes] | None) -> Answer:
    assert body is not None
    return whole(b"".join([chunk async for chunk in body]))


@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: 5\r\n\r\nhello",
        b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    ],
)
async def test_a_body_arrives_whole(house: Standing, rest: bytes) -> None:
    """However it is framed; the next request begins where it ended."""
    house.flow.answer = echo
    async with house.raw() as client:
        for _ in range(2):
            heard = await client.ask(b"POST /x HTTP/1.1\r\nHost: P\r\n" + rest)
            assert heard.body == b"hello"
    assert [asked.has_body for asked in house.flow.asked] == [True, True]


async def test_a_coded_body_is_left_as_it_is(house: Standing) -> None:
    """A signature may have been counted over the coded bytes."""
    house.flow.answer = echo
    async with house.raw() as client:
        data = b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b??"
        assert (await client.ask(b"POST /x HTTP/1.1\r\nHost: P\r\n" + data)).body == b"\x1f\x8b??"


async def test_a_body_without_content_is_none(house: Standing) -> None:
    """`Content-Length: 0` is no body to read."""
    async with house.raw() as client:
        await client.ask(POST % b"Content-Length: 0\r\n")
    assert not house.flow.asked[0].has_body


async def continues(client: Raw) -> bytes:
    return await client.reader.readuntil(b"\r\n\r\n")


async def test_continue_is_said_when_the_body_is_wanted(house: Standing) -> None:
    """RFC 9110 section 10.1.1."""
    house.flow.answer = echo
    async with house.raw() as client:
        client.writer.write(POST % b"Content-Length: 5\r\nExpect: 100-continue\r\n")
        assert await continues(client) == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert (await client.ask(b"hello")).body == b"hello"


async def test_continue_is_not_said_when_it_is_not() -> None:
    """The answer comes instead, and the connection ends: the body may come or not."""
    async with standing(patience=Patience(lingering=0.05)) as house, house.raw() as client:
        heard = await client.ask(POST % b"Content-Length: 5\r\nExpect: 100-continue\r\n")
        assert heard.status == 200
        assert await client.rest() == b""


async def test_another_expectation_is_not_met(house: Standing) -> None:
    """417; nothing was done."""
    async with house.raw() as client:
        heard = await client.ask(POST % b"Content-Length: 5\r\nExpect: the-moon\r\n" + b"hello")
    assert (heard.status, house.flow.asked) == (417, [])


@pytest.mark.parametrize(
    "data",
    [
        POST % b"Content-Length: 11\r\n",
        POST % b"Transfer-Encoding: chunked\r\n" + b"b\r\n12345678901\r\n0\r\n\r\n",
    ],
)
async def test_a_body_too_large_is_413(data: bytes) -> None:
    """By its length where it has one, else as soon as it is seen to be."""
    patience = Patience(lingering=0.05)
    async with standing(Bounds(max_body=10), patience) as house, house.raw() as client:
        house.flow.answer = echo
        heard = await client.ask(data)
        assert (heard.status, heard.first("connection")) == (413, "close")
        assert b"10 bytes" in heard.body


async def test_a_broken_body_is_the_clients_fault_whatever_came_of_it(house: Standing) -> None:
    """An upstream client that was sending it on reports a failure of its own: 400 wins."""

    async def swallow(request: Request, body: AsyncIterator[bytes] | None) -> Answer:
        assert body is not None
        try:
            async for _ in body:
                pass
        except Exception:  # noqa: BLE001 - as an HTTP client does
            return whole(status=502)
        raise AssertionError

    house.flow.answer = swallow
    async with house.raw() as client:
        client.writer.write(POST % b"Transfer-Encoding: chunked\r\n")
        await until(lambda: house.flow.asked)
        heard = await client.ask(b"nonsense\r\n")
    assert heard.status == 400
    assert json.loads(heard.body)["type"].endswith("bad-body")


async def test_a_body_that_does_not_come_is_408() -> None:
    """A client that hangs in the middle of its body is cut off."""
    patience = Patience(body=0.05, lingering=0.05)
    async with standing(patience=patience) as house, house.raw() as client:
        house.flow.answer = echo
        heard = await client.ask(POST % b"Content-Length: 5\r\n" + b"he")
        assert heard.status == 408
        assert await client.rest() == b""


async def test_a_client_that_goes_with_half_a_body_ends_the_reading(house: Standing) -> None:
    """The flow is not left waiting for the rest."""
    ended = asyncio.Event()

    async def read(request: Request, body: AsyncIterator[bytes] | None) -> Answer:
        try:
            return await echo(request, body)
        finally:
            ended.set()

    house.flow.answer = read
    async with house.raw() as client:
        client.writer.write(POST % b"Content-Length: 5\r\n" + b"he")
        await until(lambda: house.flow.asked)
    await asyncio.wait_for(ended.wait(), 60)
