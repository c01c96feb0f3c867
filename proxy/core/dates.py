"""HTTP dates: IMF-fixdate, RFC 850 and asctime, and nothing else (RFC 9110 section 5.6.7).

They are read in any case, as a cache should (RFC 9111 section 4.2), and allow no other spacing.
What is none of the three is no date: a cache that guesses at it keeps a reply longer than its
origin said. The weekday is not held against the date: only the rest says when.
"""

import re
from calendar import timegm
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

_MONTHS: Final = (
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
)
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_LONG_DAYS: Final = (
    "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday",
)  # fmt: skip

_TIME = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_MONTH = f"(?P<month>{'|'.join(_MONTHS)})"
_DAY: Final = "|".join(_DAYS)
_LONG_DAY: Final = "|".join(_LONG_DAYS)
_FORMS: Final = tuple(
    re.compile(form, re.ASCII | re.IGNORECASE)
    for form in (
        rf"(?:{_DAY}), (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_TIME} GMT",
        rf"(?:{_LONG_DAY}), (?P<day>[0-9]{{2}})-{_MONTH}-(?P<short>[0-9]{{2}}) {_TIME} GMT",
        rf"(?:{_DAY}) {_MONTH} (?P<day>[0-9]{{2}}| [0-9]) {_TIME} (?P<year>[0-9]{{4}})",
    )
)
_FIXDATE: Final = len("Sun, 06 Nov 1994 08:49:37 GMT")
"""No other form is so long."""
_CENTURY: Final = 100
_AHEAD: Final = 50
_LEAP_SECOND: Final = 60


def parse(value: str, now: float) -> float | None:
    """Return the Unix time that `value` names, or None where it is no HTTP date.

    `now` decides the century of RFC 850's two digits: the year is at most 50 years ahead.
    """
    value = value.strip(" \t")
    if len(value) == _FIXDATE:
        return _fixdate(value)
    for form in _FORMS[1:]:
        if (found := form.fullmatch(value)) is not None:
            return _time(found.groupdict(), now)
    return None


@lru_cache(maxsize=64)
def _fixdate(value: str) -> float | None:
    """Return what an IMF-fixdate names, whenever; all answers of a second say the same."""
    found = _FORMS[0].fullmatch(value)
    return None if found is None else _time(found.groupdict(), 0.0)


def format_date(time: float) -> str:
    """Return `time` as an IMF-fixdate, whole seconds."""
    at = datetime.fromtimestamp(int(time), UTC)
    day, month = _DAYS[at.weekday()], _MONTHS[at.month - 1]
    return f"{day}, {at.day:02} {month} {at.year:04} {at:%H:%M:%S} GMT"


def _time(parts: dict[str, str], now: float) -> float | None:
    year = int(parts["year"]) if "year" in parts else _full_year(int(parts["short"]), now)
    month = _MONTHS.index(parts["month"].capitalize()) + 1
    hour, minute, second = int(parts["hour"]), int(parts["minute"]), int(parts["second"])
    leap = second == _LEAP_SECOND
    try:
        at = datetime(year, month, int(parts["day"]), hour, minute, second - leap, tzinfo=UTC)
    except ValueError:
        return None
    return float(timegm(at.timetuple()) + leap)


def _full_year(short: int, now: float) -> int:
    this = datetime.fromtimestamp(now, UTC).year
    year = this - this % _CENTURY + short
    if year > this + _AHEAD:
        return year - _CENTURY
    return year
