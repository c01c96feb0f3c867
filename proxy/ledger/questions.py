"""What a ledger can be asked, and how the arithmetic answers it."""

from collections.abc import Iterable, Sequence
from typing import TypeAlias, assert_never

from msgspec import Struct

from proxy.core import limits, shares
from proxy.core.counts import Moment
from proxy.core.limits import Account, Adjustment, Booked, Decision, Ending, Order
from proxy.core.rules import Rule
from proxy.core.shares import Telling


class Spend(Struct, frozen=True):
    """May this go?"""

    upstream: str
    order: Order
    rules: dict[str, Rule]


class Settle(Struct, frozen=True):
    """So it ended."""

    upstream: str
    ending: Ending
    rules: dict[str, Rule]


class Adjust(Struct, frozen=True):
    """So much was used already."""

    upstream: str
    adjustment: Adjustment
    rules: dict[str, Rule]


class Look(Struct, frozen=True):
    """How do these buckets stand?"""

    upstream: str
    rules: dict[str, Rule]


class Tell(Struct, frozen=True):
    """This I saw, and this I spent alone, when the ledger was lost."""

    upstream: str
    telling: Telling
    rules: dict[str, Rule]


class Part(Struct, frozen=True):
    """This spender has ended: withhold nothing for it."""

    upstream: str
    spender: str
    rules: dict[str, Rule]


class Prune(Struct, frozen=True):
    """Forget those of these buckets that stand as if nobody had ever spent from them."""

    upstream: str
    rules: dict[str, Rule]


Question: TypeAlias = Spend | Settle | Adjust | Look | Tell | Part | Prune


Result: TypeAlias = tuple[Decision | None, Account, Moment]
"""What was decided, and the account as it then stood."""


def buckets(questions: Iterable[Question]) -> tuple[str, ...]:
    """Return the buckets that questions are about, in a fixed order."""
    return tuple(sorted({bucket for question in questions for bucket in question.rules}))


def joint(questions: Sequence[Question]) -> dict[str, Rule]:
    """Return the rules of all buckets that questions are about."""
    rules = questions[0].rules
    for question in questions:
        if question.rules is not rules:
            break
    else:  # they are of one bill, or of such as it
        return rules
    return {bucket: rule for question in questions for bucket, rule in question.rules.items()}


def answered(
    question: Question, account: Account, moment: Moment
) -> tuple[Account, Decision | None]:
    """Return the account after a question, and what was decided where it was a spend."""
    match question:
        case Spend(order=order, rules=rules):
            return limits.spend(account, order, rules, moment)
        case Settle(ending=ending, rules=rules):
            return limits.settle(account, ending, rules, moment), None
        case Adjust(adjustment=adjustment, rules=rules):
            return limits.adjust(account, adjustment, rules, moment), None
        case Tell(telling=telling, rules=rules):
            return shares.told(account, telling, rules, moment, known=False), None
        case Prune(rules=rules):
            return limits.pruned(account, rules, moment), None
        case Look() | Part():
            return account, None
        case _:
            assert_never(question)


def given_back(question: Spend, booked: Booked) -> Settle:
    """Return what takes a grant back whose caller went away before it was told."""
    order = question.order
    ending = Ending(
        order.id,
        booked.until,
        order.within,
        sent=False,
        answered=False,
        charges=tuple((bucket, cost, cost) for bucket, cost in order.charges),
    )
    return Settle(question.upstream, ending, question.rules)
