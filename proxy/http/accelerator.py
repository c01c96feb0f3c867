"""Hits before anything is parsed: bots send the same bytes again and again.

Two tables: from the listener, the peer and the exact rest of a head (all but its request line) to
a class of clients that are answered alike; from that class and the exact request line to a known
hit. So N targets and M clients need N + M rows. An answer is never given past its time: it holds
until its second turns or its entry ends (`Handle.until`), unless anything changes before in what
is stored or configured (`Hits.changes`); then the flow is asked, who says no as soon as the entry
is stale, purged or replaced. What is given in between is counted on the row, and gathered when the
answer is renewed, the row forgotten, or somebody asks.

Which cases are taken, and why the others are not:
- The connection is parked between two messages, exactly. Else a body that looks like a known
  request would be answered (request smuggling), or an answer would overtake another.
- A head is learnt when it went to the parser alone, from such a state, and was answered at once
  from a known hit, in the same step. Else the wrong head might be bound to an answer.
- GET, HTTP/1.1, no body, `Connection: keep-alive` or none. All else changes the framing.
- No field of `NEVER`: conditions, ranges, directives and credentials ask for something else than
  the stored answer. The flow has its own say in this, with the fields that it was configured for.
- Short heads only, a batch of pipelined ones within bounds: small requests must not swell into
  huge writes.
"""

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from proxy import clock
from proxy.answer import Answer
from proxy.changes import Changes
from proxy.core.fields import Fields, combined
from proxy.core.model import Entry, Request
from proxy.http.encodings import takes_gzip

LONGEST_HEAD: Final = 4096
MOST_AT_ONCE: Final = 32
"""Pipelined requests answered in one step, and"""
MOST_BYTES_AT_ONCE: Final = 256 * 1024
"""bytes after which no further one is."""

