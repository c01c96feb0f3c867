"""A Redis cluster: which node serves a key, and what to do when that changes.

Rules
- A key's slot is CRC16 of it, or of its `{hash tag}`, modulo 16,384 (Redis Cluster specification).
- MOVED: ask the named node at once, and learn all slots anew behind the answer. ASK: ask the named
  node this once. Neither was carried out where it was refused, so asking again repeats nothing.
- Nodes that name each other disagree for as long as their gossip takes: they are asked again after
  a growing pause, not at once.
- A node that is lost may have been replaced: the slots are learnt anew until they are whole.
"""

import asyncio
import random
from binascii import crc_hqx
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import structlog

from proxy.backends.address import RedisAddress, RedisOptions
from proxy.backends.credentials import Credentials
from proxy.backends.discovery import Slots, slots
from proxy.backends.errors import BackendError, BackendLostError, BackendReplyError
from proxy.backends.node import Node, Place
from proxy.backends.pipe import Pipe, packed
from proxy.tasks import Tasks

_log = structlog.get_logger("store")

_SLOTS = 16384
_REDIRECTIONS = 10
_FIRST_PAUSE = 0.01
_LONGEST_PAUSE = 0.2
_ASKING = packed(("ASKING",))
_LONGEST_WAIT = 2.0

Change: TypeAlias = Callable[[bool, str], None]


def slot_of(key: bytes) -> int:
    """Return the hash slot of a key."""
    start = key.find(b"{")
    if start >= 0:
        end = key.find(b"}", start + 1)
        if end > start + 1:
            key = key[start + 1 : end]
    return crc_hqx(key, 0) % _SLOTS


class Cluster:
    """The masters of a cluster, each kept connected. Up while every slot has one that is."""

    def __init__(self, address: RedisAddress, options: RedisOptions, on_change: Change) -> None:
        """Take the nodes to ask first, and whom to tell up or down."""
        self.up = False
        self.reason = ""
        self._address = address
        self._options = options
        self._on_change = on_change
        self._nodes: dict[Place, Node] = {}
        self._slots: Slots = {}
        self._learning: asyncio.Task[None] | None = None
        self._closing = False
        self._tasks = Tasks(_log_failure)

    @property
    def latency(self) -> float:
        """Seconds that the last ping took, at the slowest node."""
        return max((node.latency for node in self._nodes.values()), default=0.0)

    async def open(self) -> bool:
        """Learn the slots if that can be done now; keep trying behind the answer if not."""
        try:
            await self._learn()
        except BackendError as error:
            self.reason = str(error)
        if not self.up:
            self._learn_behind()
        return self.up

    async def close(self) -> None:
        """End every connection."""
        self._closing = True
        await self._tasks.close()
        for node in self._nodes.values():
            await node.close()
        self.up = False

    async def submit(self, command: bytes, key: bytes) -> Any:
        """Send a packed command to the node that serves `key`, and return the reply.

        Raises:
            BackendLostError: that node is not connected, or the cluster is being rebuilt.
            BackendReplyError: the reply is an error.

        """
        place = self._slots.get(slot_of(key))
        before = b""
        named = {place}
        pause = _FIRST_PAUSE
        for _ in range(_REDIRECTIONS):
            node = self._nodes.get(place) if place is not None else None
            if place is None or node is None:
                raise BackendLostError(f"no node of {self._address} serves the key", sent=False)
            try:
                return await node.submit(command, before)
            except BackendReplyError as error:
                if error.code not in {"MOVED", "ASK"}:
                    raise
                before = _ASKING if error.code == "ASK" else b""
                place = _named(str(error), place)
                if place in named:
                    await asyncio.sleep(pause)
                    pause = min(_LONGEST_PAUSE, pause * 2)
                named.add(place)
                await self._connected(place)
                if error.code == "MOVED":
                    self._learn_behind()
        raise BackendLostError(f"{self._address} sends its commands in circles", sent=False)

    def submit_each(self, command: bytes) -> list[Awaitable[Any]]:
        """Send a packed command that has no key to every master.

        Raises:
            BackendLostError: one of them is not connected, or none is known.

        """
        if not self._nodes:
            raise BackendLostError(f"{self._address} is not connected", sent=False)
        return [node.submit(command) for node in self._nodes.values()]

    def place(self) -> Place:
        """Return any node that is connected.

        Raises:
            BackendLostError: none is.

        """
        for place, node in self._nodes.items():
            if node.up:
                return place
        raise BackendLostError(f"{self._address} is not connected", sent=False)

    # ── inside ──

    async def _learn(self) -> None:
        found = await slots(self._address, self._options, self._credentials())
        places = set(found.values())
        await asyncio.gather(*(self._connected(place) for place in places))
        self._slots = found
        for place in self._nodes.keys() - places:
            await self._nodes.pop(place).close()
        self._judge("")

    def _credentials(self) -> Credentials:
        return Credentials(self._address, self._options)

    async def _connected(self, place: Place) -> None:
        """Have a node for `place`, and give it the time to connect."""
        if place in self._nodes:
            return

        async def locate() -> Place:
            return place

        node = Node(self._address, self._options, locate, self._node_changed, examine=_serving)
        self._nodes[place] = node
        await node.open()

    def _node_changed(self, up: bool, reason: str) -> None:  # noqa: FBT001 - the watcher's shape
        self._judge(reason)
        if not up and not self._closing:
            self._learn_behind()

    def _judge(self, reason: str) -> None:
        """Say whether all slots are served, where that has changed."""
        whole = len(self._slots) == _SLOTS and all(node.up for node in self._nodes.values())
        if whole is self.up or self._closing:
            return
        self.up = whole
        self.reason = reason
        self._on_change(whole, reason)

    def _learn_behind(self) -> None:
        if self._learning is None or self._learning.done():
            self._learning = self._tasks.start(self._learn_patiently(), "redis cluster's slots")

    async def _learn_patiently(self) -> None:
        wait = 0.1
        while True:
            try:
                await self._learn()
            except BackendError as error:
                self.reason = str(error)
            else:
                if self.up:
                    return
            await asyncio.sleep(random.uniform(wait / 2, wait))  # noqa: S311 - jitter
            wait = min(_LONGEST_WAIT, wait * 2)


async def _serving(pipe: Pipe) -> None:
    """Take a node only while it serves: one that just came back refuses all for a moment.

    Raises:
        BackendLostError: it says that the cluster is down.

    """
    try:
        told = await pipe.submit(packed(("CLUSTER", "INFO")))
    except BackendReplyError:
        return  # where asking is forbidden, its answers will tell
    if b"cluster_state:fail" in told:
        raise BackendLostError("the cluster is down", sent=False)


def _named(message: str, asked: Place) -> Place:
    """Return the place in `MOVED 3999 host:port`; an empty host is that of the node asked."""
    host, _, port = message.split(" ")[2].rpartition(":")
    return Place(host.strip("[]") or asked.host, int(port))


def _log_failure(name: str, error: BaseException) -> None:
    _log.error("store_task_failed", task=name, error=repr(error))
