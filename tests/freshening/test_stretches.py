"""Stretches: hits go on while a limit is short, and say so; on the shortest way too."""

from collections.abc import AsyncIterator

import pytest

from proxy.core.model import Request
from proxy.core.spending import Level
from proxy.freshening.stretches import Stretches
from tests.house import House, OpenLedger, at_once, endpoint, upstream

PRICE = endpoint("price", "/price", stretch=3.0)
ASKED = Request("GET", "/coingecko/price", "ids=bitcoin", (), "proxy", 8080)


class ShortLedger(OpenLedger):
    """Says how much of the limit is used."""

    used = 0.0

    def levels(self, _upstream: str) -> tuple[Level, ...]:
        return (Level("minute", "minute", 30, 30 * self.used, 60, "sliding_window", 60),)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    built = House(upstream(PRICE), ledger=ShortLedger())
    yield built
    await built.close()
    assert built.errors == []


def use(house: House, share: float) -> None:
    assert isinstance(house.ledger, ShortLedger)
    house.ledger.used = share


async def test_a_short_limit_makes_hits_of_what_would_end(house: House) -> None:
    """An entry that is stored already stretches, says so, and shows the TTL that is in force."""
    await house.ask()
    use(house, 1.0)
    house.clock += 100
    answer = await house.ask()

    assert ("HIT", "stretched", 100, 80) == (
        answer.account.verdict, answer.account.detail, answer.account.age, answer.account.ttl,
    )  # fmt: skip
    house.clock += 81

    assert (await house.ask()).account.verdict == "MISS"


async def test_the_shortest_way_follows(house: House) -> None:
    """A known head is a hit for as long as the ordinary way would say so, and no longer."""
    await house.ask()
    use(house, 1.0)
    house.clock += 100
    await house.ask()
    again = at_once(house.flow, ASKED)

    assert again is not None
    assert ("stretched", 80) == (again.account.detail, again.account.ttl)
    use(house, 0.0)
    house.clock += 61

    assert at_once(house.flow, ASKED) is None
    assert (await house.ask()).account.verdict == "MISS"


async def test_with_room_nothing_stretches(house: House) -> None:
    """The TTL promises what it says."""
    await house.ask()
    use(house, 0.5)
    house.clock += 61

    assert (await house.ask()).account.verdict == "MISS"


def test_it_is_worked_out_once_a_second() -> None:
    """A factor is used for a second; those in use can be seen."""
    ledger = ShortLedger()
    stretches = Stretches(ledger)
    gecko = upstream(PRICE)
    ledger.used = 1.0

    assert stretches.factor(gecko, PRICE, 100.0) == 3.0
    ledger.used = 0.0

    assert stretches.factor(gecko, PRICE, 100.9) == 3.0
    assert stretches.factor(gecko, PRICE, 131.0) < 3.0
    assert stretches.factor(gecko, endpoint("plain", "/plain"), 131.0) == 1.0
    assert list(stretches.factors) == [("coingecko", "price")]
