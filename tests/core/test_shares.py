"""A spender that is cut off: what it may take, what the ledger keeps back, what it tells."""

import pytest

from proxy.core import limits, shares, tallies
from proxy.core.counts import Count, Moment
from proxy.core.holds import FREE, Holding
from proxy.core.limits import Account, Booked, Head, Order, Short
from proxy.core.rules import BUCKET, FIXED, SLIDING, Rule
from proxy.core.shares import Telling
from proxy.core.spenders import Spender

SLIDE = Rule(SLIDING, 12, 64.0, 0.25)
MONTH = Rule(FIXED, 12, 1000.0, 1.0, edges=(1000.0, 2000.0, 3000.0, 4000.0))
POT = Rule(BUCKET, 12, 12.0, 0.125)
RULES = {"slide": SLIDE, "month": MONTH, "pot": POT}
NOW = Moment(1500.0, 1500.0)


def _spend(account: Account, now: float, cost: float, *names: str) -> tuple[Account, bool]:
    moment = Moment(now, now)
    order = Order("r", 8.0, urgent=False, charges=tuple((name, cost) for name in names))
    account, decision = limits.spend(account, order, RULES, moment)
    return account, isinstance(decision, Booked)


@pytest.mark.parametrize(("now", "granted"), [(1500.0, False), (1540.0, False), (1577.0, True)])
def test_what_was_left_is_taken_to_be_gone(now: float, granted: bool) -> None:  # noqa: FBT001 - a row
    """Nothing was spent when last seen; others may take all of it before the silence is noticed."""
    account = shares.alone(Account(), {"slide": SLIDE}, NOW, within=10.0)

    assert _spend(account, now, 4.0, "slide")[1] is granted


def test_who_is_the_only_one_has_what_was_left() -> None:
    """Nobody else could have taken it; what was spent before stays spent."""
    for name, left in (("slide", 7.0), ("month", 7.0), ("pot", 12.0)):  # the pot has filled again
        seen, _ = _spend(Account(), 1480.0, 5.0, name)
        account = shares.alone(seen, {name: RULES[name]}, NOW, within=10.0, others=False)
        assert not _spend(account, 1500.0, left + 1.0, name)[1], name
        assert _spend(account, 1500.0, left, name)[1], name


def test_what_comes_back_is_shared() -> None:
    """Six that were seen come back at 1540: they are ours in one part of three, so two."""
    seen, _ = _spend(Account(), 1467.0, 6.0, "slide")  # booked at 1475, back at 1539.25
    account = shares.alone(seen, {"slide": SLIDE}, NOW, within=10.0)
    account, one = _spend(account, 1540.0, 3.0, "slide")
    account, two = _spend(account, 1540.0, 3.0, "slide")
    account, three = _spend(account, 1540.0, 3.0, "slide")

    assert (one, two, three) == (True, True, False)


def test_of_a_month_the_rest_is_shared_less_what_may_have_gone_unseen() -> None:
    """Two were spent of late, two long ago: two more may have gone unseen, six are left."""
    seen, _ = _spend(Account(), 1100.0, 2.0, "month")
    seen, _ = _spend(seen, 1490.0, 2.0, "month")
    account = shares.alone(seen, {"month": MONTH}, NOW, within=10.0)
    account, six = _spend(account, 1505.0, 6.0, "month")

    assert six
    assert not _spend(account, 1505.0, 1.0, "month")[1]


def test_a_bucket_begins_empty() -> None:
    """Others may have emptied it: it fills from the moment at which the silence was noticed."""
    account = shares.alone(Account(), {"pot": POT}, NOW, within=10.0)

    assert not _spend(account, 1502.5, 1.0, "pot")[1]
    assert _spend(account, 1505.5, 3.0, "pot")[1]


