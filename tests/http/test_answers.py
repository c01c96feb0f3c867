"""Streams, interim answers, and what a client sees of a broken one."""

import asyncio
import gzip
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxy.answer import Answer
from proxy.core.model import Entry, Failure, Lifetimes, Request, Verdict
from proxy.http.answers import SLICE
from proxy.http.fields import cache_status
from proxy.ports import BrokenExchangeError
from tests.http.conftest import MISS, TEXT, KnownHit, Raw, Standing, until, whole
from tests.values import replace

GET = b"GET /x HTTP/1.1\r\nHost: P\r\n%b\r\n"


class Stream:
    """A body in parts that knows what became of it."""

    def __init__(self, *parts: bytes | BaseException) -> None:
        self.parts = parts
        self.given = 0
        self.closed = False

    async def read(self) -> AsyncIterator[bytes]:
        try:
            for part in self.parts:
                if isinstance(part, BaseException):
                    raise part
                await asyncio.sleep(0)
                self.given += 1
                yield part
        finally:
            self.closed = True


def streams(house: Standing, stream: Stream, **more: Any) -> None:
    async def say(request: Request, body: AsyncIterator[bytes] | None) -> Answer:
        return whole(stream.read(), **more)  # type: ignore[arg-type]

    house.flow.answer = say


async def chunks(client: Raw) -> list[bytes]:
    got = []
    while size := int(await client.reader.readuntil(b"\r\n"), 16):
        got.append((await client.reader.readexactly(size + 2))[:-2])
    await client.reader.readexactly(2)
    return got


async def test_a_stream_of_unknown_length_goes_in_chunks(house: Standing) -> None:
    """As it arrives, and with an end that can be told from a break."""
    stream = Stream(b"he", b"", b"llo")
    streams(house, stream)
    async with house.raw() as client:
        heard = await client.ask(GET % b"")
        assert heard.first("transfer-encoding") == "chunked"
        assert await chunks(client) == [b"he", b"llo"]
        house.flow.answer = None
        assert (await client.ask(GET % b"")).body == b"hello"
    assert stream.closed


async def test_a_stream_of_known_length_says_it(house: Standing) -> None:
    """No chunks are needed."""
    streams(house, Stream(b"he", b"llo"), content_length=5)
    async with house.raw() as client:
        heard = await client.ask(GET % b"")
    assert (heard.first("transfer-encoding"), heard.body) == (None, b"hello")


