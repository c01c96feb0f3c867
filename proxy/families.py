"""Families: requests that differ in one parameter alone, of which a longer answer holds a shorter.

A process knows the members that it was asked for, and looks for a longer one where a shorter one
has no fresh entry. What is cut from it becomes an entry of its own in the first level, as old as
what it was cut from; the store need not have it twice.
"""

from collections import OrderedDict
from dataclasses import replace
from typing import Final

from proxy.asked import Asked
from proxy.cache import Cache
from proxy.calls import unpacked
from proxy.core import containment, keys
from proxy.core.codings import GZIP
from proxy.core.fields import without
from proxy.core.model import Entry, Policy
from proxy.core.series import Contains

MOST: Final = 16_384
"""Families known; the one that was asked for longest ago makes room."""
MOST_MEMBERS: Final = 16
OK: Final = 200
_OF_THE_WHOLE: Final = frozenset(
    {"etag", "last-modified", "content-encoding", "digest", "content-digest", "repr-digest"}
)
"""Fields that describe the longer answer's body."""


class Families:
    """The families of this process."""

    def __init__(self, cache: Cache) -> None:
        """Take where entries are."""
        self._cache = cache
        self._families: OrderedDict[str, dict[int, str]] = OrderedDict()

    def note(self, ask: Asked) -> None:
        """Note a request that is fetched for nobody."""
        contains = ask.match.endpoint.contains
        if contains is not None and ask.match.endpoint.policy is not Policy.OBEY:
            count = containment.size(contains, ask.match.parameters)
            if count is not None:
                self._longer(ask, contains, count)

    async def stored(self, ask: Asked, stored: tuple[Entry, ...], now: float) -> tuple[Entry, ...]:
        """Return what is stored for a request, or what a longer answer holds of it."""
        contains = ask.match.endpoint.contains
        if contains is None or ask.match.endpoint.policy is Policy.OBEY:
            return stored
        count = containment.size(contains, ask.match.parameters)
        if count is None:
            return stored
        longer = self._longer(ask, contains, count)
        if any(entry.age(now) < entry.lifetimes.ttl for entry in stored):
            return stored
        for key in longer:
            found = await self._cut(ask, contains, count, key, now)
            if found is not None:
                return (found,)
        return stored

    def _longer(self, ask: Asked, contains: Contains, count: int) -> list[str]:
        """Note the request; return the keys of those as long or longer, the shortest first."""
        match = ask.match
        of_all = replace(match, parameters=containment.rest(contains, match.parameters))
        name = keys.key(of_all, ask.request, ask.secret)
        members = self._families.setdefault(name, {})
        self._families.move_to_end(name)
        if len(self._families) > MOST:
            self._families.popitem(last=False)
        if len(members) < MOST_MEMBERS:
            members.setdefault(count, ask.key)
        return [
            members[size] for size in sorted(members) if size >= count and members[size] != ask.key
        ]

    async def _cut(
        self, ask: Asked, contains: Contains, count: int, key: str, now: float
    ) -> Entry | None:
        entry = next(iter(await self._cache.stored(key, now)), None)
        if entry is None or entry.status != OK or entry.age(now) >= entry.lifetimes.ttl:
            return None
        try:
            body = await _content(entry)
        except ValueError:
            return None
        last = containment.keeps_last(contains, ask.match.parameters)
        shorter = containment.cut(body, count, last=last)
        if shorter is None:
            return None
        fields = without(entry.fields, _OF_THE_WHOLE)
        own = replace(entry, key=ask.key, body=shorter, encoding="", fields=fields)
        self._cache.adopt(own)
        return own


async def _content(entry: Entry) -> bytes:
    if entry.encoding != GZIP:
        return entry.body
    return await unpacked(entry.body)
