"""The IETF's RateLimit fields, the present form and the older ones."""

import pytest

from proxy.core.rate_limits import REMAINING, RESET, SIZE, figure


@pytest.mark.parametrize(
    ("value", "name", "expected"),
    [
        ('"minute";r=50;t=30', REMAINING, 50.0),
        ('"minute";r=50;t=30', RESET, 30.0),
        ('"minute";q=100;w=60', SIZE, 100.0),
        ('"day";r=9;t=400, "minute";r=50;t=30', REMAINING, 50.0),
        ('"day";r=9;t=400, "hour";r=50;t=30', REMAINING, 9.0),
        ('"day";r=9;t=400, "hour";r=50;t=30', RESET, 400.0),
        ("limit=100, remaining=50, reset=30", REMAINING, 50.0),
        ("limit=100, remaining=50, reset=30", SIZE, 100.0),
        ("limit=100, remaining=50, reset=30", RESET, 30.0),
        ('"minute";r=-1', REMAINING, None),
        ('"minute";r=?1', REMAINING, None),
        ('"minute";r="many"', REMAINING, None),
        ('"minute"', REMAINING, None),
        ("50", REMAINING, None),
        ("a b", REMAINING, None),
        ("", REMAINING, None),
        ("remaining=lots", REMAINING, None),
        ("\xff", REMAINING, None),
    ],
)
def test_figures(value: str, name: str, expected: float | None) -> None:
    """The policy of the limit's name, else the scarcest; what is malformed says nothing."""
    assert figure(value, name, "minute") == expected
