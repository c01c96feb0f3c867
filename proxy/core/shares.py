"""A spender that is cut off from the ledger: its share, and what it tells when it is back.

    1. a call is lost; nothing more will be said to the ledger, which still takes us to be there
    2. `SILENT` seconds later it takes us to be cut off, and withholds our share of every window
    3. from then on we count alone, on what we saw last, as if others had taken all that was left
       until then: what comes back after that is ours in one part of n, so each spend counts n times
    4. a share below one token rotates, where nobody can reach the ledger: each spender in its turn
       has the whole, for half of its turn
    5. back again, we tell what we saw (of each slot the higher figure stands: telling it twice, or
       by several, changes nothing) and what we spent alone (once, under a name)

Together never more than the limit: what was spent before, P, is seen or assumed by everybody; the
silent k of n take at most k/n of size - P, those connected no more than size * (1 - k/n) - P.
Of a long window (a month) nothing comes back in time: there the share is one of what was left when
last seen, less as much again as all had spent in the last seconds.

Who was the only spender, and is the only one that there is to be (`fleet_size`), has what was left:
there is nobody who could have taken it.
"""

from collections.abc import Mapping

import msgspec

from proxy.core import buckets, limits, tallies, windows
from proxy.core.counts import Count, Moment
from proxy.core.holds import FREE, Holding
from proxy.core.limits import Account
from proxy.core.rules import BUCKET, FIXED, Rule
from proxy.core.spenders import SILENT, Spender, Spenders
from proxy.core.tallies import Tally

_LONG_SILENT = SILENT + 1.0

_UNSEEN = 10.0
"""Seconds whose spends in a long window may have gone on unseen."""


class Telling(msgspec.Struct, frozen=True, array_like=True):
    """What a spender knows that the ledger may not."""

    id: str
    """Under which `spent` is counted once."""
    now: float
    """Ledger's time, as the teller knows it."""
    spenders: Spenders
    holding: Holding = FREE
    seen: tuple[tuple[str, Count], ...] = ()
    """The counts as last seen."""
    spent: tuple[tuple[str, Tally], ...] = ()
    """What was spent alone since."""
    receipts: tuple[tuple[str, float], ...] = ()
    """Receipts of it that are to be settled yet, and where they are booked."""
    alone: bool = False
    """Nobody could reach the ledger, so that turns were taken."""


def alone(
    seen: Account, rules: Mapping[str, Rule], moment: Moment, within: float, *, others: bool = True
) -> Account:
    """Return the account on which a spender counts alone from `moment` on.

    `within` is the longest that any answer takes. Nothing is granted before the ledger must have
    noticed: all that comes back until then is taken to be spent again by `others`, if there are.
    """
    if not others:
        moment = moment._replace(withheld=0.0)
        now = {each: limits.current(rules[each], seen.counts.get(each), moment) for each in rules}
        return Account(seen.head, {**seen.counts, **now})
    noticed = moment._replace(now=moment.now + SILENT, withheld=0.0)
    known = {bucket: count for bucket, count in seen.counts.items() if bucket not in rules}
    counts = known | {
        bucket: _assumed(
            rule, limits.current(rule, seen.counts.get(bucket), noticed), noticed, within
        )
        for bucket, rule in rules.items()
    }
    return Account(seen.head, counts)


def _assumed(rule: Rule, count: Count, noticed: Moment, within: float) -> Count:
    if rule.kind == BUCKET:
        return msgspec.structs.replace(count, level=min(0.0, count.level), at=noticed.now)
    left = max(0.0, windows.size_of(rule, count) - count.own.total - count.foreign.total)
    if rule.kind == FIXED and not rule.strict:
        lately = tallies.since(count.own, noticed.now - SILENT - _UNSEEN, rule.slot)
        left = min(left, lately.total)
    if left <= 0:
        return count
    slot = tallies.slot_at(noticed.now + within, rule.slot)
    return msgspec.structs.replace(count, foreign=tallies.added(count.foreign, slot, left))


def turn(rank: int, of: int, window: float, within: float, now: float) -> float:
    """Return in how many seconds the turn of spender `rank` of `of` is on; 0: it is now.

    A turn is two parts: one to spend in, one for all of it to come back.
    """
    part = window + within
    passed = now % (2 * part * of) - 2 * part * rank
    if 0 <= passed < part:
        return 0.0
    return -passed if passed < 0 else 2 * part * of - passed


def told(
    account: Account, telling: Telling, rules: Mapping[str, Rule], moment: Moment, *, known: bool
) -> Account:
    """Return the account after a telling; `known`: its `spent` is counted already."""
    counts = dict(account.counts)
    for bucket, seen in telling.seen:
        rule = rules[bucket]
        counts[bucket] = _higher(
            rule, limits.current(rule, counts.get(bucket), moment), seen, moment
        )
    for bucket, spent in () if known else telling.spent:
        rule = rules[bucket]
        counts[bucket] = _charged(rule, limits.current(rule, counts.get(bucket), moment), spent)
    head = account.head
    there = {each.id for each in head.spenders}
    silent = moment.now - _LONG_SILENT  # they may be alone as the teller was
    missed = tuple(
        Spender(each.id, silent, each.of, telling.alone)
        for each in telling.spenders
        if each.id not in there
    )
    others = tuple(
        msgspec.structs.replace(each, alone=True)
        if telling.alone and each.seen < moment.now - SILENT
        else each
        for each in head.spenders
    )
    holding = telling.holding if telling.holding.until > head.holding.until else head.holding
    head = msgspec.structs.replace(head, spenders=(*missed, *others), holding=holding)
    return Account(head, counts)


def _higher(rule: Rule, count: Count, seen: Count, moment: Moment) -> Count:
    seen = limits.current(rule, seen, moment)
    own, foreign = _slotwise(count.own, seen.own), _slotwise(count.foreign, seen.foreign)
    level = min(count.level, seen.level)
    if rule.kind == BUCKET:
        count = msgspec.structs.replace(count, own=own)
        room = rule.size - buckets.in_flight(count, moment.now, rule.slot)
        return msgspec.structs.replace(count, level=min(level, room))
    return msgspec.structs.replace(count, own=own, foreign=foreign)


def _slotwise(one: Tally, other: Tally) -> Tally:
    """Return the higher figure of each slot: both tell of the same spends."""
    result = one
    for slot, tokens in zip(other.slots, other.tokens, strict=True):
        more = tokens - _in_slot(one, slot)
        if more > 0:
            result = tallies.added(result, slot, more)
    return result


def _in_slot(tally: Tally, slot: int) -> float:
    return tally.tokens[tally.slots.index(slot)] if slot in tally.slots else 0.0


def _charged(rule: Rule, count: Count, spent: Tally) -> Count:
    own = count.own
    for slot, tokens in zip(spent.slots, spent.tokens, strict=True):
        own = tallies.added(own, slot, tokens)
    level = count.level - spent.total if rule.kind == BUCKET else count.level
    return msgspec.structs.replace(count, own=own, level=level)
