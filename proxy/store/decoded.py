"""Entries that were decoded last: the same bytes again are the same entry.

Where the first level is small or switched off, hot entries come from the store again and again. It
is asked each time; but what it gives is seldom new, and what was made of an entry (its rendering,
say) is found again only for the very same one.
"""

from collections import OrderedDict
from typing import Final

from proxy.core.model import Entry
from proxy.store import codec

MOST: Final = 1024
MOST_BYTES: Final = 8 * 1024 * 1024
LONGEST: Final = 64 * 1024
"""Bytes of a value that is worth comparing with the last one."""


class Decoded:
    """The last entries by key, with the bytes they were, bounded in number and bytes."""

    def __init__(self, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        """Take the bounds."""
        self._most = most
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[str, tuple[bytes, Entry]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def decode(self, value: bytes | None, key: str) -> Entry | None:
        """Return what `codec.decode` does, and for the same bytes the same object."""
        kept = self._kept.get(key)
        if kept is not None:
            if kept[0] == value:
                self._kept.move_to_end(key)
                return kept[1]
            del self._kept[key]
            self._bytes -= 2 * len(kept[0])
        entry = codec.decode(value, key)
        if entry is not None and value is not None and len(value) <= LONGEST:
            self._kept[key] = (value, entry)
            self._bytes += 2 * len(value)  # as it came, and as an entry
            while len(self._kept) > self._most or self._bytes > self._most_bytes:
                _, (oldest, _) = self._kept.popitem(last=False)
                self._bytes -= 2 * len(oldest)
        return entry
