"""Limits in simulated time: the arithmetic of every ledger, and what became of each count.

An exchange is over at once: it is booked and settled at the same moment.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import assert_never

from proxy.core import limits, standings
from proxy.core.counts import Moment
from proxy.core.limits import Account, Booked, Ending, Held, Order, Short
from proxy.core.rules import Rule, rule
from proxy.core.spending import Bill, Level
from proxy.core.upstreams import Limit, Upstream


@dataclass(slots=True)
class Spent:
    """What was spent of one limit."""

    limit: Limit
    window: float = 0.0
    calls: int = 0
    cost: float = 0.0
    peak: float = 0.0
    """Most that was used at once, as a share of the limit."""
    denied: int = 0
    ran_out: float | None = None
    """Seconds from the start at which it first let nothing more go."""


class Ledger:
    """Limits in simulated time."""

    def __init__(self, upstreams: Iterable[Upstream]) -> None:
        """Take the upstreams whose limits are counted."""
        self.now = self.began = 0.0
        self.spent: dict[tuple[str, str], Spent] = {}
        self._accounts: dict[str, Account] = {}
        self._ids = count()
        self._known: dict[str, dict[str, Limit]] = {each.name: {} for each in upstreams}

    def levels(self, upstream: str) -> tuple[Level, ...]:
        """Return how the counts stand that were spent from."""
        account, moment = self._opened(upstream)
        return tuple(
            self._level(limit, bucket, account, moment)
            for bucket, limit in self._known[upstream].items()
        )

    def spend(self, bill: Bill) -> float | None:
        """Spend; None: granted, else the seconds until it could be."""
        account, moment = self._opened(bill.upstream)
        known = self._known[bill.upstream]
        for charge in bill.charges:
            known[charge.bucket] = charge.limit
        rules = {charge.bucket: rule(charge.limit, self.now) for charge in bill.charges}
        charges = tuple((charge.bucket, float(charge.cost)) for charge in bill.charges)
        order = Order(str(next(self._ids)), bill.answer_within, bill.urgent, charges)
        account, decision = limits.spend(account, order, rules, moment)
        match decision:
            case Booked(until):
                real = tuple((bucket, cost, cost) for bucket, cost in charges)
                ending = Ending(order.id, until, order.within, True, True, real)  # noqa: FBT003 - sent and answered
                account = limits.settle(account, ending, rules, moment)
                self._accounts[bill.upstream] = account
                self._book(bill, account, moment)
                return None
            case Held(until):
                return until - moment.now
            case Short(index):
                self._accounts[bill.upstream] = account
                return self._short(bill, index, account, rules, moment)
            case _:
                assert_never(decision)

    def _opened(self, upstream: str) -> tuple[Account, Moment]:
        return limits.opened(self._accounts.get(upstream, Account()), self.now, self.now)

    def _book(self, bill: Bill, account: Account, moment: Moment) -> None:
        for charge in bill.charges:
            spent = self._of(bill.upstream, charge.bucket, charge.limit)
            level = self._level(charge.limit, charge.bucket, account, moment)
            spent.calls += 1
            spent.cost += charge.cost
            spent.window = max(spent.window, level.window)
            if level.size > 0:
                spent.peak = max(spent.peak, level.used / level.size)

    def _short(
        self, bill: Bill, index: int, account: Account, rules: Mapping[str, Rule], moment: Moment
    ) -> float:
        charge = bill.charges[index]
        spent = self._of(bill.upstream, charge.bucket, charge.limit)
        spent.denied += 1
        if spent.ran_out is None:
            spent.ran_out = self.now - self.began
        own = rules[charge.bucket]
        now_there = limits.current(own, account.counts.get(charge.bucket), moment)
        denied = standings.denied(
            charge.limit, own, now_there, charge.cost, moment, urgent=bill.urgent
        )
        return denied.retry_after

    def _of(self, upstream: str, bucket: str, limit: Limit) -> Spent:
        return self.spent.setdefault((upstream, bucket), Spent(limit))

    def _level(self, limit: Limit, bucket: str, account: Account, moment: Moment) -> Level:
        own = rule(limit, self.now)
        now_there = limits.current(own, account.counts.get(bucket), moment)
        return standings.level(limit, bucket, own, now_there, moment)
