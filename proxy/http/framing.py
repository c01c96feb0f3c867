"""Framing of answers: what a length says is taken at its word, and nothing beyond it is an answer.

RFC 9112 section 6.3. aiohttp's parser gives up a whole answer where more octets come than its
Content-Length says, or where its transfer coding is none that it knows. Here, before the parser:

- of a body longer than its length, the length is the body; the rest is dropped, and the connection
  with it, so that it can never be taken for the next answer;
- so is whatever follows an answer that has no body (to HEAD, 204, 304);
- a transfer coding that no registry knows, and no other length: the body is what comes until the
  connection ends. We never send TE, so none could have been applied.
"""

import re
from collections.abc import Callable
from typing import Final, Protocol, TypeVar

from aiohttp.http_exceptions import ContentLengthError

Parsed_co = TypeVar("Parsed_co", covariant=True)

_BEGINS: Final = b"HTTP/"
_HEAD_END: Final = b"\r\n\r\n"
_LONGEST_HEAD: Final = 256 * 1024
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([0-9]{3})")
_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)[ \t]*(?=\r\n)", re.IGNORECASE)
_CODING: Final = re.compile(
    rb"\r\ntransfer-encoding:[ \t]*([^\r\n]*?)[ \t]*(?=\r\n)", re.IGNORECASE
)
_REGISTERED: Final = (b"chunked", b"gzip", b"x-gzip", b"deflate", b"compress", b"x-compress")
_BODILESS: Final = frozenset({204, 304})
_SWITCHED: Final = 101
_FINAL: Final = 200


class Parser(Protocol[Parsed_co]):
    """aiohttp's parser of answers, as far as it is used."""

    def feed_data(self, data: bytes) -> Parsed_co:
        """Take octets in; return what they complete."""
        ...

    def feed_eof(self) -> object:
        """Say that no more will come."""
        ...

    def pause_reading(self) -> None:
        """Hold back what is parsed until more is fed."""
        ...


class Content(Protocol):
    """Where a body goes."""

    def feed_data(self, data: bytes) -> object:
        """Take octets of the body."""
        ...

    def feed_eof(self) -> None:
        """Note that the body has come whole."""
        ...


class Counted:
    """In place of a parser: a body of so many octets, and no octet more."""

    def __init__(self, content: Content, length: int, on_excess: Callable[[], None]) -> None:
        """Take where the body goes, how long it is, and what ends the connection."""
        self._content = content
        self._left = length
        self._on_excess = on_excess

    def feed_data(self, data: bytes) -> tuple[tuple[()], bool, bytes]:
        """Take octets in; return, as a parser does, what they complete: no head."""
        part = data[: self._left]
        if len(data) > len(part):
            self._on_excess()
        if part:
            self._left -= len(part)
            self._content.feed_data(part)
            if not self._left:
                self._content.feed_eof()
        return (), False, b""

    def feed_eof(self) -> None:
        """Take the end of the connection.

        Raises:
            ContentLengthError: it came before the end of the body.

        """
        if self._left:
            raise ContentLengthError(f"{self._left} octets of the body did not come")

    def pause_reading(self) -> None:
        """Do nothing: what has come has been passed on."""


class Framed(Parser[Parsed_co]):
    """A parser that is fed one answer, and no octet more."""

    def __init__(
        self, parser: Parser[Parsed_co], *, bodiless: bool, on_excess: Callable[[], None]
    ) -> None:
        """Take the parser, whether the request was a HEAD, and what ends the connection."""
        self._parser = parser
        self._bodiless = bodiless
        self._on_excess = on_excess
        self._head = b""
        self._left: int | None = None
        """Octets of the body still to come; None: not known, the parser's matter."""
        self._in_head = True

    def feed_data(self, data: bytes) -> Parsed_co:
        """Feed the parser what belongs to the answer."""
        return self._parser.feed_data(self._cut(data))

    def feed_eof(self) -> object:
        """Pass on that the connection has ended."""
        if self._head:
            self._parser.feed_data(self._head)
        return self._parser.feed_eof()

    def pause_reading(self) -> None:
        """Pass on that the reader has enough for now."""
        self._parser.pause_reading()

    def _cut(self, data: bytes) -> bytes:
        """Return what of `data`, and of the head held back so far, the parser is to see now."""
        passed = b""
        while self._in_head and data:
            self._head += data
            end = self._head.find(_HEAD_END) + len(_HEAD_END)
            if end < len(_HEAD_END):
                return passed + self._refused()
            head, data, self._head = self._head[:end], self._head[end:], b""
            passed += self._read(head)
        if self._left is None:
            return passed + data
        if len(data) > self._left:
            self._on_excess()
        body = data[: self._left]
        self._left -= len(body)
        return passed + body

    def _refused(self) -> bytes:
        """Return the head so far where it can be none: refusing it is the parser's matter."""
        if self._head[: len(_BEGINS)] == _BEGINS[: len(self._head)] and (
            len(self._head) <= _LONGEST_HEAD
        ):
            return b""
        self._in_head = False
        head, self._head = self._head, b""
        return head

    def _read(self, head: bytes) -> bytes:
        """Note how long the body is; return the head as the parser is to see it."""
        status = int(found[1]) if (found := _STATUS.match(head)) else 0
        if status < _FINAL and status not in {0, _SWITCHED}:
            return head  # an interim answer: another head follows
        self._in_head = False
        if status in {0, _SWITCHED}:
            return head
        if self._bodiless or status in _BODILESS:
            self._left = 0
            return head
        codings = _CODING.findall(head)
        lengths = set(_LENGTH.findall(head))
        if len(codings) == 1 and not lengths:
            named = [part.strip().lower() for part in codings[0].split(b",")]
            known = any(part.split(b";")[0].strip() in _REGISTERED for part in named)
            return head if known else _CODING.sub(b"", head)
        if not codings and len(lengths) == 1:
            self._left = int(lengths.pop())
        return head
