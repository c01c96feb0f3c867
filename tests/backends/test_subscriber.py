"""Channels that are listened to."""

import asyncio
from typing import Any

import pytest

from proxy.backends.errors import BackendLostError
from proxy.backends.subscriber import Subscriber
from tests.fixtures.redis import RedisServer


async def test_a_listener_that_raises_does_not_silence_the_others(
    redis_server: RedisServer,
) -> None:
    """Both listeners of a channel are called; the error is only logged."""
    from redis.asyncio import Redis  # noqa: PLC0415 - as the adapter does

    async def dial() -> Any:
        return Redis(port=redis_server.port)

    subscriber = Subscriber(dial)
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    def broken(message: bytes) -> None:
        raise ValueError(message)

    assert await subscriber.subscribe("news", broken, 60.0)
    assert await subscriber.subscribe("news", heard.put_nowait, 60.0)
    with redis_server.client() as client:
        client.publish("news", "told")

    assert await heard.get() == b"told"
    await subscriber.close()


async def test_a_server_out_of_reach_is_tried_again() -> None:
    """The subscription is not confirmed, and dialling goes on behind it."""
    dialled = asyncio.Queue[int]()

    async def dial() -> Any:
        dialled.put_nowait(1)
        raise BackendLostError("away", sent=False)

    subscriber = Subscriber(dial)
    assert not await subscriber.subscribe("news", lambda _message: None, 0.01)
    async with asyncio.timeout(60):
        await dialled.get()
        await dialled.get()
    await subscriber.close()


async def test_a_connection_that_is_lost_as_it_is_closed_keeps_nobody(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error of the loss comes in the place of the cancellation: listening ends all the same."""
    from redis.asyncio import Redis  # noqa: PLC0415 - as the adapter does
    from redis.asyncio.client import PubSub  # noqa: PLC0415 - as above
    from redis.exceptions import ConnectionError as Lost  # noqa: PLC0415 - as above

    close = PubSub.aclose

    async def lost(pubsub: PubSub) -> None:
        await close(pubsub)  # type: ignore[no-untyped-call]
        raise Lost("connection lost")

    async def dial() -> Any:
        return Redis(port=redis_server.port)

    subscriber = Subscriber(dial)
    assert await subscriber.subscribe("news", lambda _message: None, 60.0)
    with monkeypatch.context() as patched:
        patched.setattr(PubSub, "aclose", lost)
        closing = asyncio.get_running_loop().create_task(subscriber.close())
        closed, _ = await asyncio.wait((closing,), timeout=5.0)

    assert closed
