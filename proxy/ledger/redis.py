"""The ledger in Redis: shared by all instances, counted by one script on the server's clock.

Rules
- All limits of an upstream are spent in one atomic call; its keys share a hash tag. What meets in a
  tick travels in one call.
- A call whose answer was lost is repeated for a moment, under the same receipt: the script knows it
  again. What stays unknown counts as spent.
- The server's clock may step: a call says what the ledger's time can be at most, by this machine's
  boot-time clock since the last answer, and the script never lets it go back.
- A server that knows less than it did (a failover, a restart with nothing) is told before anything
  is spent: the script refuses callers that know more.
- Lost, this process goes on with its share (`share`) while its lease runs: beyond it only where
  nobody can reach the server (it refuses connections), or the fleet's size is given.
"""

import asyncio
import contextlib
import errno
import secrets
from collections.abc import Awaitable, Callable, Collection
from itertools import count as counter
from pathlib import Path

import msgspec
import structlog
from msgspec.structs import replace

from proxy import clock
from proxy.backends.errors import BackendError, BackendLostError, BackendVersionError
from proxy.backends.redis import Redis
from proxy.core import transfers
from proxy.core.counts import Moment
from proxy.core.limits import VERSION, Account, Booked, Decision
from proxy.core.model import Denied
from proxy.core.offsets import DRIFT
from proxy.core.rules import Rule, is_long
from proxy.core.shares import Telling
from proxy.core.spenders import HEARTBEAT, LEASE, SILENT
from proxy.core.spending import Bill, Granted
from proxy.core.transfers import Carried
from proxy.ledger import processes, wire
from proxy.ledger.book import Limits
from proxy.ledger.desk import Desk
from proxy.ledger.gathering import Gathering, Told
from proxy.ledger.notes import Notes
from proxy.ledger.questions import Part, Question, Result, Settle, Spend, Tell, joint
from proxy.ledger.share import NotYet, Share, standing

_log = structlog.get_logger("ledger")

_REPEAT_FOR = 0.5
"""Seconds after the loss of its answer in which a call is repeated."""

_REPEAT_AFTER = 0.05

_LONGEST_ANSWER = 10.0
"""Seconds that others' calls may take, where ours are no longer."""

_KNOWN_TO_ALL = SILENT + 2 * HEARTBEAT
"""Seconds after which every other spender has heard of a new one."""


class _Sight(msgspec.Struct, frozen=True):
    """A reading of the ledger's time, and when (boot-time clock) it was asked for and came."""

    now: float
    asked: float
    came: float
    known: tuple[str, int]
    since: float
    """When (boot-time clock) this process first reached the ledger."""


