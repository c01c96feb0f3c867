"""Fear & Greed, simulated."""

from collections.abc import Callable
from typing import Any

import pytest


def test_one_value_a_day_newest_first(
    answer: Callable[..., Any], shape: Callable[[Any], Any]
) -> None:
    """All figures are strings; only the first tells how long it holds."""
    found = answer("fear-and-greed", "/fng/?limit=3")

    assert (found["name"], found["metadata"]) == ("Fear and Greed Index", {"error": None})
    first, second, third = found["data"]
    assert shape(first) == {"value": "decimal", "value_classification": "text",
                            "timestamp": "decimal", "time_until_update": "decimal"}  # fmt: skip
    assert "time_until_update" not in second
    assert int(first["timestamp"]) - int(second["timestamp"]) == 86_400
    assert int(third["timestamp"]) % 86_400 == 0


def test_the_value_holds_until_the_day_ends(answer: Callable[..., Any]) -> None:
    """`time_until_update` counts down to midnight UTC, and then the value changes hands."""
    now = 1_795_232_239.0
    first = answer("fear-and-greed", "/fng/", now=now)["data"][0]
    left = int(first["time_until_update"])
    later = answer("fear-and-greed", "/fng/", now=now + left - 1)["data"][0]

    assert (now + left) % 86_400 == 0
    assert (later["value"], later["time_until_update"]) == (first["value"], "1")
    assert answer("fear-and-greed", "/fng", now=now + left)["data"][0]["timestamp"] == str(
        int(now) + left
    )


@pytest.mark.parametrize(("limit", "count"), [("", 1), ("?limit=30", 30), ("?limit=0", 2000)])
def test_the_limit_says_how_many_days(answer: Callable[..., Any], limit: str, count: int) -> None:
    """One unless said otherwise; 0 is all there are."""
    assert len(answer("fear-and-greed", f"/fng/{limit}")["data"]) == count
