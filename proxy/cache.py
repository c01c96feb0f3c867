"""The cache as the flow sees it: the first level in memory over the store, variants and all.

What is read from the store is put into the first level; what is written goes into the first level
at once and into the store behind the answer. Under `obey` a primary key may hold an index of
variants (RFC 9111 section 4.1): their entries are read with it.

The interleavings that `read` defends against:
    1. a request misses the first level and asks the store;
    2. meanwhile a fetch lands, and its newer entry goes into the first level;
    3. the store answers with the older one, which would be put over it.
    So who comes back from the store looks into the first level once more.

    1. a change invalidates a key: it leaves the first level at once, the store a little later;
    2. its client, which has its answer, asks again;
    3. the store still has the old entry.
    So a key that the store is about to forget is not asked of it, and what was asked of it before
    goes into no level.

The interleaving that `adopt` defends against:
    1. a shorter answer is cut from a longer one, which is unpacked first;
    2. meanwhile a fetch lands, and its newer entry goes into the first level;
    3. what was cut would take its place, or stay beside it, older than what is known.
    So it is looked for what is newer once more.

The interleaving that `_put` defends against (the store does likewise):
    1. a flight is late, and another process, which took its lead, stores what it fetched later;
    2. a request here reads that from the store;
    3. the late flight lands, with what is older.
    So an entry never takes the place of one that was received later, unless that one claims to
    come from the future.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final, assert_never

from proxy.core.model import Entry, Invalidate, Nothing, Put, Touch, Write
from proxy.core.variants import INDEX, listed
from proxy.ports import FirstLevel, Store
from proxy.tasks import Tasks

MOST_MADE_OF: Final = 4096
"""Entries of which it is known what was made of them; the one that was noted first makes room."""
MOST_MADE: Final = 64
"""So many of each are known; further ones end with their own TTL."""


class Cache:
    """Two levels, read through and written behind."""

    def __init__(self, first_level: FirstLevel, store: Store, tasks: Tasks) -> None:
        """Take both levels, and where writes behind an answer run."""
        self._first_level = first_level
        self._store = store
        self._tasks = tasks
        self._forgetting: dict[str, int] = {}
        """Keys that the store is about to forget, and how many times over."""
        self._forgotten = 0
        self._made: OrderedDict[str, set[str]] = OrderedDict()
        """Keys of what was made of the entry under a key."""

    def peek(self, key: str) -> Entry | None:
        """Return what the first level holds, without waiting."""
        return self._first_level.get(key)

    async def stored(self, key: str, now: float, *, anew: bool = False) -> tuple[Entry, ...]:
        """Return every variant that is stored under a primary key.

        `anew`: the store is asked even where the first level has something fresh.
        """
        entry = None if anew else self._fresh(key, now)
        if entry is None:
            entry = await self._looked_up(key)
        if entry is None:
            return ()
        if INDEX not in entry.flags:
            return (entry,)
        variants = await asyncio.gather(
            *(self.read(each, now, anew=anew) for each in listed(entry))
        )
        return tuple(variant for variant in variants if variant is not None)

    def adopt(self, entry: Entry, of: str) -> None:
        """Put an entry into the first level alone: what it was made of is in the store.

        When there is something newer under the key `of`, it goes, to be made of that. It does not
        come where there is by now, or under its own key.
        """
        for key in (of, entry.key):
            there = self._first_level.get(key)
            if there is not None and there.received_at > entry.received_at:
                return
        self._first_level.put(entry)
        made = self._made.setdefault(of, set())
        if len(made) < MOST_MADE:
            made.add(entry.key)
        if len(self._made) > MOST_MADE_OF:
            self._made.popitem(last=False)

    def _kept(self, entry: Entry) -> None:
        """Put an entry into the first level, in place of an older one and what was made of it."""
        self._first_level.put(entry)
        self._outdate(entry.key, entry.received_at)

    def _outdate(self, key: str, at: float) -> None:
        """Forget what was made of what was under a key, and of that in turn, if it is older."""
        young = set()
        for each in self._made.pop(key, ()):
            made = self._first_level.get(each)
            if made is not None and made.received_at >= at:
                young.add(each)
            else:
                self._first_level.delete(each)
                self._outdate(each, at)
        if young:  # the entry may be the same one, come from the store again
            self._made[key] = young

    def write(
        self, write: Write, now: float, targets: Iterable[str] = ()
    ) -> tuple["asyncio.Future[None]", ...]:
        """Do what a settlement says; `targets` are the keys that an invalidation names.

        Return what puts it into the store behind the answer.
        """
        match write:
            case Put(entry, index) if index is not None:
                return (*self._put(entry, now), *self._put(index, now))
            case Put(entry) | Touch(entry):
                return self._put(entry, now)
            case Invalidate():
                for key in targets:
                    self._forget(key)
            case Nothing():
                pass
            case _:
                assert_never(write)
        return ()

    def _forget(self, key: str) -> None:
        self._first_level.delete(key)
        self._forgotten += 1
        self._forgetting[key] = self._forgetting.get(key, 0) + 1

        async def delete() -> None:
            try:
                await self._store.delete(key)
            finally:
                self._forgetting[key] -= 1
                if not self._forgetting[key]:
                    del self._forgetting[key]

        self._tasks.start(delete(), "delete")

    async def read(self, key: str, now: float, *, anew: bool = False) -> Entry | None:
        """Return what is stored under the key itself: an entry, or an index of variants."""
        entry = None if anew else self._fresh(key, now)
        return entry if entry is not None else await self._looked_up(key)

    def _fresh(self, key: str, now: float) -> Entry | None:
        """Return what the first level has, if it is fresh."""
        entry = self._first_level.get(key)
        fresh = entry is not None and entry.age(now) < entry.lifetimes.ttl
        return entry if fresh else None

    async def _looked_up(self, key: str) -> Entry | None:
        """Return the fresher of what both levels have."""
        if key in self._forgetting:
            return self._first_level.get(key)
        # Another process may have stored a newer one since: the fresher of both is the truth.
        forgotten = self._forgotten
        kept = await self._store.get(key)
        entry = self._first_level.get(key)
        if kept is None or (entry is not None and entry.received_at >= kept.received_at):
            return entry
        if forgotten == self._forgotten:
            self._kept(kept)
        return kept

    def _put(self, entry: Entry, now: float) -> tuple["asyncio.Future[None]", ...]:
        there = self._first_level.get(entry.key)
        if there is None or not entry.received_at < there.received_at <= now:
            self._kept(entry)
        keep = entry.lifetimes.usable - entry.age(now)
        if keep <= 0:
            return ()
        writing = self._store.put(entry, keep)
        if isinstance(writing, asyncio.Future):
            return (writing,)
        return (self._tasks.start(writing, "put"),)
