"""The Lua script against the Python arithmetic: the same histories, the same states and decisions.

Histories are random: several limits of all kinds at once, clocks that step, settlements that are
late, repeated or missing, reports that lie, refusals. The long form plays 10,000 and more.
"""

import math
import random
from dataclasses import dataclass, field
from typing import Any

import msgspec

from proxy.backends.redis import Redis, Script
from proxy.core import limits, shares, tallies
from proxy.core.counts import Count
from proxy.core.holds import Refusal
from proxy.core.limits import Account, Adjustment, Booked, Decision, Ending, Order
from proxy.core.reports import Figure
from proxy.core.rules import Rule, rule
from proxy.core.shares import Telling
from proxy.core.spenders import LEASE, Spender
from proxy.core.upstreams import Algorithm, CalendarUnit, Limit
from proxy.ledger import wire
from proxy.ledger.questions import (
    Adjust,
    Look,
    Prune,
    Question,
    Settle,
    Spend,
    Tell,
    answered,
    buckets,
)
from tests.fixtures.redis import RedisServer, patient
from tests.values import replace

_BEGAN = 1_699_999_990.0
_TESTED = Script(
    wire.SCRIPT.text.replace("redis.call('TIME')", "cmsgpack.unpack(ARGV[2])", 1),
)
"""The script as it is, but for the clock."""


def _limits(rng: random.Random) -> list[Limit]:
    """Return some limits of different kinds, at random sizes."""
    fixed, bucket = Algorithm.FIXED_WINDOW, Algorithm.TOKEN_BUCKET
    pick = rng.choice
    month = Limit("month", 40, CalendarUnit.MONTH, fixed, resets_day=pick([1, 15]))
    kinds = [
        Limit("sliding", pick([3, 10, 2.5]), pick([2.0, 10.0]), Algorithm.SLIDING_WINDOW),
        Limit("aligned", pick([5, 20]), pick([CalendarUnit.MINUTE, 7.0]), fixed),
        replace(month, timezone="Europe/Berlin", pace=pick([None, 0.5]), reserve=pick([0.0, 0.2])),
        Limit("day", 30, CalendarUnit.DAY, fixed, resets_time=3600.0),
        replace(
            Limit("bucket", pick([4, 10]), pick([1.0, 6.0]), bucket),
            burst=pick([4, 7.5]),
            reserve=pick([0.0, 0.25]),
        ),
    ]
    return rng.sample(kinds, rng.randint(1, 4))


def _changed(limit: Limit, rng: random.Random) -> Limit:
    if isinstance(limit.per, CalendarUnit) or rng.random() < 0.5:
        return replace(limit, limit=limit.limit + 3)
    algorithm = rng.choice([Algorithm.SLIDING_WINDOW, Algorithm.TOKEN_BUCKET])
    return replace(limit, per=limit.per * 1.5, algorithm=algorithm, burst=5.0)