def test_the_ledger_withholds_as_much() -> None:
    """While one of three is silent, eight of twelve are granted; of a month, two thirds of it."""
    spenders = (Spender("a", 1490.0, 3),)
    account, moment = limits.opened(
        Account(Head(now=1500.0, spenders=spenders)), 1500.0, 1500.0, caller="b"
    )
    granted = {}
    for name in ("slide", "month"):
        granted[name] = 0
        while True:
            order = Order("r", 8.0, urgent=True, charges=((name, 1.0),))
            account, decision = limits.spend(account, order, RULES, moment)
            if isinstance(decision, Short):
                break
            granted[name] += 1

    assert moment.withheld == pytest.approx(1 / 3)
    assert granted["slide"] == 8
    assert granted["month"] <= 12


@pytest.mark.parametrize(
    ("rank", "now", "expected"),
    [
        (0, 0.0, 0.0),
        (0, 9.9, 0.0),
        (0, 10.0, 50.0),
        (1, 0.0, 20.0),
        (1, 25.0, 0.0),
        (2, 59.0, 41.0),
    ],
)
def test_turns(rank: int, now: float, expected: float) -> None:
    """Three spenders, ten seconds to spend in and ten for all to come back, each in turn."""
    assert shares.turn(rank, 3, window=8.0, within=2.0, now=now) == expected


def test_turns_never_meet() -> None:
    """At no time is it two spenders' turn, nor one's before another's spends have come back."""
    last: tuple[float, int] | None = None
    for tick in range(1200):
        now = tick / 10
        on = [rank for rank in range(3) if shares.turn(rank, 3, 8.0, 2.0, now) == 0]
        assert len(on) <= 1
        if on and last is not None and last[1] != on[0]:
            assert now - last[0] >= 10.0
        last = (now, on[0]) if on else last


def _telling(**settings: object) -> Telling:
    own = tallies.added(tallies.EMPTY, tallies.slot_at(1495.0, 0.25), 5.0)
    spent = tallies.added(tallies.EMPTY, tallies.slot_at(1499.0, 0.25), 2.0)
    told: dict[str, object] = {
        "id": "t",
        "now": 1500.0,
        "spenders": (Spender("gone", 1480.0, 3),),
        "holding": Holding(until=1530.0, refusals=1),
        "seen": (("slide", Count(0.25, own)),),
        "spent": (("slide", spent), ("pot", spent)),
    }
    return Telling(**{**told, **settings})  # type: ignore[arg-type]


def test_an_empty_ledger_learns_what_was_known() -> None:
    """Counts, who else there is, and the hold."""
    account = shares.told(Account(), _telling(), RULES, NOW, known=False)

    assert account.counts["slide"].own.total == 7
    assert account.counts["pot"].level == 10
    assert [each.id for each in account.head.spenders] == ["gone"]
    assert account.head.holding.until == 1530.0


def test_telling_twice_changes_nothing() -> None:
    """The same spender again, or another that saw the same: the higher figure of each slot."""
    once = shares.told(Account(), _telling(), RULES, NOW, known=False)
    again = shares.told(once, _telling(), RULES, NOW, known=True)
    other = shares.told(once, _telling(id="u", spent=()), RULES, NOW, known=False)

    assert again == once
    assert other == once


def test_what_was_spent_alone_is_added() -> None:
    """Two spenders that each spent two alone have spent four."""
    once = shares.told(Account(), _telling(), RULES, NOW, known=False)
    both = shares.told(once, _telling(id="u"), RULES, NOW, known=False)

    assert both.counts["slide"].own.total == 9
    assert both.counts["pot"].level == 8


def test_who_took_turns_leaves_small_limits_to_the_others() -> None:
    """Told that turns were taken, the ledger grants none of two before all are back."""
    telling = _telling(alone=True, holding=FREE, spenders=(Spender("b", 1490.0, 3),))
    small = {"small": Rule(SLIDING, 2, 64.0, 0.25)}
    order = Order("r", 8.0, urgent=False, charges=(("small", 1.0),))
    account = shares.told(Account(), telling, RULES, NOW, known=False)
    account, moment = limits.opened(account, 1500.0, 1500.0, caller="a")
    account, denied = limits.spend(account, order, small, moment)
    account, _ = limits.opened(account, 1500.0, 1500.0, caller="b")
    account, moment = limits.opened(account, 1500.0, 1500.0, caller="a")
    account, granted = limits.spend(account, order, small, moment)

    assert denied == Short(0)
    assert isinstance(granted, Booked)