async def test_http_1_0_knows_no_chunks(house: Standing) -> None:
    """A stream of unknown length ends with the connection there."""
    streams(house, Stream(b"he", b"llo"))
    async with house.raw() as client:
        heard = await client.ask(b"GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert (heard.first("connection"), await client.rest()) == ("close", b"hello")


@pytest.mark.parametrize(
    ("parts", "more"),
    [
        ((b"he", BrokenExchangeError(Failure.PROTOCOL)), {}),
        ((BrokenExchangeError(Failure.TIMEOUT),), {}),
        ((b"he", BrokenExchangeError(Failure.PROTOCOL)), {"content_length": 5}),
        ((b"he",), {"content_length": 5}),
        ((b"hello", b"!"), {"content_length": 5}),
        ((b"he", RuntimeError("bug")), {}),
    ],
)
@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
async def test_a_stream_that_breaks_cuts_the_connection(
    house: Standing, parts: tuple[Any, ...], more: dict[str, Any], version: bytes
) -> None:
    """Never an end that looks clean, in whichever framing; and nothing leaks behind it."""
    stream = Stream(*parts)
    streams(house, stream, **more)
    async with house.raw() as client:
        client.writer.write((GET % b"").replace(b"1.1", version))
        if version == b"1.1":
            client.writer.write(GET % b"")
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await client.reader.readexactly(100_000)
        assert len(house.flow.asked) == 1
    assert stream.closed


async def test_head_reads_nothing_of_a_stream(house: Standing) -> None:
    """Its head is sent, and the stream let go."""
    stream = Stream(b"hello")
    streams(house, stream, content_length=5)
    async with house.raw() as client:
        heard = await client.ask((GET % b"").replace(b"GET", b"HEAD"))
        assert heard.first("content-length") == "5"
        house.flow.answer = None
        assert (await client.ask(GET % b"")).body == b"hello"
    assert stream.given == 0


async def test_a_coded_stream_is_unpacked_for_whoever_needs_it(house: Standing) -> None:
    """Some SDKs cannot decode what they did not ask for."""
    packed = gzip.compress(b"hello" * 999)
    coded = (("Content-Encoding", "gzip"), ("ETag", '"1"'))
    async with house.raw() as client:
        streams(house, Stream(packed[:9], packed[9:]), fields=coded, content_length=len(packed))
        heard = await client.ask(GET % b"")
        assert b"".join(await chunks(client)) == b"hello" * 999
        assert (heard.first("etag"), heard.first("content-encoding")) == ('W/"1"', None)
        streams(house, Stream(packed), fields=coded, content_length=len(packed))
        heard = await client.ask(GET % b"Accept-Encoding: gzip\r\n")
        assert (heard.body, heard.first("etag")) == (packed, '"1"')
        streams(house, Stream(packed), fields=coded, content_length=len(packed), no_transform=True)
        assert (await client.ask(GET % b"")).body == packed


async def test_half_a_coded_stream_is_a_broken_one(house: Standing) -> None:
    """What cannot be unpacked to its end has no clean end."""
    packed = gzip.compress(b"hello" * 999)
    streams(house, Stream(packed[:-9]), fields=(("Content-Encoding", "gzip"),))
    async with house.raw() as client:
        await client.ask(GET % b"")
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await chunks(client)


async def test_a_stream_goes_no_faster_than_its_reader(house: Standing) -> None:
    """A client that does not read holds what the sockets hold, and the stream waits."""
    stream = Stream(*[bytes(256 * 1024)] * 400)
    streams(house, stream)
    async with house.raw() as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        client.writer.write(GET % b"")
        await until(lambda: any(each.writing_paused for each in house.front._server.connections))
        given = stream.given
        for _ in range(20):
            await asyncio.sleep(0)
        assert stream.given == given < 100
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        await client.hear()
        assert sum(map(len, await chunks(client))) == 400 * 256 * 1024


async def test_a_client_that_goes_ends_its_stream(house: Standing) -> None:
    """The body is let go, so that nobody waits for its reader."""
    go = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield bytes(10_000)
                await asyncio.sleep(0)
        finally:
            go.set()

    async def say(request: Request, body: AsyncIterator[bytes] | None) -> Answer:
        return whole(endless())  # type: ignore[arg-type]

    house.flow.answer = say
    async with house.raw() as client:
        await client.ask(GET % b"")
    await asyncio.wait_for(go.wait(), 60)


@pytest.mark.parametrize(("version", "relayed"), [(b"1.1", True), (b"1.0", False)])
async def test_interim_answers_are_relayed(
    house: Standing,
    version: bytes,
    relayed: bool,  # noqa: FBT001 - a table's column
) -> None:
    """1xx go before the answer, and never to HTTP/1.0 (RFC 9110 section 15.2)."""

    async def hint(request: Request, body: AsyncIterator[bytes] | None) -> Answer:
        if request.inform is not None:
            await request.inform(103, (("Link", "</a>"), ("Connection", "x")))
        return whole(account=MISS)

    house.flow.answer = hint
    async with house.raw() as client:
        client.writer.write((GET % b"").replace(b"1.1", version))
        if relayed:
            interim = await client.reader.readuntil(b"\r\n\r\n")
            assert interim == b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        assert (await client.hear()).body == b"hello"


@pytest.mark.parametrize("known", [False, True])
async def test_a_large_body_waits_in_slices_for_who_reads_slowly(
    house: Standing,
    known: bool,  # noqa: FBT001 - a case of the table
) -> None:
    """What is written and not read is a copy for each client: it is a slice, not the whole."""
    body = bytes(range(256)) * 64 * 1024
    entry = Entry("k", 200, "OK", TEXT, body, "", 0.0, 0.0, 0.0, Lifetimes(60.0))
    answer = whole(body, entry=entry)

    async def say(request: Request, asked: AsyncIterator[bytes] | None) -> Answer:
        return answer

    house.flow.answer = say
    if known:
        house.flow.hit = lambda _: KnownHit(entry, answer)
    async with house.raw() as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        client.writer.write(GET % b"")
        await until(lambda: house.front.connections)
        [connection] = house.front._server.connections
        await until(lambda: connection.transport and connection.transport.get_write_buffer_size())
        for _ in range(200):
            await asyncio.sleep(0)
            assert connection.transport is not None
            assert connection.transport.get_write_buffer_size() <= 2 * SLICE
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert body == (await client.hear()).body
        assert body == (await client.ask(GET % b"")).body


@pytest.mark.parametrize("verdict", [Verdict.MISS, Verdict.JOINED])
async def test_what_one_client_alone_is_answered_is_not_kept(
    house: Standing, verdict: Verdict
) -> None:
    """A miss leaves nothing behind; those who joined it share what is made for the first."""
    entry = Entry("k", 200, "OK", TEXT, b"hello", "", 0.0, 0.0, 0.0, Lifetimes(60.0))
    account = replace(MISS, verdict=verdict)

    async def say(request: Request, asked: AsyncIterator[bytes] | None) -> Answer:
        return whole(entry.body, entry=entry, account=account)

    house.flow.answer = say
    async with house.raw() as client:
        first, second = [await client.ask(GET % b"") for _ in range(2)]
    assert (b"hello", first.fields) == (second.body, second.fields)
    kept = house.front._wire._renderings.has(entry, takes_gzip=False)
    assert kept is (verdict is Verdict.JOINED)


@pytest.mark.parametrize(
    "change", [{"collapsed": True}, {"forward_status": 503}, {"stored": False}]
)
async def test_each_is_told_its_own_way_to_the_same_entry(
    house: Standing, change: dict[str, Any]
) -> None:
    """One began the fetch that failed, another waited for it: both in the same second."""
    entry = Entry("k", 200, "OK", TEXT, b"hello", "", 0.0, 0.0, 0.0, Lifetimes(60.0))
    first = replace(MISS, verdict=Verdict.RESCUED, age=1.0, ttl=-1.0, detail="rejected")
    accounts = [first, replace(first, **change)]
    left = iter(accounts)

    async def say(request: Request, asked: AsyncIterator[bytes] | None) -> Answer:
        return whole(entry.body, entry=entry, account=next(left))

    house.flow.answer = say
    async with house.raw() as client:
        heard = [(await client.ask(GET % b"")).first("cache-status") for _ in accounts]
    assert [cache_status(account) for account in accounts] == heard


@pytest.mark.parametrize("verdict", [Verdict.MISS, Verdict.HIT])
async def test_a_large_packed_body_is_unpacked_once(house: Standing, verdict: Verdict) -> None:
    """It takes a thread, for whoever cannot unpack it himself, and is then at hand."""
    body = random.Random(7).randbytes(300 * 1024)
    packed = gzip.compress(body, mtime=0)
    entry = Entry("k", 200, "OK", TEXT, packed, "gzip", 0.0, 0.0, 0.0, Lifetimes(60.0))
    account = replace(MISS, verdict=verdict)

    async def say(request: Request, asked: AsyncIterator[bytes] | None) -> Answer:
        return whole(packed, encoding="gzip", entry=entry, account=account)

    house.flow.answer = say
    async with house.raw() as client:
        for _ in range(2):
            assert body == (await client.ask(GET % b"")).body
            assert house.front._wire._renderings.has(entry, takes_gzip=False)
        assert packed == (await client.ask(GET % b"Accept-Encoding: gzip\r\n")).body
