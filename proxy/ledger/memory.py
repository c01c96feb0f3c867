"""The ledger of one process, in its memory: `store: memory:`. It forgets all when it ends."""

from collections.abc import Callable

from proxy import clock
from proxy.core import limits
from proxy.core.counts import Moment
from proxy.core.limits import Account
from proxy.core.model import Denied
from proxy.core.spending import Bill, Granted, Level, Receipt, Settled
from proxy.ledger.book import Book, Limits


class MemoryLedger:
    """A ledger in this process alone."""

    def __init__(
        self,
        upstreams: Limits,
        *,
        boottime: Callable[[], float] = clock.boottime,
        wall: Callable[[], float] = clock.wall,
    ) -> None:
        """Take each upstream's limits, and the clocks."""
        self.book = Book(boottime, wall)
        self.book.configure(upstreams)
        self._boottime = boottime
        self._wall = wall
        self._accounts: dict[str, Account] = {}

    async def open(self) -> None:
        """Begin; there is nothing to read."""

    async def close(self) -> None:
        """End; there is nothing to keep."""

    def configure(self, upstreams: Limits) -> None:
        """Take the limits in force after a reload; the counts stay."""
        self.book.configure(upstreams)

    async def spend(self, bill: Bill) -> Granted | Denied:
        """Spend all that the bill names, or nothing."""
        order = self.book.order(bill)
        account, moment = self._opened(bill.upstream)
        rules = self.book.rules(bill.upstream, (bucket for bucket, _ in order.charges))
        account, decision = limits.spend(account, order, rules, moment)
        self._keep(bill.upstream, account, moment)
        return self.book.answer(bill, order, decision, account, moment)

    async def settle(self, receipt: Receipt, settled: Settled) -> None:
        """Say how the exchange ended."""
        if not self.book.closes(receipt):
            return
        upstream = receipt.bill.upstream
        ending = self.book.ending(receipt, settled)
        rules = self.book.rules(upstream, limits.named(ending))
        account, moment = self._opened(upstream)
        self._keep(upstream, limits.settle(account, ending, rules, moment), moment)

    def levels(self, upstream: str) -> tuple[Level, ...]:
        """Return how the upstream's counts stand."""
        return self.book.levels(upstream)

    async def snapshot(self, upstream: str) -> tuple[Level, ...]:
        """Return how the upstream's counts stand."""
        return self.book.levels(upstream)

    def held_for(self, upstream: str) -> float:
        """Return for how many more seconds the upstream is held; else 0."""
        return self.book.held_for(upstream)

    def _opened(self, upstream: str) -> tuple[Account, Moment]:
        return limits.opened(
            self._accounts.get(upstream, Account()), self._boottime(), self._wall()
        )

    def _keep(self, upstream: str, account: Account, moment: Moment) -> None:
        self._accounts[upstream] = account
        self.book.note(upstream, account, moment)
