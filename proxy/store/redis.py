"""Entries in Redis, shared by all instances: `{namespace}:{upstream}:{endpoint}:{parameters}`.

Rules
- Every key has a time to live and may be evicted at any moment.
- Look-ups of one tick travel together (the backend sees to it): one round trip, no lock.
- A newer entry is never replaced by an older one, unless it claims to come from the future: then
  some clock was wrong. A small script compares the times that stand at the head of the values.
- A server that refuses INFO (managed ones may) is a warning, no error; nothing else is asked of it.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from struct import Struct
from time import perf_counter
from typing import Any, Final

from proxy import clock
from proxy.backends.errors import BackendError, BackendReplyError
from proxy.backends.redis import Redis, Script
from proxy.core.model import Entry
from proxy.store import codec
from proxy.store.decoded import Decoded
from proxy.store.operations import Observe, Operations, StoreFigures, Watcher

_PUT: Final = Script(
    """
    local old = redis.call('GETRANGE', KEYS[1], 0, 8)
    if #old == 9 and string.byte(old) % 128 == string.byte(ARGV[1]) % 128 then
        local stored = struct.unpack('>d', old, 2)
        local now = struct.unpack('>d', ARGV[3])
        if stored > struct.unpack('>d', ARGV[1], 2) and stored <= now then
            return 0
        end
    end
    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
    return 1
    """
)
_PUT_CALL: Final = _PUT.template(3)
_time: Final = Struct(">d").pack
_MOST_KEEP: Final = 10 * 365 * 86400.0
"""Seconds; Redis refuses times to live that overflow."""


class RedisStore:
    """The store in Redis. The connection is the caller's: opened before, closed after."""

    def __init__(
        self,
        redis: Redis,
        *,
        namespace: str,
        observe: Observe,
        now: Callable[[], float] = clock.wall,
    ) -> None:
        """Take the connection, what every key begins with, and whom to tell of each operation."""
        self._redis = redis
        self._prefix = f"{namespace}:"
        self._now = now
        self._operations = Operations(observe)
        self._decoded = Decoded()
        redis.on_change(self._operations.note)

    @property
    def up(self) -> bool:
        """Whether the server can be reached."""
        return self._redis.up

    def on_change(self, watcher: Watcher) -> None:
        """Have `watcher(up, reason)` called whenever the server is lost or found."""
        self._operations.watch(watcher)

    async def open(self) -> bool:
        """Return whether the server is up; it is sought behind the answer if not."""
        if not self._redis.up:
            self._operations.note(False, self._redis.reason)  # noqa: FBT003 - the watcher's shape
        return self._redis.up

    async def close(self) -> None:
        """Do nothing: the connection is its owner's to close."""

    async def get(self, key: str) -> Entry | None:
        """Return what is stored under `key`; None for nothing, unreadable, or a lost store."""
        started = perf_counter()
        value, error = None, None
        try:
            value = await self._redis.get(self._prefix + key)
        except BackendError as lost:
            error = lost
        finally:
            self._operations.ended("get", started, error)
        entry = None if value is None else self._decoded.decode(value, key)
        self._operations.looked_up(found=entry is not None)
        return entry

    async def get_many(self, keys: Sequence[str]) -> tuple[Entry | None, ...]:
        """Return what is stored under each key, in their order."""
        return tuple(await asyncio.gather(*(self.get(key) for key in keys)))

    def put(self, entry: Entry, keep: float) -> Coroutine[Any, Any, None] | asyncio.Future[None]:
        """Store an entry for at most `keep` seconds; under way on return, unless it is large."""
        if len(entry.body) >= codec.BIG and codec.is_slow(entry):
            return self._put_slowly(entry, keep)
        return self._put(entry.key, codec.packed_now(entry), keep)

    async def _put_slowly(self, entry: Entry, keep: float) -> None:
        await self._put(entry.key, await codec.packed(entry), keep)

    def _put(self, key: str, value: bytes, keep: float) -> "asyncio.Future[None]":
        """Send an entry; what is returned ends when the server has it, or will not."""
        started = perf_counter()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def stored(_reply: object, error: BackendError | None) -> None:
            self._operations.ended("put", started, error)
            if not done.done():
                done.set_result(None)

        name = (self._prefix + key).encode()
        milliseconds, now = b"%d" % max(1, round(min(keep, _MOST_KEEP) * 1000)), _time(self._now())
        figures = (len(milliseconds), milliseconds, len(now), now)
        call = _PUT_CALL % (len(name), name, len(value), value, *figures)
        try:
            self._redis.tell(_PUT, name, call, stored)
        except BackendError as lost:
            stored(None, lost)
        return done

    async def delete(self, key: str) -> None:
        """Forget what is stored under `key`."""
        await self._operations.attempt(
            "delete", lambda: self._redis.execute("DEL", self._prefix + key), None
        )

    async def health(self) -> tuple[bool, float]:
        """Return `(up, seconds of a round trip now)`; of the last one where it is down."""
        latency = await self._operations.attempt("health", self._redis.ping, self._redis.latency)
        return self._redis.up, latency

    async def figures(self) -> StoreFigures:
        """Return how the servers stand, added up; they count what everybody does to them."""
        sections = await self._operations.attempt("figures", self._information, ())
        if not sections:
            return StoreFigures("redis", up=self.up, errors=dict(self._operations.errors))

        def total(name: str) -> int:
            return sum(int(section.get(name, 0)) for section in sections)

        return StoreFigures(
            "redis",
            up=self.up,
            keys=sum(map(_keys, sections)),
            memory=total("used_memory"),
            clients=total("connected_clients"),
            operations=total("total_commands_processed"),
            keyspace_hits=total("keyspace_hits"),
            keyspace_misses=total("keyspace_misses"),
            errors=dict(self._operations.errors),
        )

    async def warnings(self) -> tuple[str, ...]:
        """Return what an operator should know of the servers' settings."""
        try:
            sections = await self._information()
        except BackendReplyError:
            return ("Redis refuses INFO: its figures and its eviction policy cannot be seen",)
        except BackendError:
            return ()  # that it is lost is told elsewhere
        policies = {section.get("maxmemory_policy", "") for section in sections}
        return tuple(
            f"Redis evicts by {policy}: it may drop quota counts. Set maxmemory-policy to"
            " volatile-lru or volatile-ttl"
            for policy in sorted(policies)
            if policy.startswith("allkeys-")
        )

    async def _information(self) -> list[dict[str, str]]:
        return [_parsed(reply) for reply in await self._redis.each_server("INFO")]


def _parsed(reply: bytes) -> dict[str, str]:
    """Return the lines of INFO by name."""
    lines = (line.partition(":") for line in reply.decode("utf-8", "replace").splitlines())
    return {name: value for name, separator, value in lines if separator}


def _keys(section: dict[str, str]) -> int:
    """Return the keys of all databases (`db0:keys=12,expires=3,avg_ttl=…`)."""
    counts = (value for name, value in section.items() if name[:2] == "db" and name[2:].isdecimal())
    return sum(int(count.partition("keys=")[2].partition(",")[0] or 0) for count in counts)
