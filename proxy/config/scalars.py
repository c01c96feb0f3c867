"""Texts that stand for figures.

A duration is `500ms`, `90s`, `5m`, `1h`, `7d` or a number of seconds; a size `256MiB` or a number
of bytes; a share `10%` or 0 to 1; a factor `3x` or a number. Every reader raises ValueError that
says what is wrong and what is allowed. What came from the environment is never repeated in it.
"""

import math
import re
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from proxy.config.environment import Substituted
from proxy.config.problems import Path
from proxy.config.yaml_nodes import core_scalar
from proxy.core.upstreams import CalendarUnit

DURATION_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
SIZE_UNITS: Final = {"": 1, "B": 1} | {
    f"{letter}{suffix}": base**power
    for power, letter in enumerate(("k", "M", "G", "T"), start=1)
    for suffix, base in (("B", 1000), ("iB", 1024))
}
SIZE_UNITS.update({"KB": 1000, "KiB": 1024})
DURATIONS_ALLOWED: Final = "a duration is 500ms, 90s, 5m, 1h, 7d or a number of seconds"
SIZES_ALLOWED: Final = "a size is 64KiB, 256MiB, 1GiB or a number of bytes"

_figure_and_unit = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)").fullmatch
_LONGEST: Final = 100 * 365 * 86400.0

K = TypeVar("K")
T = TypeVar("T")


class FaultyError(ValueError):
    """Several things are wrong within one value: `(path below it, what is wrong)` each."""

    def __init__(self, faults: Iterable[tuple[Path, str]]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(message for _, message in self.faults))


def quoted(value: object) -> str:
    """Return `value` for a message; as it was written, where it came from the environment."""
    if isinstance(value, Substituted):
        return repr(value.written)
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…'"  # noqa: PLR2004 - a readable line


def settled(value: object) -> object:
    """Return what the text of an environment variable means as a scalar of its own."""
    return core_scalar(str(value)) if isinstance(value, Substituted) else value


def number(value: object) -> float:
    """Read a finite number."""
    read = settled(value)
    if isinstance(read, bool) or not isinstance(read, int | float) or not math.isfinite(read):
        raise ValueError(f"{quoted(value)} is no number")
    return float(read)


def amount(value: object) -> float:
    """Read a finite number that is not negative."""
    read = number(value)
    if read < 0:
        raise ValueError(f"{quoted(value)} is negative: 0 or more is allowed")
    return read


def duration(value: object) -> float:
    """Read a duration, in seconds."""
    read = settled(value)
    if isinstance(read, bool) or not isinstance(read, int | float | str):
        raise ValueError(f"{quoted(value)} is no duration: {DURATIONS_ALLOWED}")  # noqa: TRY004 - pydantic's
    if isinstance(read, str):
        found = _figure_and_unit(read)
        if found is None or found[2] not in DURATION_UNITS:
            raise ValueError(f"{quoted(value)} is no duration: {DURATIONS_ALLOWED}")
        # Multiplied the other way round, 100ms would be 0.1000…01.
        seconds = float(found[1]) / 1000 if found[2] == "ms" else float(found[1]) * _unit(found)
    else:
        seconds = float(read)
    if not 0 <= seconds <= _LONGEST:
        raise ValueError(f"{quoted(value)} is out of range: 0 to 100 years; {DURATIONS_ALLOWED}")
    return seconds


def _unit(found: re.Match[str]) -> float:
    return DURATION_UNITS[found[2]]


def positive_duration(value: object) -> float:
    """Read a duration longer than nothing, in seconds."""
    seconds = duration(value)
    if seconds <= 0:
        raise ValueError("must be longer than 0")
    return seconds


def window(value: object) -> float | CalendarUnit:
    """Read what a limit is counted `per`: a duration, or a unit of the calendar."""
    units = {unit.value: unit for unit in CalendarUnit}
    if isinstance(value, str) and value in units:
        return units[value]
    try:
        return positive_duration(value)
    except ValueError as error:
        raise ValueError(f"{error}; or one of {', '.join(units)}") from None


def size(value: object) -> int:
    """Read a size, in bytes."""
    read = settled(value)
    if isinstance(read, str) and (found := _figure_and_unit(read)) and found[2] in SIZE_UNITS:
        return int(float(found[1]) * SIZE_UNITS[found[2]])
    if isinstance(read, int) and not isinstance(read, bool) and read >= 0:
        return read
    raise ValueError(f"{quoted(value)} is no size: {SIZES_ALLOWED}")


