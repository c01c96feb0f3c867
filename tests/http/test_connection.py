"""Timers and framing of one connection."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest

from proxy.answer import Answer
from proxy.core.model import Request
from proxy.http.inbound import Finished, Inbound
from proxy.http.patience import Patience
from tests.http.conftest import Standing, standing, until, whole
from tests.http.known_hits import entry, hit
from tests.http.test_accelerator_exchanges import Pipe, turns

GET = b"GET /x HTTP/1.1\r\nHost: P\r\n\r\n"
KNOWN = b"GET /a HTTP/1.1\r\nHost: P\r\n\r\n"


@pytest.mark.parametrize("begun", [b"GET /x HT", b"GET /x HTTP/1.1\r\nHost: P\r\n"])
async def test_a_head_that_does_not_end_is_cut_off(begun: bytes) -> None:
    """A client that hangs in the middle of a head gets 408 and holds nothing any longer."""
    async with standing(patience=Patience(head=0.5)) as house, house.raw() as client:
        assert (await client.ask(GET)).status == 200
        heard = await client.ask(begun)
        assert heard.status == 408
        assert await client.rest() == b""


async def test_a_head_in_pieces_is_a_head() -> None:
    """The clock stops when the head has ended."""
    async with standing(patience=Patience(head=5)) as house, house.raw() as client:
        for octet in GET[:-1]:
            client.writer.write(bytes([octet]))
            await client.writer.drain()
            await asyncio.sleep(0)
        assert (await client.ask(GET[-1:])).status == 200
        [connection] = house.front._server.connections
        assert connection._head_clock is None  # type: ignore[attr-defined]


@pytest.mark.parametrize("asks", [0, 1])
async def test_an_idle_connection_is_closed(asks: int) -> None:
    """After `keep_alive` without a request, be it the first; without a word."""
    async with standing(patience=Patience(keep_alive=0.5)) as house, house.raw() as client:
        for _ in range(asks):
            assert (await client.ask(GET)).status == 200
        assert await client.rest() == b""


async def test_a_client_that_waits_is_not_idle() -> None:
    """An answer may take longer than `keep_alive`, and so may its body; then it is idle again."""
    async with standing(patience=Patience(keep_alive=0.1)) as house, house.raw() as client:
        never = asyncio.Event()

        async def later() -> None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(never.wait(), 0.3)

        async def parts() -> AsyncIterator[bytes]:
            yield b"one"
            await later()
            yield b"two"

        async def slow(request: Request, body: AsyncIterator[bytes] | None) -> Answer:
            await later()
            return whole(parts())

        house.flow.answer = slow
        assert (await client.ask(GET)).status == 200
        assert await client.rest() == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"


async def test_a_client_that_does_not_read_is_cut_off() -> None:
    """An answer that nobody takes is not held for ever."""
    async with standing(patience=Patience(sending=0.5)) as house:

        async def large(request: Request, body: AsyncIterator[bytes] | None) -> Answer:
            return whole(bytes(32 * 1024 * 1024))

        house.flow.answer = large
        async with house.raw() as client:
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            client.writer.write(GET)
            await until(lambda: house.front.connections)
            await until(lambda: not house.front.connections)


async def test_a_body_nobody_wants_is_not_taken_for_a_request(house: Standing) -> None:
    """What stands in a body is a body, even if it looks like a request."""
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: P\r\n\r\n"
    async with house.raw() as client:
        head = b"POST /x HTTP/1.1\r\nHost: P\r\nContent-Length: %d\r\n\r\n" % len(smuggled)
        assert (await client.ask(head + smuggled)).status == 200
        assert (await client.ask(GET)).status == 200
    assert [(asked.method, asked.path) for asked in house.flow.asked] == [
        ("POST", "/x"),
        ("GET", "/x"),
    ]


async def test_a_connection_knows_both_its_ends(house: Standing) -> None:
    """The peer's address tells clients apart, the local port tells listeners apart."""
    async with house.raw() as client:
        await client.ask(GET)
        [connection] = house.front._server.connections
        assert connection.peer == "127.0.0.1"  # type: ignore[attr-defined]
        assert connection.port == house.port  # type: ignore[attr-defined]
        transport = connection.transport
        assert transport is not None
        told = transport.get_extra_info("socket")
        assert told.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize(
    "first", [GET, b"POST /c HTTP/1.1\r\nHost: P\r\nContent-Length: 0\r\n\r\n"]
)
async def test_who_asks_before_the_loop_is_back_comes_to_the_short_way(
    house: Standing, monkeypatch: pytest.MonkeyPatch, first: bytes
) -> None:
    """On a new connection, and right after an answer by aiohttp's loop: it is waited for a turn."""
    known = hit(entry())
    house.flow.hit = lambda request: known if request.path == "/a" else None
    handled = []
    handle = house.front.handle

    async def counted(inbound: Inbound) -> Finished:
        handled.append(inbound.message.path)
        return await handle(inbound)

    monkeypatch.setattr(house.front._server, "request_handler", counted)
    monkeypatch.setattr(house.front, "handle", counted)
    connection = house.front.accept()
    pipe = Pipe(connection)
    connection.connection_made(pipe)
    connection.data_received(KNOWN[:9])  # before the task of aiohttp's loop has begun
    connection.data_received(KNOWN[9:])
    await turns(20, lambda: pipe.heard != b"")
    assert (pipe.heard.count(b"X-Cache: HIT"), handled) == (1, [])

    write = pipe.write

    def answered(data: bytes) -> None:
        write(data)
        monkeypatch.setattr(pipe, "write", write)
        asyncio.get_running_loop().call_soon(connection.data_received, KNOWN)

    monkeypatch.setattr(pipe, "write", answered)
    connection.data_received(first)
    await turns(50, lambda: pipe.heard.count(b"HTTP/1.1 200") == 3)
    assert pipe.heard.count(b"X-Cache: HIT") == 2
    assert len(handled) == 1
    pipe.close()
    await turns(5)