@dataclass
class History:
    """One random history, played through the Python arithmetic as it is made."""

    rng: random.Random
    account: Account = field(default_factory=Account)
    now: float = _BEGAN
    wall: float = _BEGAN
    receipts: dict[str, float] = field(default_factory=dict)
    granted: list[tuple[Order, float]] = field(default_factory=list)
    number: int = 0
    caller: str = ""
    seen: Account = field(default_factory=Account)

    def __post_init__(self) -> None:
        self.limits = _limits(self.rng)

    def batch(self) -> tuple[list[Question], dict[str, Rule], float | None]:
        """Let some time pass, and make up what is asked then."""
        rng = self.rng
        self.caller = rng.choice(["", "a", "b", "c"])
        passed = rng.choice([0.0, 0.001, 0.3, 1.0, 5.0, rng.random() * 30, 400.0, 40000.0])
        self.now += passed if passed < 1000 or rng.random() < 0.1 else 1.0
        step = rng.choice([0.0] * 20 + [-3600.0, 3600.0, -1.0])
        self.wall = max(self.wall, self.now) + step if step else max(self.now, self.wall + passed)
        if rng.random() < 0.05:  # the configuration was changed
            self.limits = [_changed(each, rng) for each in self.limits]
        rules = {each.name: rule(each, self.wall) for each in self.limits}
        latest = None if rng.random() < 0.5 else self.account.head.now + passed + 1.0
        questions = [self._question(rules) for _ in range(rng.randint(1, 4))]
        return questions, {name: rules[name] for name in buckets(questions)}, latest

    def _question(self, rules: dict[str, Rule]) -> Question:
        rng = self.rng
        match rng.choice(["spend"] * 6 + ["settle"] * 5 + ["repeat", "adjust", "look", "tell"]):
            case "settle" if self.granted:
                return self._settle(rules)
            case "repeat" if self.granted:
                order, _ = rng.choice(self.granted)
                return Spend("up", order, {bucket: rules[bucket] for bucket, _ in order.charges})
            case "adjust":
                name = rng.choice(list(rules))
                log = tuple((ago, rng.choice([0.5, 2.0, 20.0])) for ago in (90.0, 3.0, 0.0))
                log = log[rng.randint(0, 3) :]
                adjustment = Adjustment(name, log, rng.random() < 0.5)
                return Adjust("up", adjustment, {name: rules[name]})
            case "tell":
                return self._tell(rules)
            case "look":
                return rng.choice([Look, Prune])("up", rules)
        return self._spend(rules)

    def _spend(self, rules: dict[str, Rule]) -> Spend:
        rng = self.rng
        named = rng.sample(list(rules), rng.randint(1, len(rules)))
        self.number += 1
        charges = tuple((name, rng.choice([1.0, 1.0, 2.0, 0.5, 0.1, 0.0])) for name in named)
        order = Order(f"r{self.number}", rng.choice([0.5, 8.0]), rng.random() < 0.2, charges)
        return Spend("up", order, {name: rules[name] for name in named})

    def _tell(self, rules: dict[str, Rule]) -> Tell:
        rng = self.rng
        seen = self.seen if rng.random() < 0.5 else self.account
        spent = tallies.EMPTY
        for _ in range(rng.randint(0, 3)):
            slot = tallies.slot_at(self.now - rng.random() * 9, 0.25)
            spent = tallies.added(spent, slot, rng.choice([0.5, 1.0, 3.0]))
        telling = Telling(
            f"t{rng.randint(1, 5)}",
            self.account.head.now + rng.choice([-1.0, 0.0, 0.2]),
            tuple(
                Spender(name, self.now - rng.random() * 80, 3)
                for name in "abc"[: rng.randint(0, 3)]
            ),
            self.account.head.holding,
            tuple((name, seen.counts[name]) for name in rules if name in seen.counts),
            tuple((name, spent) for name in rules if rng.random() < 0.5),
            alone=rng.random() < 0.5,
        )
        return Tell("up", telling, rules)

    def _settle(self, rules: dict[str, Rule]) -> Settle:
        rng = self.rng
        order, until = rng.choice(self.granted)
        if rng.random() < 0.9:
            self.granted.remove((order, until))
        sent = rng.random() < 0.9
        charges = tuple(
            (name, cost, cost if rng.random() < 0.7 else rng.choice([0.0, 0.5, 3.0]))
            for name, cost in order.charges
        )
        ending = Ending(
            order.id,
            until,
            order.within,
            sent,
            sent and rng.random() < 0.8,
            charges,
            rng.choice([math.nan, math.floor(self.wall + rng.choice([0, 2.3, 2.3, 9e9]))]),
            tuple(self._figure(name) for name in rules if rng.random() < 0.3),
            self._refusal() if rng.random() < 0.1 else None,
        )
        named = limits.named(ending)
        return Settle("up", ending, {name: rules[name] for name in named})

    def _figure(self, name: str) -> Figure:
        rng = self.rng
        used = rng.choice([-1.0, 0.0, 1.0, 3.0, 7.5, 25.0, 1e9, math.nan, math.inf])
        return Figure(name, used, rng.choice([0.0, 0.0, 3.0, 100.0, -2.0]), rng.choice([0.0, 1.0]))

    def _refusal(self) -> Refusal:
        rng = self.rng
        seconds = rng.choice([-1.0, 0.0, 2.0, 30.0, math.inf])
        return Refusal("429", seconds, 1.0, 60.0, rng.random())

    def play(self, questions: list[Question], latest: float | None) -> list[Decision | None]:
        """Answer a batch as the script does; remember receipts as it does."""
        tellings = [each.telling.now for each in questions if isinstance(each, Tell)]
        earliest = tellings[0] if tellings else 0.0
        account, moment = limits.opened(
            self.account, self.wall, self.wall, latest, earliest=earliest, caller=self.caller
        )
        seen = {each.id: each.seen for each in self.account.head.spenders}
        renewed = self.caller != "" and seen.get(self.caller, 0.0) < moment.now - 0.25
        decisions: list[Decision | None] = []
        changed, marked = False, dict[str, Rule]()
        for question in questions:
            if isinstance(question, Settle) and question.ending.id not in self.receipts:
                decisions.append(None)
                continue
            if isinstance(question, Spend) and question.order.id in self.receipts:
                probe = account.head.holding.probe == question.order.id
                decisions.append(Booked(self.receipts[question.order.id], probe))
                continue
            if isinstance(question, Tell):
                known = question.telling.id in self.receipts
                account = shares.told(
                    account, question.telling, question.rules, moment, known=known
                )
                self.receipts[question.telling.id] = moment.now + LEASE
                decisions.append(None)
                changed = True
                continue
            account, decision = answered(question, account, moment)
            moment = moment._replace(offset=account.head.offset)
            decisions.append(decision)
            if isinstance(question, Prune):
                rules = question.rules.items()
                marked |= {name: each for name, each in rules if name not in account.counts}
            changed |= not isinstance(question, Look | Prune) and not _denied(decision)
            if isinstance(question, Settle):
                del self.receipts[question.ending.id]
            if isinstance(question, Spend) and isinstance(decision, Booked):
                self.receipts[question.order.id] = decision.until
                self.granted.append((question.order, decision.until))
        gone = {
            name
            for name, rule_ in marked.items()
            if limits.is_idle(rule_, account.counts.get(name) or Count(rule_.slot), moment)
        }
        if changed:
            self.account = account
            self.receipts = {
                id_: until for id_, until in self.receipts.items() if until >= moment.now - 60.0
            }
        elif renewed:
            self.account = Account(account.head, self.account.counts)
        kept = {name: count for name, count in self.account.counts.items() if name not in gone}
        self.account = Account(self.account.head, kept)
        self.seen = account
        return decisions


