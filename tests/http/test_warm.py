"""Connections in hand, and the connector's bounds behind them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proxy.core.model import Failed
from proxy.http.client import Client, open_client
from proxy.http.warm import Pool
from tests.http.conftest import until
from tests.http.providing import OK, Met, Provider, providing, read


@asynccontextmanager
async def opened(pool: Pool) -> AsyncIterator[Client]:
    client = open_client(pool)
    try:
        yield client
    finally:
        await client.close()


async def asked(client: Client, provider: Provider, target: str = "/x") -> bytes:
    return await read(await client.send(provider.outbound(target)))


async def test_the_one_used_last_is_taken_first(provider: Provider) -> None:
    """So that what a burst needed grows old, and is closed."""
    gate = asyncio.Event()

    async def wait(met: Met) -> None:
        await gate.wait()
        met.writer.write(OK)

    provider.handler = wait
    async with opened(Pool()) as client:
        burst = asyncio.gather(*[asked(client, provider) for _ in range(3)])
        await until(lambda: len(provider.asked) == 3)
        gate.set()
        await burst
        before = len(provider.asked)
        for _ in range(4):
            assert await asked(client, provider) == b"ok"

    assert provider.connections == 3
    assert len({met.writer for met in provider.asked[before:]}) == 1


async def test_whoever_waits_for_a_connection_gets_it(provider: Provider) -> None:
    """One connection to a host, and many who want it: each has its turn, none is left waiting."""
    async with opened(Pool(most_per_host=1)) as client:
        bodies = await asyncio.wait_for(
            asyncio.gather(*[asked(client, provider, f"/{number}") for number in range(9)]), 5
        )
        assert bodies == [b"ok"] * 9
        assert await asked(client, provider) == b"ok"

    assert provider.connections == 1


async def test_what_is_in_hand_keeps_nobody_waiting(provider: Provider) -> None:
    """A connection that nobody uses is given up for one to another host."""
    async with providing() as other, opened(Pool(most=1)) as client:
        for _ in range(3):
            assert await asyncio.wait_for(asked(client, provider), 5) == b"ok"
            assert await asyncio.wait_for(asked(client, other), 5) == b"ok"


async def test_who_is_done_with_an_answer_has_no_say_in_its_connection(
    provider: Provider,
) -> None:
    """A body that has come and is dropped unread: its connection has another's request by then."""
    large, gate = b"x" * 300_000, asyncio.Event()

    async def say(met: Met) -> None:
        if met.number == 2:
            await gate.wait()
            met.writer.write(OK)
            return
        met.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(large), large))

    provider.handler = say
    async with opened(Pool()) as client:
        dropped = await client.send(provider.outbound())
        assert not isinstance(dropped, Failed)
        body = dropped.body()
        await anext(body)
        [place] = client._warm._places.values()
        await until(lambda: place.idle)
        reading = asyncio.gather(asked(client, provider))
        await until(lambda: len(provider.asked) == 2)
        await body.aclose()
        dropped.abort()
        gate.set()
        assert await reading == [b"ok"]

    assert provider.connections == 1


async def test_failures_leave_room(provider: Provider) -> None:
    """A connection that broke, or never came about, is wanted no more."""

    async def drop(met: Met) -> None:
        met.writer.close()

    async with providing() as gone:
        nobody = gone.outbound()
    async with opened(Pool(most=1, most_per_host=1)) as client:
        provider.handler = drop
        for _ in range(3):
            assert isinstance(await client.send(provider.outbound()), Failed)
            assert isinstance(await client.send(nobody), Failed)
        provider.handler = None
        assert await asyncio.wait_for(asked(client, provider), 5) == b"ok"
        assert client._warm.wanted == 1


async def test_idle_connections_are_closed(provider: Provider) -> None:
    """After `keep_alive`, whether or not another request comes."""
    async with opened(Pool(keep_alive=0.01)) as client:
        assert await asked(client, provider) == b"ok"
        await until(provider.asked[0].writer.is_closing)
        assert await asked(client, provider) == b"ok"
        assert client._warm.wanted == 1

    assert provider.connections == 2


async def test_an_old_connection_is_not_taken(provider: Provider) -> None:
    """Even where it was not closed in time: the provider may be about to."""
    async with opened(Pool(keep_alive=60.0)) as client:
        assert await asked(client, provider) == b"ok"
        [place] = client._warm._places.values()
        [(connection, since)] = place.idle
        place.idle[:] = [(connection, since - 61.0)]
        assert await asked(client, provider) == b"ok"

    assert provider.connections == 2


async def test_the_end_closes_what_is_in_hand_and_what_comes_back_later(
    provider: Provider,
) -> None:
    """A body that ends after the client does keeps no connection."""

    async def say(met: Met) -> None:
        met.writer.write(OK[:-1] if b"/half" in met.line else OK)

    provider.handler = say
    async with opened(Pool()) as client:
        await asyncio.gather(asked(client, provider), client.send(provider.outbound("/half")))
        [place] = client._warm._places.values()
        assert len(place.idle) == 1

    assert place.idle == []
    await until(lambda: all(met.writer.is_closing() for met in provider.asked))
