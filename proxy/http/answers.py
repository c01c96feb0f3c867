"""Answers on their way to a client: head, account, body.

- A whole body goes with its head in one write where it is small. A large one goes in slices, no
  faster than the client reads: what is written waits in a copy of its own for each client (plain
  asyncio, TLS).
- A streamed body goes as it arrives and no faster than the client reads. One that breaks, or is
  not as long as its head said, makes `send` return None: the connection must then be cut.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeAlias

from aiohttp.http import HttpVersion10
from msgspec.structs import replace

from proxy.answer import Account, Answer, Problem
from proxy.core.codings import GZIP, negotiated
from proxy.core.fields import Fields, replaced
from proxy.core.model import Entry, Verdict
from proxy.core.spending import Level
from proxy.forms import Forms
from proxy.http import heads
from proxy.http.encodings import IDENTITY, coding_of, gunzipped
from proxy.http.fields import (
    presentable,
    problem_waits,
    rate_limits,
    retry_after,
    verdict_lines,
)
from proxy.http.inbound import CLOSE, KEEP, Finished, Inbound
from proxy.http.problems import CONTENT_TYPE, problem_body
from proxy.http.renderings import BODYLESS, Rendering, Renderings, has_date, rendering
from proxy.http.senders import Inform

if TYPE_CHECKING:
    from proxy.http.connection import Connection

_OFF_LOOP: Final = 128 * 1024
"""Compressed bytes above which a body is unpacked in a thread, so that others do not wait."""

SLICE: Final = 1024 * 1024
"""Bytes of a whole body that are written before the client has read what was written before."""

_LIMIT_LINES: Final = 64
"""Texts of RateLimit at hand: one for each endpoint that is asked for now."""

_RELAYED: Final = frozenset(range(102, 200))

_FOR_ONE: Final = frozenset({Verdict.MISS, Verdict.REVALIDATED, Verdict.BYPASS})
"""What one client alone is answered: those who joined it, and all after them, ask anew."""

Sent: TypeAlias = Finished | None
"""None: the answer was not written whole. The connection must then be cut."""


class Wire:
    """Writes answers to connections."""

    def __init__(self, wall: Callable[[], float], forms: Forms) -> None:
        """Take the wall clock, for Date and `resets_at`, and where renderings are kept."""
        self._wall = wall
        self._renderings = Renderings(forms)
        self._limit_lines: dict[int, tuple[tuple[Level, ...], bytes]] = {}

    def problem(self, answer: Answer, *, close: bool) -> bytes:
        """Return the whole answer of a problem, for a client that is not HTTP/1.0."""
        assert answer.problem is not None  # noqa: S101 - what the caller asks for
        made = self._rendered_problem(answer, answer.problem)
        return b"".join(self._parts(answer, made, heads.CLOSE if close else b"", bodyless=False))

    def send(self, inbound: Inbound, answer: Answer, *, close: bool) -> Sent | Awaitable[Sent]:
        """Write an answer; what takes waiting, as few do, is left to be awaited.

        It waits while the client does not read, and where a large body must be unpacked first.
        """
        if answer.retry_after is not None and answer.problem is None:
            answer = _held_off(answer, answer.retry_after)
        gzip, body = inbound.accepts_gzip, answer.body
        if not isinstance(body, bytes):
            return self._stream(inbound, answer, body, wants_gzip=gzip, close=close)
        if len(body) > _OFF_LOOP and answer.encoding == GZIP and not gzip:
            return self._unpacked(inbound, answer, body, close=close)
        head_only = inbound.message.method == "HEAD"
        made = self._rendered(answer, body, wants_gzip=gzip, head_only=head_only)
        return self._write(inbound, answer, made, close=close)

    def _write(
        self, inbound: Inbound, answer: Answer, made: Rendering, *, close: bool
    ) -> Sent | Awaitable[Sent]:
        bodyless = inbound.message.method == "HEAD" or answer.status in BODYLESS
        parts = self._parts(answer, made, _connection_line(inbound, close=close), bodyless=bodyless)
        if len(made.body) > SLICE and not bodyless:
            return _in_slices(inbound, b"".join(parts[:-1]), made.body, close=close)
        connection = inbound.connection
        if not connection.write_all(parts):
            return None
        finished = CLOSE if close else KEEP
        return _drained(connection, finished) if connection.writing_paused else finished

    async def _unpacked(
        self, inbound: Inbound, answer: Answer, body: bytes, *, close: bool
    ) -> Sent:
        """Send what is unpacked first: in a thread, so that others do not wait."""
        entry, head_only = _whole_entry(answer), inbound.message.method == "HEAD"
        made = None if entry is None else self._renderings.get(answer, entry, takes_gzip=False)
        if made is None:
            made = await asyncio.to_thread(
                rendering, answer, body, takes_gzip=False, head_only=head_only
            )
            if entry is not None:
                self._renderings.keep(answer, entry, made, takes_gzip=False)
        sent = self._write(inbound, answer, made, close=close)
        return sent if sent is None or isinstance(sent, Finished) else await sent

    def ready(self, entry: Entry, *, wants_gzip: bool) -> bool:
        """Return whether `at_once` takes no time worth a thread."""
        if len(entry.body) > SLICE:
            return False
        small = len(entry.body) <= _OFF_LOOP or wants_gzip or entry.encoding != GZIP
        return small or self._renderings.has(entry, takes_gzip=wants_gzip)

    def at_once(self, answer: Answer, *, wants_gzip: bool) -> tuple[bytes, bytes] | None:
        """Return head and body of an answer to GET that is its whole entry; None: `send` it.

        To a client of HTTP/1.1 whose connection goes on, `send` writes the same bytes.
        """
        entry, body = answer.entry, answer.body
        if entry is None or body is not entry.body or answer.status in BODYLESS:
            return None
        if answer.problem is not None or answer.retry_after is not None:
            return None
        made = self._renderings.get(answer, entry, takes_gzip=wants_gzip)
        if made is None:
            made = rendering(answer, entry.body, takes_gzip=wants_gzip)
            self._renderings.keep(answer, entry, made, takes_gzip=wants_gzip)
        if len(made.body) > SLICE:
            return None
        if made.answered is not answer or not made.dated:
            *head, _ = self._parts(answer, made, b"", bodyless=False)
            made.answered, made.whole_head = answer, b"".join(head)
        return made.whole_head, made.body

    # ── heads ──

    def _rendered(
        self, answer: Answer, body: bytes, *, wants_gzip: bool, head_only: bool
    ) -> Rendering:
        if answer.problem is not None:
            return self._rendered_problem(answer, answer.problem)
        entry = None if answer.account.verdict in _FOR_ONE else _whole_entry(answer)
        made = None if entry is None else self._renderings.get(answer, entry, takes_gzip=wants_gzip)
        if made is None:
            made = rendering(answer, body, takes_gzip=wants_gzip, head_only=head_only)
            if entry is not None:
                self._renderings.keep(answer, entry, made, takes_gzip=wants_gzip)
        return made

    def _rendered_problem(self, answer: Answer, problem: Problem) -> Rendering:
        body = problem_body(problem, self._wall())
        fields = [("Content-Type", CONTENT_TYPE), *problem_waits(problem), *answer.fields]
        fields += [("Allow", ", ".join(told)) for told in _allowed(problem)]
        fields.append(("Content-Length", str(len(body))))
        head = heads.status_line(problem.status, "") + heads.field_lines(fields)
        return Rendering(head, body, dated=False)

    def _parts(
        self, answer: Answer, made: Rendering, connection_line: bytes, *, bodyless: bool
    ) -> tuple[bytes, bytes, bytes, bytes, bytes, bytes]:
        date = b"" if made.dated else heads.date_line(int(self._wall()))
        said = self._said(answer, made)
        body = b"" if bodyless else made.body
        return made.head, date, said, connection_line, heads.END, body

    def _said(self, answer: Answer, made: Rendering) -> bytes:
        """Return the account's lines; with what is kept, as they change by the second only."""
        account = answer.account
        if not made.size:
            return verdict_lines(account) + self._limits(account.levels)
        key = _account_key(account)
        if made.dynamic_key != key or made.levels is not account.levels:
            made.dynamic = verdict_lines(account) + self._limits(account.levels)
            made.dynamic_key, made.levels = key, account.levels
        return made.dynamic

    def _limits(self, levels: tuple[Level, ...]) -> bytes:
        """Return the lines of RateLimit; the ledger's figures stay the same object for a while."""
        known = self._limit_lines.get(id(levels))
        if known is not None and known[0] is levels:
            return known[1]
        lines = heads.field_lines(rate_limits(levels))
        if len(self._limit_lines) >= _LIMIT_LINES:
            del self._limit_lines[next(iter(self._limit_lines))]  # the oldest
        self._limit_lines[id(levels)] = (levels, lines)
        return lines

    # ── streams ──

    async def _stream(
        self,
        inbound: Inbound,
        answer: Answer,
        body: AsyncIterator[bytes],
        *,
        wants_gzip: bool,
        close: bool,
    ) -> Sent:
        bodyless = inbound.message.method == "HEAD" or answer.status in BODYLESS
        fields, length = presentable(answer.fields), answer.content_length
        if coding_of(answer.fields) == GZIP and not answer.no_transform:
            changed = not wants_gzip
            fields = negotiated(fields, IDENTITY if changed else GZIP, changed=changed)
            if changed and not bodyless:
                body, length = gunzipped(body), None
        pump = _Pump(inbound, length)
        framing = b"" if answer.status in BODYLESS else pump.framing(bodyless=bodyless)
        lines = heads.status_line(answer.status, answer.reason) + heads.field_lines(fields)
        made = Rendering(lines + framing, b"", has_date(fields))
        close = close or pump.until_close
        line = _connection_line(inbound, close=close)
        try:
            head = b"".join(self._parts(answer, made, line, bodyless=True))
            whole = inbound.connection.write(head) and (bodyless or await pump.run(body))
            return (CLOSE if close else KEEP) if whole else None
        finally:
            await _release(body)


