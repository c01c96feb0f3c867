"""Families: requests that differ in one parameter alone, of which a longer answer holds a shorter.

A process knows the members that it was asked for, and looks for a longer one where a shorter one
has no fresh entry. What is asked from a moment on is looked for in the latest answers as well.
Where a call for more costs no more, it is made in a shorter one's place (`in_place_of`), and all of
the family are cut from that. Here it is decided; the cutting is done by `cuts`.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from msgspec import Struct, structs

from proxy.asked import Asked, asked
from proxy.batching.compositions import OF_ONE
from proxy.batching.lists import spent
from proxy.core import candles, containment, keys, parameters
from proxy.core.containment import Part
from proxy.core.fields import first, without
from proxy.core.model import Policy
from proxy.core.routing import Match, Routes
from proxy.core.series import Contains

MOST: Final = 16_384
"""Families known; the one that was asked for longest ago makes room."""
MOST_MEMBERS: Final = 16


class Longer(Struct, frozen=True):
    """The request that is made in place of a shorter one, and what of its answer that one has."""

    asked: Asked
    part: Part
    size: int
    """How many elements it asks for."""


class Holder(Struct, frozen=True):
    """An answer that holds what is asked for, if it is stored, fresh, and reaches far enough."""

    key: str
    part: Part
    size: int
    """How many elements it was asked for."""

    def reaches(self, ask: Asked, at: float) -> bool:
        """Whether it has all that is asked for from a start, if it was answered in full at `at`."""
        if self.part.start is None:
            return True
        needed = _reaching_back(ask, self.part.start, at)
        return needed is not None and needed <= self.size


class Families:
    """The families of this process."""

    def __init__(self) -> None:
        self._families: OrderedDict[str, dict[int, str]] = OrderedDict()

    def note(self, ask: Asked) -> None:
        """Note a request that is fetched for nobody."""
        contains, count = _contained(ask)
        if contains is not None and count is not None:
            self._longer(ask, contains, count)

    def holders(self, ask: Asked) -> Iterator[Holder]:
        """Note a request; return which answers may hold its own, in the order to look for them."""
        contains, count = _contained(ask)
        if contains is None or count is None:
            return iter(())
        return self._holding(ask, contains, count, self._longer(ask, contains, count))

    def _holding(
        self, ask: Asked, contains: Contains, count: int, longer: list[tuple[int, str]]
    ) -> Iterator[Holder]:
        part = Part(count, last=containment.keeps_last(contains, ask.match.parameters))
        for size, key in longer:
            yield Holder(key, part, size)
        start = _start(ask, contains)
        if start is not None:
            part = replace(part, start=start, opens=contains.opens or 0)
            for size, key in self._latest(ask, contains):
                yield Holder(key, part, size)

    def in_place_of(self, ask: Asked, routes: Routes, now: float) -> Longer | None:
        """Return the longest request that costs no more and will hold a request's answer.

        None: there is none, and it must be asked for as it is.
        """
        contains, count = _contained(ask)
        if contains is None or count is None or ask.private or ask.request.method != "GET":
            return None
        start = _start(ask, contains)
        if start is None and contains.first_from in dict(ask.match.parameters):
            return None
        last = containment.keeps_last(contains, ask.match.parameters)
        part = Part(count, last, start, contains.opens or 0)
        needed = count if start is None else _reaching_back(ask, start, now)
        cost = spent(ask.bill())
        for size in contains.fetch:
            if needed is not None and size >= needed:
                found = _resized(ask, contains, size, routes, latest=start is not None)
                if found is not None and found.key != ask.key and spent(found.bill()) <= cost:
                    return Longer(found, part, size)
        return None

    def _longer(self, ask: Asked, contains: Contains, count: int) -> list[tuple[int, str]]:
        """Note the request; return those as long or longer, the shortest first."""
        members = self._families.setdefault(_name(ask, contains), {})
        self._families.move_to_end(_name(ask, contains))
        if len(self._families) > MOST:
            self._families.popitem(last=False)
        if len(members) < MOST_MEMBERS:
            members.setdefault(count, ask.key)
        return [
            (size, members[size])
            for size in sorted(members)
            if size >= count and members[size] != ask.key
        ]

    def _latest(self, ask: Asked, contains: Contains) -> list[tuple[int, str]]:
        """Return those that ask for the latest elements, the longest first."""
        members = self._families.get(_name(ask, contains, latest=True), {})
        return sorted(members.items(), reverse=True)


def _contained(ask: Asked) -> tuple[Contains | None, int | None]:
    """Return how answers hold each other, and how many elements are asked for, where both go."""
    contains = ask.match.endpoint.contains
    if contains is None or ask.match.endpoint.policy is Policy.OBEY:
        return None, None
    return contains, containment.size(contains, ask.match.parameters)


def _name(ask: Asked, contains: Contains, *, latest: bool = False) -> str:
    """Return what all of a family have in common; of the `latest`, where no start is asked for."""
    rest = containment.rest(contains, ask.match.parameters, latest=latest)
    return keys.key(structs.replace(ask.match, parameters=rest), ask.request, ask.secret)


def _start(ask: Asked, contains: Contains) -> int | None:
    """Return from which moment on elements are asked for, as the elements tell it.

    None: from none, or up to one as well, or in units that a field may have changed.
    """
    endpoint, asked_for = ask.match.endpoint, dict(ask.match.parameters)
    if endpoint.round is None or endpoint.round.end in asked_for:
        return None
    if any(first(ask.request.fields, each.lower()) for each in endpoint.headers):
        return None
    return containment.start(contains, ask.match.parameters)


def _reaching_back(ask: Asked, start: int, now: float) -> int | None:
    """Return how many of the latest candles reach back to a start; None: it cannot be said."""
    endpoint = ask.match.endpoint
    grid = candles.grid(endpoint, ask.match.parameters)
    if grid is None or endpoint.round is None:
        return None
    passed = int(now * 1000) - start * endpoint.round.unit
    return passed // grid.step + 2 if passed >= 0 else None  # a candle may open meanwhile


def _resized(
    ask: Asked, contains: Contains, size: int, routes: Routes, *, latest: bool
) -> Asked | None:
    """Return the request for so many elements; with `latest` for the last ones, from no start."""
    own = {contains.parameter, contains.first_from} if latest else {contains.parameter}
    kept = parameters.without(ask.request.query, lambda name, _: name in own)
    query = "&".join(filter(None, (kept, f"{contains.parameter}={size}")))
    request = structs.replace(ask.request, query=query, fields=without(ask.request.fields, OF_ONE))
    route = routes.match(request)
    if not isinstance(route, Match) or route.endpoint is not ask.match.endpoint:
        return None
    return asked(request, route, ask.began, ask.secret)
