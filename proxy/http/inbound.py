"""One request between its parsed head and its written answer, in the places of aiohttp's objects.

`Inbound` is what a parsed head becomes, `Finished` tells whoever runs it that all is written. Most
requests run in a turn of their connection (`Connection`), the rest in aiohttp's loop, which takes
these two for its own request and response.
"""

import asyncio
from typing import TYPE_CHECKING, Any

from aiohttp import EMPTY_PAYLOAD, StreamReader
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import HttpVersion11, RawRequestMessage

from proxy.answer import Answer
from proxy.core.model import Request
from proxy.http.private_names import SHORT
from proxy.http.senders import Sender, accepts_gzip

if TYPE_CHECKING:
    from proxy.http.connection import Connection  # which makes these


class Finished:
    """Stands where aiohttp's loop expects a response, when all of it has been written."""

    __slots__ = ("keep_alive",)

    def __init__(self, *, keep_alive: bool) -> None:
        self.keep_alive = keep_alive

    async def prepare(self, inbound: "Inbound") -> None:
        """Write the head: it has been."""

    async def write_eof(self) -> None:
        """Write the end: it has been."""


KEEP = Finished(keep_alive=True)
CLOSE = Finished(keep_alive=False)


class Inbound:
    """A parsed head with its body to come: what aiohttp's loop takes for a request."""

    __slots__ = ("_task", "body", "connection", "head", "known", "message", "request", "sender")

    def __init__(
        self,
        message: RawRequestMessage,
        body: StreamReader,
        connection: "Connection",
        writer: AbstractStreamWriter | None = None,
        task: "asyncio.Task[None] | None" = None,
    ) -> None:
        """Take what `web.Server` hands to its request factory; the last two are aiohttp's own."""
        del writer
        self.message = message
        self.body = body
        self.connection = connection
        self.request: Request | Answer | None = None
        """What it asks, or why that cannot be asked; None: nobody has looked yet."""
        self.sender: Sender | None = None
        """Who sends it, once that was read."""
        self.known: Any = None
        """The hit that it is known to be, if only the store has it, and"""
        self.head: bytes | None = None
        """all of its head, if that may be learnt."""
        self._task = task

    @property
    def has_body(self) -> bool:
        """Whether a body follows the head, be it empty."""
        return self.body is not EMPTY_PAYLOAD

    @property
    def takes_a_turn(self) -> bool:
        """Whether its connection goes on behind it as before; else it is aiohttp's loop's."""
        message = self.message
        return (
            not message.should_close
            and not message.upgrade
            and message.method != "CONNECT"
            and message.version == HttpVersion11
        )

    @property
    def accepts_gzip(self) -> bool:
        """Whether gzip is the better form for whoever sends it."""
        return accepts_gzip(self.message) if self.sender is None else self.sender.gzip

    def _cancel(self, error: BaseException) -> None:
        """Break the body: aiohttp's loop calls this when the client has gone."""
        if self.body is not EMPTY_PAYLOAD:
            self.body.set_exception(error)

    def _finish(self) -> None:
        """Say that the answer has been written: aiohttp's loop calls this, and then goes back."""
        self.connection.settled = SHORT
