"""The arithmetic of quotas: state in, time in, cost in; state out, and granted or who denied.

    spend   all that a bill names, or nothing, booked at the latest moment the answer could come
    settle  answered: moved to now, at its real cost; not sent: taken back; else left where it is,
            which is also what a crash leaves behind
    adjust  an operator says what was used already

The ledgers run nothing else: SQLite and memory these functions, Redis the same rules in Lua, held
to these by a property test. An account is one upstream's; the counts it lacks are unspent.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgspec

from proxy.core import buckets, holds, offsets, reports, spenders, tallies, windows
from proxy.core.counts import UNTOLD, Count, Moment
from proxy.core.holds import FREE, Holding, Refusal
from proxy.core.offsets import UNKNOWN, Offset
from proxy.core.reports import Figure
from proxy.core.rules import BUCKET, Rule
from proxy.core.spenders import Spenders
from proxy.core.tallies import EMPTY

_REMEMBERED = 4.0
"""Windows for which a count is kept for what the provider told of it."""

VERSION = 1
"""Of the packed states. A newer one is never read as nothing."""


class Head(msgspec.Struct, frozen=True, array_like=True):
    """What an upstream's counts have in common."""

    version: int = VERSION
    epoch: str = ""
    """Which life of the ledger this is: a new one has lost what the old one knew."""
    now: float = 0.0
    """Ledger's time when it was last asked: it never goes back."""
    skew: float = 0.0
    """The clock's reading less the ledger's time, then."""
    offset: Offset = UNKNOWN
    holding: Holding = FREE
    revision: int = 0
    """Grows with each change: a ledger that shows a lower one has lost what came after."""
    spenders: Spenders = ()


class Account(msgspec.Struct, frozen=True, array_like=True):
    """State of an upstream's limits; a count that nobody has spent from is absent."""

    head: Head = Head()
    counts: dict[str, Count] = {}


class Order(msgspec.Struct, frozen=True, array_like=True):
    """A bill, as a ledger puts it to the arithmetic."""

    id: str
    within: float
    """Seconds within which the answer comes, if ever."""
    urgent: bool
    charges: tuple[tuple[str, float], ...]
    """`(bucket, cost)`."""


class Ending(msgspec.Struct, frozen=True, array_like=True):
    """How an exchange ended."""

    id: str
    until: float
    """Where it was booked."""
    within: float
    sent: bool
    answered: bool
    charges: tuple[tuple[str, float, float], ...]
    """`(bucket, cost, real cost)`."""
    date: float = math.nan
    """The answer's `Date`; not a number: none, or not the provider's own."""
    figures: tuple[Figure, ...] = ()
    refusal: Refusal | None = None


class Adjustment(msgspec.Struct, frozen=True, array_like=True):
    """What was used of a limit already, as an operator or another ledger says."""

    bucket: str
    log: tuple[tuple[float, float], ...]
    """`(seconds ago, tokens)`, oldest first; calls in flight are among the newest."""
    least: bool = False
    """It is at least so much: a higher count stays."""


class Booked(msgspec.Struct, frozen=True, array_like=True, tag=0):
    """Granted; the spend is counted at `until`."""

    until: float
    probe: bool = False


