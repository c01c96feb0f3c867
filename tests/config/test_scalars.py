"""Scalars: durations, sizes, shares, and that nothing from the environment is repeated."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config import scalars
from proxy.config.environment import Substituted
from proxy.core.upstreams import CalendarUnit

READERS: list[Callable[[object], Any]] = [
    scalars.duration,
    scalars.positive_duration,
    scalars.window,
    scalars.size,
    scalars.size_or_any,
    scalars.share,
    scalars.pace,
    scalars.factor,
    scalars.flag,
    scalars.number,
    scalars.amount,
    scalars.text,
    scalars.secret,
    scalars.plain,
    scalars.whole(1, 9),
    scalars.matching("[a-z]+", "letters are"),
    scalars.list_of(scalars.duration),
    scalars.mapping_of(str, scalars.duration),
]


def from_environment(value: str) -> Substituted:
    """Return a value as `${X}` gives it."""
    return Substituted.of(value, "${X}", ("X",))


@pytest.mark.parametrize(
    ("read", "written", "expected"),
    [
        (scalars.duration, "500ms", 0.5),
        (scalars.duration, "100ms", 0.1),
        (scalars.duration, "90s", 90.0),
        (scalars.duration, "5m", 300.0),
        (scalars.duration, "1h", 3600.0),
        (scalars.duration, "7d", 604800.0),
        (scalars.duration, "1.5h", 5400.0),
        (scalars.duration, 3, 3.0),
        (scalars.duration, 0.25, 0.25),
        (scalars.duration, 0, 0.0),
        (scalars.duration, from_environment("90"), 90.0),
        (scalars.window, "month", CalendarUnit.MONTH),
        (scalars.window, from_environment("day"), CalendarUnit.DAY),
        (scalars.window, "60s", 60.0),
        (scalars.size, "256MiB", 256 * 1024**2),
        (scalars.size, "64KiB", 65536),
        (scalars.size, "1.5GB", 1_500_000_000),
        (scalars.size, 1000, 1000),
        (scalars.size_or_any, "any", math.inf),
        (scalars.share, "10%", 0.1),
        (scalars.share, 0.5, 0.5),
        (scalars.pace, "even", 0.1),
        (scalars.pace, "20%", 0.2),
        (scalars.factor, "3x", 3.0),
        (scalars.factor, 2, 2.0),
        (scalars.flag, from_environment("true"), True),
        (scalars.flag, False, False),
        (scalars.whole(1, 9), from_environment("9"), 9),
        (scalars.plain, False, "false"),
        (scalars.plain, 12, "12"),
        (scalars.secret, None, ""),
        (scalars.list_of(scalars.text), "a", ("a",)),
        (scalars.list_of(scalars.text), ["a", "b"], ("a", "b")),
        (scalars.mapping_of(str, scalars.duration), {"a": "1s"}, (("a", 1.0),)),
    ],
)
def test_what_is_read(read: Callable[[object], Any], written: object, expected: object) -> None:
    """Texts stand for the figures that the contract names."""
    assert read(written) == expected


@pytest.mark.parametrize(
    ("read", "written", "message"),
    [
        (scalars.duration, "5 minutes", "'5 minutes' is no duration"),
        (scalars.duration, "1h30m", "'1h30m' is no duration"),
        (scalars.duration, -1, "-1 is out of range"),
        (scalars.duration, "1e400", "'1e400' is no duration"),
        (scalars.duration, math.inf, "out of range"),
        (scalars.duration, math.nan, "out of range"),
        (scalars.duration, True, "true is no duration"),
        (scalars.duration, None, "nothing is no duration"),
        (scalars.positive_duration, 0, "must be longer than 0"),
        (scalars.window, "week", "or one of minute, hour, day, month"),
        (scalars.size, "256 megs", "'256 megs' is no size"),
        (scalars.size, -1, "-1 is no size"),
        (scalars.share, "101%", "'101%' is no share"),
        (scalars.share, 2, "2 is no share"),
        (scalars.pace, "odd", "'odd' is no pace"),
        (scalars.factor, "0.5x", "'0.5x' is no factor"),
        (scalars.flag, "no", "'no' is neither true nor false"),
        (scalars.number, "abc", "'abc' is no number"),
        (scalars.amount, -1, "-1 is negative"),
        (scalars.text, 1, "1 is no text"),
        (scalars.text, ["a"], "a list is no text"),
        (scalars.plain, 1.5, "1.5 is no plain text"),
        (scalars.whole(1, 9), 10, "10 is no whole number from 1 to 9"),
        (scalars.whole(1, 9), True, "true is no whole number"),
        (scalars.matching("a+", "a"), "b", "'b' is not allowed: a"),
        (scalars.mapping_of(str, scalars.text), [], "a list is no mapping"),
    ],
)
def test_what_is_refused(read: Callable[[object], Any], written: object, message: str) -> None:
    """A refusal says what is wrong."""
    with pytest.raises(ValueError, match=r".") as raised:
        read(written)

    assert message in str(raised.value)


def test_each_member_of_a_list_is_complained_of() -> None:
    """All faults of a list are told, each with its position."""
    with pytest.raises(scalars.FaultyError) as raised:
        scalars.list_of(scalars.flag)([True, 1, "x"])

    assert [path for path, _ in raised.value.faults] == [(1,), (2,)]


@pytest.mark.parametrize("read", READERS)
def test_a_value_from_the_environment_is_never_repeated(read: Callable[[object], Any]) -> None:
    """A message shows `${X}` and not what stood in it: that may be a secret."""
    try:
        read(from_environment("s3cr3t !"))
    except ValueError as error:
        assert "s3cr3t" not in str(error)  # noqa: PT017 - only some of them refuse it


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=4,
    )
)
def test_readers_raise_nothing_but_value_errors(value: object) -> None:
    """Whatever YAML can hold is read or refused."""
    for read in READERS:
        try:
            read(value)
        except ValueError:
            continue
