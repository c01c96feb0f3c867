"""A flood in front of queue and ledger: what one request of it costs, the more of them wait."""

import asyncio
import cProfile
import pstats

import pytest

from proxy.core.model import Client
from proxy.core.upstreams import Algorithm, Limit
from tests.clockwork import turned
from tests.test_fairness import house


async def _flood(number: int, clients: int) -> int:
    """All come at once, a tenth goes each minute; return how many waited."""
    limit = Limit("minute", number / 10, 60.0, Algorithm.SLIDING_WINDOW)
    async with house(limit) as home, asyncio.TaskGroup() as group:
        for each in range(number):
            client = Client(identity=str(each % clients))
            group.create_task(home.ask(client, 3000.0, most=number))
        await asyncio.sleep(1)
        return home.queues.length("up")


def _calls(number: int, clients: int) -> float:
    """Return the calls of functions that each request took, from its coming to its answer."""
    profile = cProfile.Profile()
    profile.enable()
    waited = turned(_flood(number, clients))
    profile.disable()

    assert waited == number * 9 / 10
    return float(pstats.Stats(profile).total_calls) / number  # type: ignore[attr-defined]  # not in its stub


@pytest.mark.parametrize("each", [200, 1])
def test_a_request_costs_as_much_among_ten_thousand_as_among_a_thousand(each: int) -> None:
    """Of fifty clients or of as many: queue, shares, ledger and the loop's own calls."""
    few, many = (_calls(number, number // each) for number in (1_000, 10_000))

    assert many <= 1.1 * few
