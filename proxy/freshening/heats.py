"""Heat: how often each answer is used, of endpoints that refresh ahead or share calls.

A request is remembered in the form in which it can be asked again for nobody: without what one
client alone said, with no claim on quota that anyone waits for.
"""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from proxy.asked import Asked
from proxy.core import privacy
from proxy.core.fields import without
from proxy.core.model import ANONYMOUS, Policy

MOST: Final = 8192
"""Answers whose heat is known; the one that was learnt first makes room."""
_OF_ONE_CLIENT: Final = frozenset({"prefer", "priority", "cache-control", "pragma"})
_FOR_NOBODY: Final = (("Prefer", "wait=0"), ("Priority", "u=7"))


class Heat:
    """One answer that is used."""

    __slots__ = ("asked", "hits", "not_before", "of", "rest", "warm")

    def __init__(self, asked: Asked, *, warm: bool = False) -> None:
        self.asked = asked
        self.hits = 0
        """Since the entry that is used now was received."""
        self.warm = warm
        """It is kept whoever asks for it."""
        self.of: float | None = None
        """When that entry was received."""
        self.not_before = 0.0
        """Time of the entries' clock before which it is not tried again."""
        self.rest = 0.0
        """Seconds from the last refresh of that entry, which has brought no other yet, to the next.
        """


class Heats:
    """The heat of answers, by key."""

    def __init__(self) -> None:
        self._heats: OrderedDict[str, Heat] = OrderedDict()

    def __iter__(self) -> Iterator[Heat]:
        """Go through a copy."""
        return iter(tuple(self._heats.values()))

    def find(self, key: str) -> Heat | None:
        """Return the heat of the answer under a key, if it is known."""
        return self._heats.get(key)

    def note(self, ask: Asked) -> Heat | None:
        """Count a hit; None where the answer cannot be asked for but by its client."""
        heat = self._heats.get(ask.key) or self.learn(ask)
        if heat is not None:
            heat.hits += 1
        return heat

    def learn(self, ask: Asked, *, warm: bool = False) -> Heat | None:
        """Return the heat of a request's answer, remembered from now on."""
        match = ask.match
        if not ask.key or match.endpoint.policy is Policy.OBEY:
            return None
        if privacy.credential(match, ask.request, ask.secret, private=False):
            return None
        fields = (*without(ask.request.fields, _OF_ONE_CLIENT), *_FOR_NOBODY)
        asking = replace(ask.request, fields=fields, client=ANONYMOUS, inform=None)
        heat = self._heats[ask.key] = Heat(ask.by(asking), warm=warm)
        if len(self._heats) > MOST:
            oldest = next((key for key, each in self._heats.items() if not each.warm), ask.key)
            del self._heats[oldest]
        return heat

    def forget(self, heat: Heat) -> None:
        """Forget an answer that nobody uses."""
        if self._heats.get(heat.asked.key) is heat:
            del self._heats[heat.asked.key]

    def clear(self) -> None:
        """Forget all: what is configured has changed."""
        self._heats.clear()
