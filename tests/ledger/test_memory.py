"""The ledger of one process (what it shares with the others: test_desk)."""

from proxy.core.model import Denied
from proxy.core.spending import Bill, Charge, Granted, Settled
from proxy.core.upstreams import Algorithm, Limit
from proxy.ledger.memory import MemoryLedger

LIMIT = Limit("m", 2, 64.0, Algorithm.SLIDING_WINDOW)
BILL = Bill("up", (Charge(LIMIT, "m", 2),), 8.0)


async def test_it_counts_on_its_own_clock() -> None:
    """Two of two are spent; 64 s and a slot after the answer both are there again."""
    now = [500.0]
    ledger = MemoryLedger({"up": (LIMIT,)}, boottime=lambda: now[0], wall=lambda: 1.7e9 + now[0])
    await ledger.open()
    granted = await ledger.spend(BILL)
    assert isinstance(granted, Granted)
    await ledger.settle(granted.receipt, Settled(sent=True, answered=True))
    denied = await ledger.spend(BILL)
    now[0] += 64.25
    again = await ledger.spend(BILL)
    await ledger.close()

    assert isinstance(denied, Denied)
    assert denied.retry_after == 64.25
    assert isinstance(again, Granted)
