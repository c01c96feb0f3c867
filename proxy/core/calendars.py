"""Where calendar windows begin: minutes, hours, days and months of a time zone.

A window is half-open: a request at the very boundary belongs to the one that begins there. Days
and months begin at `resets_time` local time (a month on `resets_day`, clipped to the month's
length); a time that a clock change skips is the moment after the gap, one that comes twice is the
first. Minutes and hours follow the zone's present offset from UTC.
"""

from calendar import monthrange
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import islice
from zoneinfo import ZoneInfo

from proxy.core.upstreams import CalendarUnit, Limit

SECONDS = {CalendarUnit.MINUTE: 60.0, CalendarUnit.HOUR: 3600.0, CalendarUnit.DAY: 86400.0}
"""Length of a unit; a month's is that of the window at hand."""

_KNOWN_EDGES = 5


def phase(limit: Limit, wall: float) -> float:
    """Return how far the limit's regular windows lie behind the multiples of their length, s."""
    if not isinstance(limit.per, CalendarUnit) or limit.timezone == "UTC":
        return 0.0
    offset = datetime.fromtimestamp(wall, ZoneInfo(limit.timezone)).utcoffset() or timedelta()
    return -offset.total_seconds() % SECONDS[limit.per]


def edges(limit: Limit, wall: float) -> tuple[float, ...]:
    """Return the beginnings of the windows around `wall`, ascending Unix times.

    The first two lie before `wall`, the others after it: whoever counts on a clock of its own,
    some way off, still finds its window among them.
    """
    begin = _local_date(limit.timezone, wall) - timedelta(days=63)
    if limit.per is CalendarUnit.DAY:
        begin += timedelta(days=60)
    dates = _months(begin, limit.resets_day) if limit.per is CalendarUnit.MONTH else _days(begin)
    starts = (_moment(day, limit.resets_time, limit.timezone) for day in dates)
    return _around(tuple(islice(starts, _KNOWN_EDGES + 2)), wall)


def _around(starts: tuple[float, ...], wall: float) -> tuple[float, ...]:
    present = sum(1 for start in starts if start <= wall) - 1
    return starts[max(0, present - 1) : present + 3]


def _days(first: date) -> Iterator[date]:
    while True:
        yield first
        first += timedelta(days=1)


def _months(first: date, day: int) -> Iterator[date]:
    year, month = first.year, first.month
    while True:
        yield date(year, month, min(day, monthrange(year, month)[1]))
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)  # noqa: PLR2004 - December


@lru_cache(maxsize=256)
def _moment(day: date, seconds: float, zone: str) -> float:
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
    return (midnight + timedelta(seconds=seconds)).timestamp()


def _local_date(zone: str, wall: float) -> date:
    return datetime.fromtimestamp(wall, UTC).astimezone(ZoneInfo(zone)).date()
