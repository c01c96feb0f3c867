"""Candles: when an answer that holds them ends, and which questions have the same answer.

- `align`: a bot that acts on a candle's close must not get the last candle late. So an entry ends
  at its TTL, or `SETTLES` after the first close that it has not seen, whichever is first, and no
  stale window, and no stretch, reaches across. "Seen" goes by when the question was sent: the
  provider may have answered it at once.
- `round`: candles open at multiples of their interval, and are asked for by when they open. So the
  start may be brought up to the next multiple, and the end down to the last, and the answer is the
  same; both ends are, or none is. What is no plain whole number of milliseconds is left alone.
- `settled`: what lies wholly in the past does not change any more.

From a day on, every midnight counts as a close: weeks, months and spans of three days begin at one,
whichever it is, and so none of it need be known. With a `timeZone` (Binance) the grid is the finest
that both readings of it share.
"""

import math
import re
from typing import Final, NamedTuple

from msgspec.structs import replace

from proxy.core import costs
from proxy.core.model import Lifetimes, Policy
from proxy.core.parameters import Parameters, decode, pair
from proxy.core.upstreams import Endpoint

SETTLES: Final = 1.0
"""Seconds after its close when a candle can be had, closed."""
SETTLED: Final = 60.0
"""Seconds after its close when a candle no longer changes, whatever the clocks."""
TIME_ZONE: Final = "timeZone"

_SECOND: Final = 1000
_MINUTE: Final = 60 * _SECOND
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_UNITS: Final = {"s": _SECOND, "m": _MINUTE, "h": _HOUR, "d": _DAY, "w": 7 * _DAY, "M": 31 * _DAY}
_LATEST: Final = 10**14
"""Milliseconds (the year 5138): a greater figure is one of microseconds."""

_is_offset = re.compile(r"[+-]?([0-9]{1,2})(?::([0-9]{2}))?", re.ASCII).fullmatch


class Grid(NamedTuple):
    """Where candles of one interval can begin and end. Milliseconds of Unix time."""

    step: int
    """Every opening, and every close, is a multiple of it."""
    longest: int
    """No candle is longer."""

    def down(self, at: int) -> int:
        """Return the last multiple that is not after `at`."""
        return at // self.step * self.step

    def up(self, at: int) -> int:
        """Return the first multiple that is not before `at`."""
        return -(-at // self.step) * self.step


def grid(endpoint: Endpoint, parameters: Parameters) -> Grid | None:
    """Return where the candles that are asked for can begin and end; None: nobody knows."""
    if endpoint.align is None:
        return None
    if isinstance(endpoint.align, str):
        interval = _interval(_only(parameters, endpoint.align))
    else:
        interval = round(costs.figure(endpoint.align, parameters, min) * _SECOND)
    if not interval:
        return None
    offset = _offset(parameters)
    step = min(interval, _DAY)
    if offset is None or _DAY % step:
        return None
    return Grid(math.gcd(step, offset), interval)


def lived(
    endpoint: Endpoint, query: str, lives: Lifetimes, requested_at: float, generated_at: float
) -> Lifetimes:
    """Return the lifetimes of an answer to `query`: no longer than its candles let it live.

    Times are seconds; `generated_at` is when its age was 0.
    """
    if endpoint.align is None or endpoint.policy is Policy.OBEY:
        return lives
    parameters = decode(query)
    rows = grid(endpoint, parameters)
    if rows is None:
        return lives
    if endpoint.settled and _is_past(endpoint, parameters, rows, requested_at):
        return replace(lives, ttl=max(lives.ttl, endpoint.settled))
    seen = int((requested_at - SETTLES) * _SECOND)
    closes = (rows.down(seen) + rows.step) / _SECOND
    return ended(lives, closes + SETTLES - generated_at)


def ended(lives: Lifetimes, most: float) -> Lifetimes:
    """Return lifetimes of which none reaches beyond the age `most`."""
    most = max(0.0, most)
    ttl = min(lives.ttl, most)
    return Lifetimes(
        ttl,
        min(lives.stale_while_revalidate, most - ttl),
        min(lives.stale_if_error, most - ttl),
        lives.keep,
        most,
    )


def rounded(endpoint: Endpoint, query: str) -> str:
    """Return the raw query that asks for the same candles by the times at which they open."""
    span = endpoint.round
    if span is None or endpoint.policy is Policy.OBEY:
        return query
    parameters = decode(query)
    start, end = _only(parameters, span.start), _only(parameters, span.end)
    rows = grid(endpoint, parameters)
    if rows is None or (start is None and end is None):
        return query
    times = _time(start, span.unit), _time(end, span.unit)
    if any(
        time is None and text is not None for time, text in zip(times, (start, end), strict=True)
    ):
        return query
    first = None if times[0] is None else rows.up(times[0])
    last = None if times[1] is None else rows.down(times[1])
    if first is not None and last is not None and first > last:
        return query
    return _with(query, {span.start: first, span.end: last}, span.unit)


def _with(query: str, wanted: dict[str, int | None], unit: int) -> str:
    def written(piece: str) -> str:
        time = wanted.get(pair(piece)[0])
        return piece if time is None else f"{piece.partition('=')[0]}={time // unit}"

    return "&".join(written(piece) for piece in query.split("&"))


def _is_past(endpoint: Endpoint, parameters: Parameters, rows: Grid, now: float) -> bool:
    """Whether the last candle that can be in the answer closed long ago."""
    if endpoint.round is None:
        return False
    end = _time(_only(parameters, endpoint.round.end), endpoint.round.unit)
    return end is not None and end + rows.longest <= int((now - SETTLED) * _SECOND)


def _only(parameters: Parameters, name: str) -> str | None:
    """Return the value of a parameter; of one that is repeated, what is no value of any kind."""
    found = [value for key, value in parameters if key == name]
    if not found:
        return None
    return found[0] if len(found) == 1 else ""


def _time(text: str | None, unit: int) -> int | None:
    if text is None or not (text.isascii() and text.isdecimal()) or len(text) > len(str(_LATEST)):
        return None
    time = int(text) * unit
    return time if time < _LATEST and time % unit == 0 else None


def _interval(text: str | None) -> int:
    """Return the milliseconds of an interval, as in `1s`, `15m`, `1d` or `1M`; 0: it is none."""
    if text is None or len(text) not in {2, 3} or text[-1] not in _UNITS:
        return 0
    count = text[:-1]
    return int(count) * _UNITS[text[-1]] if count.isascii() and count.isdecimal() else 0


def _offset(parameters: Parameters) -> int | None:
    """Return the shift of candles in milliseconds (`-1:00`, `05:45`, `8`); None: none."""
    text = _only(parameters, TIME_ZONE)
    if text is None:
        return 0
    found = _is_offset(text)
    return None if found is None else int(found[1]) * _HOUR + int(found[2] or 0) * _MINUTE