async def test_what_is_held_of_a_lost_connection_is_forgotten(house: Standing) -> None:
    """Its client has gone within the turn."""
    connection = house.front.accept()
    connection.connection_made(Pipe(connection))
    connection.data_received(KNOWN)
    connection.connection_lost(None)
    await turns(10)
    assert house.flow.asked == []


async def test_a_hit_of_the_store_is_written_as_any_other(house: Standing) -> None:
    """What was known and is no more goes on the ordinary way, and is answered once."""
    known = hit(entry(), passing=True)
    house.flow.hit = lambda _: known
    async with house.raw() as client:
        heard = await client.ask(KNOWN)
        assert (heard.first("x-cache"), heard.body) == ("HIT", b"hello")
        known.answer = None
        assert (await client.ask(KNOWN)).status == 200
    assert [asked.path for asked in house.flow.asked] == ["/a"]


async def test_what_comes_during_a_turn_waits_for_its_end(house: Standing) -> None:
    """Answers keep the order of the requests; a client that goes on and on is not read."""
    going = asyncio.Event()

    async def slow(request: Request, body: AsyncIterator[bytes] | None) -> Answer:
        await going.wait()
        return whole(request.path.encode())

    house.flow.answer = slow
    connection = house.front.accept()
    pipe = Pipe(connection)
    connection.connection_made(pipe)
    await turns(3)
    connection.data_received(GET)
    await turns(3, lambda: bool(house.flow.asked))
    for number in range(40):
        connection.data_received(b"GET /%d HTTP/1.1\r\nHost: P\r\n\r\n" % number)
    connection.data_received(b"POST /b HTTP/1.1\r\nHost: P\r\nContent-Length: 1\r\n\r\n")
    connection.data_received(b"!")
    assert len(house.flow.asked) == 1
    going.set()
    await turns(2000, lambda: pipe.heard.count(b"HTTP/1.1 200") == 42)
    assert [asked.path for asked in house.flow.asked] == [
        "/x",
        *(f"/{number}" for number in range(40)),
        "/b",
    ]


async def test_shutting_down_lets_a_turn_end(house: Standing) -> None:
    """It is answered, told that the connection ends, and closed."""
    going = asyncio.Event()

    async def slow(request: Request, body: AsyncIterator[bytes] | None) -> Answer:
        going.set()
        await asyncio.sleep(0.02)
        return whole(b"in time")

    house.flow.answer = slow
    async with house.raw() as client:
        client.writer.write(GET)
        await going.wait()
        await house.front.close(5)
        heard = await client.hear()
        assert (heard.body, heard.first("connection")) == (b"in time", "close")
        assert await client.rest() == b""
