"""The ledger in a file, between processes (what it shares with the others: test_desk)."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from proxy.backends.errors import BackendError, BackendVersionError
from proxy.core.limits import VERSION, Head
from proxy.core.model import Denied
from proxy.core.spending import LOST, Bill, Charge, Granted, Settled
from proxy.core.upstreams import Algorithm, CalendarUnit, Limit
from proxy.ledger.sqlite import SqliteLedger

LIMIT = Limit("day", 500, CalendarUnit.MONTH, Algorithm.FIXED_WINDOW)
BILL = Bill("up", (Charge(LIMIT, "day", 1),), 8.0)

_SPENDER = """
import asyncio, sys
from proxy.core.spending import Bill, Charge, Granted, Settled
from proxy.core.upstreams import Algorithm, CalendarUnit, Limit
from proxy.ledger.sqlite import SqliteLedger

LIMIT = Limit("day", 500, CalendarUnit.MONTH, Algorithm.FIXED_WINDOW)
BILL = Bill("up", (Charge(LIMIT, "day", 1),), 8.0)

async def spender(ledger):
    granted = 0
    while isinstance(decision := await ledger.spend(BILL), Granted):
        granted += 1
        print(granted, flush=True)
        await ledger.settle(decision.receipt, Settled(sent=True, answered=True, status=200))
    return granted

async def main():
    ledger = SqliteLedger(sys.argv[1], {"up": (LIMIT,)})
    await ledger.open()
    done = await asyncio.gather(*(spender(ledger) for _ in range(8)))
    await ledger.close()
    print("sum", sum(done), flush=True)

asyncio.run(main())
"""


def _spender(file: Path) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.Popen(
        [sys.executable, "-c", _SPENDER, str(file)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )


def test_processes_together_never_exceed(tmp_path: Path) -> None:
    """Two workers of eight callers each on one file: 500 of 500 are granted, not one more."""
    workers = [_spender(tmp_path / "ledger.db") for _ in range(2)]
    sums = [int(worker.communicate()[0].rsplit("sum ", 1)[1]) for worker in workers]

    assert sum(sums) == 500


async def test_a_kill_forgets_nothing(tmp_path: Path) -> None:
    """Kill -9 in the middle: at least what had been granted is counted when it starts again."""
    worker = _spender(tmp_path / "ledger.db")
    assert worker.stdout is not None
    granted = [worker.stdout.readline() for _ in range(100)]
    worker.send_signal(signal.SIGKILL)
    granted += worker.communicate()[0].splitlines()
    ledger = SqliteLedger(tmp_path / "ledger.db", {"up": (LIMIT,)})
    await ledger.open()
    (level,) = await ledger.snapshot("up")
    await ledger.close()

    assert level.used >= len(granted) >= 100


async def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    """It is not set aside, nor counted from 0: opening says so, and spending is denied."""
    file = tmp_path / "ledger.db"
    ledger = SqliteLedger(file, {"up": (LIMIT,)})
    await ledger.open()
    await ledger.close()
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()
    newer = SqliteLedger(file, {"up": (LIMIT,)})
    with pytest.raises(BackendVersionError):
        await newer.open()
    denied = await newer.spend(BILL)
    await newer.close()

    assert isinstance(denied, Denied)
    assert denied.limit == LOST


async def test_counts_of_a_newer_version_deny(tmp_path: Path) -> None:
    """A head that a newer version wrote is not understood, and not ignored."""
    file = tmp_path / "ledger.db"
    ledger = SqliteLedger(file, {"up": (LIMIT,)})
    await ledger.open()
    head = msgspec.msgpack.encode(Head(version=VERSION + 1))
    await ledger.database.write(
        lambda connection: connection.execute("INSERT INTO states VALUES ('up', '', ?)", (head,))
    )
    denied = await ledger.spend(BILL)
    await ledger.close()

    assert isinstance(denied, Denied)
    assert denied.limit == LOST


async def test_a_settlement_of_a_lost_file_is_quiet(tmp_path: Path) -> None:
    """The spend stays where it was booked; who settles hears nothing of it."""
    ledger = SqliteLedger(tmp_path / "ledger.db", {"up": (LIMIT,)})
    await ledger.open()
    granted = await ledger.spend(BILL)
    assert isinstance(granted, Granted)
    await ledger.close()
    await ledger.settle(granted.receipt, Settled(sent=True, answered=True))

    with pytest.raises(BackendError):
        await ledger.set_used("up", "day", 1.0)


async def test_what_meets_shares_a_transaction(tmp_path: Path) -> None:
    """Two hundred spends at once are a few transactions, not two hundred."""
    ledger = SqliteLedger(tmp_path / "ledger.db", {"up": (LIMIT,)})
    await ledger.open()
    batches = []
    run = ledger._states.run

    def counted(connection: sqlite3.Connection, questions: list[object]) -> object:
        batches.append(len(questions))
        return run(connection, questions)  # type: ignore[arg-type]

    ledger._states.run = counted  # type: ignore[assignment, method-assign]
    await asyncio.gather(*(ledger.spend(BILL) for _ in range(200)))
    await ledger.close()

    assert sum(batches) == 200
    assert len(batches) <= 3
