"""Channels that are listened to, on a redis-py connection of their own.

Rules
- The connection is made anew whenever it is lost, with all its channels; what was published in
  between is missed, so a message is only ever a hint.
- Silence is checked with a ping: a connection that does not answer it is lost.
- A callback that raises is told in the log; the others still hear.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import structlog

from proxy.backends.errors import BackendLostError
from proxy.tasks import Tasks

_log = structlog.get_logger("store")

Listener: TypeAlias = Callable[[bytes], None]
Dial: TypeAlias = Callable[[], Awaitable[Any]]
"""Makes the `redis.asyncio.Redis` to listen on, or raises BackendLostError."""

_SILENCE = 5.0
_FIRST_WAIT = 0.05
_LONGEST_WAIT = 2.0


class Subscriber:
    """Keeps every channel subscribed as long as it lives."""

    def __init__(self, dial: Dial) -> None:
        """Take how to connect."""
        self._dial = dial
        self._listeners: dict[str, list[Listener]] = {}
        self._heard: dict[str, asyncio.Event] = {}
        self._pubsub: Any = None
        self._tasks = Tasks(_log_failure)

    async def subscribe(self, channel: str, listener: Listener, patience: float) -> bool:
        """Call `listener` with each message; return whether the server confirmed in time.

        Unconfirmed, it is subscribed as soon as the server can be reached.
        """
        self._listeners.setdefault(channel, []).append(listener)
        confirmed = self._heard.setdefault(channel, asyncio.Event())
        if not len(self._tasks):
            self._tasks.start(self._listen(), "redis subscriptions")
        elif self._pubsub is not None and not confirmed.is_set():
            await self._add(channel)
        try:
            async with asyncio.timeout(patience):
                await confirmed.wait()
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Stop listening."""
        await self._tasks.close()

    async def _add(self, channel: str) -> None:
        from redis.exceptions import RedisError  # noqa: PLC0415 - slow import, seldom needed

        try:
            await self._pubsub.subscribe(channel)
        except (RedisError, OSError) as error:
            _log.warning("store_subscription_lost", reason=str(error))

    async def _listen(self) -> None:
        from redis.exceptions import RedisError  # noqa: PLC0415 - slow import, seldom needed

        wait = _FIRST_WAIT
        while True:
            try:
                client = await self._dial()
                try:
                    await self._hear(client)
                finally:
                    self._pubsub = None
                    await client.aclose()
            except (BackendLostError, RedisError, OSError) as error:
                _end_if_cancelled()
                _log.warning("store_subscription_lost", reason=str(error))
            if any(event.is_set() for event in self._heard.values()):
                wait = _FIRST_WAIT
            for event in self._heard.values():
                event.clear()
            await asyncio.sleep(random.uniform(0, wait))  # noqa: S311 - jitter
            wait = min(_LONGEST_WAIT, wait * 2)

    async def _hear(self, client: Any) -> None:
        """Read messages until the connection is lost."""
        async with client.pubsub() as pubsub:
            await pubsub.subscribe(*self._listeners)
            self._pubsub = pubsub
            asked = False
            while True:
                message = await pubsub.get_message(timeout=_SILENCE)
                if message is not None:
                    asked = False
                    self._tell(message)
                elif asked:
                    raise BackendLostError("no answer on the subscribed connection")
                else:
                    await pubsub.ping()
                    asked = True

    def _tell(self, message: dict[str, Any]) -> None:
        if message["type"] == "subscribe":
            self._heard[message["channel"].decode()].set()
        elif message["type"] == "message":
            for listener in self._listeners.get(message["channel"].decode(), ()):
                try:
                    listener(message["data"])
                except Exception:  # noqa: BLE001 - the listener's own; ours is to go on
                    _log.exception("store_listener_failed")


def _end_if_cancelled() -> None:
    """Raise the cancellation in whose place an error has come.

    1. we are cancelled while we listen; 2. closing the connection finds it lost, and raises that
    instead; 3. taken for a loss like any other, we would connect again and listen for ever.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _log_failure(name: str, error: BaseException) -> None:
    _log.error("store_task_failed", task=name, error=repr(error))
