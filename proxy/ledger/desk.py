"""The desk: what every ledger does the same, whoever counts behind it.

A ledger that cannot be reached denies; a settlement that cannot be told leaves the spend where it
was booked. A grant whose caller went away meanwhile is given back.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Iterator

import structlog

from proxy.backends.errors import BackendError
from proxy.core import transfers
from proxy.core.counts import Count
from proxy.core.limits import Account, Adjustment, Booked
from proxy.core.model import Denied
from proxy.core.rules import Rule
from proxy.core.spending import Bill, Granted, Level, Outlook, Receipt, Settled
from proxy.core.transfers import Carried
from proxy.ledger.book import Book, Limits, lost
from proxy.ledger.gathering import Told
from proxy.ledger.questions import Adjust, Look, Prune, Question, Result, Settle, Spend, given_back
from proxy.tasks import Tasks

_PART = 500
"""Counts that are looked at in one call."""

_log = structlog.get_logger("ledger")


class Desk(ABC):
    """A ledger, but for where it counts."""

    def __init__(
        self, upstreams: Limits, boottime: Callable[[], float], wall: Callable[[], float]
    ) -> None:
        """Take each upstream's limits, and the clocks: seconds since boot, and Unix time."""
        self.book = Book(boottime, wall)
        self.book.configure(upstreams)
        self._tasks = Tasks(lambda name, error: _log.error("task_failed", task=name, error=error))

    @abstractmethod
    def _put(self, question: Question) -> Awaitable[Result]:
        """Answer a question, and note the account as it then stands.

        Raises:
            BackendError: where the counts lie cannot be reached or read.

        """

    @abstractmethod
    def _put_soon(self, question: Settle, told: Told, *, now: bool) -> None:
        """Have a question answered whose answer nobody waits for, `now` or a moment later."""

    @abstractmethod
    async def _names(self, upstream: str) -> tuple[str, ...]:
        """Return the buckets that the ledger holds counts of.

        Raises:
            BackendError: where the counts lie cannot be reached or read.

        """

    @property
    def reachable(self) -> bool:
        """Whether the counts could be reached when they were needed last."""
        return True

    @property
    def alone(self) -> frozenset[str]:
        """The upstreams that this process counts alone, the ledger being lost."""
        return frozenset()

    def configure(self, upstreams: Limits) -> None:
        """Take the limits in force after a reload; the counts stay."""
        self.book.configure(upstreams)

    async def spend(self, bill: Bill) -> Granted | Denied:
        """Spend all that the bill names, or nothing."""
        terms = self.book.terms(bill)
        order = self.book.order_at(terms)
        question = Spend(bill.upstream, order, terms.rules)
        try:
            decision, account, moment = await self._put(question)
        except BackendError as error:
            return self._spend_alone(bill, question, error)
        if terms.keyed and self.book.crowded(bill):
            self._tasks.start(self._prune(bill.upstream), "prune")
        assert decision is not None  # noqa: S101 - a spend is always decided
        return self.book.answer(bill, order, decision, account, moment)

    async def settle(self, receipt: Receipt, settled: Settled) -> None:
        """Say how the exchange ended; where that cannot be told, it counts as booked."""
        if not self.book.closes(receipt):
            return
        ending, rules = self.book.ending(receipt, settled)
        await self._settle(Settle(receipt.bill.upstream, ending, rules))

    def settle_soon(
        self, receipt: Receipt, settled: Settled, counted: Callable[[str], None]
    ) -> None:
        """Say how the exchange ended, with what next goes to the ledger: nobody waits for it.

        `counted` is told the upstream when that is done: its counts may stand better than they did.
        """
        if not self.book.closes(receipt):
            return
        ending, rules = self.book.ending(receipt, settled)
        question = Settle(receipt.bill.upstream, ending, rules)

        def told(error: Exception | None) -> None:
            if isinstance(error, BackendError):
                self._settle_alone(question, error)
            elif error is not None:
                _log.error("task_failed", task="settle", error=error)
            counted(question.upstream)

        # A refund, a hold and the end of a probe are what others wait for.
        self._put_soon(
            question, told, now=not settled.sent or settled.hold is not None or receipt.probe
        )

    def levels(self, upstream: str) -> tuple[Level, ...]:
        """Return how the upstream's counts stand, as last known here; makes no call."""
        return self.book.levels(upstream)

    def outlook(self, upstream: str, bucket: str) -> Outlook | None:
        """Return what may be spent of a count and when more comes, as last known; makes no call."""
        return self.book.outlook(upstream, bucket)

    def held_for(self, upstream: str) -> float:
        """Return for how many more seconds the upstream is held, as last known here; else 0."""
        return self.book.held_for(upstream)

    async def snapshot(self, upstream: str) -> tuple[Level, ...]:
        """Return how the upstream's counts stand now; as last known where the counts are lost."""
        try:
            _, account, moment = await self._put(self._look(upstream))
        except BackendError:
            return self.book.levels(upstream)
        return self.book.stand(upstream, account, moment)

    async def set_used(self, upstream: str, bucket: str, used: float) -> bool:
        """Set what is used of a limit (what is in flight is among it); False: no such bucket.

        Raises:
            BackendError: the counts cannot be reached.

        """
        return await self._adjust(upstream, Adjustment(bucket, ((0.0, used),)))

    async def take_over(self, carried: Iterable[Carried]) -> int:
        """Take counts from another ledger, where they are higher; return how many were known here.

        Raises:
            BackendError: the counts cannot be reached.

        """
        known = 0
        for each in carried:
            adjustment = Adjustment(each.bucket, each.log, least=True)
            limit = self.book.limit_of(each.upstream, each.bucket)
            if limit is not None:
                self.book.learn(each.upstream, each.bucket, limit)
                known += await self._adjust(each.upstream, adjustment)
        return known

    async def carried(self) -> tuple[Carried, ...]:
        """Return all counts, as another ledger can take them.

        Raises:
            BackendError: the counts cannot be reached.

        """
        found: list[Carried] = []
        for upstream in self.book.upstreams:
            for rules in await self._stored(upstream):
                _, account, moment = await self._put(Look(upstream, rules))
                counts = {
                    bucket: account.counts[bucket] for bucket in rules if bucket in account.counts
                }
                found += transfers.carried(upstream, Account(account.head, counts), rules, moment)
        return tuple(found)

    # ── inside ──

    async def _stored(self, upstream: str, mark: str = "") -> Iterator[dict[str, Rule]]:
        """Return how those of the stored counts are kept whose names have the mark, by parts.

        What the configuration has no limit for any more is left out.
        """
        limits_of = {
            bucket: limit
            for bucket in await self._names(upstream)
            if mark in bucket and (limit := self.book.limit_of(upstream, bucket)) is not None
        }
        for bucket, limit in limits_of.items():
            self.book.learn(upstream, bucket, limit)
        parts = (tuple(limits_of)[at : at + _PART] for at in range(0, len(limits_of), _PART))
        return (self.book.rules(upstream, part) for part in parts)

    async def _prune(self, upstream: str) -> None:
        """Forget credentials' counts, here and in the ledger, that nobody has spent from for long.

        They stand as if nobody ever had, so that nothing is lost.
        """
        try:
            for rules in await self._stored(upstream, "@"):
                _, account, moment = await self._put(Prune(upstream, rules))
                counts = {name: count for name, count in account.counts.items() if name in rules}
                gone = {name: Count(rule.slot) for name, rule in rules.items()} | counts
                self.book.forget(upstream, Account(account.head, gone), moment)
        except BackendError as error:
            _log.warning("pruning_failed", upstream=upstream, reason=str(error))
        finally:
            self.book.thinned(upstream)

    def _spend_alone(self, bill: Bill, _question: Spend, error: BackendError) -> Granted | Denied:
        """Decide without the ledger."""
        _log.warning("ledger_lost", upstream=bill.upstream, reason=str(error))
        return lost()

    def _settle_alone(self, question: Settle, error: BackendError) -> None:
        """Settle without the ledger: the spend stays where it was booked."""
        _log.warning("settlement_lost", upstream=question.upstream, reason=str(error))

    def _look(self, upstream: str) -> Look:
        buckets = tuple(self.book.limits(upstream))
        return Look(upstream, self.book.rules(upstream, buckets))

    async def _adjust(self, upstream: str, adjustment: Adjustment) -> bool:
        if adjustment.bucket not in self.book.limits(upstream):
            return False
        rules = self.book.rules(upstream, (adjustment.bucket,))
        await self._put(Adjust(upstream, adjustment, rules))
        return True

    async def _settle(self, question: Settle) -> None:
        try:
            await self._put(question)
        except BackendError as error:
            self._settle_alone(question, error)

    def _orphaned(self, question: Question, result: Result) -> None:
        """Give back what was granted to a caller that went away meanwhile."""
        if isinstance(question, Spend) and isinstance(result[0], Booked):
            self._tasks.start(self._settle(given_back(question, result[0])), "refund")
