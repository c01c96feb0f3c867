"""What a ledger can be asked."""

from proxy.core.counts import Moment
from proxy.core.limits import Account, Adjustment, Booked, Order
from proxy.core.rules import SLIDING, Rule
from proxy.ledger.questions import Adjust, Look, Spend, answered, buckets, given_back

RULES = {"m": Rule(SLIDING, 3, 64.0, 0.25)}
NOW = Moment(100.0, 100.0)
SPEND = Spend("up", Order("r", 8.0, urgent=False, charges=(("m", 2.0),)), RULES)


def test_each_question_is_answered_by_the_arithmetic() -> None:
    """A spend is decided; an adjustment and a look decide nothing."""
    account, decision = answered(SPEND, Account(), NOW)
    set_, none = answered(Adjust("up", Adjustment("m", ((0.0, 3.0),)), RULES), account, NOW)

    assert decision == Booked(108.0)
    assert none is None
    assert set_.counts["m"].own.total + set_.counts["m"].foreign.total == 3
    assert answered(Look("up", RULES), account, NOW) == (account, None)


def test_a_grant_can_be_given_back_whole() -> None:
    """As if nothing had been sent: nothing was."""
    account, decision = answered(SPEND, Account(), NOW)
    assert isinstance(decision, Booked)
    account, _ = answered(given_back(SPEND, decision), account, NOW)

    assert account.counts["m"].own.total == 0


def test_the_buckets_of_a_batch() -> None:
    """Each once, in a fixed order."""
    look = Look("up", {"z": RULES["m"], "a": RULES["m"]})

    assert buckets([SPEND, look, SPEND]) == ("a", "m", "z")
