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
- What its fields say (`learnable`): conditions, ranges, directives and credentials ask for
  something else than the stored answer. The flow has its own say in this too, with the fields that
  it was configured for.
- Short heads only, a batch of pipelined ones within bounds: small requests must not swell into
  huge writes.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from proxy import clock
from proxy.answer import Answer
from proxy.changes import Changes
from proxy.core.model import Request
from proxy.forms import Forms
from proxy.http import learnable
from proxy.http.learnable import LONGEST_HEAD, wants_gzip
from proxy.http.memory_files import MemoryFiles
from proxy.http.rows import Alike, Handle, Key, PassingRows, Row

MOST_AT_ONCE: Final = 32
"""Pipelined requests answered in one step, and"""
MOST_BYTES_AT_ONCE: Final = 256 * 1024
"""bytes after which no further one is."""

_LOOK_EVERY: Final = 16
"""One in so many heads that were not known is looked into for such lines: that takes a while."""

_END: Final = b"\r\n\r\n"

_HEAD: Final = 256
_CLASS: Final = 512
_PAIR: Final = 160
"""Bytes that Python takes for each beside its texts."""


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
    """How large the tables may become.

    Rows are kept beside the entries that they answer from, and counted with those.
    """

    noted: int = 8192
    heads: int = 16_384
    rows: int = 65_536
    bytes: int = 16 * 1024 * 1024
    """Of heads and classes. They are counted in the first level's bound too."""


