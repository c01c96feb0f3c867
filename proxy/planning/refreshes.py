"""Refreshes ahead in simulated time: once a second, what is due is fetched for nobody.

What is due, in which order, and what can be afforded is decided by what decides it in earnest
(`freshening.dues`, `core.surplus`). Seconds in which nothing is kept are passed over.
"""

from collections.abc import Callable, Mapping
from typing import Final

from proxy.asked import Asked
from proxy.core import surplus
from proxy.core.model import Entry
from proxy.core.routing import Routes
from proxy.freshening import dues
from proxy.freshening.ahead import PERIOD, wanted
from proxy.freshening.heats import Heat, Heats
from proxy.planning.simulation import Ledger

NEVER: Final = float("inf")


class Refreshes:
    """All that is refreshed ahead."""

    def __init__(
        self,
        ledger: Ledger,
        heats: Heats,
        entries: Mapping[str, Entry],
        waits: Callable[[str], bool],
        refresh: Callable[[Asked], None],
    ) -> None:
        """Take limits, uses and answers; who waits for an upstream's quota; and who fetches."""
        self._ledger = ledger
        self._heats = heats
        self._entries = entries
        self._waits = waits
        self._refresh = refresh
        self.next = NEVER
        """When it is to look again."""

    def begin(self, routes: Routes, fetched_for: Callable[[Asked], Asked]) -> None:
        """Learn what is to be kept warm; look from now on, if anything is refreshed at all."""
        for upstream in routes.upstreams.values():
            if any(endpoint.refresh_ahead for endpoint in upstream.endpoints):
                self.next = self._ledger.now
            for path in () if upstream.disabled else upstream.warm:
                for ask in wanted(routes, upstream, path):
                    self._heats.learn(fetched_for(ask), warm=True)
                    self.next = self._ledger.now

    def look(self, until: float) -> None:
        """Refresh what is due and can be afforded; where nothing is kept, pass over to `until`."""
        now = self._ledger.now
        kept = [heat for heat in self._heats if dues.is_kept(heat)]
        due = []
        for heat in kept:
            if now < heat.not_before:
                continue
            entry = self._entries.get(heat.asked.key)
            dues.note(heat, entry)
            if dues.is_due(heat, entry, now):
                due.append(heat)
            elif dues.is_over(heat, entry, now):
                self._heats.forget(heat)
        self._send(sorted(due, key=dues.worth, reverse=True))
        self.next = now + PERIOD if kept else max(now + PERIOD, until)

    def _send(self, due: list[Heat]) -> None:
        """Fetch as many as can be afforded, as counts stood before the first of them."""
        levels = {
            name: self._ledger.levels(name)
            for name in {heat.asked.match.upstream.name for heat in due}
        }
        planned: dict[str, dict[str, float]] = {name: {} for name in levels}
        for heat in due:
            bill = heat.asked.bill()
            spent = planned[bill.upstream]
            if self._waits(bill.upstream) or not surplus.spare(bill, levels[bill.upstream], spent):
                continue
            dues.tried(heat, self._ledger.now)
            for charge in bill.charges:
                spent[charge.bucket] = spent.get(charge.bucket, 0.0) + charge.cost
            self._refresh(heat.asked)
