"""Containment: what is cut from a longer answer is what the provider would have said."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.containment import Part, cut, keeps_last, rest, size, start
from proxy.core.series import Contains

LIMIT = Contains("limit", absent=500, first_from="startTime", opens=0)


@pytest.mark.parametrize(
    ("parameters", "elements"),
    [
        ((), 500),
        ((("limit", "100"),), 100),
        ((("limit", "0"),), None),
        ((("limit", "-1"),), None),
        ((("limit", "1.5"),), None),
        ((("limit", "10"), ("limit", "20")), None),
        ((("limit", "9" * 30),), None),
    ],
)
def test_how_many_are_asked_for(
    parameters: tuple[tuple[str, str], ...], elements: int | None
) -> None:
    """A plain count, or the default; anything else is left alone."""
    assert elements == size(LIMIT, parameters)


def test_a_start_makes_it_the_first_ones() -> None:
    """Binance lists from `startTime` on where there is one, else up to now."""
    assert keeps_last(LIMIT, (("symbol", "A"),))
    assert not keeps_last(LIMIT, (("startTime", "1"),))
    assert not keeps_last(Contains("limit", keeps="first"), ())


def test_all_else_must_agree() -> None:
    """What is left of the parameters names the family."""
    asked = (("symbol", "A"), ("limit", "5"), ("startTime", "1"))

    assert (("symbol", "A"), ("startTime", "1")) == rest(LIMIT, asked)
    assert (("symbol", "A"),) == rest(LIMIT, asked, latest=True)


@pytest.mark.parametrize(
    ("parameters", "moment"),
    [
        ((("startTime", "1763000000000"),), 1_763_000_000_000),
        ((), None),
        ((("startTime", "-1"),), None),
        ((("startTime", "1e3"),), None),
        ((("startTime", "1"), ("startTime", "2")), None),
        ((("startTime", "1" * 16),), None),
    ],
)
def test_from_when_on(parameters: tuple[tuple[str, str], ...], moment: int | None) -> None:
    """A plain number of milliseconds; where elements do not tell theirs, none is looked up."""
    assert moment == start(LIMIT, parameters)
    assert start(Contains("limit", first_from="startTime"), parameters) is None


@given(st.lists(st.lists(st.decimals(allow_nan=False, allow_infinity=False).map(str), max_size=3)),
       st.integers(1, 20), st.booleans())  # fmt: skip
def test_cut_is_the_providers_own(rows: list[list[str]], count: int, last: bool) -> None:  # noqa: FBT001 - drawn
    """Byte for byte what a provider writes that was asked for fewer."""

    def written(some: list[list[str]]) -> bytes:
        return json.dumps(some, separators=(",", ":")).encode()

    kept = rows[-count:] if last else rows[:count]

    assert written(kept) == cut(written(rows), Part(count, last), 500)


def test_numbers_stay_as_they_were_written() -> None:
    """No figure is read, so none changes."""
    body = b'[[1.10,"0.00000100"],[2e3,1],[3.000000000000000000001,{"a":[1]}]]'

    assert b'[[2e3,1],[3.000000000000000000001,{"a":[1]}]]' == cut(body, Part(2), 500)
    assert b'[[1.10,"0.00000100"]]' == cut(body, Part(1, last=False), 500)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"code":-1121}', b"[1,", b"null", b"[" * 5000])
def test_what_is_no_array_is_not_cut(body: bytes) -> None:
    """An error, or a broken body, holds nothing."""
    assert cut(body, Part(1), 500) is None


def candles(opened: list[int]) -> bytes:
    return json.dumps([[each, "0.10"] for each in opened], separators=(",", ":")).encode()


@given(
    st.lists(st.integers(0, 50), unique=True).map(sorted),
    st.integers(0, 55), st.integers(1, 8), st.integers(1, 60),
)  # fmt: skip
def test_what_is_cut_from_a_start_is_the_providers_own(
    every: list[int], moment: int, count: int, asked: int
) -> None:
    """Of all candles that there are, those from the start on, the first so many: or nothing."""
    latest = every[-asked:]
    found = cut(candles(latest), Part(count, last=False, start=moment), asked)
    own = [each for each in every if each >= moment][:count]

    assert found in (candles(own), None)
    reaches = len(latest) < asked or latest[0] <= moment
    assert (found is not None) == bool(own and reaches)


@pytest.mark.parametrize("body", [b"[1,2]", b"[[]]", b'[["1"]]', b"[{}]", b"[[1.5]]"])
def test_elements_that_do_not_tell_when_they_open(body: bytes) -> None:
    """Nothing is known of them, so nothing is cut."""
    assert cut(body, Part(1, last=False, start=1), 500) is None
