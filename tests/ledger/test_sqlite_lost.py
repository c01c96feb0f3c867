"""The ledger in a file that is removed under it: it goes on from what its processes know.

The clocks stand still: what falls into the same slot is the same call, what does not may not be.
"""

from pathlib import Path

import pytest

from proxy.core.spending import Bill, Charge, Granted, Settled
from proxy.core.upstreams import Algorithm, CalendarUnit, Limit
from proxy.ledger.sqlite import SqliteLedger

MONTH = Limit("month", 500, CalendarUnit.MONTH, Algorithm.FIXED_WINDOW)
MINUTE = Limit("minute", 30, 60.0, Algorithm.SLIDING_WINDOW)
LIMITS = (MONTH, MINUTE)
BOTH = Bill("up", (Charge(MONTH, "month", 1), Charge(MINUTE, "minute", 1)), 8.0)
OTHER = Bill("other", (Charge(MONTH, "month", 7),), 8.0)
ANSWERED = Settled(sent=True, answered=True, status=200)


async def _opened(file: Path) -> SqliteLedger:
    limits = {"up": LIMITS, "other": (MONTH,)}
    ledger = SqliteLedger(file, limits, boottime=lambda: 5000.0, wall=lambda: 1.7e9)
    await ledger.open()
    return ledger


async def _spend(ledger: SqliteLedger, bill: Bill) -> None:
    decision = await ledger.spend(bill)
    assert isinstance(decision, Granted)
    await ledger.settle(decision.receipt, ANSWERED)


async def _used(ledger: SqliteLedger, upstream: str) -> dict[str, float]:
    return {level.bucket: level.used for level in await ledger.snapshot(upstream)}


def _remove(file: Path) -> None:
    for each in file.parent.glob(f"{file.name}*"):
        each.unlink()


async def test_a_file_that_is_removed_forgets_nothing(tmp_path: Path) -> None:
    """What was spent stays spent, of every upstream, also for who comes after a kill."""
    file = tmp_path / "ledger.db"
    ledger = await _opened(file)
    for _ in range(5):
        await _spend(ledger, BOTH)
    await _spend(ledger, OTHER)
    _remove(file)
    await _spend(ledger, BOTH)

    assert await _used(ledger, "up") == {"month": 6, "minute": 6}

    later = await _opened(file)  # the first never said goodbye

    assert await _used(later, "up") == {"month": 6, "minute": 6}
    assert await _used(later, "other") == {"month": 7}
    await ledger.close()
    await later.close()


@pytest.mark.parametrize(("first", "least"), [(0, 9), (1, 10)])
async def test_of_several_processes_the_higher_figure_stands(
    tmp_path: Path, first: int, least: int
) -> None:
    """One knew of five, the other of eight, and each spends one more: eight are never forgotten.

    What the first spends before it hears from the second is among them.
    """
    file = tmp_path / "ledger.db"
    both = [await _opened(file) for _ in range(2)]
    for spender in (*(0,) * 5, *(1,) * 3):
        await _spend(both[spender], BOTH)
    _remove(file)
    for turn in (first, 1 - first):
        await _spend(both[turn], BOTH)

    for ledger in both:
        assert await _used(ledger, "up") == {"month": least, "minute": least}
        await ledger.close()
