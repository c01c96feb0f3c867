"""/api/v1/quota, and the forecast."""

import pytest

from proxy.admin import observations as seen
from proxy.admin.observations import Observations
from proxy.admin.quota import forecast, quota
from proxy.core.upstreams import Algorithm, Limit
from tests.admin.house import MINUTE, MONTH, WrittenHouse, WrittenLedger, level

DAY = 86400.0


async def test_the_shape_is_the_contracts() -> None:
    """Each limit with its figures, the hold, and who waits."""
    standing = (level(MINUTE, 12.0, 45.0), level(MONTH, 7421.0, 10 * DAY))
    counts = Observations(lambda: {(seen.WAITING, "coingecko"): 3.0})
    house = WrittenHouse(WrittenLedger(standing, held=20.0), observations=counts)

    assert {
        "upstreams": {
            "coingecko": {
                "limits": {
                    "minute": {
                        "limit": 30.0,
                        "used": 12.0,
                        "remaining": 18.0,
                        "resets_at": "2026-11-18T11:07:25Z",
                        "algorithm": "sliding_window",
                        "forecast": None,
                    },
                    "month": {
                        "limit": 10000.0,
                        "used": 7421.0,
                        "remaining": 2579.0,
                        "resets_at": "2026-11-28T11:06:40Z",
                        "algorithm": "fixed_window",
                        "forecast": "2026-11-25T09:55:28Z",
                    },
                },
                "blocked_until": "2026-11-18T11:07:00Z",
                "waiting": 3,
            }
        }
    } == await quota(house.house)


async def test_a_limit_that_nobody_spent_from_is_shown_whole() -> None:
    """It has no reset: it is whole already."""
    shown = (await quota(WrittenHouse().house))["upstreams"]["coingecko"]

    assert {"limit": 30.0, "used": 0.0, "remaining": 30.0, "resets_at": None}.items() <= (
        shown["limits"]["minute"].items()
    )
    assert (None, 0) == (shown["blocked_until"], shown["waiting"])


async def test_keys_that_clients_bring_make_no_name() -> None:
    """Of the credentials' counts the fullest is shown, under the limit's own name."""
    standing = (
        level(MINUTE, 2.0, 1.0, "minute@ab12"),
        level(MINUTE, 9.0, 1.0, "minute@cd34"),
        level(MINUTE, 4.0, 1.0, "minute/price"),
    )
    shown = (await quota(WrittenHouse(WrittenLedger(standing)).house))["upstreams"]["coingecko"]

    assert {"minute", "minute/price", "month"} == shown["limits"].keys()
    assert 9.0 == shown["limits"]["minute"]["used"]


@pytest.mark.parametrize(
    ("limit", "used", "resets_in", "expected"),
    [
        (MONTH, 0.0, 0.0, None),
        (MONTH, 5000.0, 15 * DAY, None),
        (MONTH, 7500.0, 15 * DAY, 5 * DAY),
        (MONTH, 10_000.0, 15 * DAY, 0.0),
        (MONTH, 10.0, 30 * DAY, None),
        (MINUTE, 29.0, 59.0, None),
        (Limit("b", 10.0, 60.0, Algorithm.TOKEN_BUCKET), 9.0, 50.0, None),
    ],
)
def test_forecast(limit: Limit, used: float, resets_in: float, expected: float | None) -> None:
    """At the pace of its window so far, and only where it ends before the window does."""
    found = forecast(level(limit, used, resets_in))

    assert found == (None if expected is None else pytest.approx(expected))
