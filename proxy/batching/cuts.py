"""Cuts: shorter answers made from longer ones that are stored, or that are fetched in their place.

What is cut becomes an entry of its own in the first level, as old as what it was cut from; the
store need not have it twice. It goes when that is replaced, so nobody's candles are older than what
is known already.
"""

from typing import Final

from msgspec.structs import replace

from proxy.answer import Answer
from proxy.asked import Asked
from proxy.batching.compositions import content
from proxy.batching.families import Families, Holder, Longer
from proxy.cache import Cache
from proxy.calls import unpacked
from proxy.core import containment
from proxy.core.codings import GZIP
from proxy.core.fields import OF_THE_WHOLE, without
from proxy.core.model import Entry
from proxy.ports import BrokenExchangeError

OK: Final = 200


class Cuts:
    """What this process cuts from longer answers."""

    def __init__(self, families: Families, cache: Cache) -> None:
        """Take which answers hold which, and where entries are."""
        self._families = families
        self._cache = cache

    async def stored(self, ask: Asked, stored: tuple[Entry, ...], now: float) -> tuple[Entry, ...]:
        """Return what is stored for a request, or what a longer answer holds of it."""
        holders = self._families.holders(ask)
        if any(entry.age(now) < entry.lifetimes.ttl for entry in stored):
            return stored
        for holder in holders:
            found = await self._cut(ask, holder, now)
            if found is not None:
                return (found,)
        return stored

    async def _cut(self, ask: Asked, holder: Holder, now: float) -> Entry | None:
        entry = next(iter(await self._cache.stored(holder.key, now)), None)
        if entry is None or entry.status != OK or entry.age(now) >= entry.lifetimes.ttl:
            return None
        try:
            body = await unpacked(entry.body) if entry.encoding == GZIP else entry.body
        except ValueError:
            return None
        shorter = containment.cut(body, holder.part, holder.size)
        if shorter is None:
            return None
        fields = without(entry.fields, OF_THE_WHOLE)
        own = replace(entry, key=ask.key, body=shorter, encoding="", fields=fields)
        self._cache.adopt(own, holder.key)
        return own


async def cut(longer: Longer, key: str, answer: Answer) -> Answer | None:
    """Return a shorter one's answer, under its own key, from a longer; None: that does not hold it.

    An error is everybody's: the two differ in nothing that could bring it upon one alone.
    """
    account = replace(answer.account, key=key)
    if answer.problem is not None or answer.status != OK:
        return replace(answer, account=account, entry=None)
    try:
        body = containment.cut(await content(answer), longer.part, longer.size)
    except (BrokenExchangeError, ValueError):
        return None
    if body is None:
        return None
    return Answer(account, OK, answer.reason, without(answer.fields, OF_THE_WHOLE), body)
