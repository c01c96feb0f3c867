"""Windows, sliding and fixed: one log of answered spends, cut at a different place.

    sliding  what was answered `window` ago or earlier is back
    fixed    all that was answered before the provider's present window began is back

A provider counts a request between our sending and its answer. So what was answered before the
cut, it has counted before the cut; what was granted and not yet answered is counted in every
window that it may fall in, and an exchange that spans a boundary on both sides. No margin is
guessed: where the provider's clock is known within bounds, the bounds are the margin; where it is
not, a short fixed window is counted as a sliding one, which is right for any alignment.
"""

from math import floor
from typing import NamedTuple

import msgspec

from proxy.core import tallies
from proxy.core.counts import Count, Moment, Told
from proxy.core.offsets import bounds
from proxy.core.rules import FIXED, SLOTS, Rule

_ASSUMED = 2.0
"""Seconds by which a provider's calendar may differ from ours where nothing is known."""

_TRUSTED = 0.5
"""An offset known to less than this share of a window is no better than none."""

_SHORTEST = 1.0
"""Seconds: nobody's pace is told from less."""

_MOST_FORETOLD = 0.5
"""Largest share of a window that is left to others on a guess."""

_MEMORY = 0.5
"""What the window before weighs against the present one."""


class Frame(NamedTuple):
    """The window at a moment."""

    cut: float
    """Ledger's time: what was answered before no longer counts."""
    start: float
    """On the provider's clock, or the ledger's for a sliding window, as is `end`."""
    end: float
    fixed: bool = False
    low: float = 0.0
    """Bounds of the provider's clock less the ledger's."""
    high: float = 0.0


def frame(rule: Rule, moment: Moment) -> Frame:
    """Return the window that `rule` counts at `moment`.

    A fixed window begins for us when the provider's clock has certainly passed the boundary, and
    counts all that may have been answered after it.
    """
    clock = _provider_clock(rule, moment)
    if clock is None:
        start = moment.now - rule.window
        return Frame(start, start, moment.now)
    low, high = clock
    start, end = window_of(rule, moment.now + low)
    return Frame(start - high, start, end, fixed=True, low=low, high=high)


def _provider_clock(rule: Rule, moment: Moment) -> tuple[float, float] | None:
    if rule.kind != FIXED:
        return None
    known = bounds(moment.offset, moment.now)
    if known is not None and known[1] - known[0] < rule.window * _TRUSTED:
        return known
    if rule.strict:
        return None
    assumed = moment.wall - moment.now
    return assumed - _ASSUMED, assumed + _ASSUMED


def window_of(rule: Rule, time: float) -> tuple[float, float]:
    """Return beginning and end of the fixed window that holds the provider's `time`."""
    if not rule.edges:
        start = floor((time - rule.phase) / rule.window) * rule.window + rule.phase
        return start, start + rule.window
    start = 0.0
    for edge in rule.edges:
        if edge > time:
            return start, edge
        start = edge
    return start, start + rule.window


def rolled(rule: Rule, count: Count, moment: Moment) -> Count:
    """Return the count less what is back at `moment`; of a long past only the sum is kept."""
    window = frame(rule, moment) if rule.kind == FIXED else None
    cut = moment.now - rule.window if window is None else window.cut
    own, foreign = count.own, count.foreign
    if own.slots:
        own = tallies.since(own, cut, rule.slot)
    if foreign.slots:
        foreign = tallies.since(foreign, cut, rule.slot)
    if window is not None and window.fixed:
        past = moment.now - SLOTS * rule.slot
        own = tallies.merged(own, past, rule.slot)
        foreign = tallies.merged(foreign, past, rule.slot)
    if own is count.own and foreign is count.foreign:
        return count
    return msgspec.structs.replace(count, own=own, foreign=foreign)


def size_of(rule: Rule, count: Count) -> float:
    """Return the tokens to a window: ours, or the provider's own figure where that is less."""
    return min(rule.size, count.told.size) if count.told.size > 0 else rule.size


def allowed(rule: Rule, count: Count, moment: Moment, *, urgent: bool) -> float:
    """Return how much of the window may be used by now."""
    size = rule.size if count.told.size <= 0 else size_of(rule, count)
    if moment.withheld > 0:
        size -= moment.withheld * _withholdable(rule, count, size)
    if urgent:
        return size
    most = size - size * rule.reserve
    if rule.pace < 0:
        return most
    window = frame(rule, moment)
    if not window.fixed:
        return most
    passed = (moment.now + window.low - window.start) / (window.end - window.start)
    return min(most, size * (passed + rule.pace))


def _withholdable(rule: Rule, count: Count, size: float) -> float:
    """Return what spenders that are cut off have a share of: of a long window what is left."""
    if rule.kind == FIXED and not rule.strict:
        return max(0.0, size - (count.own.total + count.foreign.total))
    return size


def spare(rule: Rule, count: Count, moment: Moment, most: float) -> float:
    """Return what may be spent of a (rolled) window of which `most` may be used.

    What others are about to spend is allowed for. Where the provider's windows are not known, its
    own last figure binds as well, until its window must have passed: what it had counted then may
    be of a window that goes on, though our own log has let it go.
    """
    left = most - (count.own.total + count.foreign.total)
    told = count.told
    if told.at == 0:
        return left
    window = frame(rule, moment)
    left -= foretold(rule, count, moment, window)
    if rule.kind == FIXED and not window.fixed and moment.now < told.at + rule.window:
        left = min(left, most - last_told(rule, count))
    return left


def last_told(rule: Rule, count: Count) -> float:
    """Return what the provider said last, and what it may have counted since."""
    told = count.told
    later = count.own.total - tallies.ended_by(count.own, told.asked, rule.slot) - told.counted
    return told.top + max(0.0, later)


def foretold(rule: Rule, count: Count, moment: Moment, window: Frame) -> float:
    """Return what others will have spent when a call that is granted now is counted.

    They go on as they did, from the last answer (or the window's beginning) till an exchange's
    time from now, and may take one stride at once.
    """
    told = count.told
    since = told.asked
    if window.fixed:
        rate = (told.seen + told.sure) / max(told.span + _observed(told, window), _SHORTEST)
        if told.start != window.start:
            since = window.start - window.high
    else:
        rate = max(told.seen, count.foreign.total) / rule.window
    if rate <= 0 and told.stride <= 0:
        return 0.0
    at_once = max(told.stride, told.dearest)
    expected = rate * max(0.0, moment.now - since + told.lag) + at_once
    return min(expected, size_of(rule, count) * _MOST_FORETOLD)


def _observed(told: Told, window: Frame) -> float:
    return max(0.0, told.at + window.high - told.start) if told.start > 0 else 0.0


def turned(told: Told, window: Frame) -> Told:
    """Return what is remembered when the provider's window is a new one."""
    if told.start == window.start:
        return told
    return Told(
        told.at,
        told.asked,
        window.start,
        size=told.size,
        lag=told.lag,
        seen=told.seen * _MEMORY + told.sure,
        span=told.span * _MEMORY + _observed(told, window),
        stride=told.stride * _MEMORY,
        dearest=told.dearest,
    )


def fits(rule: Rule, count: Count, cost: float, moment: Moment, *, urgent: bool) -> bool:
    """Tell whether a (rolled) window has room for `cost`."""
    most = allowed(rule, count, moment, urgent=urgent)
    return cost <= spare(rule, count, moment, most) + tallies.CRUMB
