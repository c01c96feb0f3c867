"""What an answer with a whole body looks like on the wire, less what changes by the second.

- The form that goes out is gzip or identity, as the client takes; an unchanged body is never
  re-encoded, and one that may not be transformed goes in the form in which it came.
- Bots ask for the same entries again and again, so the renderings of entries are remembered:
  the head's fixed part once for each form, and the body in the form that the entry has not.
- They are kept beside their entries in the first level, and counted there. Entries that it does not
  hold (it may be small, or off) come by from the store: a few renderings of those are kept here.
"""

from collections import OrderedDict
from typing import Final

from msgspec import Struct

from proxy.answer import Answer
from proxy.core.codings import GZIP, content, negotiated
from proxy.core.fields import Fields, first
from proxy.core.model import Entry
from proxy.core.spending import Level
from proxy.forms import Forms
from proxy.http.encodings import IDENTITY, coding_of
from proxy.http.fields import presentable
from proxy.http.heads import field_lines, status_line

NOT_MODIFIED: Final = 304
_OBJECTS: Final = 1152
"""Bytes of a rendering beside its texts: itself, the account's lines, the answer of the moment."""
BODYLESS: Final = frozenset({204, NOT_MODIFIED})
"""Statuses whose answers end with their head (RFC 9112 section 6.3)."""


class Rendering(Struct, eq=False):
    """An answer's fixed bytes. `dynamic` is what the front wrote last beside them."""

    head: bytes
    """Status line and the provider's fields, framing included, without the empty line."""
    body: bytes
    dated: bool
    """Whether the provider's own Date stands in the head."""
    takes_gzip: bool = False
    fields: Fields = ()
    """The answer's, of which the head was made."""
    size: int = 0
    """Bytes beside the entry's, once it is kept."""
    dynamic_key: tuple[object, ...] = ()
    levels: tuple[Level, ...] | None = None
    dynamic: bytes = b""
    answered: Answer | None = None
    """The answer that `whole_head` was made for."""
    whole_head: bytes = b""

    def gone(self) -> None:
        """Go with the entry: nothing else knows of it."""

    def fits(self, answer: Answer, *, takes_gzip: bool) -> bool:
        """Return whether this is what the answer looks like."""
        return self.takes_gzip is takes_gzip and (
            self.fields is answer.fields or self.fields == answer.fields
        )


def rendering(
    answer: Answer, body: bytes, *, takes_gzip: bool, head_only: bool = False
) -> Rendering:
    """Render an answer whose whole body is `body`, or is not known of an answer to HEAD."""
    fields = presentable(answer.fields)
    form, body, changed = _form(answer, body, takes_gzip=takes_gzip)
    if changed is not None:
        coding = IDENTITY if answer.status == NOT_MODIFIED else form
        fields = negotiated(fields, coding, changed=changed)
    head = status_line(answer.status, answer.reason) + field_lines(fields)
    if answer.status not in BODYLESS and (body or not head_only):
        head += b"Content-Length: %d\r\n" % len(body)
    elif head_only and answer.content_length is not None:
        head += b"Content-Length: %d\r\n" % answer.content_length
    return Rendering(head, body, has_date(fields))


def has_date(fields: Fields) -> bool:
    """Return whether the provider dated its answer; else the front does."""
    return first(fields, "date") is not None


def _form(answer: Answer, body: bytes, *, takes_gzip: bool) -> tuple[str, bytes, bool | None]:
    """Return the coding that goes out, the body in it, and whether it is not what came.

    None for the last: the form is not the proxy's to choose, and the coding is not looked at.
    """
    shown: Answer | Entry = answer
    if answer.status == NOT_MODIFIED and answer.entry is not None:  # speaks of what 200 would give
        shown = answer.entry
    if shown.encoding != GZIP:
        return IDENTITY, body, None
    came = coding_of(shown.fields)
    if answer.no_transform:
        return came, content(body) if came != GZIP and body else body, None
    if takes_gzip:
        return GZIP, body, came != GZIP
    try:
        return IDENTITY, content(body) if body else body, came != IDENTITY
    except ValueError:  # it calls itself gzip and is not: the client shall see what came
        return came, body, None


class Renderings:
    """Renderings of entries: beside those that are held, and of those that come by the last."""

    def __init__(self, forms: Forms, most: int = 1024, most_bytes: int = 8 * 1024 * 1024) -> None:
        """Take where forms are kept, and the bounds on those of entries that come by."""
        self._forms = forms
        self._most = most
        self._most_bytes = most_bytes
        self._bytes = 0
        self._passing: OrderedDict[tuple[int, bool], tuple[Entry, Rendering]] = OrderedDict()
        """An entry is held with its rendering, so that no other can have its id."""

    def get(self, answer: Answer, entry: Entry, *, takes_gzip: bool) -> Rendering | None:
        """Return the rendering of an answer that is its entry, unchanged; None: not known."""
        made = self._find(entry, takes_gzip=takes_gzip)
        return made if made is not None and made.fits(answer, takes_gzip=takes_gzip) else None

    def has(self, entry: Entry, *, takes_gzip: bool) -> bool:
        """Return whether the entry was rendered in this form, with whatever fields."""
        return self._find(entry, takes_gzip=takes_gzip) is not None

    def keep(self, answer: Answer, entry: Entry, made: Rendering, *, takes_gzip: bool) -> None:
        """Remember a rendering of an answer that is its entry, unchanged."""
        made.fields, made.takes_gzip = answer.fields, takes_gzip
        own = 0 if made.body is entry.body else len(made.body)
        made.size = own + 2 * len(made.head) + _OBJECTS
        known = self._find(entry, takes_gzip=takes_gzip)
        if known is not None:
            self._forms.drop(entry, known)
        if not self._forms.keep(entry, made):
            self._pass(entry, made)

    def _find(self, entry: Entry, *, takes_gzip: bool) -> Rendering | None:
        for form in self._forms.forms(entry):
            if isinstance(form, Rendering) and form.takes_gzip is takes_gzip:
                return form
        passing = self._passing.get((id(entry), takes_gzip))
        return None if passing is None else passing[1]

    def _pass(self, entry: Entry, made: Rendering) -> None:
        key = (id(entry), made.takes_gzip)
        self._let_go(self._passing.pop(key, None))
        self._passing[key] = (entry, made)
        self._bytes += len(entry.body) + made.size
        while len(self._passing) > self._most or self._bytes > self._most_bytes:
            self._let_go(self._passing.popitem(last=False)[1])

    def _let_go(self, passed: tuple[Entry, Rendering] | None) -> None:
        if passed is not None:
            self._bytes -= len(passed[0].body) + passed[1].size
