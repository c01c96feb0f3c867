"""Every private name of aiohttp that this package leans on, and what happens where one is gone.

aiohttp's range is pinned in pyproject.toml and the tests run against it; a test here fails as soon
as one of these names is gone or changes its meaning. Nothing else in the package reads a name of
aiohttp that begins with an underscore.

`RequestHandler._waiter`
    pending exactly while aiohttp's loop of a connection has no request to handle. Without it heads
    have no clock of their own (the keep-alive timer still cuts a client that hangs), and `SHORT`.
`RequestHandler._messages`
    parsed heads that wait for that loop. It tells that a body in progress is not framed as HTTP,
    which aiohttp queues as an answer behind the request whose body it is; without it such a body
    is waited for until its reader loses patience, and `SHORT`.
all names in `_FOR_SHORT`
    what `data_received` of aiohttp does itself, done here so that a hit can be answered before its
    loop wakes, or before anything is parsed. Without any of them `SHORT` is False: every request
    goes the ordinary way, through aiohttp's loop, and the accelerator is off.
`ResponseHandler._parser` and `_payload`
    wrapped, so that it is fed one answer and no octet more (`framing`); or in its place what counts
    the octets of a body. Without it aiohttp refuses answers whose framing lies, which is safe too.
`BaseConnector._factory`
    what makes the protocol of a new connection to an upstream: here one that reads plain answers
    itself (`whole_answers`). Without it aiohttp's parser reads all of them.

What needs none: the client stands on aiohttp's connector, not on its session, which alone repeats
requests and swallows 1xx answers; the lean answers of the front are plain objects in the places of
aiohttp's own.
"""

import asyncio
import select
from collections.abc import Sequence
from functools import partial
from typing import Any, Final, Protocol, TypeAlias

from aiohttp import EMPTY_PAYLOAD, BaseConnector
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler

from proxy.http.framing import Counted, Framed
from proxy.http.whole_answers import PlainHead, whole_answer

Parsed: TypeAlias = Sequence[tuple[RawRequestMessage, StreamReader]]

AHEAD: Final = 128 * 1024
"""Bytes of a body that are taken in before its reader has asked for them (twice, at the most)."""

_FOR_SHORT: Final = (
    "_waiter",
    "_messages",
    "_parser",
    "_upgraded",
    "_paused",
    "_reading_paused",
    "_buffer_paused",
    "_message_tail",
    "_payload_parser",
    "_manager",
    "_request_count",
    "_next_keepalive_close_time",
    "_keepalive_timeout",
    "_max_msg_queue_size",
    "_pause_reading_for_buffer",
    "_process_keepalive",
)
_NAMES: Final = {name for kind in RequestHandler.__mro__ for name in vars(kind)}

HEAD_CLOCK: Final = "_waiter" in _NAMES
"""Whether a connection can tell that it waits for the rest of a head."""
BODY_ERRORS: Final = "_messages" in _NAMES
"""Whether a connection can tell that a body in progress has gone wrong."""
SHORT: Final = _NAMES.issuperset(_FOR_SHORT)
"""Whether requests can be answered without aiohttp's loop."""


