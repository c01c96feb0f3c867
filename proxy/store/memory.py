"""The first level: entries in this process's memory, bounded in bytes, evicted by SIEVE.

SIEVE (Zhang et al., NSDI 2024): entries stand in the order in which they came. A hit only sets a
mark. To evict, a hand goes from the oldest towards the newest: a marked entry loses its mark and
stays where it is, an unmarked one goes. So what is asked once passes through quickly, what is asked
again stays, and a hit moves nothing.

Bytes are counted for all that an entry holds: its texts, its body, what Python takes for the
objects, and every form that is kept beside it (`proxy.forms`: its body unpacked, the heads that ask
for it), which goes when it does. Names and values of fields are shared between entries where they
are the same, as most are; lines that others have too cost a pointer.
"""

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from sys import getsizeof
from typing import Any, Final, TypeVar

from proxy.changes import Changes
from proxy.core.fields import Fields
from proxy.core.model import Entry, Lifetimes
from proxy.forms import Form

H = TypeVar("H", bound=Hashable)

_BODY: Final = getsizeof(b"")
_TUPLE: Final = getsizeof(())
"""Bytes of a tuple beside its items."""
_ROW: Final = 64
"""Bytes of a dictionary's row, which is two thirds full at most and half as full at least."""
_TIMES: Final = 3 * getsizeof(1.0) + getsizeof(1000)
"""Two moments, an age and a size."""
_LINE: Final = 8
"""Bytes for a field line that others have too."""
_SHARED: Final = 4096
_SHARED_LENGTH: Final = 256


@dataclass(frozen=True, slots=True)
class MemoryFigures:
    """How the first level stands."""

    entries: int
    bytes: int
    limit: int
    hits: int
    misses: int
    evictions: int


class _Place:
    """An entry's place in the order: `older` and `newer` are its neighbours."""

    __slots__ = ("entry", "forms", "marked", "newer", "older", "size")

    def __init__(self, entry: Entry, size: int) -> None:
        self.entry = entry
        self.size = size
        self.marked = False
        self.forms: tuple[Form, ...] = ()
        self.older: _Place | None = None
        self.newer: _Place | None = None


_EMPTY: Final = Entry("", 0, "", (), b"", "", 0.0, 0.0, 0.0, Lifetimes(0.0))
_NO_FLAGS: Final[frozenset[str]] = frozenset()
_PAIR: Final = getsizeof((None, None))
_OBJECTS: Final = sum(map(getsizeof, (_EMPTY, _Place(_EMPTY, 0)))) + _ROW + _TIMES + _BODY
"""Bytes that Python takes for an entry beside its texts: itself, its place, its row, its times."""


