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

from proxy import clock
from proxy.backends.errors import BackendError, BackendLostError, BackendVersionError
from proxy.backends.redis import Redis
from proxy.core.limits import VERSION
from proxy.core.offsets import DRIFT
from proxy.core.rules import Rule
from proxy.ledger import wire
from proxy.ledger.book import Limits
from proxy.ledger.desk import Desk
from proxy.ledger.gathering import Gathering
from proxy.ledger.questions import Question, Result, buckets

_REPEAT_FOR = 0.5
"""Seconds after the loss of its answer in which a call is repeated."""

_REPEAT_AFTER = 0.05


@dataclass(frozen=True, slots=True)
class _Sight:
    """A reading of the ledger's time, and when (boot-time clock) it was asked for."""

    now: float
    asked: float


class RedisLedger(Desk):
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
        super().__init__(upstreams, boottime, wall)
        self._redis = redis
        self._namespace = namespace
        self._timeout = timeout
        self._boottime = boottime
        self._sights: dict[str, _Sight] = {}
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

    async def _put(self, question: Question) -> Result:
        gathering = self._gatherings.get(question.upstream)
        if gathering is None:
            gathering = Gathering(self._ask, self._orphaned, self._tasks)
            self._gatherings[question.upstream] = gathering
        return await gathering.submit(question)

    async def _ask(self, questions: list[Question]) -> list[Result]:
        upstream = questions[0].upstream
        told = {name: rule for question in questions for name, rule in question.rules.items()}
        rules = {bucket: told[bucket] for bucket in buckets(questions)}
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
        lost_at: float | None = None
        while True:
            packed = wire.request(questions, rules, self._latest(upstream), secrets.token_hex(8))
            try:
                reply: list[bytes] = await self._redis.evalsha(
                    wire.SCRIPT, self._keys(upstream), (packed,)
                )
            except BackendLostError as error:
                if lost_at is None and error.sent:
                    lost_at = self._boottime()
                if lost_at is None or self._boottime() >= lost_at + _REPEAT_FOR:
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
