"""What the provider says of a limit's use, held against what we counted.

Others may share the address, so the provider's figure is more than ours by what they spent; it may
also lie, be late, or be about the window before. Our own spends are never counted below what we
sent. What others spent is estimated from above, so that nothing is over-spent in the meantime:

    fixed   within a window the provider's figure only grows. So of all answers in it, those with a
            lower figure were counted before the highest was given: foreign = top - own that told
    sliding what was surely counted when the answer was written is what had been answered before
            the call was sent, and the call itself. What may or may not be in the figure is held
            foreign only until it must have been answered
    bucket  the provider's level, less what may not have been taken from it yet, bounds ours

Corrections upwards apply at once; downwards only from a call that was sent after the last one that
was believed. A figure that is negative, infinite or no number says nothing.
"""

import math

import msgspec

from proxy.core import tallies
from proxy.core.buckets import in_flight
from proxy.core.counts import Count, Moment, Told
from proxy.core.rules import BUCKET, FIXED, Rule
from proxy.core.tallies import Tally, slot_at
from proxy.core.windows import Frame, foretold, frame, last_told, turned

_COST_MEMORY = 0.99
_FADES = 4.0
"""Windows in which others that spend no more are forgotten."""

_LAG_MEMORY = 0.9
"""What of the longest exchange is remembered after each shorter one."""


class Figure(msgspec.Struct, frozen=True, array_like=True):
    """One limit's use as an answer told it."""

    bucket: str
    used: float
    """Negative: not told."""
    size: float
    """Size of the limit as the provider states it; 0: not told."""
    cost: float
    """What the exchange itself cost: it is within `used`."""


def corrected(rule: Rule, count: Count, figure: Figure, sent: float, moment: Moment) -> Count:
    """Return the (current) count after an answer's figure, its own exchange already settled.

    `sent` is the ledger's time at which the call was granted.
    """
    count = _stated(rule, count, figure, sent)
    if not math.isfinite(figure.used) or figure.used < 0:
        return count
    if rule.kind == BUCKET:
        return _levelled(rule, count, figure, sent, moment.now)
    window = frame(rule, moment)
    if window.fixed:
        return _topped(rule, count, figure, sent, window, moment)
    count = _paced(rule, count, figure, window, moment)
    if rule.kind == FIXED:
        return _last(rule, count, figure, sent, moment.now)
    return _estimated(rule, count, figure, sent, moment.now)


def _stated(rule: Rule, count: Count, figure: Figure, sent: float) -> Count:
    if not math.isfinite(figure.size) or figure.size <= 0:
        return count
    size = figure.size if figure.size < rule.size else 0.0
    present = count.told.size if count.told.size > 0 else rule.size
    lower = 0 < size < present
    if size == count.told.size or not (lower or sent >= count.told.at):
        return count
    return msgspec.structs.replace(count, told=msgspec.structs.replace(count.told, size=size))


def _topped(
    rule: Rule, count: Count, figure: Figure, sent: float, window: Frame, moment: Moment
) -> Count:
    now = moment.now
    if sent + window.low < window.start or now + window.high >= window.end:
        return count  # the figure may be about the window before, or the next
    count = _paced(rule, count, figure, window, moment)
    told = turned(count.told, window)
    surely = tallies.ended_by(count.own, sent, rule.slot) + figure.cost
    if figure.used < told.top and sent >= told.at:
        top, counted = figure.used, surely
    else:
        top, counted = max(told.top, figure.used), max(told.counted + figure.cost, surely)
    told = msgspec.structs.replace(
        told,
        at=now,
        asked=max(told.asked, sent),
        top=top,
        counted=counted,
        lag=_lag(told, sent, now),
        dearest=_dearest(told, figure),
        sure=max(0.0, top - count.own.total),
    )
    foreign = _made(count.foreign, max(0.0, top - counted), slot_at(now, rule.slot))
    return msgspec.structs.replace(count, foreign=foreign, told=told)


