"""Lists: the requests that ask for several members at once, what they cost, and who rides along.

The cheaper of "these" and "all there are" is asked for. Who rides along (`riders`) goes for
nothing; where a list costs more than the members that are wanted, riders go with it once they would
cost more by themselves, and only from surplus.
"""

from collections.abc import Callable
from itertools import accumulate
from typing import TypeAlias

from proxy.asked import Asked, asked
from proxy.batching.riders import Rider, Riders
from proxy.core import batches, surplus
from proxy.core.routing import Match, Routes
from proxy.core.shapes import Batch
from proxy.core.spending import Bill, Level

Members: TypeAlias = tuple[str, ...]
PLACEHOLDER = "-"
"""Stands for the list in what the requests of a family have in common."""


class Lists:
    """Requests for lists, by the routes in force."""

    def __init__(self, riders: Riders, levels: Callable[[str], tuple[Level, ...]]) -> None:
        """Take who may ride along, and what says how an upstream's counts stand."""
        self._riders = riders
        self._levels = levels
        self._routes = Routes(())

    def configure(self, routes: Routes) -> None:
        """Take the routes in force from the next request on."""
        self._routes = routes
        self._riders.clear()

    def family(self, ask: Asked) -> str:
        """Return what all have in common with whom a request can share a call.

        Who has a budget of its own neither spends another's nor has its own spent.
        """
        name, client = self._asked(ask, (PLACEHOLDER,)).key, ask.request.client
        return f"{name} of {client.name}" if client.limits else name

    def cheapest(self, ask: Asked, members: Members) -> Asked:
        """Return the request for the members, or for all there are where that costs less."""
        batch = batch_of(ask)
        fits = batch.parameter and len(members) <= batch.most
        listed = self._asked(ask, members) if fits else None
        everything = self._asked(ask, ()) if batch.all else None
        if listed is None or everything is None:
            chosen = listed or everything
            return ask if chosen is None else chosen
        return min(listed, everything, key=lambda each: spent(each.bill()))

    def bill(self, ask: Asked, members: Members) -> Bill:
        """Return what a call for members of a list spends."""
        return (ask if len(members) == 1 else self.cheapest(ask, members)).bill()

    def is_cheaper_alone(self, ask: Asked, count: int) -> bool:
        """Whether so few members cost less one by one than by asking for all there are."""
        if count == 1 or batch_of(ask).parameter:
            return False
        return count * spent(ask.bill()) < spent(self._asked(ask, ()).bill())

    def riders(self, family: str, ask: Asked, members: Members) -> list[Rider]:
        """Return who rides along with a call for members."""
        batch = batch_of(ask)
        if ask.request.client.limits or not batch.riders:
            return []
        ready = [rider for rider in self._riders.ready(family) if rider.member not in members]
        room = max(0, batch.most - len(members))
        for riders in (ready if batch.all else [], ready[:room] if batch.parameter else []):
            if riders and self._may_ride(ask, members, riders):
                return riders
        return []

    def _may_ride(self, ask: Asked, members: Members, riders: list[Rider]) -> bool:
        """Whether riders cost nothing beside members, or less than alone, and there is surplus."""
        bill = self.bill(ask, (*members, *(each.member for each in riders)))
        more = spent(bill) - spent(self.bill(ask, members))
        if more <= 0:
            return True
        alone = accumulate(spent(each.asked.bill()) for each in riders if each.due)
        worth_it = any(more < cost for cost in alone)  # most often the first few say so
        return worth_it and surplus.spare(bill, self._levels(bill.upstream), {})

    def _asked(self, ask: Asked, members: Members) -> Asked:
        """Return the request for other members of the same list."""
        request = batches.asking(batch_of(ask), ask.match, ask.request, members)
        route = self._routes.match(request)
        if not isinstance(route, Match):
            raise TypeError(f"{ask.match.endpoint.name}: a list does not meet its own rule")
        return asked(request, route, ask.began, ask.secret)


def batch_of(ask: Asked) -> Batch:
    """Return how a request's endpoint shares calls."""
    batch = ask.match.endpoint.batch
    if batch is None:
        raise RuntimeError(f"{ask.match.endpoint.name} declares no shared calls")
    return batch


def spent(bill: Bill) -> float:
    """Return what a bill spends, all told."""
    return sum(charge.cost for charge in bill.charges)
