"""Connections to upstreams, warm ones in hand: taken and given back without a turn of the loop.

Behind them stands aiohttp's connector, which makes connections, bounds their number, in all and to
a place, and has whoever finds none free wait. What is in hand counts as taken there, so it is kept
in hand only while nobody waits, and given up to the connector as soon as somebody might.

A connection is used again only where its last answer ended exactly, and nothing has come over it
since. What the loop has not seen yet the system is asked for, as the connection is taken: an end,
which would cost a call that was spent, or an answer to nothing.
"""

import asyncio
from dataclasses import dataclass

import aiohttp
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import Connection

from proxy.http.private_names import OpenResponses, open_responses


@dataclass(frozen=True, slots=True)
class Pool:
    """Connections to upstreams."""

    most: int = 512
    most_per_host: int = 128
    keep_alive: float = 15.0
    """Seconds that an idle connection is kept."""
    dns_ttl: int = 60
    """Seconds that a look-up of a name is kept."""


class Warm:
    """All connections of a client."""

    def __init__(self, pool: Pool) -> None:
        """Take the bounds."""
        self.pool = pool
        self.loop = asyncio.get_running_loop()
        self.connector = aiohttp.TCPConnector(
            limit=pool.most,
            limit_per_host=pool.most_per_host,
            keepalive_timeout=pool.keep_alive,
            ttl_dns_cache=pool.dns_ttl,
        )
        open_responses(self.connector)
        self.wanted = 0
        """Connections that are out, in use or in hand, and those that are waited for."""
        self._places: dict[object, Place] = {}
        self._sweep: asyncio.TimerHandle | None = None
        self._ended = False

    def place(self, to: ClientRequest) -> "Place":
        """Return what connections of this kind have in common, the same each time."""
        key = to.connection_key
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = Place(self)
        return place

    def let_go(self) -> None:
        """Give up what is in hand: somebody may wait for it."""
        for place in self._places.values():
            while place.idle:
                place.idle.pop()[0].release()

    def is_crowded(self) -> bool:
        """Return whether somebody may wait for a connection, or nobody wants one any more."""
        return self._ended or 0 < self.pool.most < self.wanted

    def expect_idle(self) -> None:
        """Close connections in time that are not taken again."""
        if self._sweep is None:
            self._sweep = self.loop.call_later(self.pool.keep_alive, self._end_idle)

    async def close(self) -> None:
        """Close all connections."""
        self._ended = True
        if self._sweep is not None:
            self._sweep.cancel()
        self.let_go()
        await self.connector.close()

    def _end_idle(self) -> None:
        self._sweep = None
        before = self.loop.time() - self.pool.keep_alive
        for place in self._places.values():
            while place.idle and place.idle[0][1] <= before:
                place.idle.pop(0)[0].close()
            if place.idle:
                self.expect_idle()


class Place:
    """Where connections lead: host, port, TLS and outbound proxy."""

    __slots__ = ("_wanted", "_warm", "idle")

    def __init__(self, warm: Warm) -> None:
        self._warm = warm
        self._wanted = 0
        self.idle: list[tuple[Connection, float]] = []
        """Those in hand and since when (time of the loop), the latest last."""

    def take(self) -> Connection | None:
        """Return a connection in hand that can take a request: the one that was used last."""
        idle, warm = self.idle, self._warm
        while idle:
            connection, since = idle.pop()
            if warm.loop.time() - since <= warm.pool.keep_alive and _fit(connection):
                return connection
            connection.close()
        return None

    async def connect(self, to: ClientRequest, timeouts: aiohttp.ClientTimeout) -> Connection:
        """Return a connection of the connector's that can take a request, a new one if need be."""
        warm = self._warm
        while True:
            self._want(1)
            if warm.is_crowded():
                warm.let_go()
            try:
                connection = await warm.connector.connect(to, [], timeouts)
            except BaseException:
                self._want(-1)
                raise
            connection.add_callback(self._gone)
            if _fit(connection):
                return connection
            connection.close()

    def give_back(self, connection: Connection) -> None:
        """Keep a connection for the next request, in hand where nobody waits for one."""
        warm, protocol = self._warm, connection.protocol
        crowded = 0 < warm.pool.most_per_host < self._wanted or warm.is_crowded()
        if crowded or protocol is None or protocol.should_close:
            connection.release()
            return
        self.idle.append((connection, warm.loop.time()))
        warm.expect_idle()

    def _want(self, number: int) -> None:
        self._wanted += number
        self._warm.wanted += number

    def _gone(self) -> None:
        """Note that a connection was closed, or has gone back to the connector."""
        self._want(-1)


def _fit(connection: Connection) -> bool:
    """Return whether a connection can take a request: it lives, and nothing has come over it."""
    protocol = connection.protocol
    transport = None if protocol is None else protocol.transport
    if protocol is None or transport is None or protocol.should_close or transport.is_closing():
        return False
    return not (isinstance(protocol, OpenResponses) and protocol.used and protocol.is_readable())
