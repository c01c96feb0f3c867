"""What a ledger can be asked, and how the arithmetic answers it."""

from collections.abc import Sequence
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


def buckets(questions: Sequence[Question]) -> tuple[str, ...]:
    """Return the buckets that questions are about, in a fixed order."""
    return tuple(sorted(joint(questions)))


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


def answers(questions: Sequence[Question], account: Account, moment: Moment) -> list[Result]:
    """Answer questions about one account as `answered` does, one after the other.

    Those that follow each other and are alike are answered at once, where that comes to the same.
    """
    results: list[Result] = []
    while len(results) < len(questions):
        at = len(results)
        some = questions[at : at + _alike(questions, at)]
        together = _answered_at_once(some, account, moment) if len(some) > 1 else None
        if together is not None:
            account, decision = together
            moment = _on_known_clock(moment, account)
            results += [(decision, account, moment)] * len(some)
            continue
        for question in some:
            account, decision = answered(question, account, moment)
            moment = _on_known_clock(moment, account)
            results.append((decision, account, moment))
    return results


def _on_known_clock(moment: Moment, account: Account) -> Moment:
    """Return the moment with what is known of the provider's clock by now."""
    offset = account.head.offset
    return moment if offset is moment.offset else moment._replace(offset=offset)


def _alike(questions: Sequence[Question], at: int) -> int:
    """Return how many questions from `at` on are like the one there."""
    first, end = questions[at], at + 1
    if isinstance(first, Spend):
        while end < len(questions) and _is_like(first, questions[end]):
            end += 1
    elif isinstance(first, Settle) and _is_plain(first.ending):
        while end < len(questions) and _ends_like(first, questions[end]):
            end += 1
    return end - at


def _is_like(first: Spend, other: Question) -> bool:
    if not isinstance(other, Spend) or other.rules is not first.rules:
        return False
    one, order = first.order, other.order  # bills that are spent time and again share their terms
    return (
        order.charges is one.charges and order.within == one.within and order.urgent is one.urgent
    )


def _ends_like(first: Settle, other: Question) -> bool:
    if not isinstance(other, Settle) or other.rules is not first.rules:
        return False
    return other.ending.charges is first.ending.charges and _is_plain(other.ending)


def _is_plain(ending: Ending) -> bool:
    return ending.answered and ending.sent and not ending.figures and ending.refusal is None


def _answered_at_once(
    questions: Sequence[Question], account: Account, moment: Moment
) -> tuple[Account, Decision | None] | None:
    """Answer questions that are alike; None: they are to be answered one by one."""
    first = questions[0]
    if isinstance(first, Spend):
        return limits.spend_alike(account, first.order, len(questions), first.rules, moment)
    endings = [each.ending for each in questions if isinstance(each, Settle)]
    settled = limits.settle_alike(account, endings, questions[0].rules, moment)
    return None if settled is None else (settled, None)


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
