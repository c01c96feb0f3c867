"""Redis for a loop: one server, a master that Sentinels name, or a cluster, all used alike.

Rules
- Commands of one tick travel together and never wait for each other (`pipe`); each has its deadline
  and is sent at most once. Down means failing at once: nothing queues for a server that is away.
- Nothing that blocks the server is ever sent: no KEYS, no FLUSHALL, no blocking pops.
- Replies are RESP2's: bytes, int, None or lists of them.
- redis-py finds masters and slots (`discovery`) and carries subscriptions (`subscriber`); commands
  go over connections of our own, since its cluster pipeline takes no scripts and a command costs it
  several times as much.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from hashlib import sha1
from time import perf_counter
from typing import Any

import structlog

from proxy.backends import address, discovery, subscriber
from proxy.backends.address import RedisOptions, Topology
from proxy.backends.cluster import Cluster
from proxy.backends.credentials import Credentials
from proxy.backends.errors import BackendError, BackendLostError, BackendReplyError
from proxy.backends.node import Node, Place, anything, master_only
from proxy.backends.pipe import Argument, Heard, bulk, packed
from proxy.tasks import Tasks

_log = structlog.get_logger("store")

_GET = b"*2\r\n" + bulk(b"GET") + b"$%d\r\n%b\r\n"
_KEYLESS = frozenset({"PING", "INFO", "CONFIG", "TIME", "DBSIZE", "PUBLISH", "SCRIPT", "CLIENT"})


class Script:
    """A Lua script, and the digest under which a server remembers it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = sha1(text.encode(), usedforsecurity=False).hexdigest()
        self._named = bulk(b"EVALSHA") + bulk(self.digest.encode())
        self._whole = bulk(b"EVAL") + bulk(text.encode())

    def template(self, open_: int, *fixed: bytes) -> bytes:
        """Return a call with one key, packed but for the key and its first `open_` arguments.

        `%` puts them in, the length before each; `fixed` stand behind them, the same in each call.
        """
        head = b"*%d\r\n%b%b" % (4 + open_ + len(fixed), self._named, bulk(b"1"))
        tail = b"".join(map(bulk, fixed))
        return head + b"$%d\r\n%b\r\n" * (1 + open_) + tail.replace(b"%", b"%%")

    def whole(self, call: bytes) -> bytes:
        """Return a packed call with the text in place of the digest."""
        return call.replace(self._named, self._whole, 1)


