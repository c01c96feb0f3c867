"""Counts on their way from one ledger to another."""

from proxy.core import limits, transfers
from proxy.core.counts import Moment
from proxy.core.limits import Account, Adjustment, Order
from proxy.core.rules import BUCKET, SLIDING, Rule
from proxy.core.transfers import Carried

RULES = {"slide": Rule(SLIDING, 9, 64.0, 0.25), "pot": Rule(BUCKET, 9, 9.0, 0.25)}


def test_counts_arrive_with_their_ages() -> None:
    """The other ledger's clock is another: what was 10 s ago there is 10 s ago here."""
    then, now = Moment(1000.0, 1000.0), Moment(1012.0, 1012.0)
    order = Order("r", 2.0, urgent=False, charges=(("slide", 2.0), ("pot", 5.0)))
    account, _ = limits.spend(Account(), order, RULES, then)
    told = tuple(transfers.carried("up", account, RULES, now))
    elsewhere, there = Account(), Moment(77.0, 1012.0)
    for each in told:
        adjustment = Adjustment(each.bucket, each.log, least=True)
        elsewhere = limits.adjust(elsewhere, adjustment, RULES, there)
    again = tuple(transfers.carried("up", elsewhere, RULES, there))

    assert told == (Carried("up", "slide", ((9.75, 2.0),)),)  # the pot has filled again
    assert again == (Carried("up", "slide", ((9.5, 2.0),)),)


def test_a_bucket_tells_what_is_missing() -> None:
    """A bucket has no log: what it lacks is told as of now."""
    order = Order("r", 2.0, urgent=False, charges=(("pot", 5.0),))
    account, _ = limits.spend(Account(), order, RULES, Moment(1000.0, 1000.0))
    told = tuple(transfers.carried("up", account, RULES, Moment(1001.0, 1001.0)))

    assert told == (Carried("up", "pot", ((0.0, 5.0),)),)