class _Pump:
    """Hands a stream to a client."""

    def __init__(self, inbound: Inbound, length: int | None) -> None:
        self._inbound = inbound
        self._length = length
        self._chunked = length is None and inbound.message.version != HttpVersion10
        self.until_close = False

    def framing(self, *, bodyless: bool) -> bytes:
        """Return the field that says where the body ends; HTTP/1.0 has none but the close."""
        if self._length is not None:
            return b"Content-Length: %d\r\n" % self._length
        if self._chunked:
            return heads.CHUNKED
        self.until_close = not bodyless
        return b""

    async def run(self, body: AsyncIterator[bytes]) -> bool:
        """Write the body; False where it broke, its length was a lie, or the client has gone."""
        connection, sent = self._inbound.connection, 0
        try:
            async for chunk in body:
                sent += len(chunk)
                if self._length is not None and sent > self._length:
                    return False
                if chunk and not connection.write(self._framed(chunk)):
                    return False
                if connection.writing_paused and not await self._drain():
                    return False
        except zlib.error:
            return False
        if self._length is not None and sent != self._length:
            return False
        return connection.write(b"0\r\n\r\n") if self._chunked else True

    def _framed(self, chunk: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(chunk), chunk) if self._chunked else chunk

    async def _drain(self) -> bool:
        return await self._inbound.connection.drain()


