"""Counting alone: spenders that are cut off for a while, together and against a provider."""

import random
from dataclasses import dataclass, field

import pytest

from proxy.core import limits, shares
from proxy.core.counts import Moment
from proxy.core.limits import Account, Booked, Ending, Order
from proxy.core.rules import Rule, rule
from proxy.core.spenders import HEARTBEAT, Spender
from proxy.core.spending import Bill, Charge
from proxy.core.upstreams import Algorithm, CalendarUnit, Limit
from proxy.ledger.share import NotYet, Share, Standing, standing
from proxy.sandbox.simulation import Enforcer, FixedWindow, SlidingWindow, TokenBucket

_BEGAN = 1_700_000_000.0
_WITHIN = 4.0


@dataclass
class Fleet:
    """Spenders on one ledger, some of whom are cut off from it for a while."""

    limit: Limit
    provider: Enforcer
    cut: frozenset[int]
    outage: tuple[float, float]
    size: int = 3
    seed: int = 1
    account: Account = field(default_factory=Account)
    refused: int = 0
    alone: int = 0
    counted: int = 0

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.seen: dict[int, tuple[Account, float]] = {}
        self.shares: dict[int, Share] = {}
        self.answers: list[tuple[float, int, Order, float]] = []
        self.arrivals: list[float] = []
        self.number = 0

    @property
    def rules(self) -> dict[str, Rule]:
        """How the limit is counted."""
        return {"m": rule(self.limit, _BEGAN)}

    def run(self, seconds: float) -> "Fleet":
        """Let time pass; everybody asks for as much as it can get."""
        for tick in range(int(seconds * 20)):
            now = _BEGAN + tick / 20
            for at in sorted(each for each in self.arrivals if each <= now):
                self.arrivals.remove(at)
                self._reach(at)
            for answer in [each for each in self.answers if each[0] <= now]:
                self.answers.remove(answer)
                self._settle(now, *answer[1:])
            for spender in self.rng.sample(range(self.size), self.size):
                self._act(spender, now)
        return self

    def _reach(self, at: float) -> None:
        accepted = self.provider.take(at, 1.0)
        self.counted += accepted
        self.refused += not accepted

    def _lost(self, spender: int, now: float) -> bool:
        return spender in self.cut and self.outage[0] <= now - _BEGAN < self.outage[1]

    def _act(self, spender: int, now: float) -> None:
        if self._lost(spender, now):
            self._spend_alone(spender, now)
            return
        if spender in self.shares:
            self._tell(spender, now)
        account, moment = limits.opened(self.account, now, now, caller=f"s{spender}")
        self.account = account
        for _ in range(3):
            order = self._order()
            self.account, decision = limits.spend(self.account, order, self.rules, moment)
            if not isinstance(decision, Booked):
                break
            self._send(spender, order, now, decision.until)
        if self.rng.random() < 0.05 / HEARTBEAT or spender not in self.seen:
            self.seen[spender] = (self.account, now)

    def _order(self) -> Order:
        self.number += 1
        return Order(f"r{self.number}", _WITHIN, urgent=False, charges=(("m", 1.0),))

    def _send(self, spender: int, order: Order, now: float, until: float) -> None:
        there = now + self.rng.random() * 0.5
        self.arrivals.append(there)
        if self.rng.random() < 0.95:
            self.answers.append((there + self.rng.random() * 0.5, spender, order, until))

    def _spend_alone(self, spender: int, now: float) -> None:
        moment = Moment(now, now)
        share = self.shares.get(spender)
        if share is None:
            seen, _ = self.seen[spender]
            place = standing(seen.head.spenders, f"s{spender}", 1)
            share = self.shares[spender] = Share(f"s{spender}", seen, moment, place, _WITHIN)
        order = self._order()
        decision = share.spend(order, self.rules, moment, turns=len(self.cut) == self.size)
        if isinstance(decision, Booked):
            self.alone += 1
            self._send(spender, order, now, decision.until)

    def _tell(self, spender: int, now: float) -> None:
        share = self.shares.pop(spender)
        self.account, moment = limits.opened(self.account, now, now, caller=f"s{spender}")
        while (telling := share.next_telling(moment)) is not None:
            self.account = shares.told(self.account, telling, self.rules, moment, known=False)
            share.confirm(telling)

    def _settle(self, now: float, spender: int, order: Order, until: float) -> None:
        charges = (("m", 1.0, 1.0),)
        ending = Ending(order.id, until, _WITHIN, sent=True, answered=True, charges=charges)
        if spender in self.shares:
            self.shares[spender].settle(ending, self.rules, Moment(now, now))
        elif not self._lost(spender, now):
            account, moment = limits.opened(self.account, now, now, caller=f"s{spender}")
            self.account = limits.settle(account, ending, self.rules, moment)


def _sliding() -> tuple[Limit, Enforcer]:
    return Limit("m", 30, 10.0, Algorithm.SLIDING_WINDOW), SlidingWindow(30, 10.0)


