"""The ledger in a SQLite file: shared by all workers of a machine, kept across restarts.

Rules
- The arithmetic runs in the file's thread, inside the transaction that reads and writes the state:
  two processes can never both take the last token.
- Ledger's time is the boot-time clock plus a shift that stands in the file. After a reboot, which
  the boot's id shows, the shift is chosen anew so that as much time has passed as on the wall.
- What meets in a tick, and what comes while a transaction is under way, shares one transaction.
- A damaged file, or one of a newer version, is an error and never a count of nothing.
"""

from collections.abc import Callable
from pathlib import Path

import structlog

from proxy import clock
from proxy.backends.errors import BackendError
from proxy.backends.sqlite import Sqlite
from proxy.core import limits
from proxy.core.limits import Booked
from proxy.core.model import Denied
from proxy.core.spending import Bill, Granted, Level, Receipt, Settled
from proxy.ledger.book import Book, Limits, lost
from proxy.ledger.gathering import Gathering
from proxy.ledger.questions import Look, Question, Settle, Spend, given_back
from proxy.ledger.states import SCHEMA, Result, States
from proxy.tasks import Tasks

_log = structlog.get_logger("ledger")


class SqliteLedger:
    """A ledger in a file."""

    def __init__(
        self,
        path: Path | str,
        upstreams: Limits,
        *,
        boottime: Callable[[], float] = clock.boottime,
        wall: Callable[[], float] = clock.wall,
        boot_id: Callable[[], str] = clock.boot_id,
        timeout: float = 5.0,
    ) -> None:
        """Take the file, each upstream's limits, the clocks, and the longest wait for a lock."""
        self.book = Book(boottime, wall)
        self.book.configure(upstreams)
        self.database = Sqlite(path, SCHEMA, timeout=timeout)
        self._states = States(boottime, wall, boot_id())
        self._tasks = Tasks(lambda name, error: _log.error("task_failed", task=name, error=error))
        self._gathering = Gathering(self._ask, self._orphaned, self._tasks, one_at_a_time=True)

    async def open(self) -> None:
        """Open the file.

        Raises:
            BackendError: it cannot be; the ledger may be used, and tries again at each call.

        """
        await self.database.open()

    async def close(self) -> None:
        """Do what was asked, and close the file."""
        await self.database.close()
        await self._tasks.close()

    def configure(self, upstreams: Limits) -> None:
        """Take the limits in force after a reload; the counts stay."""
        self.book.configure(upstreams)

    async def spend(self, bill: Bill) -> Granted | Denied:
        """Spend all that the bill names, or nothing."""
        order = self.book.order(bill)
        rules = self.book.rules(bill.upstream, (bucket for bucket, _ in order.charges))
        try:
            result = await self._gathering.submit(Spend(bill.upstream, order, rules))
        except BackendError as error:
            _log.warning("ledger_lost", upstream=bill.upstream, reason=str(error))
            return lost()
        decision, account, moment = result
        assert decision is not None  # noqa: S101 - a spend is always decided
        return self.book.answer(bill, order, decision, account, moment)

    async def settle(self, receipt: Receipt, settled: Settled) -> None:
        """Say how the exchange ended; where that cannot be written, it counts as booked."""
        if not self.book.closes(receipt):
            return
        upstream = receipt.bill.upstream
        ending = self.book.ending(receipt, settled)
        await self._settle(
            Settle(upstream, ending, self.book.rules(upstream, limits.named(ending)))
        )

    def levels(self, upstream: str) -> tuple[Level, ...]:
        """Return how the upstream's counts stand, as last known here; makes no call."""
        return self.book.levels(upstream)

    def held_for(self, upstream: str) -> float:
        """Return for how many more seconds the upstream is held, as last known here; else 0."""
        return self.book.held_for(upstream)

    async def snapshot(self, upstream: str) -> tuple[Level, ...]:
        """Return how the upstream's counts stand now; as last known where the file is lost."""
        look = Look(upstream, tuple(self.book.limits(upstream)))
        try:
            _, account, moment = await self._gathering.submit(look)
        except BackendError:
            return self.book.levels(upstream)
        return self.book.stand(upstream, account, moment)

    async def _settle(self, question: Settle) -> None:
        try:
            await self._gathering.submit(question)
        except BackendError as error:
            _log.warning("settlement_lost", upstream=question.upstream, reason=str(error))

    async def _ask(self, questions: list[Question]) -> list[Result]:
        results = await self.database.write(
            lambda connection: self._states.run(connection, questions)
        )
        for question, (_, account, moment) in zip(questions, results, strict=True):
            self.book.note(question.upstream, account, moment)
        return results

    def _orphaned(self, question: Question, result: Result) -> None:
        if isinstance(question, Spend) and isinstance(result[0], Booked):
            self._tasks.start(self._settle(given_back(question, result[0])), "refund")
