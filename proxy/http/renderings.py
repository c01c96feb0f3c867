"""What an answer with a whole body looks like on the wire, less what changes by the second.

- The form that goes out is gzip or identity, as the client takes; an unchanged body is never
  re-encoded, and one that may not be transformed goes in the form in which it came.
- Bots ask for the same entries again and again, so the renderings of entries are remembered:
  the head's fixed part once for each form, and the body in the form that the entry has not.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from proxy.answer import Answer
from proxy.core.codings import GZIP, content
from proxy.core.fields import Fields
from proxy.core.model import Entry
from proxy.core.spending import Level
from proxy.http.encodings import IDENTITY, coding_of, negotiated
from proxy.http.fields import presentable
from proxy.http.heads import field_lines, status_line

NOT_MODIFIED: Final = 304
BODYLESS: Final = frozenset({204, NOT_MODIFIED})
"""Statuses whose answers end with their head (RFC 9112 section 6.3)."""


@dataclass(slots=True)
class Rendering:
    """An answer's fixed bytes. `dynamic` is what the front wrote last beside them."""

    head: bytes
    """Status line and the provider's fields, framing included, without the empty line."""
    body: bytes
    dated: bool
    """Whether the provider's own Date stands in the head."""
    dynamic_key: tuple[object, ...] = ()
    levels: tuple[Level, ...] | None = None
    dynamic: bytes = b""
    answered: Answer | None = None
    """The answer that `whole_head` was made for."""
    whole_head: bytes = b""


def rendering(
    answer: Answer, body: bytes, *, takes_gzip: bool, head_only: bool = False
) -> Rendering:
    """Render an answer whose whole body is `body`, or is not known of an answer to HEAD."""
    fields = presentable(answer.fields)
    form, body, changed = _form(answer, body, takes_gzip=takes_gzip)
    if changed is not None:
        coding = IDENTITY if answer.status == NOT_MODIFIED else form
        fields = negotiated(fields, coding, changed=changed)
    lines = [status_line(answer.status, answer.reason), field_lines(fields)]
    if answer.status not in BODYLESS and (body or not head_only):
        lines.append(b"Content-Length: %d\r\n" % len(body))
    elif head_only and answer.content_length is not None:
        lines.append(b"Content-Length: %d\r\n" % answer.content_length)
    return Rendering(b"".join(lines), body, has_date(fields))


def has_date(fields: Fields) -> bool:
    """Return whether the provider dated its answer; else the front does."""
    return any(name.lower() == "date" for name, _ in fields)


def _form(answer: Answer, body: bytes, *, takes_gzip: bool) -> tuple[str, bytes, bool | None]:
    """Return the coding that goes out, the body in it, and whether it is not what came.

    None for the last: the form is not the proxy's to choose.
    """
    came, kept = coding_of(answer.fields), answer.encoding
    if answer.status == NOT_MODIFIED and answer.entry is not None:  # speaks of what 200 would give
        came, kept = coding_of(answer.entry.fields), answer.entry.encoding
    if answer.no_transform:
        unpack = kept == GZIP and came != GZIP
        return came, content(body) if unpack and body else body, None
    if kept != GZIP:
        return came, body, None
    if takes_gzip:
        return GZIP, body, came != GZIP
    try:
        return IDENTITY, content(body) if body else body, came != IDENTITY
    except ValueError:  # it calls itself gzip and is not: the client shall see what came
        return came, body, None


class Renderings:
    """Renderings of entries, the last used kept, bounded in number and in bytes."""

    def __init__(self, most: int = 8192, most_bytes: int = 64 * 1024 * 1024) -> None:
        """Take the bounds. Bytes are counted with the entries that are held."""
        self._most = most
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[tuple[int, bool], _Kept] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, answer: Answer, entry: Entry, *, takes_gzip: bool) -> Rendering | None:
        """Return the rendering of an answer that is its entry, unchanged; None: not known."""
        key = (id(entry), takes_gzip)
        kept = self._kept.get(key)
        if kept is None or not (kept.fields is answer.fields or kept.fields == answer.fields):
            return None
        self._kept.move_to_end(key)
        return kept.rendering

    def has(self, entry: Entry, *, takes_gzip: bool) -> bool:
        """Return whether the entry was rendered in this form, with whatever fields."""
        return (id(entry), takes_gzip) in self._kept

    def keep(self, answer: Answer, entry: Entry, made: Rendering, *, takes_gzip: bool) -> None:
        """Remember a rendering of an answer that is its entry, unchanged."""
        key, new = (id(entry), takes_gzip), _Kept(entry, answer.fields, made)
        replaced = self._kept.pop(key, None)
        self._bytes += new.size - (replaced.size if replaced is not None else 0)
        self._kept[key] = new
        while len(self._kept) > self._most or self._bytes > self._most_bytes:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= oldest.size


@dataclass(frozen=True, slots=True)
class _Kept:
    entry: Entry
    """Held, so that no other entry can have its id."""
    fields: Fields
    rendering: Rendering

    @property
    def size(self) -> int:
        """Bytes that are held for it, the entry's among them."""
        own = 0 if self.rendering.body is self.entry.body else len(self.rendering.body)
        return len(self.entry.body) + len(self.rendering.head) + own + 512