def _few() -> tuple[Limit, Enforcer]:
    return Limit("m", 2, 4.0, Algorithm.SLIDING_WINDOW), SlidingWindow(2, 4.0)


def _bucket() -> tuple[Limit, Enforcer]:
    return Limit("m", 30, 10.0, Algorithm.TOKEN_BUCKET, burst=12), TokenBucket(30, 10.0, 12)


def _minute() -> tuple[Limit, Enforcer]:
    return Limit("m", 60, CalendarUnit.MINUTE, Algorithm.FIXED_WINDOW), FixedWindow(60, 60.0)


@pytest.mark.parametrize("kind", [_sliding, _few, _bucket, _minute])
@pytest.mark.parametrize("cut", [{0, 1, 2}, {1}, {0, 2}])
@pytest.mark.parametrize("seed", range(2))
def test_together_never_more_than_the_limit(kind: object, cut: set[int], seed: int) -> None:
    """Lost for all or for some, for a while: no refusal; for long, and all are still served."""
    limit, provider = kind()  # type: ignore[operator]
    seconds = 200.0 if isinstance(limit.per, CalendarUnit) else 100.0
    lasting = 110.0 if len(cut) == 3 else 19.0  # a lease, where others can still be reached
    outage = (30.0, 30.0 + lasting)
    fleet = Fleet(limit, provider, frozenset(cut), outage, seed=seed).run(seconds)

    assert fleet.refused == 0
    assert fleet.alone > 0 or len(cut) < 3


def test_a_spender_knows_its_place() -> None:
    """By what the ledger said last; at least one of the fleet's size."""
    spenders = (Spender("b", 1.0, 1), Spender("a", 1.0, 2))

    assert standing(spenders, "a", 1) == Standing(0, 2)
    assert standing(spenders, "b", 3) == Standing(1, 3)
    assert standing((), "z", 1) == Standing(0, 1)


def _share(limit: Limit, *, reached: bool, of: int) -> tuple[Share, dict[str, Rule]]:
    moment = Moment(_BEGAN, _BEGAN)
    share = Share("a", Account() if reached else None, moment, Standing(0, of), _WITHIN)
    return share, {"m": rule(limit, _BEGAN)}


def test_who_never_reached_the_ledger_begins_at_once() -> None:
    """As one of the fleet's size: of 30, 10."""
    share, rules = _share(_sliding()[0], reached=False, of=3)
    moment = Moment(_BEGAN, _BEGAN)
    granted = 0
    order = Order("r", 8.0, urgent=False, charges=(("m", 1.0),))
    while isinstance(share.spend(order, rules, moment, turns=False), Booked):
        granted += 1

    assert granted == 10


def test_a_share_below_one_takes_turns() -> None:
    """Two of a limit for three spenders: the whole in one's turn, nothing in others'."""
    share, rules = _share(_few()[0], reached=False, of=3)
    waits = []
    for second in range(60):
        order = Order(str(second), 1.0, urgent=False, charges=(("m", 1.0),))
        now = Moment(_BEGAN + second, _BEGAN)
        decision = share.spend(order, rules, now, turns=True)
        waits.append(isinstance(decision, NotYet))

    assert any(waits)
    assert not all(waits)


def test_a_share_below_one_is_none_where_others_reach_the_ledger() -> None:
    """Their turns are not ours to know: of two for three spenders, nothing."""
    share, rules = _share(_few()[0], reached=False, of=3)
    order = Order("r", 1.0, urgent=False, charges=(("m", 1.0),))
    decisions = [
        share.spend(order, rules, Moment(_BEGAN + second, _BEGAN), turns=False)
        for second in range(60)
    ]

    assert all(isinstance(each, NotYet) for each in decisions)


def test_refunds_and_real_costs_count_alone_too() -> None:
    """What is told in the end is what was spent in the end; open receipts go along."""
    share, rules = _share(_sliding()[0], reached=False, of=3)
    moment = Moment(_BEGAN, _BEGAN)
    orders = [Order(str(n), 8.0, urgent=False, charges=(("m", 2.0),)) for n in range(4)]
    for order in orders:
        assert isinstance(share.spend(order, rules, moment, turns=False), Booked)
    until = _BEGAN + 8.0
    for order, (sent, real) in zip(orders, [(False, 2.0), (True, 1.0), (True, 3.0)], strict=False):
        charges = (("m", 2.0, real),)
        share.settle(Ending(order.id, until, 8.0, sent, sent, charges), rules, moment)
    telling = share.next_telling(moment)
    assert telling is not None
    share.confirm(telling)

    assert dict(telling.spent)["m"].total == 6
    assert telling.receipts == (("3", until),)
    assert share.next_telling(moment) is None


def test_a_bill_as_it_counts_here() -> None:
    """Each token counts as often as there are spenders."""
    limit = _sliding()[0]
    share, rules = _share(limit, reached=True, of=3)
    bill = Bill("up", (Charge(limit, "m", 2.0),), 8.0)

    assert share.scaled(bill, rules, Moment(_BEGAN, _BEGAN)).charges[0].cost == 6.0