class RedisLedger(Desk):
    """A ledger in Redis."""

    def __init__(
        self,
        redis: Redis,
        upstreams: Limits,
        *,
        namespace: str = "quota-proxy",
        timeout: float = 1.0,
        fleet_size: int = 1,
        refusing: Collection[str] = (),
        notes: Path | None = None,
        boottime: Callable[[], float] = clock.boottime,
        wall: Callable[[], float] = clock.wall,
    ) -> None:
        """Take an (opened) Redis, and each upstream's limits.

        Args:
            redis: The connections; their owner closes them.
            upstreams: Each upstream's limits.
            namespace: First part of every key.
            timeout: Deadline of the connection's commands, s.
            fleet_size: How many processes share the ledger; above 1 it is taken at its word.
            notes: Where the counts of long windows are noted, for a Redis that forgets.
            refusing: Upstreams that get nothing while the ledger is lost (`refuse`).
            boottime: Seconds since boot.
            wall: Unix time.

        """
        super().__init__(upstreams, boottime, wall)
        self._redis = redis
        self._name = f"{self.book.spender} {processes.here()}"
        self._life, self._lives = secrets.token_hex(8), counter(1)
        """What names a life of the ledger, if a call of ours begins it: another for each call."""
        self._namespace = namespace
        self._timeout = timeout
        self._fleet_size = fleet_size
        self._refusing = frozenset(refusing)
        self._boottime = boottime
        self._wall = wall
        self._notes = None if notes is None else Notes(notes, wall)
        self._sights: dict[str, _Sight] = {}
        self._named: dict[str, tuple[str, str]] = {}
        """The keys of each upstream's counts."""
        self._shares: dict[str, Share] = {}
        self._gatherings: dict[str, Gathering[Question, Result]] = {}
        self._telling: dict[str, asyncio.Lock] = {}

    @property
    def reachable(self) -> bool:
        """Whether the server is connected."""
        return self._redis.up

    @property
    def alone(self) -> frozenset[str]:
        """The upstreams that are counted alone at present (`quota_proxy_share_mode`)."""
        return frozenset(self._shares)

    async def open(self) -> None:
        """Look at what is there, and let the ledger know of us.

        Raises:
            BackendVersionError: the counts were written by a newer version.

        """
        self._tasks.start(self._beat(), "ledger heartbeat")
        if self._notes is not None:
            self._tasks.start(self._note(self._notes), "ledger notes")
        for upstream in self.book.upstreams:
            try:
                packed = await self._redis.execute("HGET", self._keys(upstream)[0], "")
                if packed is not None and wire.version(packed) > VERSION:
                    raise BackendVersionError(f"the counts of {upstream} are of a newer version")
                await self._bury(upstream)
            except BackendLostError:
                return  # lost at the start: the script looks again at each call

    async def close(self) -> None:
        """End what is under way, and say goodbye; the connection is its owner's."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._timeout):
                for gathering in self._gatherings.values():
                    await gathering.flushed()
        await self._tasks.close()
        for upstream in tuple(self._sights):
            try:
                await self._call(upstream, [Part(upstream, self._name, {})], {}, patient=False)
            except BackendError:
                break

    async def _bury(self, upstream: str) -> None:
        """Say of those spenders that they have ended who were killed on this machine."""
        await self._put(self._look(upstream))
        account, _ = self.book.seen(upstream)
        for each in account.head.spenders:
            if processes.has_ended(each.id.partition(" ")[2]):
                await self._call(upstream, [Part(upstream, each.id, {})], {})

    # ── reaching the ledger ──

    def _put(self, question: Question) -> Awaitable[Result]:
        return self._gathering(question.upstream).submit(question)

    def _put_soon(self, question: Settle, told: Told, *, now: bool) -> None:
        self._gathering(question.upstream).tell(question, told, now=now)

    def _gathering(self, upstream: str) -> Gathering[Question, Result]:
        gathering = self._gatherings.get(upstream)
        if gathering is None:
            gathering = Gathering(self._ask, self._orphaned, self._tasks)
            self._gatherings[upstream] = gathering
        return gathering

    async def _names(self, upstream: str) -> tuple[str, ...]:
        key, names, cursor = self._keys(upstream)[0], set[str](), b"0"
        while True:
            cursor, found = await self._redis.execute("HSCAN", key, cursor, "COUNT", "500")
            names.update(name.decode() for name in found[::2] if name)
            if int(cursor) == 0:
                return tuple(sorted(names))

    async def _ask(self, questions: list[Question]) -> list[Result]:
        upstream = questions[0].upstream
        if upstream in self._shares:
            if not self._redis.up:
                raise BackendLostError(self._redis.reason, sent=False)
            await self._tell(upstream)
        rules = joint(questions)
        decisions, account, moment = await self._call(upstream, questions, rules)
        while not decisions:
            await self._tell(upstream)
            decisions, account, moment = await self._call(upstream, questions, rules)
        return [(decision, account, moment) for decision in decisions]

    async def _call(
        self,
        upstream: str,
        questions: list[Question],
        rules: dict[str, Rule],
        *,
        patient: bool = True,
    ) -> tuple[list[Decision | None], Account, Moment]:
        """Run the script; no decisions where the ledger must be told something first."""
        asked = self._boottime()
        packed = await self._run(upstream, questions, rules, patient=patient)
        came = self._boottime()
        decisions, account, moment = wire.reply(packed, rules)
        if decisions:
            sight = self._sights.get(upstream)
            known = (account.head.epoch, account.head.revision)
            since = asked if sight is None else sight.since
            self._sights[upstream] = _Sight(moment.now, asked, came, known, since)
            self.book.note(upstream, account, moment)
        return decisions, account, moment

    async def _run(
        self, upstream: str, questions: list[Question], rules: dict[str, Rule], *, patient: bool
    ) -> list[bytes]:
        """Send the script's call; where the answer is lost, again, as long as that may help."""
        lost_at: float | None = None
        while True:
            packed = wire.request(questions, rules, self._caller(upstream))
            try:
                reply: list[bytes] = await self._redis.evalsha(
                    wire.SCRIPT, self._keys(upstream), (packed,)
                )
            except BackendLostError as error:
                if lost_at is None and error.sent and patient:
                    lost_at = self._boottime()
                if lost_at is None or self._boottime() >= lost_at + _REPEAT_FOR:
                    raise
            else:
                return reply
            await asyncio.sleep(_REPEAT_AFTER)

    def _caller(self, upstream: str) -> wire.Caller:
        sight, epoch = self._sights.get(upstream), f"{self._life}-{next(self._lives):x}"
        if sight is None:
            return wire.Caller(self._name, epoch=epoch)
        passed = self._boottime() - sight.asked
        latest = sight.now + passed * (1.0 + DRIFT) + self._timeout
        return wire.Caller(self._name, latest, sight.known, epoch)

    def _keys(self, upstream: str) -> tuple[str, str]:
        keys = self._named.get(upstream)
        if keys is None:
            tag = f"{self._namespace}:{{{upstream}}}"
            keys = self._named[upstream] = (f"{tag}:ledger", f"{tag}:receipts")
        return keys

    async def _beat(self) -> None:
        """Renew our leases, and keep what we see fresh, where nothing else is asked."""
        while True:
            await asyncio.sleep(HEARTBEAT / 2)
            due = [each for each in self.book.upstreams if self._is_due(each)]
            if due and self._redis.up:
                looks = (self._put(self._look(each)) for each in due)
                await asyncio.gather(*looks, return_exceptions=True)

    async def _note(self, notes: Notes) -> None:
        """Give the ledger what was noted, then note what it counts."""
        noted = await notes.read()
        while noted:
            await asyncio.sleep(HEARTBEAT / 4)
            try:
                await self.take_over(noted)
            except BackendError:
                continue
            noted = ()
        while True:
            await asyncio.sleep(HEARTBEAT)
            await notes.write(self._long_counts())

    def _long_counts(self) -> tuple[Carried, ...]:
        """Return the counts of long windows as last seen."""
        found: list[Carried] = []
        for upstream in self._sights:
            account, moment = self.book.seen(upstream)
            known = set(account.counts) & set(self.book.limits(upstream))
            rules = self.book.rules(upstream, known)
            lasting = {name: account.counts[name] for name in known if is_long(rules[name])}
            found += transfers.carried(upstream, Account(account.head, lasting), rules, moment)
        return tuple(found)

    def _is_due(self, upstream: str) -> bool:
        sight = self._sights.get(upstream)
        return sight is None or self._boottime() >= sight.asked + HEARTBEAT

    # ── telling what it does not know ──

    async def _tell(self, upstream: str) -> None:
        """Tell the ledger what we saw, and what we spent alone."""
        async with self._telling.setdefault(upstream, asyncio.Lock()):
            share = self._shares.get(upstream)
            if share is None:
                await self._say(upstream, self._what_was_seen(upstream))
                return
            while (telling := share.next_telling(self._moment(upstream))) is not None:
                await self._say(upstream, telling)
                share.confirm(telling)
            self._shares.pop(upstream, None)
            _log.info("ledger_found", upstream=upstream)

    async def _say(self, upstream: str, telling: Telling) -> None:
        limits = self.book.limits(upstream)
        seen = tuple(each for each in telling.seen if each[0] in limits)
        spent = tuple(each for each in telling.spent if each[0] in limits)
        telling = msgspec.structs.replace(telling, seen=seen, spent=spent)
        rules = self.book.rules(upstream, {bucket for bucket, _ in (*seen, *spent)})
        await self._call(upstream, [Tell(upstream, telling, rules)], rules)

    def _what_was_seen(self, upstream: str) -> Telling:
        account, _ = self.book.seen(upstream)
        return Telling(
            f"{self.book.spender}-saw-{secrets.token_hex(4)}",
            self._moment(upstream).now,
            account.head.spenders,
            account.head.holding,
            tuple(account.counts.items()),
        )

    # ── alone ──

    def _moment(self, upstream: str) -> Moment:
        """Return what is now on the ledger's clock, at the earliest."""
        sight, wall = self._sights.get(upstream), self._wall()
        if sight is None:
            return Moment(wall, wall)
        account, _ = self.book.seen(upstream)
        return Moment(sight.now + self._boottime() - sight.came, wall, account.head.offset)

    def _may_go_on(self, upstream: str, error: BackendError) -> bool:
        """Whether our share may be used: while our lease runs, or nobody can reach the ledger."""
        if upstream in self._refusing or not isinstance(error, BackendLostError):
            return False
        sight = self._sights.get(upstream)
        if sight is None:
            return True
        now = self._boottime()
        if sight.asked - sight.since < _KNOWN_TO_ALL:
            return False
        return now < sight.asked + LEASE or self._nobody_reaches_it()

    def _nobody_reaches_it(self) -> bool:
        refuses = f"[Errno {errno.ECONNREFUSED}]" in self._redis.reason
        return refuses or self._fleet_size > 1

    def _spend_alone(self, bill: Bill, question: Spend, error: BackendError) -> Granted | Denied:
        upstream = bill.upstream
        if not self._may_go_on(upstream, error):
            return super()._spend_alone(bill, question, error)
        if upstream not in self._shares:
            self._shares[upstream] = self._new_share(upstream)
            _log.warning("counting_alone", upstream=upstream, reason=str(error))
        share, moment = self._shares[upstream], self._moment(upstream)
        moment = moment._replace(offset=share.account.head.offset)
        turns = self._nobody_reaches_it()
        decision = share.spend(question.order, question.rules, moment, turns=turns)
        match decision:
            case NotYet(index, seconds):
                return Denied(bill.charges[index].limit.name, seconds, seconds)
            case Booked():
                return self.book.answer(bill, question.order, decision, share.account, moment)
            case _:
                scaled = share.scaled(bill, question.rules, moment)
                denied = self.book.answer(scaled, question.order, decision, share.account, moment)
                return replace(denied, returns=()) if isinstance(denied, Denied) else denied

    def _new_share(self, upstream: str) -> Share:
        reached = upstream in self._sights
        seen = self.book.seen(upstream)[0] if reached else None
        spenders = seen.head.spenders if seen else ()
        place = standing(spenders, self._name, self._fleet_size)
        within = max(_LONGEST_ANSWER, self.book.longest)
        return Share(self.book.spender, seen, self._moment(upstream), place, within)

    def _settle_alone(self, question: Settle, error: BackendError) -> None:
        share = self._shares.get(question.upstream)
        if share is None:
            super()._settle_alone(question, error)
            return
        moment = self._moment(question.upstream)
        moment = moment._replace(offset=share.account.head.offset)
        share.settle(question.ending, question.rules, moment)
