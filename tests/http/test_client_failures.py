"""The upstream client where the provider is not there, lies, hangs or cuts off."""

import asyncio

import pytest

from proxy.core.model import Failed, Failure
from proxy.core.upstreams import Upstream
from proxy.http.arrivals import Answering
from proxy.http.client import Client
from proxy.ports import BrokenExchangeError, Outbound
from tests.http.conftest import until
from tests.http.providing import Met, Provider, providing, read, says

# ── failures ──


async def test_nobody_there(client: Client) -> None:
    """A refused connection sent nothing: refunded."""
    async with providing() as gone:
        out = gone.outbound()
    failed = await client.send(out)
    assert isinstance(failed, Failed)
    assert (failed.failure, failed.sent) == (Failure.CONNECT, False)
    assert failed.detail.startswith("cannot connect")


async def test_no_such_name(client: Client) -> None:
    """Nor did a name that leads nowhere."""
    upstream = Upstream("u", "http://no.such.name.invalid", "/u", (), None)
    failed = await client.send(Outbound(upstream, "GET", "/?key=secret", ()))
    assert isinstance(failed, Failed)
    assert (failed.failure, failed.sent) == (Failure.CONNECT, False)
    assert "secret" not in failed.detail


async def test_a_connection_that_does_not_come_about(client: Client) -> None:
    """A listener whose queue is full swallows connections: the connect timeout ends it."""
    async with providing() as provider:
        out = provider.outbound("/?key=secret", upstream={"connect_timeout": 0.0001})
        failed = await client.send(out)
        if isinstance(failed, Failed):  # loopback may be quicker than the clock
            assert (failed.failure, failed.sent) == (Failure.CONNECT, False)
            assert "secret" not in failed.detail


@pytest.mark.parametrize("said", [b"", b"HTT", b"HTTP/1.1 200 OK\r\nX: "])
async def test_no_head_in_time(provider: Provider, client: Client, said: bytes) -> None:
    """A provider that never answers, or begins and stops, is given up after `timeout`."""

    async def hang(met: Met) -> None:
        met.writer.write(said)
        await met.reader.read()

    provider.handler = hang
    failed = await client.send(provider.outbound(timeout=0.5))
    assert failed == Failed(Failure.TIMEOUT, sent=True, detail="no answer in time")


@pytest.mark.parametrize(
    "data",
    [
        b"garbage\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nab\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_a_failure(
    provider: Provider, client: Client, data: bytes
) -> None:
    """Garbage and lies about framing; the connection is not used again."""
    says(provider, data)
    failed = await client.send(provider.outbound())
    assert isinstance(failed, Failed)
    assert (failed.failure, failed.sent) == (Failure.PROTOCOL, True)
    provider.handler = None
    assert await read(await client.send(provider.outbound())) == b"ok"
    assert provider.connections == 2


HEAD_5 = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "data", [HEAD_5 + b"he", HEAD_5, CHUNKED + b"5\r\nhe", CHUNKED + b"2\r\nhe\r\n", CHUNKED]
)
async def test_a_body_cut_short_is_broken(provider: Provider, client: Client, data: bytes) -> None:
    """Half a body is never taken for a whole one."""
    says(provider, data, close=True)
    with pytest.raises(BrokenExchangeError) as broken:
        await read(await client.send(provider.outbound()))
    assert broken.value.failure is Failure.PROTOCOL


async def test_chunks_that_are_none_break_the_body(provider: Provider, client: Client) -> None:
    """A chunked body that goes wrong in the middle is broken, not ended."""

    async def say(met: Met) -> None:
        met.writer.write(CHUNKED + b"2\r\nhe\r\n")
        await met.writer.drain()
        await asyncio.sleep(0.005)
        met.writer.write(b"nonsense\r\n")

    provider.handler = say
    with pytest.raises(BrokenExchangeError) as broken:
        await read(await client.send(provider.outbound()))
    assert broken.value.failure is Failure.PROTOCOL


