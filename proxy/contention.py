"""Contended limits: those that somebody was denied by of late, and what of them is whose.

Nothing is counted here before a ledger first says no, nor after it has not for two windows. From
then on each request and each grant is told to the fair shares of the limits that it spends from,
and who has had its share is denied what is kept for the others, as if the limit were that much
smaller. A bill that spends from several is held to the one with the longest window. Windows longer
than an hour are not shared so: nobody waits for their end, and `pace` is there for them.
"""

import math
from collections.abc import Callable, Iterator

from proxy.core.calendars import SECONDS
from proxy.core.fair_shares import FairShares, Standing, pace
from proxy.core.model import Client, Denied
from proxy.core.spending import Bill, Charge, Outlook
from proxy.core.upstreams import CalendarUnit, Limit

LONGEST = 3600.0
"""Seconds: longest window whose tokens are kept for those who have not had their share."""

ASK_AGAIN = 0.1
"""Seconds after which to look again at what is kept for others: they take it, or more comes."""

_FEW = 64


class Contention:
    """The contended limits of all upstreams of this process."""

    def __init__(
        self, outlook: Callable[[str, str], Outlook | None], time: Callable[[], float]
    ) -> None:
        """Take how a count of an upstream stands, as last known, and a clock that never steps."""
        self._outlook = outlook
        self._time = time
        self._shares: dict[tuple[str, str], FairShares] = {}
        self._sweep_at = _FEW

    def shares(self, bill: Bill) -> FairShares | None:
        """Return how the bill's limit is shared; None: it is not contended."""
        found = self._scarcest(bill)
        return None if found is None else found[1]

    def ask(self, bill: Bill, client: Client, priority: int) -> None:
        """Note a request, before it is known what comes of it."""
        if self._shares and not bill.urgent:
            for charge, shares in self._contended(bill):
                shares.ask(client, priority, charge.cost, self._time())

    def grant(self, bill: Bill, client: Client, priority: int, *, back: bool = False) -> None:
        """Note a grant, or that it was given `back`."""
        if self._shares and not bill.urgent:
            for charge, shares in self._contended(bill):
                cost = -charge.cost if back else charge.cost
                shares.grant(client, priority, cost, self._time())

    def miss(self, bill: Bill, client: Client, priority: int) -> None:
        """Note a request that nothing came of."""
        if not bill.urgent:
            for _, shares in self._contended(bill):
                shares.miss(client, priority, self._time())

    def denied(self, bill: Bill, denied: Denied, client: Client, priority: int) -> None:
        """Note what a ledger said; the first time, this is the first request that counts."""
        charge = next((each for each in bill.charges if each.limit.name == denied.limit), None)
        if denied.hold or charge is None or charge.limit.of == "client":
            return
        window, now = _window(charge.limit), self._time()
        if window > LONGEST:
            return
        shares = self._shares.get((bill.upstream, charge.bucket))
        if shares is None:
            self._sweep(now)
            shares = FairShares(charge.limit.limit, window, now)
            self._shares[bill.upstream, charge.bucket] = shares
            if not bill.urgent:
                shares.ask(client, priority, charge.cost, now)
        shares.contended(now)

    def withheld(self, bill: Bill, client: Client, priority: int) -> Denied | None:
        """Deny who has had its share what is kept for others; None: the ledger decides."""
        found = self._scarcest(bill) if self._shares and not bill.urgent else None
        if found is None:
            return None
        charge, shares = found
        now = self._time()
        if shares.standing(client, priority, now) is Standing.BEHIND:
            return None
        outlook = self._outlook(bill.upstream, charge.bucket)
        if outlook is None or outlook.room < charge.cost:
            return None
        kept = shares.kept(client, priority, outlook, now)
        needed = min(charge.cost + kept, outlook.brim)
        if outlook.room >= charge.cost + kept:
            return None
        if outlook.room >= needed and shares.spills(charge.cost, outlook, now):
            return None
        shares.contended(now)
        wait = shares.ends - now
        return Denied(
            charge.limit.name,
            retry_after=wait,
            resets_in=outlook.resets_in,
            soonest=min(wait, ASK_AGAIN, _until(outlook, needed)),
            returns=((0.0, outlook.room), *outlook.returns),
            again=outlook.again,
        )

    def _scarcest(self, bill: Bill) -> tuple[Charge, FairShares] | None:
        return max(self._contended(bill), key=lambda each: each[1].window, default=None)

    def _contended(self, bill: Bill) -> Iterator[tuple[Charge, FairShares]]:
        for charge in bill.charges:
            shares = self._shares.get((bill.upstream, charge.bucket))
            if shares is None:
                continue
            if shares.is_over(self._time()):
                del self._shares[bill.upstream, charge.bucket]
            else:
                yield charge, shares

    def _sweep(self, now: float) -> None:
        """Forget limits that are contended no more, whenever there are twice as many."""
        if len(self._shares) > self._sweep_at:
            self._shares = {
                key: each for key, each in self._shares.items() if not each.is_over(now)
            }
            self._sweep_at = _FEW + 2 * len(self._shares)


def _until(outlook: Outlook, room: float) -> float:
    """Return the seconds until a bucket has so much; of a window its owner asks now and then."""
    if outlook.brim == math.inf or outlook.room >= room:
        return ASK_AGAIN
    return (room - outlook.room) * pace(outlook)


def _window(limit: Limit) -> float:
    if isinstance(limit.per, CalendarUnit):
        return SECONDS.get(limit.per, LONGEST + 1.0)
    return limit.per