class Held(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """Denied by a hold, or by a probe that is not back."""

    until: float


class Short(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """Denied by a limit: the bill's charge at `index` does not fit."""

    index: int


Decision: TypeAlias = Booked | Held | Short


def opened(
    account: Account,
    reading: float,
    wall: float,
    latest: float | None = None,
    *,
    earliest: float = 0.0,
    caller: str = "",
) -> tuple[Account, Moment]:
    """Return the account, and the moment, that a reading of the ledger's clock brings.

    Args:
        account: As it was stored.
        reading: What the ledger's clock says.
        wall: Unix time.
        latest: What the caller knows that the ledger's time can be at most; None: nothing.
        earliest: What the caller knows that it is at least.
        caller: The spender that asks, where the ledger has several that may be cut off.

    """
    head = account.head
    now = max(earliest, offsets.ledger_time(head.now, head.skew, reading, latest))
    known = spenders.met(head.spenders, caller, now) if caller else head.spenders
    head = msgspec.structs.replace(head, now=now, skew=reading - now, spenders=known)
    withheld, in_turns = spenders.withheld(known, now), spenders.in_turns(known, now)
    moment = Moment(now, wall, head.offset, withheld, in_turns)
    return Account(head, account.counts), moment


def spend(
    account: Account, order: Order, rules: Mapping[str, Rule], moment: Moment
) -> tuple[Account, Decision]:
    """Spend all that `order` names, or nothing."""
    head = account.head
    after_hold = head.holding.refusals > 0  # else nothing holds, and nobody needs to go first
    if after_hold and (until := holds.held_until(head.holding, moment.now)) is not None:
        return account, Held(until)
    counts = dict(account.counts)
    for bucket, _ in order.charges:
        counts[bucket] = current(rules[bucket], counts.get(bucket), moment)
    for index, (bucket, cost) in enumerate(order.charges):
        if cost > 0 and not _fits(rules[bucket], counts[bucket], cost, moment, urgent=order.urgent):
            return Account(head, counts), Short(index)
    booked = moment.now + order.within
    for bucket, cost in order.charges:
        if cost > 0:
            counts[bucket] = _put(rules[bucket], counts[bucket], booked, cost)
    if after_hold:
        holding = holds.entered(head.holding, order.id, booked)
        head = msgspec.structs.replace(head, holding=holding)
    return Account(head, counts), Booked(booked, after_hold)


def settle(account: Account, ending: Ending, rules: Mapping[str, Rule], moment: Moment) -> Account:
    """Count an exchange as it ended."""
    head, counts = account.head, dict(account.counts)
    sent = ending.until - ending.within
    for bucket, cost, real in ending.charges:
        rule = rules[bucket]
        count = current(rule, counts.get(bucket), moment)
        counts[bucket] = _moved(rule, count, ending, cost, real, moment.now)
    offset = head.offset
    if ending.answered:
        offset = offsets.refined(offset, ending.date, sent, moment.now)
    if ending.figures:
        moment = moment._replace(offset=offset)
    for figure in ending.figures:
        rule = rules[figure.bucket]
        count = current(rule, counts.get(figure.bucket), moment)
        counts[figure.bucket] = reports.corrected(rule, count, figure, sent, moment)
    holding = head.holding
    if ending.refusal is not None or holding.refusals > 0:
        holding = _held(holding, ending, sent, moment.now)
    if offset is not head.offset or holding is not head.holding:
        head = msgspec.structs.replace(head, offset=offset, holding=holding)
    return Account(head, counts)


def spend_alike(
    account: Account, order: Order, number: int, rules: Mapping[str, Rule], moment: Moment
) -> tuple[Account, Booked] | None:
    """Spend what `number` orders name that differ in nothing but their ids, all of them at once.

    None: one by one, since not all may fit, or one of them must go first. Where all fit together,
    each fits in its turn: nothing that a spend changes leaves less room than its own cost.
    """
    if account.head.holding.refusals > 0:
        return None
    counts, booked = dict(account.counts), moment.now + order.within
    for bucket, cost in order.charges:
        rule, together = rules[bucket], cost * number
        count = current(rule, counts.get(bucket), moment)
        if cost > 0:
            if not _fits(rule, count, together, moment, urgent=order.urgent):
                return None
            count = _put(rule, count, booked, together)
        counts[bucket] = count
    return Account(account.head, counts), Booked(booked)


def settle_alike(
    account: Account, endings: Sequence[Ending], rules: Mapping[str, Rule], moment: Moment
) -> Account | None:
    """Count exchanges at once that were charged alike, all answered, with no figures told.

    None: one by one, as they were not booked in the same slots, or not all of them is there any
    more; or as a bucket's level is bounded anew by each.
    """
    head, counts = account.head, dict(account.counts)
    if head.holding.refusals > 0:
        return None
    booked_at = [ending.until for ending in endings]
    earliest, latest = min(booked_at), max(booked_at)
    for bucket, cost, real in endings[0].charges:
        rule = rules[bucket]
        if rule.kind == BUCKET or cost <= 0:
            return None
        booked = tallies.slot_at(earliest, rule.slot)
        if booked != tallies.slot_at(latest, rule.slot):
            return None
        count = current(rule, counts.get(bucket), moment)
        present = tallies.slot_at(moment.now, rule.slot)
        together, charged = cost * len(endings), max(0.0, real) * len(endings)
        own = tallies.moved(count.own, booked, together, present, charged)
        if own is None:
            return None
        counts[bucket] = msgspec.structs.replace(count, own=own)
    offset = head.offset
    for ending in endings:
        offset = offsets.refined(offset, ending.date, ending.until - ending.within, moment.now)
    if offset is not head.offset:
        head = msgspec.structs.replace(head, offset=offset)
    return Account(head, counts)


def named(ending: Ending) -> set[str]:
    """Return the buckets that an ending speaks of."""
    spent = {bucket for bucket, _, _ in ending.charges}
    return spent | {figure.bucket for figure in ending.figures}


def adjust(
    account: Account, adjustment: Adjustment, rules: Mapping[str, Rule], moment: Moment
) -> Account:
    """Say what is used of a limit; never below what is in flight, which is among it."""
    bucket, rule = adjustment.bucket, rules[adjustment.bucket]
    count = current(rule, account.counts.get(bucket), moment)
    told = _dated(rule, adjustment.log, moment)
    if adjustment.least and told.total <= _used(rule, count):
        return Account(account.head, {**account.counts, bucket: count})
    flying = buckets.in_flight(count, moment.now, rule.slot)
    told = _without_newest(told, flying)
    if rule.kind == BUCKET:
        level = rule.size - (flying + told.total)
        count = msgspec.structs.replace(count, level=level, owed=told.total, told=UNTOLD)
    else:
        own = tallies.since(count.own, moment.now, rule.slot)
        count = msgspec.structs.replace(count, own=own, foreign=told, told=UNTOLD)
    return Account(account.head, {**account.counts, bucket: count})


def pruned(account: Account, rules: Mapping[str, Rule], moment: Moment) -> Account:
    """Return the account less those of the counts that stand as if nobody had ever spent."""
    counts = dict(account.counts)
    for bucket in account.counts.keys() & rules.keys():
        counts[bucket] = current(rules[bucket], counts[bucket], moment)
        if is_idle(rules[bucket], counts[bucket], moment):
            del counts[bucket]
    return Account(account.head, counts)


def is_idle(rule: Rule, count: Count, moment: Moment) -> bool:
    """Whether all of a count is back, and what the provider told of it is long past."""
    count = current(rule, count, moment)
    if count.told.at > 0 and moment.now < count.told.at + _REMEMBERED * rule.window:
        return False
    if count.own.slots or count.foreign.slots:
        return False
    return rule.kind != BUCKET or count.level >= rule.size - tallies.CRUMB


def _dated(rule: Rule, log: tuple[tuple[float, float], ...], moment: Moment) -> tallies.Tally:
    """Return a log as a tally, less what is of a window gone by."""
    tally = EMPTY
    for ago, tokens in log:
        if tokens > 0:
            tally = tallies.added(tally, tallies.slot_at(moment.now - ago, rule.slot), tokens)
    if rule.kind == BUCKET:
        return tally
    return tallies.since(tally, windows.frame(rule, moment).cut, rule.slot)


def _without_newest(tally: tallies.Tally, tokens: float) -> tallies.Tally:
    while tokens > tallies.CRUMB and tally.slots:
        part = min(tally.tokens[-1], tokens)
        tally, _ = tallies.taken(tally, tally.slots[-1], part)
        tokens -= part
    return tally


def _used(rule: Rule, count: Count) -> float:
    if rule.kind == BUCKET:
        return rule.size - count.level
    return count.own.total + count.foreign.total


def current(rule: Rule, count: Count | None, moment: Moment) -> Count:
    """Return the count as it stands at `moment`: what is back is back, buckets have filled."""
    if count is None:
        count = Count(rule.slot)
    if count.slot != rule.slot:
        count = _resized(rule, count)
    if rule.kind != BUCKET:
        return windows.rolled(rule, count, moment)
    if count.at == 0:
        level = rule.size - count.own.total - count.foreign.total
        count = msgspec.structs.replace(count, level=level, at=moment.now, foreign=EMPTY)
    return buckets.filled(rule, count, moment.now, moment.withheld)


def _resized(rule: Rule, count: Count) -> Count:
    own = tallies.resized(count.own, count.slot, rule.slot)
    foreign = tallies.resized(count.foreign, count.slot, rule.slot)
    return msgspec.structs.replace(count, slot=rule.slot, own=own, foreign=foreign)


def _fits(rule: Rule, count: Count, cost: float, moment: Moment, *, urgent: bool) -> bool:
    if rule.size < moment.in_turns:
        return False
    if rule.kind == BUCKET:
        return buckets.fits(rule, count, cost, urgent=urgent)
    return windows.fits(rule, count, cost, moment, urgent=urgent)


def _put(rule: Rule, count: Count, until: float, cost: float) -> Count:
    own = tallies.added(count.own, tallies.slot_at(until, rule.slot), cost)
    if rule.kind == BUCKET:
        return msgspec.structs.replace(count, own=own, level=count.level - cost)
    return msgspec.structs.replace(count, own=own)


def _moved(rule: Rule, count: Count, ending: Ending, cost: float, real: float, now: float) -> Count:
    """Move a booked spend to now at its real cost, or take it back, or leave it where it is."""
    if ending.sent and not ending.answered:
        return count
    charged = max(0.0, real) if ending.sent else 0.0
    booked, present = tallies.slot_at(ending.until, rule.slot), tallies.slot_at(now, rule.slot)
    own = tallies.moved(count.own, booked, cost, present, charged) if cost > 0 else None
    if own is None:
        if cost > 0 and (now < ending.until or not ending.sent):
            return count  # counted in other slots since: it stays counted
        own = tallies.added(count.own, present, charged) if charged > 0 else count.own
    count = msgspec.structs.replace(count, own=own)
    if rule.kind != BUCKET:
        return count
    room = rule.size - buckets.in_flight(count, now, rule.slot)
    level = min(count.level + (cost - charged), room)
    return msgspec.structs.replace(count, level=level)


def _held(holding: Holding, ending: Ending, sent: float, now: float) -> Holding:
    if ending.refusal is not None:
        return holds.lengthened(holding, ending.refusal, sent, now)
    return holds.ended(holding, ending.id, sent, answered=ending.answered)
