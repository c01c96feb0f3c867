"""Limits: from their files to `proxy.core.upstreams.Limit`, and what must agree within one."""

import re
import zoneinfo
from collections.abc import Callable
from typing import TypeAlias

from proxy.config.problems import Path
from proxy.config.scalars import quoted, settled
from proxy.config.schema_upstream import LimitFile
from proxy.config.tables import WORDS
from proxy.core.spending import HOLD, LOST
from proxy.core.upstreams import Algorithm, CalendarUnit, Limit

Complain: TypeAlias = Callable[[Path, str], None]

_FIXED_LENGTH = {
    CalendarUnit.MINUTE: 60.0,
    CalendarUnit.HOUR: 3600.0,
    CalendarUnit.DAY: 86400.0,
}
_LONG = frozenset({CalendarUnit.DAY, CalendarUnit.MONTH})
_time_of_day = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])").fullmatch
_LAST_DAY = 31

OWN_WORDS = frozenset({HOLD, LOST})
"""What stands in a refusal in place of a limit's name."""


def limit(name: str, file: LimitFile, path: Path, complain: Complain) -> Limit:
    """Return the limit that `file`, at `path` of its document, describes."""
    if name in WORDS:
        complain(path, f"no limit can be called {name!r}: the word has a meaning in cost tables")
    if name in OWN_WORDS:
        complain(path, f"no limit can be called {name!r}: so the proxy itself says why it refuses")
    algorithm = _algorithm(file)
    day, seconds = _resets(file, path, complain)
    _check_figures(file, algorithm, path, complain)
    return Limit(
        name=name,
        limit=file.limit or 1.0,
        per=_per(file, algorithm, path, complain),
        algorithm=algorithm,
        burst=file.burst,
        of=file.of,
        counts=file.counts,
        scope=file.scope,
        each_endpoint=file.each == "endpoint",
        charged_for=file.charged_for,
        resets_day=day,
        resets_time=seconds,
        timezone=_timezone(file, path, complain),
        pace=file.pace,
        reserve=file.reserve,
    )


def _algorithm(file: LimitFile) -> Algorithm:
    if file.algorithm is not None:
        return Algorithm(file.algorithm)
    return Algorithm.FIXED_WINDOW if file.per in _LONG else Algorithm.SLIDING_WINDOW


def _per(
    file: LimitFile, algorithm: Algorithm, path: Path, complain: Complain
) -> float | CalendarUnit:
    if not isinstance(file.per, CalendarUnit) or algorithm is Algorithm.FIXED_WINDOW:
        return file.per
    if file.per is CalendarUnit.MONTH:
        complain(
            (*path, "per"),
            f"a month has no fixed length, which {algorithm} needs; fixed_window takes it",
        )
    return _FIXED_LENGTH.get(file.per, 30 * 86400.0)


def _check_figures(file: LimitFile, algorithm: Algorithm, path: Path, complain: Complain) -> None:
    if file.limit <= 0:
        complain((*path, "limit"), "must be more than 0")
    is_bucket = algorithm is Algorithm.TOKEN_BUCKET
    if is_bucket and file.burst is None:
        complain(path, "a token_bucket needs `burst`, its largest level")
    if not is_bucket and file.burst is not None:
        complain((*path, "burst"), f"only a token_bucket has a burst; this is a {algorithm}")
    if file.burst is not None and file.burst <= 0:
        complain((*path, "burst"), "must be more than 0")
    if file.pace is not None and algorithm is not Algorithm.FIXED_WINDOW:
        complain((*path, "pace"), f"only a fixed_window can be paced; this is a {algorithm}")


def _resets(file: LimitFile, path: Path, complain: Complain) -> tuple[int, float]:
    """Return the day of the month and the seconds after midnight at which windows begin."""
    said = settled(file.resets)
    if said is None:
        return 1, 0.0
    where = (*path, "resets")
    if isinstance(said, int) and not isinstance(said, bool) and 1 <= said <= _LAST_DAY:
        if file.per is not CalendarUnit.MONTH:
            complain(where, "only a limit `per: month` resets on a day of the month")
        return said, 0.0
    found = _time_of_day(said) if isinstance(said, str) else None
    if found is None:
        complain(where, f"{quoted(file.resets)} is neither a day of the month (1 to 31) nor HH:MM")
        return 1, 0.0
    if file.per not in _LONG:
        complain(where, "only a limit `per: day` or `per: month` resets at a time of day")
    return 1, int(found[1]) * 3600.0 + int(found[2]) * 60.0


def _timezone(file: LimitFile, path: Path, complain: Complain) -> str:
    if file.timezone == "UTC":
        return "UTC"
    where = (*path, "timezone")
    if not isinstance(file.per, CalendarUnit):
        complain(where, "only a calendar window has a timezone (`per: day`, `month`, …)")
    try:
        zoneinfo.ZoneInfo(file.timezone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        complain(where, f"{quoted(file.timezone)} is no timezone; names are as in Europe/Berlin")
    return file.timezone
