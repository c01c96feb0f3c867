"""Limits in simulated time."""

import pytest

from proxy.core.spending import Bill, Charge
from proxy.planning.simulation import Ledger
from tests.house import LIMIT, upstream

NOW = 1_763_000_000.0


def bill(cost: float) -> Bill:
    return Bill("coingecko", (Charge(LIMIT, "minute", cost),), 8.0)


def test_a_limit_runs_out_and_comes_back() -> None:
    """Thirty a minute: the first that finds none is noted, and told when to come again."""
    ledger = Ledger((upstream(),))
    ledger.now = ledger.began = NOW

    assert [ledger.spend(bill(10)) for _ in range(3)] == [None] * 3
    ledger.now = NOW + 20
    wait = ledger.spend(bill(1))
    spent = ledger.spent["coingecko", "minute"]

    assert wait is not None
    assert (3, 30, 1.0, 1, 20.0) == (
        spent.calls, spent.cost, spent.peak, spent.denied, spent.ran_out,
    )  # fmt: skip
    assert 38 <= wait <= 45
    ledger.now += wait

    assert ledger.spend(bill(1)) is None


def test_levels_follow() -> None:
    """Stretching reads the same figures."""
    ledger = Ledger((upstream(),))
    ledger.now = NOW

    assert ledger.levels("coingecko") == ()
    ledger.spend(bill(15))

    [level] = ledger.levels("coingecko")
    assert (30, pytest.approx(15), 60) == (level.size, level.used, level.window)