def _paced(rule: Rule, count: Count, figure: Figure, window: Frame, moment: Moment) -> Count:
    """Learn by how much others may run ahead of their pace at once."""
    told = count.told
    if told.at == 0:
        return count
    known = count.foreign.total if not window.fixed or told.start == window.start else 0.0
    surprise = figure.used - count.own.total - known - foretold(rule, count, moment, window)
    if surprise <= told.stride:
        return count
    return msgspec.structs.replace(count, told=msgspec.structs.replace(told, stride=surprise))


def _lag(told: Told, sent: float, now: float) -> float:
    return max(now - sent, told.lag * _LAG_MEMORY)


def _dearest(told: Told, figure: Figure) -> float:
    return max(figure.cost, told.dearest * _COST_MEMORY)


def _last(rule: Rule, count: Count, figure: Figure, sent: float, now: float) -> Count:
    told = count.told
    newest = msgspec.structs.replace(
        told,
        at=now,
        asked=sent,
        start=0.0,
        top=figure.used,
        counted=figure.cost,
        lag=_lag(told, sent, now),
        dearest=_dearest(told, figure),
    )
    taken = msgspec.structs.replace(count, told=newest)
    stale = told.at == 0 or sent >= told.at or now >= told.at + rule.window
    if stale or last_told(rule, taken) >= last_told(rule, count):
        return taken
    return count


def _estimated(rule: Rule, count: Count, figure: Figure, sent: float, now: float) -> Count:
    told = count.told
    most = max(0.0, figure.used - tallies.ended_by(count.own, sent, rule.slot) - figure.cost)
    foreign = count.foreign
    if most > foreign.total:
        least = max(foreign.total, figure.used - count.own.total)
        doubtful = most - least
        foreign = _made(foreign, least, slot_at(now, rule.slot))
        answered = count.own.slots[-1] * rule.slot if count.own.slots else now
        if doubtful > tallies.CRUMB and answered > now:
            foreign = tallies.added(foreign, slot_at(answered - rule.window, rule.slot), doubtful)
    elif sent >= told.at:
        foreign = _made(foreign, most, slot_at(now, rule.slot))
    faded = told.seen * max(0.0, 1.0 - (now - told.at) / (rule.window * _FADES))
    told = msgspec.structs.replace(
        told,
        at=now,
        asked=max(told.asked, sent),
        lag=_lag(told, sent, now),
        dearest=_dearest(told, figure),
        seen=max(foreign.total, faded),
    )
    return msgspec.structs.replace(count, foreign=foreign, told=told)


def _levelled(rule: Rule, count: Count, figure: Figure, sent: float, now: float) -> Count:
    size = figure.size if math.isfinite(figure.size) and figure.size > 0 else rule.size
    unsure = count.own.total - tallies.ended_by(count.own, sent, rule.slot) - figure.cost
    bound = size - figure.used - max(0.0, unsure)
    level, owed = count.level, count.owed
    if bound < level:
        owed, level = owed + (level - bound), bound
    elif sent >= count.told.at:
        room = rule.size - in_flight(count, now, rule.slot)
        raised = max(level, min(level + owed, bound, room))
        owed, level = owed - (raised - level), raised
    told = msgspec.structs.replace(count.told, at=now)
    return msgspec.structs.replace(count, level=level, owed=owed, told=told)


def _made(foreign: Tally, tokens: float, slot: int) -> Tally:
    """Return the tally with a total of `tokens`: more is counted in `slot`, less taken oldest."""
    if tokens > foreign.total + tallies.CRUMB:
        return tallies.added(foreign, slot, tokens - foreign.total)
    while foreign.slots and foreign.total > tokens + tallies.CRUMB:
        part = min(foreign.tokens[0], foreign.total - tokens)
        foreign, _ = tallies.taken(foreign, foreign.slots[0], part)
    return foreign