def size_or_any(value: object) -> float:
    """Read a size, or `any`: no bound."""
    if value == "any":
        return math.inf
    try:
        return float(size(value))
    except ValueError as error:
        raise ValueError(f"{error}; or any") from None


def share(value: object) -> float:
    """Read a share, 0 to 1."""
    read = settled(value)
    found = _figure_and_unit(read[:-1]) if isinstance(read, str) and read.endswith("%") else None
    part = float(found[1]) / 100 if found and not found[2] else _number_or_nan(read)
    if not 0 <= part <= 1:
        raise ValueError(f"{quoted(value)} is no share: 0% to 100%, or 0 to 1, is allowed")
    return part


def pace(value: object) -> float:
    """Read `even`, or by what share spending may run ahead of the calendar."""
    if value == "even":
        return 0.1
    try:
        return share(value)
    except ValueError:
        raise ValueError(
            f"{quoted(value)} is no pace: `even` (which is 10%), or the share by which spending"
            " may run ahead of the calendar"
        ) from None


def factor(value: object) -> float:
    """Read a factor of at least 1: `3x`, or 3."""
    read = settled(value)
    found = _figure_and_unit(read) if isinstance(read, str) else None
    times = float(found[1]) if found and found[2] == "x" else _number_or_nan(read)
    if not 1 <= times < math.inf:
        raise ValueError(f"{quoted(value)} is no factor: 1x or more, as in 3x")
    return times


def _number_or_nan(value: object) -> float:
    return math.nan if isinstance(value, bool) or not isinstance(value, int | float) else value


def flag(value: object) -> bool:
    """Read true or false."""
    read = settled(value)
    if not isinstance(read, bool):
        raise ValueError(f"{quoted(value)} is neither true nor false")  # noqa: TRY004 - pydantic's
    return read


def text(value: object) -> str:
    """Read a text."""
    if not isinstance(value, str):
        raise ValueError(f"{quoted(value)} is no text; put quotes around it if it is meant as one")  # noqa: TRY004 - pydantic's
    return str(value)


def secret(value: object) -> str:
    """Read a text that no message may repeat; nothing is an empty one."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError("is no text; put quotes around it")  # noqa: TRY004 - pydantic's
    return str(value)


def plain(value: object) -> str:
    """Read a scalar as the text that a query string would carry."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int):
        return str(value)
    raise ValueError(f"{quoted(value)} is no plain text; put quotes around it")


def whole(least: int, most: int) -> Callable[[object], int]:
    """Return a reader of whole numbers from `least` to `most`."""

    def read(value: object) -> int:
        found = settled(value)
        if isinstance(found, bool) or not isinstance(found, int) or not least <= found <= most:
            raise ValueError(f"{quoted(value)} is no whole number from {least} to {most}")
        return found

    return read


def matching(pattern: str, allowed: str) -> Callable[[object], str]:
    """Return a reader of texts that match `pattern` whole; `allowed` says so in words."""
    meets = re.compile(pattern, re.ASCII).fullmatch

    def read(value: object) -> str:
        if not isinstance(value, str) or meets(value) is None:
            raise ValueError(f"{quoted(value)} is not allowed: {allowed}")
        return str(value)

    return read


def list_of(read: Callable[[object], T]) -> Callable[[object], tuple[T, ...]]:
    """Return a reader of a list, or of one value that stands for a list of one."""

    def members(value: object) -> tuple[T, ...]:
        if not isinstance(value, list):
            return (read(value),)
        made: list[T] = []
        faults: list[tuple[Path, str]] = []
        for index, member in enumerate(value):
            try:
                made.append(read(member))
            except ValueError as error:
                faults.append(((index,), str(error)))
        if faults:
            raise FaultyError(faults)
        return tuple(made)

    return members


def mapping_of(
    read_key: Callable[[str], K], read: Callable[[object], T]
) -> Callable[[object], tuple[tuple[K, T], ...]]:
    """Return a reader of a mapping, as pairs in the order of the file."""

    def members(value: object) -> tuple[tuple[K, T], ...]:
        if not isinstance(value, dict):
            raise ValueError(f"{quoted(value)} is no mapping")  # noqa: TRY004 - pydantic's
        made: list[tuple[K, T]] = []
        faults: list[tuple[Path, str]] = []
        for key, member in value.items():
            try:
                made.append((read_key(key), read(member)))
            except ValueError as error:
                faults.append(((key,), str(error)))
        if faults:
            raise FaultyError(faults)
        return tuple(made)

    return members


def set_of(read: Callable[[object], T]) -> Callable[[object], frozenset[T]]:
    """Return a reader of a list whose order does not matter."""
    members = list_of(read)
    return lambda value: frozenset(members(value))