class Redis:
    """A Redis that is used from an event loop.

    `up` says whether it can be reached, `reason` why not; `latency` is the last ping's, in seconds.
    """

    def __init__(self, options: RedisOptions) -> None:
        """Take where it is. Made inside a running loop.

        Raises:
            AddressError: the URL is none that is understood.

        """
        self._options = options
        self._address = address.parse(options.url)
        self._watchers: list[Callable[[bool, str], None]] = []
        self._node: Node | None = None
        self._cluster: Cluster | None = None
        if self._address.topology is Topology.CLUSTER:
            self._cluster = Cluster(self._address, options, self._changed)
        else:
            sentinel = self._address.topology is Topology.SENTINEL
            examine = master_only if sentinel else anything
            self._node = Node(self._address, options, self._locate, self._changed, examine=examine)
        self._subscriber = subscriber.Subscriber(self._dial)
        self._tasks = Tasks(_log_failure)

    def __str__(self) -> str:
        """Return where it is, without user or password."""
        return str(self._address)

    @property
    def up(self) -> bool:
        """Whether commands can be sent now."""
        return self._route.up

    @property
    def reason(self) -> str:
        """Why it is down, as last known."""
        return self._route.reason

    @property
    def latency(self) -> float:
        """Seconds that the last ping took."""
        return self._route.latency

    def on_change(self, watcher: Callable[[bool, str], None]) -> None:
        """Have `watcher(up, reason)` called whenever it is lost or found (again)."""
        self._watchers.append(watcher)

    async def open(self) -> bool:
        """Connect if that can be done now; keep trying behind the answer if not. Never raises."""
        return await self._route.open()

    async def close(self) -> None:
        """End every connection; what waits then fails as lost."""
        await self._subscriber.close()
        await self._tasks.close(self._options.timeout)
        await self._route.close()

    def get(self, key: str) -> Awaitable[Any]:
        """Send GET, as `execute` does."""
        name = key.encode()
        if self._node is not None:
            return self._node.pipe().submit(_GET % (len(name), name))
        return self._routed(("GET", name))

    def execute(self, *command: Argument) -> Awaitable[Any]:
        """Send one command; awaiting gives its reply. In a cluster, its first key says where to.

        Raises (here or when awaited):
            BackendLostError: not connected (`sent` is False), too late, or cut off meanwhile.
            BackendReplyError: the reply is an error.

        """
        if self._node is not None:
            return self._node.pipe().submit(packed(command))
        return self._routed(command)

    def evalsha(
        self, script: Script, keys: Sequence[str], args: Sequence[Argument] = ()
    ) -> Awaitable[Any]:
        """Run a script by its digest; a server that does not know it gets its text.

        In a cluster all keys must share a hash tag. Raises what `execute` raises.
        """
        call = packed(("EVALSHA", script.digest, len(keys), *keys, *args))
        return self.run(script, keys[0].encode(), call)

    def run(self, script: Script, key: bytes, call: bytes) -> Awaitable[Any]:
        """Run a script as `evalsha` does; the call is packed already, and `key` its first."""
        if self._node is None:
            return self._run_routed(script, key, call)
        return self._node.pipe().submit(call, partial(script.whole, call))

    def tell(self, script: Script, key: bytes, call: bytes, heard: Heard) -> None:
        """Run a script as `run` does, though nobody waits for it: `heard` hears what it returns.

        Raises:
            BackendLostError: not connected; `heard` hears nothing.

        """
        if self._node is not None:
            self._node.pipe().tell(call, heard, partial(script.whole, call))
        else:
            self._tasks.start(self._told(script, key, call, heard), "redis script")

    async def _told(self, script: Script, key: bytes, call: bytes, heard: Heard) -> None:
        try:
            reply = await self._run_routed(script, key, call)
        except BackendError as error:
            heard(None, error)
        except asyncio.CancelledError:
            heard(None, BackendLostError("closed"))
            raise
        else:
            heard(reply, None)

    async def each_server(self, *command: Argument) -> list[Any]:
        """Send a command without a key to every master; return the replies."""
        if self._cluster is not None:
            return await asyncio.gather(*self._cluster.submit_each(packed(command)))
        return [await self.execute(*command)]

    async def ping(self) -> float:
        """Return how many seconds a round trip takes now (the slowest server's)."""
        started = perf_counter()
        await self.each_server("PING")
        return perf_counter() - started

    async def subscribe(self, channel: str, listener: Callable[[bytes], None]) -> bool:
        """Call `listener` with each message published on `channel`, for as long as this lives.

        Return whether the server confirmed it in time; if not, it is subscribed when found again.
        Messages published while the connection is away are missed.
        """
        patience = self._options.connect_timeout + self._options.timeout
        return await self._subscriber.subscribe(channel, listener, patience)

    # ── inside ──

    @property
    def _route(self) -> Node | Cluster:
        route = self._node or self._cluster
        assert route is not None  # noqa: S101 - the constructor made one of them
        return route

    async def _run_routed(self, script: Script, key: bytes, call: bytes) -> Any:
        assert self._cluster is not None  # noqa: S101 - the caller has looked
        try:
            return await self._cluster.submit(call, key)
        except BackendReplyError as error:
            if error.code != "NOSCRIPT":
                raise
        return await self._cluster.submit(script.whole(call), key)

    async def _routed(self, command: tuple[Argument, ...]) -> Any:
        assert self._cluster is not None  # noqa: S101 - the caller has looked
        name = str(command[0]).upper()
        if name in _KEYLESS:
            return await self._cluster.submit_each(packed(command))[0]
        key = command[1]
        return await self._cluster.submit(
            packed(command), key if isinstance(key, bytes) else str(key).encode()
        )

    def _changed(self, up: bool, reason: str) -> None:  # noqa: FBT001 - the watcher's shape
        for watcher in self._watchers:
            watcher(up, reason)

    async def _locate(self) -> Place:
        """Return where the server is now."""
        if self._address.topology is Topology.SENTINEL:
            credentials = Credentials(self._address, self._options)
            return await discovery.master(self._address, self._options, credentials)
        if self._address.socket_file:
            return Place(socket_file=self._address.socket_file)
        return Place(*self._address.hosts[0])

    async def _dial(self) -> Any:
        """Return redis-py's client for subscriptions, at a server that is up."""
        if self._cluster is not None:
            place = self._cluster.place()
        elif self._node is not None and self._node.up:
            place = self._node.place
        else:
            raise BackendLostError(f"Redis at {self._address} is not connected", sent=False)
        credentials = Credentials(self._address, self._options)
        return discovery.client(place, self._address, self._options, credentials)


def _log_failure(name: str, error: BaseException) -> None:
    if not isinstance(error, BackendError):  # of those whoever began it is told
        _log.error("store_task_failed", task=name, error=repr(error))
