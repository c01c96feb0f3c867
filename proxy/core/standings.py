"""How a count stands, said to people and queues: what is left, when it comes back.

Nothing here decides anything; it explains, from the state that a decision was made on, so the Lua
script need not know it.
"""

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from proxy.core import windows
from proxy.core.buckets import in_flight
from proxy.core.counts import Count, Moment
from proxy.core.model import Denied
from proxy.core.rules import BUCKET, Rule
from proxy.core.spending import Level, Outlook
from proxy.core.tallies import CRUMB
from proxy.core.upstreams import Limit
from proxy.core.windows import Frame

ASK_AGAIN = 0.05
"""Seconds after which it is worth asking again where only calls in flight stand in the way."""

_INSTANT = 0.001

_STEPS = 32
"""Parts in which a bucket's filling is told."""

Returns: TypeAlias = tuple[tuple[float, float], ...]
"""When tokens come back: `(seconds from now, tokens)`, in order."""


class _Waits(NamedTuple):
    latest: float
    earliest: float
    returns: Returns
    again: float


def level(limit: Limit, bucket: str, rule: Rule, count: Count, moment: Moment) -> Level:
    """Return how a (current) count stands."""
    used = rule.size - count.level if rule.kind == BUCKET else count.own.total + count.foreign.total
    return Level(
        limit=limit.name,
        bucket=bucket,
        size=windows.size_of(rule, count),
        used=max(0.0, used),
        resets_in=whole_in(rule, count, moment),
        algorithm=limit.algorithm.value,
        window=rule.window,
    )


def whole_in(rule: Rule, count: Count, moment: Moment) -> float:
    """Return the seconds until all of the limit is there again, if nothing more is spent."""
    if rule.kind == BUCKET:
        filling = (rule.size - count.level) * rule.window / rule.size
        answered = _last(count) - moment.now if in_flight(count, moment.now, rule.slot) else 0.0
        return max(0.0, filling, answered)
    if not count.own.slots and not count.foreign.slots:
        return 0.0
    return _leaves(rule, windows.frame(rule, moment), _last(count), moment.now)


def outlook(rule: Rule, count: Count, moment: Moment) -> Outlook:
    """Return what may be spent of a (current) count, what is in flight taken to be answered now."""
    whole = whole_in(rule, count, moment)
    if rule.kind == BUCKET:
        flying = in_flight(count, moment.now, rule.slot)
        step = rule.size / _STEPS
        filling = tuple((part * rule.window / _STEPS, step) for part in range(1, _STEPS + 1))
        room = count.level - rule.size * rule.reserve
        brim = rule.size - flying - rule.size * rule.reserve - CRUMB
        return Outlook(room, filling, rule.window, whole, brim)
    frame = windows.frame(rule, moment)
    room = windows.spare(rule, count, moment, windows.allowed(rule, count, moment, urgent=False))
    returns = _back(rule, count, frame, moment, flying="answered")
    ends_in = max(0.0, frame.end - frame.low - moment.now) if frame.fixed else None
    return Outlook(room, returns, rule.window, whole, ends_in=ends_in)


def denied(
    limit: Limit, rule: Rule, count: Count, cost: float, moment: Moment, *, urgent: bool
) -> Denied:
    """Explain why a (current) count denies `cost`, and when it will not.

    `retry_after` takes what is in flight to be answered at the last moment; `soonest` and
    `returns` take it to be answered now, or never charged where some answers are not.
    """
    if rule.kind == BUCKET:
        waits = _bucket_waits(rule, count, cost, moment.now, urgent=urgent)
    else:
        waits = _window_waits(limit, rule, count, cost, moment, urgent=urgent)
    return Denied(
        limit=limit.name,
        retry_after=max(_INSTANT, waits.latest),
        resets_in=whole_in(rule, count, moment),
        soonest=max(ASK_AGAIN, waits.earliest) if waits.earliest < waits.latest else None,
        returns=waits.returns,
        again=waits.again,
    )


# ── windows ──


def _window_waits(
    limit: Limit, rule: Rule, count: Count, cost: float, moment: Moment, *, urgent: bool
) -> _Waits:
    frame = windows.frame(rule, moment)
    size = windows.size_of(rule, count)
    most = size if urgent else size - size * rule.reserve
    spare = windows.spare(rule, count, moment, most)
    if cost <= spare:  # the pace alone denies
        share = (_used(count) + cost) / size - rule.pace
        due = frame.start + share * (frame.end - frame.start)
        wait = min(due, frame.end) - frame.low - moment.now
        return _Waits(wait, wait, ((wait, cost),), again=cost / size * rule.window)
    late = _back(rule, count, frame, moment, flying="booked")
    soon = _back(rule, count, frame, moment, flying="free" if limit.charged_for else "answered")
    never = whole_in(rule, count, moment) or rule.window
    return _Waits(
        _enough(late, cost - spare, never),
        _enough(soon, cost - spare, never),
        ((0.0, spare), *soon) if spare > 0 else soon,
        rule.window,
    )


def _used(count: Count) -> float:
    return count.own.total + count.foreign.total


def _enough(returns: Returns, needed: float, never: float) -> float:
    """Return the seconds until `needed` tokens are back; more than there are: `never`."""
    for seconds, tokens in returns:
        needed -= tokens
        if needed <= CRUMB:
            return seconds
    return never


def _back(rule: Rule, count: Count, frame: Frame, moment: Moment, *, flying: str) -> Returns:
    """Return when what is counted comes back, with what is in flight taken as `flying` says."""
    returns = []
    for answered, tokens in _logged(count):
        if answered <= moment.now or flying == "booked":
            back = _leaves(rule, frame, answered, moment.now)
        else:
            back = 0.0 if flying == "free" else _leaves(rule, frame, moment.now, moment.now)
        returns.append((back, tokens))
    return tuple(sorted(returns))


def _logged(count: Count) -> Iterator[tuple[float, float]]:
    for tally in (count.own, count.foreign):
        for slot, tokens in zip(tally.slots, tally.tokens, strict=True):
            yield slot * count.slot, tokens


def _last(count: Count) -> float:
    own, foreign = count.own.slots, count.foreign.slots  # the newest stand last
    newest = max(own[-1] if own else 0, foreign[-1] if foreign else 0)
    return newest * count.slot


def _leaves(rule: Rule, frame: Frame, answered: float, now: float) -> float:
    """Return the seconds until what was answered by `answered` no longer counts."""
    if not frame.fixed:
        return max(0.0, answered + rule.window - now)
    _, end = windows.window_of(rule, max(frame.start, answered + frame.high))
    return max(0.0, end - frame.low - now)


# ── buckets ──


def _bucket_waits(rule: Rule, count: Count, cost: float, now: float, *, urgent: bool) -> _Waits:
    rate = rule.size / rule.window
    target = cost if urgent else cost + rule.size * rule.reserve
    earliest = (target - count.level) / rate
    latest = earliest if target <= rule.size else rule.window
    flying = in_flight(count, now, rule.slot)
    for answered, tokens in _logged(count):
        if answered > now and target > rule.size - flying:  # it fills no further before that
            latest = max(latest, answered - now + (target - rule.size + flying) / rate)
        flying -= tokens if answered > now else 0.0
    spare = count.level - (target - cost)
    step = max(cost, rule.size / _STEPS)
    returns = tuple((part * step / rate, step) for part in range(1, _STEPS + 1))
    foreseen = ((0.0, spare), *returns) if spare > 0 else returns
    return _Waits(latest, earliest, foreseen, again=returns[-1][0])