NEVER: Final = frozenset(
    {
        "authorization",
        "cache-control",
        "content-encoding",
        "content-length",
        "cookie",
        "expect",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "pragma",
        "proxy-authorization",
        "range",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""A head with one of these is never learnt."""

NO_MATTER: Final = frozenset(
    {
        "accept-encoding",  # in the class as what is made of it
        "baggage",
        "connection",
        "host",  # likewise
        "request-id",
        "sentry-trace",
        "traceparent",
        "tracestate",
        "user-agent",
        "x-amzn-trace-id",
        "x-correlation-id",
        "x-request-id",
    }
)
"""Fields that tell no two classes apart, unless an endpoint keys them."""

_NEW_EACH_TIME: Final = re.compile(
    rb"\r\n(?:traceparent|tracestate|x-request-id|x-correlation-id|request-id|x-amzn-trace-id"
    rb"|sentry-trace|baggage):[\x20-\x7e]*(?=\r\n[^ \t])",
    re.IGNORECASE,
)
"""Lines that a client writes anew with each request. A head is looked up without them too."""

_LOOK_EVERY: Final = 16
"""One in so many heads that were not known is looked into for such lines: that takes a while."""

_END: Final = b"\r\n\r\n"


class Handle(Protocol):
    """A known hit, as the flow holds it."""

    entry: Entry
    """What it is answered from."""
    answer: Answer | None
    """The answer that was given last, and"""
    until: float
    """the time of the entries' clock up to which it is the answer, if nothing changes."""
    depends_on: frozenset[str]
    """Lower-case names of the request fields that its answer may depend on."""


H = TypeVar("H", bound=Handle)


class Hits(Protocol[H]):
    """What the accelerator needs of the flow."""

    @property
    def changes(self) -> Changes:
        """Counts whatever could end a known hit before its time."""
        ...

    @property
    def repeatable(self) -> bool:
        """Whether a known hit may be answered again, unasked, until its time or a change."""
        ...

    def count(self, hit: H, times: int) -> None:
        """Count further hits that had the present answer."""
        ...

    def known(self, request: Request) -> H | None:
        """Return the known hit that a request is, be it one now or not."""
        ...

    def again(self, hit: H) -> Answer | None:
        """Return the answer of a known hit as of now, and count it; None: it is none any more."""
        ...


class Writer(Protocol):
    """What makes bytes of answers."""

    def at_once(self, answer: Answer, *, wants_gzip: bool) -> tuple[bytes, bytes] | None:
        """Return head and body of an answer that is a whole entry; None: not without waiting."""
        ...


@dataclass(frozen=True, slots=True)
class Bounds:
    """How large the tables may become."""

    noted: int = 8192
    heads: int = 16_384
    rows: int = 65_536
    bytes: int = 64 * 1024 * 1024
    """Of heads and rows together, with the bodies that they hold on to."""


class _Class:
    """Clients that are answered alike."""

    __slots__ = ("wants_gzip",)

    def __init__(self, *, wants_gzip: bool) -> None:
        self.wants_gzip = wants_gzip


class Row:
    """A known hit, and the bytes of its last answer."""

    __slots__ = ("answer", "body", "handle", "head", "holds", "size", "times", "until")

    def __init__(self, handle: Handle, answer: Answer, head: bytes, body: bytes) -> None:
        self.handle = handle
        self.answer = answer
        self.head = head
        self.body = body
        self.times = 0
        """Hits that nobody has been told of."""
        self.holds = -1
        """The count of changes at which `answer` holds up to `until`; -1: it must be asked for."""
        self.until = 0.0
        self.size = len(head) + len(body) + 512
        """What it is counted as; a head grows by the figures of a second at most."""


class Accelerator:
    """The tables, and what reads and fills them."""

    def __init__(
        self,
        hits: Hits[Any],
        writer: Writer,
        bounds: Bounds | None = None,
        now: Callable[[], float] = clock.steady_wall,
    ) -> None:
        """Take the flow, what makes bytes of its answers, the bounds, and the entries' clock."""
        self._hits = hits
        self._changes = hits.changes
        self._now = now
        self._writer = writer
        self._bounds = bounds or Bounds()
        self._heads: OrderedDict[tuple[int, str, bytes], _Class] = OrderedDict()
        self._classes: OrderedDict[tuple[object, ...], _Class] = OrderedDict()
        self._rows: OrderedDict[tuple[_Class, bytes], Row] = OrderedDict()
        self._noted: set[int] = set()
        self._noted_before: set[int] = set()
        self._notes = 0
        self._varied = False
        """Whether a line that is new each time has been met: only then are they looked for."""
        self._bytes = 0
        self.last: Row | None = None
        """The row that `answer` used last."""

    def clear(self) -> None:
        """Forget all: who may be answered what has changed."""
        self.gather()
        for row in self._rows.values():
            row.holds = -1
        self._heads.clear()
        self._classes.clear()
        self._rows.clear()
        self._noted.clear()
        self._noted_before.clear()
        self._bytes = 0

    def gather(self) -> None:
        """Tell the flow of all hits that it has not been told of."""
        for row in self._rows.values():
            self._tell(row)

    def _tell(self, row: Row) -> None:
        if row.times:
            self._hits.count(row.handle, row.times)
            row.times = 0

    def repeat(self, row: Row) -> bytes | None:
        """Return the answer that a row holds, counted; None: it must be looked up again."""
        if row.holds != self._changes.count or self._now() >= row.until:
            return None
        row.times += 1
        return row.head + row.body

    def answer(self, port: int, peer: str, data: bytes) -> tuple[list[bytes], int, int]:
        """Return the answers to the requests at the start of `data`, their bytes and number.

        The connection must be parked. What is not answered is for the parser, which has seen
        nothing of what was.
        """
        parts: list[bytes] = []
        self.last = None
        size = taken = number = 0
        while number < MOST_AT_ONCE and size < MOST_BYTES_AT_ONCE:
            end = data.find(_END, taken, taken + LONGEST_HEAD)
            if end < 0:
                break
            row = self._find(port, peer, data, taken, end)
            if row is None:
                break
            parts += (row.head, row.body)
            self.last = row
            size += len(row.body)
            taken = end + len(_END)
            number += 1
        return parts, taken, number

    def _find(self, port: int, peer: str, data: bytes, start: int, end: int) -> Row | None:
        cut = data.find(b"\r\n", start, end + 2)
        rest = data[cut : end + len(_END)]
        alike = self._heads.get((port, peer, rest))
        if alike is None and self._varied:
            alike = self._heads.get((port, peer, _NEW_EACH_TIME.sub(b"", rest)))
        if alike is None:
            return None
        key = (alike, data[start:cut])
        row = self._rows.get(key)
        if row is None:
            return None
        if row.holds == self._changes.count and self._now() < row.until:
            row.times += 1
            return row
        self._tell(row)
        answer = self._hits.again(row.handle)
        if answer is row.answer or (answer is not None and self._renew(alike, row, answer)):
            self._hold(row)
            return row
        self._forget(key)
        return None

    def _hold(self, row: Row) -> None:
        """Let the row's answer be given until its time, or a change, if it may be at all."""
        row.until = row.handle.until
        row.holds = self._changes.count if self._hits.repeatable else -1

    def _renew(self, alike: _Class, row: Row, answer: Answer) -> bool:
        made = self._writer.at_once(answer, wants_gzip=alike.wants_gzip)
        if made is None:
            return False
        row.answer, (row.head, row.body) = answer, made
        return True

    # ── learning ──

    def learn(
        self, port: int, peer: str, head: bytes, request: Request, handle: Handle, answer: Answer
    ) -> None:
        """Remember a head that came alone and was answered at once from a known hit.

        One whose like has not been seen before is only noted: most clients that vary their heads
        never send the same one twice, and learning costs more than an answer.
        """
        if len(head) > LONGEST_HEAD or not head.startswith(b"GET /") or request.client.name:
            return
        cut = head.find(b"\r\n")
        key = (port, peer, _NEW_EACH_TIME.sub(b"", head[cut:]) if self._varied else head[cut:])
        if key not in self._heads and not self._seen_before(key):
            return
        names = {name.lower() for name, _ in request.fields}
        if names & NEVER or handle.depends_on & NO_MATTER:
            return
        gzip = wants_gzip(request.fields)
        made = self._writer.at_once(answer, wants_gzip=gzip)
        if made is None:
            return
        alike = self._alike(request, gzip=gzip)
        self._remember_head(key, alike)
        self._remember_row((alike, head[:cut]), Row(handle, answer, *made))

    def _seen_before(self, key: tuple[int, str, bytes]) -> bool:
        """Return whether a head like this was noted, and note it."""
        noted = hash(key)
        if noted in self._noted or noted in self._noted_before:
            return True
        self._notes += 1
        if self._notes % _LOOK_EVERY == 0 and _NEW_EACH_TIME.search(key[2]):
            self._varied = True
        self._noted.add(noted)
        if len(self._noted) >= self._bounds.noted:
            self._noted_before, self._noted = self._noted, set()
        return False

    def _alike(self, request: Request, *, gzip: bool) -> _Class:
        fields = [(name.lower(), value) for name, value in request.fields]
        matters = sorted((pair for pair in fields if pair[0] not in NO_MATTER), key=_by_name)
        key = (request.port, request.secure, request.host, gzip, *matters)
        alike = self._classes.get(key)
        if alike is None:
            if len(self._classes) >= self._bounds.heads:
                self._classes.popitem(last=False)
            alike = self._classes[key] = _Class(wants_gzip=gzip)
        return alike

    def _remember_head(self, key: tuple[int, str, bytes], alike: _Class) -> None:
        if key not in self._heads:
            self._bytes += len(key[2])
        self._heads[key] = alike
        while len(self._heads) > self._bounds.heads:
            oldest, _ = self._heads.popitem(last=False)
            self._bytes -= len(oldest[2])

    def _remember_row(self, key: tuple[_Class, bytes], row: Row) -> None:
        self._forget(key)
        self._rows[key] = row
        self._hold(row)
        self._bytes += row.size
        while len(self._rows) > self._bounds.rows or (
            self._bytes > self._bounds.bytes and self._rows
        ):
            self._forget(next(iter(self._rows)))

    def _forget(self, key: tuple[_Class, bytes]) -> None:
        row = self._rows.pop(key, None)
        if row is not None:
            self._tell(row)
            row.holds = -1
            self._bytes -= row.size


def _by_name(pair: tuple[str, str]) -> str:
    return pair[0]


def wants_gzip(fields: Fields) -> bool:
    """Return whether the client takes gzip."""
    return takes_gzip(combined(fields, "accept-encoding"))
