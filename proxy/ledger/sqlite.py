"""The ledger in a SQLite file: shared by all workers of a machine, kept across restarts.

Rules
- The arithmetic runs in the file's thread, inside the transaction that reads and writes the state:
  two processes can never both take the last token.
- Ledger's time is the boot-time clock plus a shift that stands in the file. After a reboot, which
  the boot's id shows, the shift is chosen anew so that as much time has passed as on the wall.
- What meets in a tick, and what comes while a transaction is under way, shares one transaction.
- A damaged file, or one of a newer version, is an error and never a count of nothing.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path

from proxy import clock
from proxy.backends.sqlite import Sqlite
from proxy.ledger.book import Limits
from proxy.ledger.desk import Desk
from proxy.ledger.gathering import Gathering, Told
from proxy.ledger.questions import Question, Result, Settle
from proxy.ledger.states import SCHEMA, States


class SqliteLedger(Desk):
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
        super().__init__(upstreams, boottime, wall)
        self.database = Sqlite(path, SCHEMA, timeout=timeout)
        self._states = States(boottime, wall, boot_id())
        self._gathering = Gathering(self._ask, self._orphaned, self._tasks, one_at_a_time=True)

    @property
    def reachable(self) -> bool:
        """Whether the last use of the file went well."""
        return self.database.up

    async def open(self) -> None:
        """Open the file.

        Raises:
            BackendError: it cannot be; the ledger may be used, and tries again at each call.

        """
        await self.database.open()

    async def close(self) -> None:
        """Do what was asked, and close the file."""
        await self._gathering.flushed()
        await self.database.close()
        await self._tasks.close()

    def _put(self, question: Question) -> Awaitable[Result]:
        return self._gathering.submit(question)

    def _put_soon(self, question: Settle, told: Told, *, now: bool) -> None:
        self._gathering.tell(question, told, now=now)

    async def _names(self, upstream: str) -> tuple[str, ...]:
        return await self.database.write(
            lambda connection: self._states.names(connection, upstream)
        )

    async def _ask(self, questions: list[Question]) -> list[Result]:
        results = await self.database.write(
            lambda connection: self._states.run(connection, questions)
        )
        last = {
            question.upstream: (account, moment)
            for question, (_, account, moment) in zip(questions, results, strict=True)
        }  # the last account of an upstream has all that those before it had
        for upstream, (account, moment) in last.items():
            self.book.note(upstream, account, moment)
        return results
