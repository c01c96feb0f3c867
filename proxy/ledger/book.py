"""The book: what a process knows of its upstreams' limits, and how bills are put to a ledger.

It turns bills into orders and settlements into endings (plain figures, for Python and Lua alike),
and decisions back into grants and denials. It remembers how each account was last seen, so that
`levels` and `held_for` cost no call.
"""

import math
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import count as counter
from typing import assert_never

from msgspec import Struct

from proxy.core import holds, limits, standings
from proxy.core.counts import Count, Moment
from proxy.core.limits import Account, Booked, Decision, Ending, Head, Held, Order, Short
from proxy.core.model import Denied
from proxy.core.rules import Rule, rule
from proxy.core.spending import (
    HOLD,
    LOST,
    Bill,
    Charge,
    Granted,
    Level,
    Outlook,
    Receipt,
    Settled,
)
from proxy.core.upstreams import Limit
from proxy.ledger import endings
from proxy.ledger.endings import Charged

Limits = Mapping[str, tuple[Limit, ...]]
"""The limits of each upstream."""

_RULES_HOLD = 60.0
"""Seconds for which a rule is used: it knows the windows around it, so it may be somewhat old."""

_LEVELS_HOLD = 0.1
_COME_BACK = 1.0

_MOST_TERMS = 1024
"""Bills that are remembered as they are put to the arithmetic."""

_FEW = 64
"""Counts that are not worth forgetting."""

_LATE = 60.0
"""Seconds after which a receipt whose answer can no longer come is forgotten: it counts as booked.
"""


_LOOK_AGAIN = 1.0
"""Seconds between two looks for such receipts."""


class Terms(Struct, frozen=True):
    """A bill as it is put to the arithmetic, time and again."""

    bill: Bill
    since: float
    """Unix time from which the rules hold, and until when they do."""
    until: float
    charges: tuple[tuple[str, float], ...]
    """`(bucket, cost)`."""
    rules: dict[str, Rule]
    as_billed: Charged | None
    keyed: bool
    """Some of its counts are of a credential."""


class _Kept(Struct, frozen=True):
    """How a limit is counted, and since when (Unix time) that is known."""

    limit: Limit
    since: float
    rule: Rule


@dataclass(slots=True)
class _Seen:
    """An account as it was last seen, and when on this process's own clock."""

    head: Head
    counts: dict[str, Count]
    """All that were ever seen: brought up to date in place."""
    moment: Moment
    at: float

    @property
    def account(self) -> Account:
        """The account, for whoever looks at it now and does not keep it."""
        return Account(self.head, self.counts)