class Memory:
    """Entries by key. Every operation takes the same time however many there are."""

    def __init__(self, limit: int) -> None:
        """Take the most bytes to hold."""
        self.changes = Changes()
        self._limit = limit
        self._bytes = 0
        self._places: dict[str, _Place] = {}
        self._oldest: _Place | None = None
        self._newest: _Place | None = None
        self._hand: _Place | None = None
        self._shared: dict[Hashable, Any] = {}
        self._hits = 0
        self._misses = 0
        self._evictions = 0

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[Entry]:
        """Go through a copy of what is held now, newest key last; marks nothing."""
        return iter([place.entry for place in self._places.values()])

    def get(self, key: str) -> Entry | None:
        """Return what is stored under `key`, fresh or not."""
        place = self._places.get(key)
        if place is None:
            self._misses += 1
            return None
        place.marked = True
        self._hits += 1
        return place.entry

    def put(self, entry: Entry) -> None:
        """Store an entry in place of what its key held, unless that was received later.

        One that is larger than the whole level is not held, and what its key held is forgotten.
        """
        old = self._places.get(entry.key)
        if old is not None and old.entry.received_at > entry.received_at:
            return
        if old is None and len(entry.body) + _OBJECTS > self._limit:
            return
        self.changes.count += 1
        entry, size = self._compact(entry)
        if size > self._limit:
            self.delete(entry.key)
        elif old is None:
            self._make_room(size)
            self._append(entry, size)
        else:
            forms, old.forms = old.forms, ()
            self._bytes += size - old.size
            old.entry, old.size = entry, size
            _say_gone(forms)
            self._make_room()

    def delete(self, key: str) -> None:
        """Forget what is stored under `key`."""
        self.changes.count += 1
        place = self._places.get(key)
        if place is not None:
            self._remove(place)

    def clear(self) -> None:
        """Forget everything."""
        self.changes.count += 1
        for place in tuple(self._places.values()):
            self._remove(place)

    # ── forms ──

    def forms(self, entry: Entry) -> tuple[Form, ...]:
        """Return what is kept beside this very entry."""
        place = self._places.get(entry.key)
        return place.forms if place is not None and place.entry is entry else ()

    def keep(self, entry: Entry, form: Form) -> bool:
        """Keep a form as long as its entry, and count it; False: the entry is not held.

        Room is made for it, be it that of other entries, or of this one: then it hears at once.
        """
        place = self._places.get(entry.key)
        if place is None or place.entry is not entry or place.size + form.size > self._limit:
            return False
        place.forms = (*place.forms, form)
        place.size += form.size
        self._bytes += form.size
        self._make_room()
        return True

    def drop(self, entry: Entry, form: Form) -> None:
        """Let a form go before its entry; it does not hear of it."""
        place = self._places.get(entry.key)
        if place is None or place.entry is not entry or form not in place.forms:
            return
        place.forms = tuple(each for each in place.forms if each is not form)
        place.size -= form.size
        self._bytes -= form.size

    def hold(self, size: int) -> None:
        """Count bytes that are held beside all entries; negative: so many fewer."""
        self._bytes += size
        self._make_room()

    def figures(self) -> MemoryFigures:
        """Return how it stands now."""
        return MemoryFigures(
            len(self._places), self._bytes, self._limit, self._hits, self._misses, self._evictions
        )

    # ── inside ──

    def _compact(self, entry: Entry) -> tuple[Entry, int]:
        """Return the entry with what others have too shared with them, and its bytes."""
        fields, size = self._lines(entry.fields)
        request_fields, tags, flags = entry.request_fields, entry.tags, entry.flags
        if request_fields:
            request_fields, more = self._lines(request_fields)
            size += more
        lifetimes = self._shared.get(entry.lifetimes)
        if lifetimes is None:
            size += _rare(entry.lifetimes)
            lifetimes = self._share(entry.lifetimes)
        for rare in (tags, flags):
            if rare and rare not in self._shared:
                size += _rare(rare)
        compact = Entry(
            entry.key,
            entry.status,
            self._shared.get(entry.reason) or self._share(entry.reason),
            fields,
            entry.body,
            entry.encoding,
            entry.requested_at,
            entry.received_at,
            entry.initial_age,
            lifetimes,
            request_fields,
            self._share(tags) if tags else (),
            self._share(flags) if flags else _NO_FLAGS,
        )
        return compact, _OBJECTS + getsizeof(entry.key) + len(entry.body) + size

    def _lines(self, fields: Fields) -> tuple[Fields, int]:
        """Return field lines with what others have too shared, and what they take by themselves."""
        if not fields:
            return (), 0
        shared = self._shared
        lines = []
        size = _TUPLE + _LINE * len(fields)
        for pair in fields:
            line = shared.get(pair)
            if line is None:
                name, value = pair
                line = (shared.get(name) or self._share(name), value)
                size += _PAIR + getsizeof(value)
                if len(value) <= _SHARED_LENGTH:
                    self._share(line)
            lines.append(line)
        return tuple(lines), size

    def _share(self, value: H) -> H:
        """Return the one copy of `value` that all entries use; the pool is begun anew when full."""
        known: H | None = self._shared.get(value)
        if known is None:
            if len(self._shared) >= _SHARED:
                self._shared.clear()
            self._shared[value] = known = value
        return known

    def _append(self, entry: Entry, size: int) -> None:
        place = _Place(entry, size)
        place.older = self._newest
        if self._newest is None:
            self._oldest = place
        else:
            self._newest.newer = place
        self._newest = place
        self._places[entry.key] = place
        self._bytes += size

    def _remove(self, place: _Place) -> None:
        older, newer = place.older, place.newer
        if older is None:
            self._oldest = newer
        else:
            older.newer = newer
        if newer is None:
            self._newest = older
        else:
            newer.older = older
        if self._hand is place:
            self._hand = newer
        del self._places[place.entry.key]
        self._bytes -= place.size
        if place.forms:
            _say_gone(place.forms)

    def _make_room(self, size: int = 0) -> None:
        """Evict until `size` bytes more fit; each step of the hand takes a mark that a hit set."""
        while self._bytes + size > self._limit:
            place = self._hand or self._oldest
            if place is None:
                return
            if place.marked:
                place.marked = False
                self._hand = place.newer
            else:
                self._hand = place
                self._remove(place)
                self._evictions += 1


def _rare(value: object) -> int:
    """Return the bytes of something that few entries have, or one only."""
    return getsizeof(value) + 2 * _TUPLE


def _say_gone(forms: Iterable[Form]) -> None:
    for form in forms:
        form.gone()