def _denied(decision: Decision | None) -> bool:
    return decision is not None and not isinstance(decision, Booked)


def _plain(state: Any) -> Any:
    return msgspec.to_builtins(state)


async def _compare(redis: Redis, seed: int) -> None:
    history = History(random.Random(seed))
    keys = (f"quota-proxy:{{{seed}}}:ledger", f"quota-proxy:{{{seed}}}:receipts")
    for _ in range(12):
        questions, rules, latest = history.batch()
        clock = msgspec.msgpack.encode((str(int(history.wall)), f"{history.wall % 1 * 1e6:.17g}"))
        history.wall = int(history.wall) + float(f"{history.wall % 1 * 1e6:.17g}") / 1000000
        packed = wire.request(questions, rules, wire.Caller(history.caller, latest))
        expected = history.play(questions, latest)
        reply = await redis.evalsha(_TESTED, keys, (packed, clock))
        decisions, account, _ = wire.reply(reply, rules)

        assert decisions == expected
        assert _plain(account.head)[2:6] == _plain(history.seen.head)[2:6]
        assert account.head.spenders == history.seen.head.spenders
        for bucket in rules:
            unspent = Count(account.counts[bucket].slot)  # the script writes these down as well
            counted = history.seen.counts.get(bucket, unspent)
            assert _plain(account.counts[bucket]) == _plain(counted)
    await redis.execute("DEL", *keys)


async def test_the_script_counts_as_the_python_does(
    redis_server: RedisServer,
    long_form: bool,  # noqa: FBT001 - a fixture
) -> None:
    """No difference in any decision or state: 300 random histories, 10,000 in the long form."""
    redis = Redis(patient(redis_server.url))
    assert await redis.open()
    for seed in range(10_000 if long_form else 300):
        await _compare(redis, seed)
    await redis.close()
