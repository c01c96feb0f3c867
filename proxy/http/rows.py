"""Rows of the accelerator: a known hit, and the bytes that it was answered with last."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Protocol, TypeAlias

from proxy.answer import Answer
from proxy.core.model import Entry

_ROW: Final = 512
"""Bytes that Python takes for a row beside its texts."""
_MOST_PASSING: Final = 1024
_MOST_PASSING_BYTES: Final = 8 * 1024 * 1024


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
    passing: bool
    """The first level does not hold its entry."""


class Alike:
    """Clients that are answered alike."""

    __slots__ = ("size", "wants_gzip")

    def __init__(self, size: int, *, wants_gzip: bool) -> None:
        self.size = size
        self.wants_gzip = wants_gzip


Key: TypeAlias = tuple[Alike, bytes]
"""Clients that are answered alike, and the request line."""


class Row:
    """A known hit, and the bytes of its last answer: a form of the entry that it is given from."""

    __slots__ = (
        "_forget",
        "answer",
        "body",
        "filed",
        "handle",
        "head",
        "holds",
        "key",
        "size",
        "times",
        "until",
    )

    def __init__(
        self,
        key: Key,
        handle: Handle,
        answer: Answer,
        made: tuple[bytes, bytes],
        forget: Callable[["Row"], None],
    ) -> None:
        self.key = key
        self._forget = forget
        self.handle = handle
        self.answer = answer
        self.head, self.body = made
        self.filed = b""
        """The head that a file was made of, if any (`memory_files`)."""
        self.times = 0
        """Hits that nobody has been told of."""
        self.holds = -1
        """The count of changes at which `answer` holds up to `until`; -1: it must be asked for."""
        self.until = 0.0
        self.size = len(self.head) + len(key[1]) + _ROW
        """Bytes beside the entry's body and its forms."""

    def gone(self) -> None:
        """Leave the table: the entry is not held any more."""
        self._forget(self)


class PassingRows:
    """Rows whose entries the first level does not hold: bounded here, and not counted there.

    They are no answers yet: the store is asked for the entry each time.
    """

    def __init__(self, most: int = _MOST_PASSING, most_bytes: int = _MOST_PASSING_BYTES) -> None:
        """Take the bounds, of rows and of bytes with the bodies they answer with."""
        self._most = most
        self._most_bytes = most_bytes
        self._rows: OrderedDict[Key, Row] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._rows)

    def clear(self) -> None:
        """Forget all."""
        self._rows.clear()
        self._bytes = 0

    def get(self, key: Key) -> Row | None:
        """Return the row of a head."""
        return self._rows.get(key)

    def keep(self, row: Row) -> None:
        """Remember a row; the oldest makes room."""
        known = self._rows.get(row.key)
        if known is not None:
            self.forget(known)
        self._rows[row.key] = row
        self._bytes += row.size + len(row.body)
        while len(self._rows) > self._most or self._bytes > self._most_bytes:
            self.forget(next(iter(self._rows.values())))

    def forget(self, row: Row) -> None:
        """Forget a row."""
        if self._rows.get(row.key) is row:
            del self._rows[row.key]
            self._bytes -= row.size + len(row.body)
