"""Counting alone: one upstream's share while the ledger cannot be reached (see `core.shares`).

What is spent here counts `of` times on an account of our own, on which others, if there are any,
have taken all that was left; and once in `spent`, which is told to the ledger when it is back.
"""

from dataclasses import dataclass, replace
from typing import TypeAlias

import msgspec

from proxy.core import limits, shares, tallies
from proxy.core.counts import Moment
from proxy.core.limits import Account, Booked, Decision, Ending, Order
from proxy.core.rules import Rule
from proxy.core.shares import Telling
from proxy.core.spenders import Spenders
from proxy.core.spending import Bill
from proxy.core.tallies import EMPTY, Tally

Rules: TypeAlias = dict[str, Rule]


@dataclass(frozen=True, slots=True)
class Standing:
    """What a spender is among all that are alive."""

    rank: int
    of: int


@dataclass(frozen=True, slots=True)
class NotYet:
    """The share of a limit is less than a token: the turn comes in `seconds`, if at all."""

    index: int
    seconds: float


class Share:
    """One upstream, counted alone."""

    def __init__(
        self, name: str, seen: Account | None, moment: Moment, standing: Standing, within: float
    ) -> None:
        """Take what was last seen (None: the ledger was never reached), and when it was lost.

        `name` is this spender's; `within` the longest that any answer takes.
        """
        self._name = name
        self._reached = seen is not None
        self._seen = seen or Account()
        self._lost = moment
        self._standing = standing
        self._within = within
        self._account = Account(self._seen.head)
        self._spent: dict[str, Tally] = {}
        self._open: dict[str, tuple[float, dict[str, float]]] = {}
        self._untold: list[Telling] = []
        self._began = False
        self._turns = False

    @property
    def account(self) -> Account:
        """What is counted here: others' part in it is assumed."""
        return self._account

    def spend(
        self, order: Order, rules: Rules, moment: Moment, *, turns: bool
    ) -> Decision | NotYet:
        """Spend of the share; `turns`: nobody can reach the ledger, so turns may be taken."""
        self._assume(rules)
        self._turns = self._turns or turns
        factors = {}
        for index, (bucket, cost) in enumerate(order.charges):
            factor = self._factor(rules[bucket], moment.now) if cost > 0 else 1.0
            if isinstance(factor, NotYet):
                return replace(factor, index=index)
            factors[bucket] = factor
        charges = tuple((bucket, cost * factors[bucket]) for bucket, cost in order.charges)
        scaled = msgspec.structs.replace(order, charges=charges)
        self._account, decision = limits.spend(self._account, scaled, rules, moment)
        if isinstance(decision, Booked):
            self._open[order.id] = (decision.until, factors)
            for bucket, cost in order.charges:
                self._add(rules[bucket], bucket, decision.until, cost)
        return decision

    def scaled(self, bill: Bill, rules: Rules, moment: Moment) -> Bill:
        """Return a bill as it counts here."""
        charges = []
        for charge in bill.charges:
            factor = self._factor(rules[charge.bucket], moment.now)
            times = 1.0 if isinstance(factor, NotYet) else factor
            charges.append(msgspec.structs.replace(charge, cost=charge.cost * times))
        return msgspec.structs.replace(bill, charges=tuple(charges))

    def settle(self, ending: Ending, rules: Rules, moment: Moment) -> None:
        """Count an exchange as it ended; what the provider says of its use waits for the ledger."""
        self._assume(rules)
        until, factors = self._open.pop(ending.id, (ending.until, {}))
        charges = tuple(
            (bucket, cost * factors.get(bucket, 1.0), real * factors.get(bucket, 1.0))
            for bucket, cost, real in ending.charges
        )
        scaled = msgspec.structs.replace(ending, charges=charges, figures=())
        self._account = limits.settle(self._account, scaled, rules, moment)
        if not factors or (ending.sent and not ending.answered):
            return
        for bucket, cost, real in ending.charges:
            self._take(rules[bucket], bucket, until, cost)
            self._add(rules[bucket], bucket, moment.now, real if ending.sent else 0.0)

    def next_telling(self, moment: Moment) -> Telling | None:
        """Return what the ledger is to be told next; None: it knows all."""
        if not self._untold and (self._spent or not self._began):
            self._began = True
            self._untold.append(self._telling(moment))
            self._spent, self._open = {}, {}
        return self._untold[0] if self._untold else None

    def confirm(self, telling: Telling) -> None:
        """Note that the ledger has been told."""
        self._untold.remove(telling)

    # ── inside ──

    def _telling(self, moment: Moment) -> Telling:
        holding = self._account.head.holding
        return Telling(
            f"{self._name}-alone-{moment.now:.6f}",
            moment.now,
            self._seen.head.spenders,
            holding,
            tuple(self._seen.counts.items()),
            tuple(self._spent.items()),
            tuple((id_, until) for id_, (until, _) in self._open.items()),
            self._turns,
        )

    def _assume(self, rules: Rules) -> None:
        if not self._reached:
            return
        missing = {each: rule for each, rule in rules.items() if each not in self._account.counts}
        if missing:
            others = self._standing.of > 1
            counts = shares.alone(
                self._seen, missing, self._lost, self._within, others=others
            ).counts
            known = {bucket: counts[bucket] for bucket in missing}
            self._account = Account(self._account.head, {**self._account.counts, **known})

    def _factor(self, rule: Rule, now: float) -> float | NotYet:
        of = self._standing.of
        if rule.size >= of:
            return float(of)
        if not self._turns:
            return NotYet(0, rule.window)
        seconds = shares.turn(self._standing.rank, of, rule.window, self._within, now)
        return NotYet(0, seconds) if seconds > 0 else 1.0

    def _add(self, rule: Rule, bucket: str, at: float, tokens: float) -> None:
        if tokens > 0:
            slot = tallies.slot_at(at, rule.slot)
            self._spent[bucket] = tallies.added(self._spent.get(bucket, EMPTY), slot, tokens)

    def _take(self, rule: Rule, bucket: str, until: float, cost: float) -> None:
        spent = self._spent.get(bucket, EMPTY)
        self._spent[bucket], _ = tallies.taken(spent, tallies.slot_at(until, rule.slot), cost)


def standing(spenders: Spenders, name: str, fleet_size: int) -> Standing:
    """Return what a spender is among those that it last knew of, or among `fleet_size`."""
    of = next((each.of for each in spenders if each.id == name), 1)
    of = max(of, fleet_size)
    names = sorted({name, *(each.id for each in spenders)})
    return Standing(names.index(name) % of, of)
