"""An upstream's answer as it arrives: its head, then its body, read once or let go.

A body may take as long as its head was given, and a second more for each 64 KiB that came: a large
one goes on while it flows, one that drips is cut. Time that its reader takes is not counted. The
connection goes back to the pool the moment its answer has ended, read or not.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import RawResponseMessage
from aiohttp.http_exceptions import HttpProcessingError

from proxy import clock
from proxy.core.fields import Fields, values
from proxy.core.model import Failure
from proxy.deadlines import Deadlines
from proxy.http.fields import end_to_end
from proxy.http.heads import decoded
from proxy.http.whole_answers import PlainHead
from proxy.ports import BrokenExchangeError

PROGRESS: Final = 64 * 1024
"""Bytes of a body that earn it another second."""


class Answering:
    """An answer whose head has come; `proxy.ports.Exchange`."""

    def __init__(
        self,
        head: PlainHead,
        content: aiohttp.StreamReader,
        connection: Connection,
        give_back: Callable[[Connection], None],
        deadlines: Deadlines,
        *,
        patience: float,
        requested_at: float,
        sending: "asyncio.Task[None] | None" = None,
    ) -> None:
        """Take the head, the body to come, and how many seconds it may be waited for.

        `give_back` takes the connection once the answer has ended.
        """
        self.status = head.status
        self.reason = head.reason
        self.fields = head.fields
        self.content_length = head.content_length
        self.requested_at = requested_at
        self.received_at = clock.steady_wall()
        self._content = content
        self._connection: Connection | None = connection
        """None once it was given back: then it is another's."""
        self._give_back = give_back
        self._spoken_by = connection.protocol
        self._deadlines = deadlines
        self._patience = patience
        self._sending = sending
        content.on_eof(self._ended)

    async def body(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives.

        Raises:
            BrokenExchangeError: it was cut short, lies about its length, or is too late.

        """
        content = self._content
        if (whole := self.arrived()) is not None:
            if whole:
                yield whole
            return
        whole_came = False
        try:
            with _noticing_the_end(self._spoken_by, content):
                async for chunk in self._arriving():
                    yield chunk
            whole_came = True
        except TimeoutError:
            raise BrokenExchangeError(Failure.TIMEOUT, "the body did not come in time") from None
        except (aiohttp.ClientPayloadError, HttpProcessingError) as error:
            raise BrokenExchangeError(Failure.PROTOCOL, "the body was cut short") from error
        except (aiohttp.ClientError, OSError) as error:
            raise BrokenExchangeError(Failure.DISCONNECTED, "the connection was lost") from error
        finally:
            if not whole_came:
                self.abort()

    async def _arriving(self) -> AsyncIterator[bytes]:
        """Yield what comes, while it comes fast enough; TimeoutError when it does not."""
        content, deadlines = self._content, self._deadlines
        now = asyncio.get_running_loop().time
        waited, received = 0.0, 0
        while True:
            began = now()
            deadlines.set(content, began + self._patience + received / PROGRESS - waited)
            try:
                chunk = await content.readany()
            finally:
                deadlines.clear(content)
            if not chunk:
                return
            waited += now() - began
            received += len(chunk)
            yield chunk

    def arrived(self) -> bytes | None:
        """Return the whole body where all of it came with the head; None: read `body`."""
        content = self._content
        complete = content.is_eof() and content.exception() is None
        return content.read_nowait() if complete else None

    def abort(self) -> None:
        """Drop the connection, if it is still ours; what has not been read is lost."""
        if self._sending is not None:
            self._sending.cancel()
        if self._connection is not None:
            self._connection.close()

    def _ended(self) -> None:
        """Give the connection back; one that was still being written to is of no more use."""
        if self._sending is not None and not self._sending.done():
            self.abort()
        elif self._connection is not None:
            connection, self._connection = self._connection, None
            self._give_back(connection)


def parsed_head(message: RawResponseMessage) -> PlainHead:
    """Return a head that aiohttp's parser has read."""
    fields = decoded(message.raw_headers)
    reason = message.reason or ""
    return PlainHead(message.code, reason, end_to_end(fields), content_length(fields), b"")


@contextlib.contextmanager
def _noticing_the_end(
    protocol: ResponseHandler | None, content: aiohttp.StreamReader
) -> Iterator[None]:
    """Break a body whose connection has ended before it.

    aiohttp closes the connection when chunks are none, and leaves the body waiting.
    """
    closed = None if content.is_eof() or protocol is None else protocol.closed

    def end(closed: asyncio.Future[None]) -> None:
        if not closed.cancelled():
            closed.exception()
        if not content.is_eof() and content.exception() is None:
            content.set_exception(aiohttp.ClientPayloadError("the connection has ended"))

    if closed is not None:
        closed.add_done_callback(end)
    try:
        yield
    finally:
        if closed is not None:
            closed.remove_done_callback(end)


def content_length(fields: Fields) -> int | None:
    """Return the length that an answer says, if it says just one and no other framing."""
    lengths = set(values(fields, "content-length"))
    if len(lengths) != 1 or values(fields, "transfer-encoding"):
        return None
    length = lengths.pop().strip()
    return int(length) if length.isascii() and length.isdigit() else None
