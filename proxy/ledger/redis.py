"""The ledger in Redis: shared by all instances, counted by one script on the server's clock.

Rules
- All limits of an upstream are spent in one atomic call; its keys share a hash tag. What meets in a
  tick travels in one call.
- A call whose answer was lost is repeated for a moment, under the same receipt: the script knows it
  again. What stays unknown counts as spent.
- The server's clock may step: a call says what the ledger's time can be at most, by this machine's
  boot-time clock since the last answer, and the script never lets it go back.
- Lost is a denial, never a grant.
"""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from proxy import clock
from proxy.backends.errors import BackendError, BackendLostError, BackendVersionError
from proxy.backends.redis import Redis
from proxy.core import limits
from proxy.core.limits import VERSION, Booked
from proxy.core.model import Denied
from proxy.core.offsets import DRIFT
from proxy.core.rules import Rule
from proxy.core.spending import Bill, Granted, Level, Receipt, Settled
from proxy.ledger import wire
from proxy.ledger.book import Book, Limits, lost
from proxy.ledger.gathering import Gathering
from proxy.ledger.questions import Look, Question, Settle, Spend, buckets, given_back
from proxy.ledger.states import Result
from proxy.tasks import Tasks

_log = structlog.get_logger("ledger")

_REPEAT_FOR = 0.5
"""Seconds for which a call whose answer was lost is repeated."""

_REPEAT_AFTER = 0.05


@dataclass(frozen=True, slots=True)
class _Sight:
    """A reading of the ledger's time, and when (boot-time clock) it was asked for."""

    now: float
    asked: float


class RedisLedger:
    """A ledger in Redis."""

    def __init__(
        self,
        redis: Redis,
        upstreams: Limits,
        *,
        namespace: str = "quota-proxy",
        timeout: float = 1.0,
        boottime: Callable[[], float] = clock.boottime,
        wall: Callable[[], float] = clock.wall,
    ) -> None:
        """Take an (opened) Redis, each upstream's limits, and the deadline of its commands, s."""
        self.book = Book(boottime, wall)
        self.book.configure(upstreams)
        self._redis = redis
        self._namespace = namespace
        self._timeout = timeout
        self._boottime = boottime
        self._sights: dict[str, _Sight] = {}
        self._tasks = Tasks(lambda name, error: _log.error("task_failed", task=name, error=error))
        self._gatherings: dict[str, Gathering[Question, Result]] = {}

    async def open(self) -> None:
        """Look at what is there.

        Raises:
            BackendVersionError: the counts were written by a newer version.

        """
        for upstream in self.book.upstreams:
            try:
                packed = await self._redis.execute("HGET", self._keys(upstream)[0], "")
            except BackendError:
                return  # lost at the start: the script looks again at each call
            if packed is not None and wire.version(packed) > VERSION:
                raise BackendVersionError(f"the counts of {upstream} are of a newer version")

    async def close(self) -> None:
        """End what is under way; the connection is its owner's."""
        await self._tasks.close()

    def configure(self, upstreams: Limits) -> None:
        """Take the limits in force after a reload; the counts stay."""
        self.book.configure(upstreams)

    async def spend(self, bill: Bill) -> Granted | Denied:
        """Spend all that the bill names, or nothing."""
        order = self.book.order(bill)
        rules = self.book.rules(bill.upstream, (bucket for bucket, _ in order.charges))
        try:
            result = await self._put(Spend(bill.upstream, order, rules))
        except BackendError as error:
            _log.warning("ledger_lost", upstream=bill.upstream, reason=str(error))
            return lost()
        decision, account, moment = result
        assert decision is not None  # noqa: S101 - a spend is always decided
        return self.book.answer(bill, order, decision, account, moment)

    async def settle(self, receipt: Receipt, settled: Settled) -> None:
        """Say how the exchange ended; where that cannot be told, it counts as booked."""
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
        """Return how the upstream's counts stand now; as last known where Redis is lost."""
        try:
            _, account, moment = await self._put(Look(upstream, tuple(self.book.limits(upstream))))
        except BackendError:
            return self.book.levels(upstream)
        return self.book.stand(upstream, account, moment)

    # ── inside ──

    async def _settle(self, question: Settle) -> None:
        try:
            await self._put(question)
        except BackendError as error:
            _log.warning("settlement_lost", upstream=question.upstream, reason=str(error))

    async def _put(self, question: Question) -> Result:
        gathering = self._gatherings.get(question.upstream)
        if gathering is None:
            gathering = Gathering(self._ask, self._orphaned, self._tasks)
            self._gatherings[question.upstream] = gathering
        return await gathering.submit(question)

    async def _ask(self, questions: list[Question]) -> list[Result]:
        upstream = questions[0].upstream
        named = frozenset[str]().union(*map(buckets, questions))
        rules = self.book.rules(upstream, named)
        asked = self._boottime()
        packed = await self._call(upstream, questions, rules)
        decisions, account, moment = wire.reply(packed, rules)
        self._sights[upstream] = _Sight(moment.now, asked)
        self.book.note(upstream, account, moment)
        return [(decision, account, moment) for decision in decisions]

    async def _call(
        self, upstream: str, questions: list[Question], rules: dict[str, Rule]
    ) -> list[bytes]:
        """Run the script; where the answer is lost, again, as long as that may help."""
        until = self._boottime() + _REPEAT_FOR
        sent = False
        while True:
            packed = wire.request(questions, rules, self._latest(upstream), secrets.token_hex(8))
            try:
                reply: list[bytes] = await self._redis.evalsha(
                    wire.SCRIPT, self._keys(upstream), (packed,)
                )
            except BackendLostError as error:
                sent = sent or error.sent
                if not sent or self._boottime() >= until:
                    raise
            else:
                return reply
            await asyncio.sleep(_REPEAT_AFTER)

    def _latest(self, upstream: str) -> float | None:
        """Return what the ledger's time can be at most when the script reads it."""
        sight = self._sights.get(upstream)
        if sight is None:
            return None
        passed = self._boottime() - sight.asked
        return sight.now + passed * (1.0 + DRIFT) + self._timeout

    def _keys(self, upstream: str) -> tuple[str, str]:
        tag = f"{self._namespace}:{{{upstream}}}"
        return f"{tag}:ledger", f"{tag}:receipts"

    def _orphaned(self, question: Question, result: Result) -> None:
        """Give back what was granted to a caller that went away meanwhile."""
        if isinstance(question, Spend) and isinstance(result[0], Booked):
            self._tasks.start(self._settle(given_back(question, result[0])), "refund")