def informer(connection: "Connection") -> Inform:
    """Return what relays a 1xx answer to a client."""

    async def inform(status: int, fields: Fields) -> None:
        if status in _RELAYED:
            lines = heads.field_lines(presentable(fields))
            connection.write(heads.status_line(status, "") + lines + heads.END)

    return inform


async def _in_slices(inbound: Inbound, head: bytes, body: bytes, *, close: bool) -> Sent:
    """Write a large body no faster than the client reads."""
    connection = inbound.connection
    if not connection.write(head):
        return None
    for start in range(0, len(body), SLICE):
        if not connection.write(body[start : start + SLICE]):
            return None
        if connection.writing_paused and not await connection.drain():
            return None
    return CLOSE if close else KEEP


async def _drained(connection: "Connection", finished: Finished) -> Sent:
    """Wait while the client does not read what was written."""
    return finished if await connection.drain() else None


def _whole_entry(answer: Answer) -> Entry | None:
    """Return the entry that an answer is the whole of; None: it is not the whole of any."""
    entry, body = answer.entry, answer.body
    if entry is None or entry.body is not body or entry.status != answer.status or not body:
        return None
    return entry


def _connection_line(inbound: Inbound, *, close: bool) -> bytes:
    if close:
        return heads.CLOSE
    return heads.KEEP_ALIVE if inbound.message.version == HttpVersion10 else b""


def _account_key(account: Account) -> tuple[object, ...]:
    """Return what the account's lines are made of; times in the whole seconds they are shown in."""
    age, ttl = account.age, account.ttl
    return (
        account.verdict,
        None if age is None else int(age),
        None if ttl is None else ttl // 1,
        account.forward_reason,
        account.forward_status,
        account.stored,
        account.collapsed,
        account.detail,
        account.key,
    )


def _allowed(problem: Problem) -> list[list[str]]:
    """Return what a 405 allows, which its head must say too (RFC 9110 section 15.5.6)."""
    return [told for name, told in problem.members if name == "allow" and isinstance(told, list)]


def _held_off(answer: Answer, seconds: float) -> Answer:
    """Return the provider's own answer with the hold's wait in place of its own."""
    waits = retry_after(seconds, answer.retry_after_max)
    return replace(answer, fields=replaced(answer.fields, waits), retry_after=None)


async def _release(body: AsyncIterator[bytes]) -> None:
    """Let go of a stream, read or not."""
    close = getattr(body, "aclose", None)
    if close is not None:
        await close()