class Accelerator:
    """The tables, and what reads and fills them."""

    def __init__(
        self,
        hits: Hits[Any],
        writer: Writer,
        forms: Forms,
        bounds: Bounds | None = None,
        now: Callable[[], float] = clock.steady_wall,
    ) -> None:
        """Take the flow, what makes bytes of its answers, where rows are kept, and the bounds.

        `now` is the entries' clock.
        """
        self._hits = hits
        self._changes = hits.changes
        self._now = now
        self._writer = writer
        self._forms = forms
        self._bounds = bounds or Bounds()
        self._heads: OrderedDict[tuple[int, str, bytes], Alike] = OrderedDict()
        self._classes: OrderedDict[tuple[object, ...], Alike] = OrderedDict()
        self._rows: OrderedDict[Key, Row] = OrderedDict()
        self._passing = PassingRows()
        self.files = MemoryFiles(forms.hold)
        """From which large answers are sent; those of rows only that the first level holds."""
        self._noted: set[int] = set()
        self._noted_before: set[int] = set()
        self._notes = 0
        self._varied = False
        """Whether a line that is new each time has been met: only then are they looked for."""
        self._bytes = 0
        self.last: Row | None = None
        """The row that `answer` used last."""
        self.passing: Row | None = None
        """The row of the head that `answer` came to, if only the store has its entry."""
        self.familiar = False
        """Whether `answer` knew the client of the head that it could not answer, by all but its
        request line: what is new is the target, and the head is worth learning."""

    def clear(self) -> None:
        """Forget all: who may be answered what has changed."""
        for row in tuple(self._rows.values()):
            self._forget(row)
        self._passing.clear()
        self._heads.clear()
        self._classes.clear()
        self._noted.clear()
        self._noted_before.clear()
        self._hold(-self._bytes)

    def gather(self) -> None:
        """Tell the flow of all hits that it has not been told of."""
        for row in self._rows.values():
            self._tell(row)

    def _tell(self, row: Row) -> None:
        if row.times:
            self._hits.count(row.handle, row.times)
            row.times = 0

    def repeat(self, row: Row) -> bool:
        """Return whether the answer that a row holds is given again, and count it."""
        if row.holds != self._changes.count or self._now() >= row.until:
            return False
        row.times += 1
        return True

    def answer(self, port: int, peer: str, data: bytes) -> tuple[list[bytes], int, int]:
        """Return the answers to the requests at the start of `data`, their bytes and number.

        The connection must be parked. What is not answered is for the parser, which has seen
        nothing of what was.
        """
        parts: list[bytes] = []
        self.last, self.passing, self.familiar = None, None, False
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
            alike = self._heads.get((port, peer, learnable.lasting(rest)))
        if alike is None:
            return None
        key = (alike, data[start:cut])
        row = self._rows.get(key)
        if row is None:
            self.passing, self.familiar = self._passing.get(key), True
            return None
        if row.holds == self._changes.count and self._now() < row.until:
            row.times += 1
            return row
        self._tell(row)
        answer = self._hits.again(row.handle)
        if answer is row.answer or (answer is not None and self._renew(alike, row, answer)):
            self._let_hold(row)
            return row
        self._forget(row)
        self.familiar = True
        return None

    def written(self, row: Row, answer: Answer | None) -> tuple[bytes, bytes] | None:
        """Return the bytes of what a passing row is answered now; None: it is forgotten."""
        if answer is not None and (answer is row.answer or self._renew(row.key[0], row, answer)):
            return row.head, row.body
        self._passing.forget(row)
        return None

    def _let_hold(self, row: Row) -> None:
        """Let the row's answer be given until its time, or a change, if it may be at all."""
        row.until = row.handle.until
        row.holds = self._changes.count if self._hits.repeatable else -1

    def _renew(self, alike: Alike, row: Row, answer: Answer) -> bool:
        made = self._writer.at_once(answer, wants_gzip=alike.wants_gzip)
        if made is None:
            return False
        row.answer, (row.head, row.body) = answer, made
        self.files.close(row)
        return True

    # ── learning ──

    def learn(
        self, port: int, peer: str, head: bytes, request: Request, handle: Handle, answer: Answer
    ) -> None:
        """Remember a head that came alone and was answered at once from a known hit.

        One whose like has not been seen before is only noted: most clients that vary their heads
        never send the same one twice, and learning costs more than an answer.
        """
        if not learnable.is_plain(head, request):
            return
        cut = head.find(b"\r\n")
        key = (port, peer, learnable.lasting(head[cut:]) if self._varied else head[cut:])
        if key not in self._heads and not self._seen_before(key):
            return
        if not learnable.is_decided(request, handle.depends_on):
            return
        gzip = wants_gzip(request.fields)
        made = self._writer.at_once(answer, wants_gzip=gzip)
        if made is None:
            return
        alike = self._alike(request, gzip=gzip)
        self._remember_head(key, alike)
        row = Row((alike, head[:cut]), handle, answer, made, self._forget)
        if handle.passing:
            self._passing.keep(row)
        else:
            self._remember_row(row)

    def _seen_before(self, key: tuple[int, str, bytes]) -> bool:
        """Return whether a head like this was noted, and note it."""
        noted = hash(key)
        if noted in self._noted or noted in self._noted_before:
            return True
        self._notes += 1
        if self._notes % _LOOK_EVERY == 0 and learnable.varies(key[2]):
            self._varied = True
        self._noted.add(noted)
        if len(self._noted) >= self._bounds.noted:
            self._noted_before, self._noted = self._noted, set()
        return False

    def _alike(self, request: Request, *, gzip: bool) -> Alike:
        matters = learnable.matters(request)
        key = (request.port, request.secure, request.host, gzip, *matters)
        alike = self._classes.get(key)
        if alike is None:
            size = _CLASS + sum(len(name) + len(value) + _PAIR for name, value in matters)
            alike = self._classes[key] = Alike(size, wants_gzip=gzip)
            self._hold(size)
            self._keep_within()
        return alike

    def _remember_head(self, key: tuple[int, str, bytes], alike: Alike) -> None:
        if key not in self._heads:
            self._hold(len(key[2]) + _HEAD)
        self._heads[key] = alike
        self._keep_within()

    def _keep_within(self) -> None:
        """Evict what was learnt first, classes last: those that heads have need no table."""
        bounds = self._bounds
        while len(self._heads) > bounds.heads or (self._bytes > bounds.bytes and self._heads):
            (_, _, rest), _ = self._heads.popitem(last=False)
            self._hold(-len(rest) - _HEAD)
        while len(self._classes) > bounds.heads or (self._bytes > bounds.bytes and self._classes):
            self._hold(-self._classes.popitem(last=False)[1].size)

    def _hold(self, size: int) -> None:
        """Count bytes, here and in the first level."""
        self._bytes += size
        self._forms.hold(size)

    def _remember_row(self, row: Row) -> None:
        known = self._rows.get(row.key)
        if known is not None:
            self._forget(known)
        self._rows[row.key] = row  # before it is kept: it may hear at once that it is gone
        self._let_hold(row)
        if not self._forms.keep(row.handle.entry, row):
            del self._rows[row.key]
        while len(self._rows) > self._bounds.rows:
            self._forget(next(iter(self._rows.values())))

    def _forget(self, row: Row) -> None:
        if self._rows.get(row.key) is row:
            del self._rows[row.key]
        self._tell(row)
        row.holds = -1
        self.files.close(row)
        self._forms.drop(row.handle.entry, row)