class Book:
    """Limits, what was last seen of their counts, and the receipts of this process."""

    def __init__(self, boottime: Callable[[], float], wall: Callable[[], float]) -> None:
        """Take the clocks: seconds since boot, and Unix time."""
        self.spender = secrets.token_hex(6)
        """This process, among all that spend."""
        self.longest = 0.0
        """Seconds that any answer takes at the longest."""
        self._boottime = boottime
        self._wall = wall
        self._limits: dict[str, dict[str, Limit]] = {}
        self._configured: dict[str, dict[str, Limit]] = {}
        self._rules: dict[int, _Kept] = {}
        """By the id of the limit, which they hold: to hash one costs more than all the rest."""
        self._terms: dict[int, Terms] = {}
        self._ruled: dict[tuple[str, ...], dict[str, Rule]] = {}
        """Rules by their buckets: those who are counted by the same share one table."""
        self._seen: dict[str, _Seen] = {}
        self._levels: dict[str, tuple[float, tuple[Level, ...]]] = {}
        self._numbers = counter(1)
        self._open: dict[str, float] = {}
        self._look_again_at = 0.0
        """When receipts that nobody will settle any more are looked for next."""
        self._named: dict[str, dict[str, Limit]] = {}
        self._crowded_at: dict[str, float] = {}

    def configure(self, upstreams: Limits) -> None:
        """Take the limits in force: they are shown even where nobody has spent yet."""
        self._configured = {
            name: {limit.name: limit for limit in chosen if _has_one_count(limit)}
            for name, chosen in upstreams.items()
        }
        self._named = {
            name: {limit.name: limit for limit in chosen} for name, chosen in upstreams.items()
        }
        self._limits = {name: dict(chosen) for name, chosen in self._configured.items()}
        self._levels.clear()
        self._terms.clear()
        self._rules.clear()

    @property
    def upstreams(self) -> tuple[str, ...]:
        """Names of the upstreams that are configured or were spent from."""
        return tuple(self._limits)

    def limits(self, upstream: str) -> Mapping[str, Limit]:
        """Return the limit of each known bucket."""
        return self._limits.get(upstream, {})

    def limit_of(self, upstream: str, bucket: str) -> Limit | None:
        """Return the limit that a count is of, by its name; None: there is none."""
        if (known := self.limits(upstream).get(bucket)) is not None:
            return known
        name, credential, _ = bucket.partition("@")
        named = self._named.get(upstream, {})
        limit, endpoint = named.get(name), ""
        if limit is None:
            name, endpoint, _ = name.partition("/")
            limit = named.get(name)
        if limit is None or bool(endpoint) is not limit.each_endpoint:
            return None
        return None if credential and limit.of != "credential" else limit

    def learn(self, upstream: str, bucket: str, limit: Limit) -> None:
        """Know a count that nobody has spent from in this process."""
        self._limits.setdefault(upstream, {})[bucket] = limit

    def forget(self, upstream: str, account: Account, moment: Moment) -> None:
        """Forget of an account's counts those of credentials that are as if never spent from."""
        known, seen = self._limits.get(upstream, {}), self._seen.get(upstream)
        for bucket, count in account.counts.items():
            limit = known.get(bucket) if "@" in bucket else None
            if limit and limits.is_idle(self.rule(limit, moment.wall), count, moment):
                del known[bucket]
        if seen is not None:
            seen.counts = {name: count for name, count in seen.counts.items() if name in known}
        self._levels.pop(upstream, None)
        self._terms.clear()  # whoever spends from them again makes them known again

    def crowded(self, bill: Bill) -> bool:
        """Whether it is time to forget credentials' counts: there are twice as many as were left.

        True once, until `thinned` is called.
        """
        if not self.terms(bill).keyed:
            return False
        number = len(self.limits(bill.upstream))
        if number < self._crowded_at.get(bill.upstream, 0.0):
            return False
        self._crowded_at[bill.upstream] = math.inf
        return True

    def thinned(self, upstream: str) -> None:
        """Note that those counts have been forgotten that could be."""
        self._crowded_at[upstream] = _FEW + 2.0 * len(self.limits(upstream))

    # ── bills and settlements, as the arithmetic takes them ──

    def terms(self, bill: Bill) -> Terms:
        """Return a bill as it is put to the arithmetic now; its counts are known from then on."""
        wall = self._wall()
        kept = self._terms.get(id(bill))
        if kept is not None and kept.since <= wall < kept.until:
            return kept
        known = self._limits.setdefault(bill.upstream, {})
        for charge in bill.charges:
            known[charge.bucket] = charge.limit
        self.longest = max(self.longest, bill.answer_within)
        kept_rules = [self._kept(charge.limit, wall) for charge in bill.charges]
        began = [each.since for each in kept_rules]
        rules = {
            charge.bucket: each.rule for charge, each in zip(bill.charges, kept_rules, strict=True)
        }
        terms = Terms(
            bill,
            max(began, default=wall),
            min(began, default=wall) + _RULES_HOLD,
            tuple((charge.bucket, float(charge.cost)) for charge in bill.charges),
            self._shared(bill.upstream, rules),
            endings.charged_as_billed(bill),
            any("@" in charge.bucket for charge in bill.charges),
        )
        if len(self._terms) >= _MOST_TERMS:
            self._terms.clear()
        self._terms[id(bill)] = terms  # which holds the bill: no other has its id meanwhile
        return terms

    def _shared(self, upstream: str, rules: dict[str, Rule]) -> dict[str, Rule]:
        """Return the same table for the same rules, so that a batch sees at once that it is one."""
        name = (upstream, *rules)
        kept = self._ruled.get(name)
        if kept == rules:
            return kept
        if len(self._ruled) >= _MOST_TERMS:
            self._ruled.clear()
        self._ruled[name] = rules
        return rules

    def order(self, bill: Bill) -> Order:
        """Put a bill to the arithmetic, under a new receipt's id."""
        return self.order_at(self.terms(bill))

    def order_at(self, terms: Terms) -> Order:
        """Put a bill to the arithmetic at its terms."""
        number = f"{self.spender}-{next(self._numbers):x}"
        return Order(number, terms.bill.answer_within, terms.bill.urgent, terms.charges)

    def ending(self, receipt: Receipt, settled: Settled) -> tuple[Ending, dict[str, Rule]]:
        """Put a settlement to the arithmetic; and how the counts are counted that it speaks of."""
        bill = receipt.bill
        terms = self._terms.get(id(bill))
        as_billed = None if terms is None else terms.as_billed
        configured = self._configured.get(bill.upstream, {})
        ending = endings.ending(receipt, settled, as_billed, configured)
        if terms is not None and not ending.figures and terms.since <= self._wall() < terms.until:
            return ending, terms.rules
        return ending, self.rules(bill.upstream, limits.named(ending), bill.charges)

    def rules(
        self, upstream: str, buckets: Iterable[str], charges: Iterable[Charge] = ()
    ) -> dict[str, Rule]:
        """Return how each of the buckets is counted now.

        What was charged and is configured no more (a reload came between a spend and its
        settlement) is counted as it was charged.
        """
        wall, known = self._wall(), self._limits.get(upstream, {})
        charged = {charge.bucket: charge.limit for charge in charges}
        return {
            bucket: self.rule(known[bucket] if bucket in known else charged[bucket], wall)
            for bucket in buckets
        }

    def rule(self, limit: Limit, wall: float) -> Rule:
        """Return how a limit is counted at `wall`."""
        return self._kept(limit, wall).rule

    def _kept(self, limit: Limit, wall: float) -> "_Kept":
        kept = self._rules.get(id(limit))
        if kept is None or not kept.since <= wall < kept.since + _RULES_HOLD:
            if len(self._rules) >= _MOST_TERMS:
                self._rules.clear()
            kept = self._rules[id(limit)] = _Kept(limit, wall, rule(limit, wall))
        return kept

    # ── receipts: each is settled once ──

    def closes(self, receipt: Receipt) -> bool:
        """Whether this is the first settlement of a receipt that was given out here."""
        return self._open.pop(receipt.id, None) is not None

    def _give(self, order: Order, bill: Bill, booked: Booked) -> Receipt:
        at = self._boottime()
        if at >= self._look_again_at:
            self._look_again_at = at + _LOOK_AGAIN
            while self._open and (oldest := next(iter(self._open.items())))[1] < at:
                del self._open[oldest[0]]
        self._open[order.id] = at + order.within + _LATE
        return Receipt(order.id, bill, booked.until, booked.probe)

    # ── decisions, as the flow takes them ──

    def answer(
        self, bill: Bill, order: Order, decision: Decision, account: Account, moment: Moment
    ) -> Granted | Denied:
        """Say to the flow what was decided, on the account as it then stood."""
        match decision:
            case Booked():
                return Granted(self._give(order, bill, decision))
            case Held(until):
                left = max(0.0, until - moment.now)
                probing = account.head.holding.until <= moment.now
                soonest = min(left, standings.ASK_AGAIN) if probing else None
                return Denied(HOLD, left, left, soonest, hold=True)
            case Short(index):
                charge = bill.charges[index]
                rule_ = self.rule(charge.limit, moment.wall)
                count = limits.current(rule_, account.counts.get(charge.bucket), moment)
                return standings.denied(
                    charge.limit, rule_, count, charge.cost, moment, urgent=bill.urgent
                )
            case _:
                assert_never(decision)

    # ── what was last seen ──

    def note(self, upstream: str, account: Account, moment: Moment) -> None:
        """Remember how an account stands; counts that it leaves out stand as they were."""
        seen, at = self._seen.get(upstream), self._boottime()
        if seen is None:
            self._seen[upstream] = _Seen(account.head, dict(account.counts), moment, at)
        else:
            seen.head, seen.moment, seen.at = account.head, moment, at
            seen.counts.update(account.counts)
        self._levels.pop(upstream, None)

    def seen(self, upstream: str) -> tuple[Account, Moment]:
        """Return an account as last seen, and what is now on its clock."""
        account, moment = self._sight(upstream)
        return Account(account.head, dict(account.counts)), moment

    def _sight(self, upstream: str) -> tuple[Account, Moment]:
        """Return what `seen` does, to be looked at only now."""
        seen = self._seen.get(upstream)
        if seen is None:
            return Account(), Moment(self._wall(), self._wall())
        passed = max(0.0, self._boottime() - seen.at)
        moment = Moment(seen.moment.now + passed, seen.moment.wall + passed, seen.head.offset)
        return seen.account, moment

    def levels(self, upstream: str) -> tuple[Level, ...]:
        """Return how the upstream's counts stand, as last seen."""
        at = self._boottime()
        kept = self._levels.get(upstream)
        if kept is None or not kept[0] <= at < kept[0] + _LEVELS_HOLD:
            account, moment = self._sight(upstream)
            kept = self._levels[upstream] = (at, self.stand(upstream, account, moment))
        return kept[1]

    def outlook(self, upstream: str, bucket: str) -> Outlook | None:
        """Return what may be spent of a count and when more comes, as last seen; None: unknown."""
        limit = self.limits(upstream).get(bucket)
        if limit is None:
            return None
        account, moment = self._sight(upstream)
        rule_ = self.rule(limit, moment.wall)
        count = limits.current(rule_, account.counts.get(bucket), moment)
        return standings.outlook(rule_, count, moment)

    def stand(self, upstream: str, account: Account, moment: Moment) -> tuple[Level, ...]:
        """Return how an account's counts stand, those that nobody has spent from included."""
        levels = []
        for bucket, limit in self.limits(upstream).items():
            rule_ = self.rule(limit, moment.wall)
            count = limits.current(rule_, account.counts.get(bucket), moment)
            levels.append(standings.level(limit, bucket, rule_, count, moment))
        return tuple(levels)

    def held_for(self, upstream: str) -> float:
        """Return for how many more seconds the upstream is held, as last seen; else 0."""
        account, moment = self._sight(upstream)
        until = holds.held_until(account.head.holding, moment.now)
        return 0.0 if until is None else max(0.0, until - moment.now)


def lost() -> Denied:
    """Return what a ledger says that cannot be reached."""
    return Denied(LOST, _COME_BACK, _COME_BACK, soonest=_COME_BACK / 4)


def _has_one_count(limit: Limit) -> bool:
    return limit.of == "address" and not limit.each_endpoint
