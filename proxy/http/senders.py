"""Who sends, as the fields of a head say it: read once for all heads of a connection that say it.

A bot writes its fields anew for each request, and writes the same. What is read off them alone is
read again only where they differ from those of the head before on the same connection, or where
the clients' rules have changed since.
"""

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from aiohttp.http import HttpVersion10, RawRequestMessage
from msgspec import Struct

from proxy.core.fields import Fields
from proxy.core.model import Client
from proxy.http.encodings import takes_gzip
from proxy.http.targets import Target

Inform: TypeAlias = Callable[[int, Fields], Awaitable[None]]

LONGEST: Final = 4 * 1024
"""Bytes of fields that are held with a connection: of those there may be many, and idle."""


class Sender(Struct, frozen=True):
    """What a head says of who sends it, and of the form in which they want an answer."""

    raw: tuple[tuple[bytes, bytes], ...]
    """The field lines that it was read off."""
    generation: int
    """Of the clients' rules."""
    client: Client
    fields: Fields
    """Without what named the client."""
    host: str
    gzip: bool
    """Whether gzip is the better form."""
    inform: Inform | None
    """What relays a 1xx answer; None for a client that knows none."""

    def sends(self, message: RawRequestMessage, generation: int) -> bool:
        """Return whether a further head on the connection has the same fields, read as now."""
        return self.raw == message.raw_headers and self.generation == generation


def is_decided(message: RawRequestMessage, target: Target) -> bool:
    """Return whether nothing but the fields of this head says who sends it.

    Else the target names the client or the host; HTTP/1.0 may leave out its Host, and knows no 1xx.
    """
    named = target.authority is not None or target.path.startswith("/~")
    return not named and message.version != HttpVersion10


def is_short(message: RawRequestMessage) -> bool:
    """Return whether the fields of a head are few enough to be held with its connection."""
    return sum([len(name) + len(value) for name, value in message.raw_headers]) <= LONGEST


def accepts_gzip(message: RawRequestMessage) -> bool:
    """Return whether gzip is the better form for whoever sent this head."""
    given = message.headers.getall("Accept-Encoding", None)
    return given is not None and takes_gzip(given[0] if len(given) == 1 else ", ".join(given))