async def test_a_body_that_stops_is_given_up(provider: Provider, client: Client) -> None:
    """It may take `timeout` again, and no longer."""

    async def say(met: Met) -> None:
        met.writer.write(HEAD_5 + b"he")
        await met.reader.read()

    provider.handler = say
    with pytest.raises(BrokenExchangeError) as broken:
        await read(await client.send(provider.outbound(timeout=0.5)))
    assert broken.value.failure is Failure.TIMEOUT


async def test_a_body_that_drips_is_given_up(provider: Provider, client: Client) -> None:
    """However regularly: what matters is the whole."""

    async def say(met: Met) -> None:
        met.writer.write(CHUNKED)
        while not met.writer.is_closing():
            met.writer.write(b"1\r\n.\r\n")
            await asyncio.sleep(0.005)

    provider.handler = say
    with pytest.raises(BrokenExchangeError) as broken:
        await read(await client.send(provider.outbound(timeout=0.5)))
    assert broken.value.failure is Failure.TIMEOUT


async def test_a_body_may_end_with_the_connection(provider: Provider, client: Client) -> None:
    """RFC 9112 section 6.3: a server that says no length closes at the end."""
    says(provider, b"HTTP/1.0 200 OK\r\n\r\nhello", close=True)
    exchange = await client.send(provider.outbound())
    assert not isinstance(exchange, Failed)
    assert (exchange.content_length, await read(exchange)) == (None, b"hello")


async def test_an_endless_body_is_not_held(provider: Provider, client: Client) -> None:
    """It comes as fast as it is read, and stops when it is let go."""

    async def say(met: Met) -> None:
        met.writer.write(CHUNKED)
        while True:
            met.writer.write(b"10000\r\n" + bytes(65536) + b"\r\n")
            await met.writer.drain()

    provider.handler = say
    exchange = await client.send(provider.outbound())
    assert not isinstance(exchange, Failed)
    taken = 0
    async for chunk in exchange.body():
        taken += len(chunk)
        if taken > 20_000_000:
            break
    exchange.abort()
    await until(provider.asked[0].writer.is_closing)


async def test_a_long_body_that_says_its_length_is_held_back(
    provider: Provider, client: Client
) -> None:
    """No more of it is taken in than a little ahead of its reader; all of it comes in the end."""
    size = 30_000_000

    async def say(met: Met) -> None:
        met.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // 100_000):
            met.writer.write(bytes(100_000))
            await met.writer.drain()

    provider.handler = say
    exchange = await client.send(provider.outbound())
    assert isinstance(exchange, Answering)
    await until(lambda: exchange._spoken_by is not None and exchange._spoken_by._reading_paused)
    assert exchange._content.total_bytes < 1_000_000
    assert size == sum([len(chunk) async for chunk in exchange.body()])
    assert await read(await client.send(provider.outbound("/again"))) == bytes(size)
    assert provider.connections == 1


async def test_the_readers_own_time_is_not_counted(provider: Provider, client: Client) -> None:
    """A slow client behind the proxy does not make the provider's body late."""
    says(provider, HEAD_5 + b"he")
    exchange = await client.send(provider.outbound(timeout=0.5))
    assert not isinstance(exchange, Failed)
    body = exchange.body()
    assert await anext(body) == b"he"
    await asyncio.sleep(0.55)
    provider.asked[0].writer.write(b"llo")
    assert await anext(body) == b"llo"


async def test_a_cancelled_send_drops_its_connection(provider: Provider, client: Client) -> None:
    """Nobody else gets the answer to it."""
    provider.handler = lambda met: met.reader.read()
    sending = asyncio.get_running_loop().create_task(client.send(provider.outbound()))
    await until(lambda: provider.asked)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    provider.handler = None
    assert await read(await client.send(provider.outbound())) == b"ok"
    assert provider.connections == 2