class OpenHandler(RequestHandler):
    """aiohttp's connection with the parts that we need under names of our own."""

    __slots__ = ()

    def awaits_head(self) -> bool:
        """Return whether there is nothing to answer: what came last was no whole head."""
        waiter = self._waiter if HEAD_CLOCK else None
        return waiter is not None and not waiter.done()

    def is_garbled(self) -> bool:
        """Return whether what came last was no HTTP."""
        if not BODY_ERRORS or not self._messages:
            return False
        return not isinstance(self._messages[-1][0], RawRequestMessage)

    def is_parked(self) -> bool:
        """Return whether aiohttp's loop waits for a request and nothing at all is under way."""
        waiter = self._waiter if SHORT else None
        return (
            waiter is not None
            and not waiter.done()
            and not self._messages
            and not self._paused
            and not self._upgraded
            and not self._buffer_paused
            and not self._reading_paused
            and self._payload_parser is None
        )

    def is_in_a_turn(self) -> bool:
        """Return whether a request is answered beside aiohttp's loop."""
        return False

    def _process_keepalive(self) -> None:
        """End an idle connection: in a turn aiohttp's loop waits, and nobody is idle."""
        if self.is_in_a_turn():
            self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        super()._process_keepalive()

    def ended_with_a_head(self, data: bytes) -> bool:
        """Return whether `data`, just taken in, left the parser exactly between two messages."""
        if not data.endswith(b"\r\n\r\n") or not self._messages:
            return False
        message, body = self._messages[-1]
        return (
            body is EMPTY_PAYLOAD
            and isinstance(message, RawRequestMessage)
            and not message.upgrade
            and message.method != "CONNECT"
            and not self._upgraded
            and not self._buffer_paused
            and len(self._messages) < self._max_msg_queue_size
        )

    def parse(self, data: bytes) -> Parsed:
        """Parse what has come to a parked connection.

        Raises:
            aiohttp.http_exceptions.HttpProcessingError: it is not HTTP.

        """
        parser = self._parser
        if parser is None:
            return ()
        parsed, self._upgraded, tail = parser.feed_data(data)
        if self._upgraded and tail:
            self._message_tail = tail
        messages: Parsed = parsed
        return messages

    def hand_over(self, parsed: Parsed) -> None:
        """Give parsed heads to aiohttp's loop, as its own `data_received` does."""
        self._request_count += len(parsed)
        self._messages.extend(parsed)
        waiter = self._waiter
        if parsed and waiter is not None and not waiter.done():
            waiter.set_result(None)
        if len(self._messages) >= self._max_msg_queue_size and not self._buffer_paused:
            self._pause_reading_for_buffer()

    def count_answered(self, requests: int, *, parsed: bool) -> None:
        """Note that requests were answered without aiohttp's loop: the connection is not idle."""
        self._request_count += requests
        if self._manager is not None:
            self._manager.requests_count += requests
        if parsed and self._parser is not None:
            self._parser.message_consumed()
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout


def frame(protocol: ResponseHandler, *, bodiless: bool) -> None:
    """Let the protocol's parser see the next answer and nothing beyond it; what is ends it."""
    parser = getattr(protocol, "_parser", None)
    if parser is not None:
        framed: Any = Framed(parser, bodiless=bodiless, on_excess=protocol.force_close)
        protocol._parser = framed  # noqa: SLF001 - what this file is for


class Parse(Protocol):
    """Has aiohttp's parser read the next answer."""

    def __call__(self, protocol: ResponseHandler, *, bodiless: bool) -> None:
        """`bodiless`: its request was a HEAD."""
        ...


class OpenResponses(ResponseHandler):
    """aiohttp's connection to an upstream; an answer that comes whole and plain it reads itself."""

    used = False
    """Whether it has had a request."""
    _parse: "Parse | None" = None
    """What has aiohttp's parser read the answer; None: it does already."""
    _bodiless = False
    _poll: Any = None

    def is_readable(self) -> bool:
        """Return whether something has come, or the connection has ended, that nobody has read."""
        if self._poll is None:
            held = None if self.transport is None else self.transport.get_extra_info("socket")
            if held is None or held.fileno() < 0:
                return True
            self._poll = select.poll()
            self._poll.register(held.fileno(), select.POLLIN)
        return bool(self._poll.poll(0))

    def expect(self, parse: "Parse", *, bodiless: bool) -> None:
        """Await an answer: `read` gives it whole, or as it does after `parse`, its head plain."""
        self._parser = None
        self._parse, self._bodiless = parse, bodiless

    def data_received(self, data: bytes) -> None:
        """Take in octets of an answer, or of none."""
        parse = self._parse
        if parse is not None:
            self._parse = None
            answer: Any = whole_answer(data, bodiless=self._bodiless)
            if type(answer) is PlainHead:
                self._begin(answer)
                return
            if answer is not None:
                self.feed_data(answer, 0)
                return
            parse(self, bodiless=self._bodiless)
        super().data_received(data)

    def _begin(self, head: PlainHead) -> None:
        """Take the rest of a body in that says how long it is."""
        content = StreamReader(self, AHEAD, loop=self._loop)
        counted: Any = Counted(content, head.content_length or 0, self.force_close)
        began: Any = (head, content)
        self._parser, self._payload = counted, content
        self.feed_data(began, 0)
        counted.feed_data(head.whole)


def open_responses(connector: BaseConnector) -> None:
    """Have the connector's connections read plain answers themselves."""
    if hasattr(connector, "_factory"):
        loop = asyncio.get_running_loop()
        factory: Any = partial(OpenResponses, loop=loop)
        connector._factory = factory  # noqa: SLF001 - as in `frame`
