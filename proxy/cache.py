"""The cache as the flow sees it: the first level in memory over the store, variants and all.

What is read from the store is put into the first level; what is written goes into the first level
at once and into the store behind the answer. Under `obey` a primary key may hold an index of
variants (RFC 9111 section 4.1): their entries are read with it.
"""

import asyncio
from collections.abc import Iterable
from typing import assert_never

from proxy.core.model import Entry, Invalidate, Nothing, Put, Touch, Write
from proxy.core.variants import INDEX, listed
from proxy.ports import FirstLevel, Store
from proxy.tasks import Tasks


class Cache:
    """Two levels, read through and written behind."""

    def __init__(self, first_level: FirstLevel, store: Store, tasks: Tasks) -> None:
        """Take both levels, and where writes behind an answer run."""
        self._first_level = first_level
        self._store = store
        self._tasks = tasks

    def peek(self, key: str) -> Entry | None:
        """Return what the first level holds, without waiting."""
        return self._first_level.get(key)

    async def stored(self, key: str, now: float) -> tuple[Entry, ...]:
        """Return every variant that is stored under a primary key."""
        entry = await self._read(key, now)
        if entry is None:
            return ()
        if INDEX not in entry.flags:
            return (entry,)
        variants = await asyncio.gather(*(self._read(each, now) for each in listed(entry)))
        return tuple(variant for variant in variants if variant is not None)

    def write(self, write: Write, now: float, targets: Iterable[str] = ()) -> None:
        """Do what a settlement says; `targets` are the keys that an invalidation names."""
        match write:
            case Put(entry, index):
                self._put(entry, now)
                if index is not None:
                    self._put(index, now)
            case Touch(entry):
                self._put(entry, now)
            case Invalidate():
                for key in targets:
                    self._first_level.delete(key)
                    self._tasks.start(self._store.delete(key), "delete")
            case Nothing():
                pass
            case _:
                assert_never(write)

    async def _read(self, key: str, now: float) -> Entry | None:
        entry = self._first_level.get(key)
        if entry is not None and entry.age(now) < entry.lifetimes.ttl:
            return entry
        # Another process may have stored a newer one since: the fresher of both is the truth.
        kept = await self._store.get(key)
        if kept is None or (entry is not None and entry.received_at >= kept.received_at):
            return entry
        self._first_level.put(kept)
        return kept

    def _put(self, entry: Entry, now: float) -> None:
        self._first_level.put(entry)
        keep = entry.lifetimes.usable - entry.age(now)
        if keep > 0:
            self._tasks.start(self._store.put(entry, keep), "put")
