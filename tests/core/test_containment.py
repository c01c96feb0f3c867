"""Containment: what is cut from a longer answer is what the provider would have said."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.containment import cut, keeps_last, rest, size
from proxy.core.series import Contains

LIMIT = Contains("limit", absent=500, first_from="startTime")


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
    assert (("symbol", "A"),) == rest(LIMIT, (("symbol", "A"), ("limit", "5")))


@given(st.lists(st.lists(st.decimals(allow_nan=False, allow_infinity=False).map(str), max_size=3)),
       st.integers(1, 20), st.booleans())  # fmt: skip
def test_cut_is_the_providers_own(rows: list[list[str]], count: int, last: bool) -> None:  # noqa: FBT001 - drawn
    """Byte for byte what a provider writes that was asked for fewer."""

    def written(some: list[list[str]]) -> bytes:
        return json.dumps(some, separators=(",", ":")).encode()

    kept = rows[-count:] if last else rows[:count]

    assert written(kept) == cut(written(rows), count, last=last)


def test_numbers_stay_as_they_were_written() -> None:
    """No figure is read, so none changes."""
    body = b'[[1.10,"0.00000100"],[2e3,1],[3.000000000000000000001,{"a":[1]}]]'

    assert b'[[2e3,1],[3.000000000000000000001,{"a":[1]}]]' == cut(body, 2, last=True)
    assert b'[[1.10,"0.00000100"]]' == cut(body, 1, last=False)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"code":-1121}', b"[1,", b"null", b"[" * 5000])
def test_what_is_no_array_is_not_cut(body: bytes) -> None:
    """An error, or a broken body, holds nothing."""
    assert cut(body, 1, last=True) is None
