"""What is said of a long budget's end, and how often."""

from collections.abc import Iterator

import pytest
import structlog
from structlog.testing import capture_logs

from proxy.admin.forecasts import Forecasts
from proxy.core.spending import Level
from tests.admin.house import MINUTE, MONTH, WrittenHouse, level

DAY = 86400.0


@pytest.fixture(autouse=True)
def _structlog() -> Iterator[None]:
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


async def test_it_is_said_once_each_way() -> None:
    """When it turns bad and when it is well again, however often one looks."""
    house, said = WrittenHouse(), []
    with capture_logs() as logs:
        forecasts = Forecasts(house.house)
        for used, resets_in in ((1000.0, 20.0), (7500.0, 15.0), (7600.0, 15.0), (1.0, 29.0)):
            house.ledger.levels = (level(MONTH, used, resets_in * DAY),)
            await forecasts.look()
            await forecasts.look()
            said.append([entry["event"] for entry in logs])
            logs.clear()

    assert [[], ["quota_runs_out"], [], ["quota_lasts_again"]] == said


async def test_it_says_when() -> None:
    """The moment it runs out, and when it is whole again."""
    house = WrittenHouse()
    house.ledger.levels = (level(MONTH, 7421.0, 10 * DAY),)
    with capture_logs() as logs:
        await Forecasts(house.house).look()

    [entry] = logs
    assert ("coingecko", "month", "warning") == (
        entry["upstream"],
        entry["limit"],
        entry["log_level"],
    )
    assert ("2026-11-25T09:55:28Z", "2026-11-28T11:06:40Z") == (
        entry["runs_out_at"],
        entry["resets_at"],
    )


@pytest.mark.parametrize(
    "standing",
    [
        level(MONTH, 900.0, 29.9 * DAY),
        level(MONTH, 5050.0, 15 * DAY),
        level(MONTH, 0.0, 0.0),
        level(MINUTE, 30.0, 59.0),
    ],
    ids=["too early to say", "within the margin", "unspent", "short"],
)
async def test_nobody_is_alarmed(standing: Level) -> None:
    """By what means nothing, or passes within the minute."""
    house = WrittenHouse()
    house.ledger.levels = (standing,)
    with capture_logs() as logs:
        await Forecasts(house.house).look()

    assert [] == logs
