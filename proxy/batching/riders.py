"""Riders: members that a shared call takes along, because they will be asked for again.

A member that was asked for lately will be again. When a call leaves for others of its family, and
takes one more for nothing, it comes back as old as they are: so the members of a family end
together, and one call serves them all, where each would have had one of its own. Which of them may
go, and how many, says `gatherings`; a rider delays nobody, and nobody else pays for it.

A rider has a good answer that is stored here and not `YOUNG`, and was used within `LATELY` of its
TTLs. What has gone cold is forgotten, so nothing is fetched for nobody.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from proxy.asked import Asked
from proxy.core.model import Entry
from proxy.freshening.heats import Heats

YOUNG: Final = 0.1
"""Share of its TTL that a rider has had: it is not worth its octets before."""
HALF: Final = 0.5
"""Share of it from which on one is due: its own call would come soon."""
LATELY: Final = 10.0
"""TTLs for which one that is not used rides on."""
MOST_FAMILIES: Final = 256
"""Families known; the one that was noted longest ago makes room."""
MOST: Final = 1024
"""Members known of each; likewise."""
OK: Final = 200


@dataclass(eq=False, slots=True)
class Rider:
    """A member that may ride along."""

    member: str
    asked: Asked
    """The request for it, in the form in which it is asked for nobody."""
    used_at: float
    """When it was last known to have been used (the entries' clock)."""
    hits: int
    """Its heat then."""
    due: bool = False
    """It is half way through its TTL."""


class Riders:
    """Members that were asked for, by the family that shares calls."""

    def __init__(
        self, heats: Heats, peek: Callable[[str], Entry | None], now: Callable[[], float]
    ) -> None:
        """Take what says how often each is used, the first level, and the clock of entries."""
        self._heats = heats
        self._peek = peek
        self._now = now
        self._families: OrderedDict[str, OrderedDict[str, Rider]] = OrderedDict()

    def note(self, family: str, member: str, ask: Asked) -> None:
        """Note that a member was asked for and is being fetched."""
        heat = self._heats.find(ask.key) or self._heats.learn(ask)
        if heat is None:
            return
        known = self._families.setdefault(family, OrderedDict())
        self._families.move_to_end(family)
        known[member] = Rider(member, heat.asked, self._now(), heat.hits)
        known.move_to_end(member)
        if len(known) > MOST:
            known.popitem(last=False)
        if len(self._families) > MOST_FAMILIES:
            self._families.popitem(last=False)

    def ready(self, family: str) -> list[Rider]:
        """Return those who may ride: first who is due, of these first who was used last."""
        known = self._families.get(family)
        if known is None:
            return []
        found = []
        for rider in tuple(known.values()):
            heat, entry = self._heats.find(rider.asked.key), self._peek(rider.asked.key)
            if heat is None or entry is None or entry.status != OK:
                continue
            now, ttl = self._now(), entry.lifetimes.ttl
            if heat.hits != rider.hits:
                rider.used_at, rider.hits = now, heat.hits
            if now - rider.used_at > LATELY * ttl:
                del known[rider.member]
            elif entry.age(now) >= YOUNG * ttl:
                rider.due = entry.age(now) >= HALF * ttl
                found.append(rider)
        return sorted(found, key=lambda rider: (not rider.due, -rider.used_at))

    def forget(self, family: str) -> None:
        """Forget a family: one of its members spoils calls, and nobody knows which."""
        self._families.pop(family, None)

    def clear(self) -> None:
        """Forget all: what is configured has changed."""
        self._families.clear()
