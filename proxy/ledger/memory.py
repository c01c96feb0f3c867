"""The ledger of one process, in its memory: `store: memory:`. It forgets all when it ends."""

from collections.abc import Callable

from proxy import clock
from proxy.core import limits
from proxy.core.limits import Account
from proxy.ledger.book import Limits
from proxy.ledger.desk import Desk
from proxy.ledger.gathering import Told
from proxy.ledger.questions import Question, Result, Settle, answered


class MemoryLedger(Desk):
    """A ledger in this process alone."""

    def __init__(
        self,
        upstreams: Limits,
        *,
        boottime: Callable[[], float] = clock.boottime,
        wall: Callable[[], float] = clock.wall,
    ) -> None:
        """Take each upstream's limits, and the clocks."""
        super().__init__(upstreams, boottime, wall)
        self._boottime = boottime
        self._wall = wall
        self._accounts: dict[str, Account] = {}

    async def open(self) -> None:
        """Begin; there is nothing to read."""

    async def close(self) -> None:
        """End; there is nothing to keep."""

    async def _names(self, upstream: str) -> tuple[str, ...]:
        return tuple(self._accounts.get(upstream, Account()).counts)

    async def _put(self, question: Question) -> Result:
        return self._answered(question)

    def _put_soon(self, question: Settle, told: Told, *, now: bool) -> None:
        del now
        self._answered(question)
        told(None)

    def _answered(self, question: Question) -> Result:
        upstream = question.upstream
        stored = self._accounts.get(upstream, Account())
        account, moment = limits.opened(stored, self._boottime(), self._wall())
        account, decision = answered(question, account, moment)
        moment = moment._replace(offset=account.head.offset)
        self._accounts[upstream] = account
        self.book.note(upstream, account, moment)
        return decision, account, moment
