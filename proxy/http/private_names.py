"""Every private name of aiohttp that this package leans on, and what happens where one is gone.

aiohttp's range is pinned in pyproject.toml and the tests run against it; a test here fails as soon
as one of these names changes its meaning. Nothing else in the package reads a name of aiohttp that
begins with an underscore.

`RequestHandler._waiter`
    used to tell that a head has begun and has not ended; without it heads have no clock of their
    own, and the keep-alive timer still cuts a client that hangs.
`RequestHandler._messages`
    used to tell that a body in progress is not framed as HTTP, which aiohttp queues as an answer
    behind the request whose body it is; without it such a body is waited for in vain, until its
    reader loses patience.
`ResponseHandler.read`
    shadowed on an instance, to see the 1xx answers that aiohttp swallows. The method is public;
    that an instance may shadow it is not. Without it they stay swallowed.

What needs none: the client's silent re-send is refused by a client middleware, which is public,
and the lean answers of the front are plain objects in the places of aiohttp's own.
"""

from collections.abc import Awaitable, Callable

from aiohttp.client_proto import ResponseHandler
from aiohttp.http import RawRequestMessage, RawResponseMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler

from proxy.core.fields import Fields
from proxy.http.heads import decoded

HEAD_CLOCK = "_waiter" in RequestHandler.__slots__
"""Whether a connection can tell that it waits for the rest of a head."""

BODY_ERRORS = "_messages" in RequestHandler.__slots__
"""Whether a connection can tell that a body in progress has gone wrong."""


def awaits_head(connection: RequestHandler) -> bool:
    """Return whether the connection has nothing to answer: what came last was no whole head."""
    waiter = connection._waiter if HEAD_CLOCK else None  # noqa: SLF001 - this file's purpose
    return waiter is not None and not waiter.done()


def is_garbled(connection: RequestHandler) -> bool:
    """Return whether what came last on the connection was no HTTP."""
    if not BODY_ERRORS or not connection._messages:  # noqa: SLF001 - this file's purpose
        return False
    return not isinstance(connection._messages[-1][0], RawRequestMessage)  # noqa: SLF001 - likewise


def relay_informational(
    protocol: ResponseHandler, inform: Callable[[int, Fields], Awaitable[None]]
) -> None:
    """Tell `inform` of each 1xx answer that comes before the next final one (not 100 and 101)."""
    read = protocol.read

    async def reading() -> tuple[RawResponseMessage, StreamReader]:
        message, payload = await read()
        if 101 < message.code < 200:  # noqa: PLR2004 - RFC 9110 section 15.2
            await inform(message.code, decoded(message.raw_headers))
        elif message.code >= 200:  # noqa: PLR2004 - likewise
            del protocol.read
        return message, payload

    if hasattr(protocol, "__dict__"):
        protocol.read = reading  # type: ignore[method-assign]  # what this file is for
