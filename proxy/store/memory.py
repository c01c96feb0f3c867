"""The first level: entries in this process's memory, bounded in bytes, evicted by SIEVE.

SIEVE (Zhang et al., NSDI 2024): entries stand in the order in which they came. A hit only sets a
mark. To evict, a hand goes from the oldest towards the newest: a marked entry loses its mark and
stays where it is, an unmarked one goes. So what is asked once passes through quickly, what is asked
again stays, and a hit moves nothing.

Bytes are counted for all that an entry holds: its texts, its body, and every further form of the
body that was asked for (identity beside gzip), plus what Python takes for the objects. Names and
values of fields are shared between entries where they are the same, as most are.
"""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from proxy.changes import Changes
from proxy.core.fields import Fields
from proxy.core.model import Entry

H = TypeVar("H", bound=Hashable)

_OBJECTS: Final = 640
"""Bytes that Python takes for an entry beside its texts: itself, its place, its row, its times."""
_LINE: Final = 8
"""Bytes for a field line that others have too."""
_OWN_LINE: Final = 120
"""Bytes for a field line of its own, beside its value: a pair and a string."""
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
        self.forms: dict[str, bytes] | None = None
        self.older: _Place | None = None
        self.newer: _Place | None = None


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
            self._bytes += size - old.size
            old.entry, old.size, old.forms = entry, size, None
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

    def form(self, entry: Entry, name: str) -> bytes | None:
        """Return a form of the entry's body that was kept for it under `name`."""
        place = self._places.get(entry.key)
        if place is None or place.entry is not entry or place.forms is None:
            return None
        return place.forms.get(name)

    def keep_form(self, entry: Entry, name: str, form: bytes) -> None:
        """Keep a form of the body beside its entry, for as long as that is held; it is counted."""
        place = self._places.get(entry.key)
        if place is None or place.entry is not entry:
            return
        if place.forms is None:
            place.forms = {}
        size = len(form) - len(place.forms.get(name, b""))
        place.forms[name] = form
        place.size += size
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
        request_fields, more = self._lines(entry.request_fields)
        compact = Entry(  # spelt out, since dataclasses.replace takes three times as long
            entry.key,
            entry.status,
            self._share(entry.reason),
            fields,
            entry.body,
            entry.encoding,
            entry.requested_at,
            entry.received_at,
            entry.initial_age,
            self._share(entry.lifetimes),
            request_fields,
            self._share(entry.tags),
            self._share(entry.flags),
        )
        return compact, _OBJECTS + len(entry.key) + len(entry.body) + size + more

    def _lines(self, fields: Fields) -> tuple[Fields, int]:
        shared = self._shared
        lines = []
        size = 0
        for pair in fields:
            line = shared.get(pair)
            if line is None:
                line = (self._share(pair[0]), pair[1])
                size += _OWN_LINE + len(pair[1])
                if len(pair[1]) <= _SHARED_LENGTH:
                    self._share(line)
            size += _LINE
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
