"""What a ledger can be asked."""

import math

from hypothesis import given
from hypothesis import strategies as st

from proxy.core.counts import Moment
from proxy.core.holds import Holding
from proxy.core.limits import Account, Adjustment, Booked, Decision, Ending, Head, Order
from proxy.core.rules import BUCKET, FIXED, SLIDING, Rule
from proxy.ledger.questions import (
    Adjust,
    Look,
    Question,
    Settle,
    Spend,
    answered,
    answers,
    buckets,
    given_back,
)

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


SLIDE, MONTH = Rule(SLIDING, 9.0, 64.0, 0.25, reserve=0.25), Rule(FIXED, 12.0, 1000.0, 1.0)
POT = Rule(BUCKET, 8.0, 8.0, 0.03125)
BEGAN = Moment(1500.0, 1500.0, in_turns=0.0)

_costs = st.sampled_from([0.0, 0.5, 1.0, 2.0])
_spends = st.tuples(st.integers(0, 12), st.booleans())
_ends = st.tuples(st.integers(0, 12), st.sampled_from([math.nan, 1508.0, 1511.0]), st.booleans())


@given(
    costs=st.tuples(_costs, _costs, _costs),
    bucket=st.booleans(),
    rounds=st.lists(
        st.tuples(_spends, _ends, st.sampled_from([0.0, 0.03125, 1.0, 9.0, 70.0])), max_size=6
    ),
    held=st.booleans(),
)
def test_what_is_answered_at_once_is_answered_as_one_by_one(
    costs: tuple[float, float, float],
    bucket: bool,  # noqa: FBT001 - a row
    rounds: list[tuple[tuple[int, bool], tuple[int, float, bool], float]],
    held: bool,  # noqa: FBT001 - a row
) -> None:
    """Grants, denials and what is left are the same, whatever fits and whatever was settled."""
    rules = {"slide": SLIDE, "month": MONTH} | ({"pot": POT} if bucket else {})
    charges = tuple(zip(rules, costs, strict=False))
    real = tuple((name, cost, cost / 2) for name, cost in charges)
    alone = together = Account(Head(holding=Holding(0.0, 0.0, 1)) if held else Head())
    moment, flying = BEGAN, list[tuple[str, float]]()
    for turn, ((spends, urgent), (ends, date, lost), passed) in enumerate(rounds):
        moment = moment._replace(now=moment.now + passed, wall=moment.wall + passed)
        ended, flying = flying[:ends], flying[ends:]
        asked: list[Question] = [
            Settle("up", Ending(name, until, 8.0, True, not lost, real, date), rules)  # noqa: FBT003 - as it is packed
            for name, until in ended
        ]
        names = [f"r{turn}-{number}" for number in range(spends)]
        asked += [Spend("up", Order(name, 8.0, urgent, charges), rules) for name in names]
        expected: list[Decision | None] = []
        for question in asked:
            alone, decision = answered(question, alone, moment._replace(offset=alone.head.offset))
            expected.append(decision)
        said = answers(asked, together, moment._replace(offset=together.head.offset))
        together = said[-1][1] if said else together

        assert expected == [decision for decision, _, _ in said]
        assert alone == together
        booked = zip(names, expected[len(ended) :], strict=True)
        flying += [(name, each.until) for name, each in booked if isinstance(each, Booked)]
