"""Quotas in simulated time: a provider that counts, spenders that share an account, a network.

Nothing here waits: events are taken in order of their time. A spender asks the ledger's arithmetic,
its call reaches the provider after one random delay and the answer comes back after another. The
provider counts on a clock of its own, some way off, and refuses what is too much. What comes of it
is told in `Result`: refusals there must never be any, and how much of the quota was used.
"""

import heapq
import math
import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

from proxy.core import limits, standings
from proxy.core.limits import Account, Booked, Ending, Held, Order, Short
from proxy.core.reports import Figure
from proxy.core.rules import length, rule
from proxy.core.upstreams import Limit

_LONGEST_ANSWER = 8.0


class Enforcer(Protocol):
    """How a provider counts. Times are on its own clock."""

    def take(self, now: float, cost: float) -> bool:
        """Count a call, or refuse it."""
        ...

    def used(self, now: float) -> float:
        """Return what it would report as used."""
        ...


class FixedWindow:
    """At most `size` in each window; windows begin at `phase` and every `per` after it."""

    def __init__(self, size: float, per: float, phase: float = 0.0) -> None:
        self._size, self._per, self._phase = size, per, phase
        self._window = -1
        self._used = 0.0

    def take(self, now: float, cost: float) -> bool:
        """Count a call, or refuse it."""
        if self.used(now) + cost > self._size:
            return False
        self._used += cost
        return True

    def used(self, now: float) -> float:
        """Return what is used of the present window."""
        window = math.floor((now - self._phase) / self._per)
        if window > self._window:
            self._window, self._used = window, 0.0
        return self._used


class SlidingWindow:
    """At most `size` in any `per` seconds."""

    def __init__(self, size: float, per: float) -> None:
        self._size, self._per = size, per
        self._calls: deque[tuple[float, float]] = deque()
        self._used = 0.0

    def take(self, now: float, cost: float) -> bool:
        """Count a call, or refuse it."""
        if self.used(now) + cost > self._size:
            return False
        self._calls.append((now, cost))
        self._used += cost
        return True

    def used(self, now: float) -> float:
        """Return what was counted in the last `per` seconds."""
        while self._calls and self._calls[0][0] <= now - self._per:
            self._used -= self._calls.popleft()[1]
        return self._used


class TokenBucket:
    """`burst` at most, filled by `size` in `per` seconds."""

    def __init__(self, size: float, per: float, burst: float) -> None:
        self._rate, self._burst = size / per, burst
        self._level, self._at = burst, -math.inf

    def take(self, now: float, cost: float) -> bool:
        """Count a call, or refuse it."""
        if self.used(now) + cost > self._burst + 1e-9:  # what sums of fractions leave
            return False
        self._level -= cost
        return True

    def used(self, now: float) -> float:
        """Return what is missing from a full bucket."""
        filled = self._rate * (now - self._at)
        self._level, self._at = min(self._burst, self._level + filled), now
        return self._burst - self._level


@dataclass(frozen=True, slots=True)
class Trial:
    """What is simulated."""

    limit: Limit
    enforcer: Enforcer
    jitter: float
    """Longest delay of each of the two legs, s."""
    spenders: int
    load: float
    """Calls asked for, as a share of the quota."""
    windows: int = 12
    offset: float = 0.0
    """Provider's clock less the ledger's, s."""
    dates: bool = True
    """Whether answers carry a `Date` that is the provider's."""
    reports: bool = False
    """Whether answers tell what was used."""
    foreign: float = 0.0
    """Share of the quota that another program on the address spends, evenly."""
    lost: float = 0.0
    """Share of calls whose answer never comes."""
    costs: tuple[float, ...] = (1.0,)
    patience: float = 5.0
    """Longest wait of a call for quota, s."""
    seed: int = 1
    began: float = 1_700_000_000.0


@dataclass(slots=True)
class Result:
    """What came of it."""

    asked: float = 0.0
    granted: float = 0.0
    refused: int = 0
    """Calls of ours that the provider refused: there must be none."""
    foreign: float = 0.0
    """Tokens that the other program got."""
    given_up: int = 0
    by_window: list[float] = field(default_factory=list)
    """Tokens that the provider counted in each window from the beginning on."""
    quota: float = 0.0

    @property
    def used(self) -> float:
        """Share of the quota that was used, the first window (which learns) left out."""
        return sum(self.by_window[1:]) / (self.quota * (len(self.by_window) - 1))


@dataclass(slots=True, order=True)
class _Call:
    arrived: float
    number: int
    cost: float = field(compare=False)


class Simulation:
    """One trial."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self._random = random.Random(trial.seed)  # noqa: S311 - a repeatable history
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._numbers = count()
        self._account = Account()
        self._queues: list[deque[_Call]] = [deque() for _ in range(trial.spenders)]
        self._wakes = [math.inf] * trial.spenders
        per = length(trial.limit, trial.began)
        self._end = trial.began + per * trial.windows
        self._per = per
        self._result = Result(by_window=[0.0] * trial.windows, quota=trial.limit.limit)

    def run(self) -> Result:
        """Play all events, and tell what came of it."""
        for at, cost in self._arrivals(self._trial.load):
            spender = self._random.randrange(self._trial.spenders)
            self._at(at, lambda now, s=spender, c=cost: self._arrive(now, s, c))  # type: ignore[misc]
        if self._trial.foreign:
            for at, cost in self._arrivals(self._trial.foreign):
                self._at(at, lambda now, c=cost: self._stranger(now, c))  # type: ignore[misc]
        while self._events:
            at, _, event = heapq.heappop(self._events)
            event(at)
        return self._result

    def _at(self, at: float, event: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (at, next(self._numbers), event))

    def _arrivals(self, load: float) -> Iterator[tuple[float, float]]:
        """Evenly spaced up to the quota itself, at random above it."""
        trial = self._trial
        rate = load * trial.limit.limit / self._per
        at = trial.began
        while True:
            cost = self._random.choice(trial.costs)
            gap = cost / rate
            at += gap if load <= 1 else self._random.expovariate(1 / gap)
            if at >= self._end:
                return
            yield at, cost

    def _stranger(self, now: float, cost: float) -> None:
        if self._trial.enforcer.take(now + self._trial.offset, cost):
            self._result.foreign += cost
            self._tally(now, cost)

    def _tally(self, now: float, cost: float) -> None:
        window = int((now - self._trial.began) / self._per)
        if window < len(self._result.by_window):
            self._result.by_window[window] += cost

    # ── a spender ──

    def _arrive(self, now: float, spender: int, cost: float) -> None:
        self._result.asked += cost
        self._queues[spender].append(_Call(now, next(self._numbers), cost))
        if len(self._queues[spender]) == 1:
            self._ask(now, spender)

    def _ask(self, now: float, spender: int) -> None:
        """Ask for the head of the line until it is denied."""
        queue = self._queues[spender]
        while queue:
            if now > queue[0].arrived + self._trial.patience:
                queue.popleft()
                self._result.given_up += 1
                continue
            wait = self._spend(now, queue[0])
            if wait is None:
                queue.popleft()
                continue
            self._wake_at(spender, now + wait)
            return

    def _wake_at(self, spender: int, at: float) -> None:
        if at >= self._end:
            self._queues[spender].clear()
            return
        self._wakes[spender] = at
        self._at(at, lambda now: self._wake(now, spender))

    def _wake(self, now: float, spender: int) -> None:
        if now >= self._wakes[spender]:
            self._wakes[spender] = math.inf
            self._ask(now, spender)

    def _spend(self, now: float, call: _Call) -> float | None:
        """Ask the arithmetic; return in how long to ask again, None where it was granted."""
        limit = self._trial.limit
        account, moment = limits.opened(self._account, now, now)
        order = Order(str(call.number), _LONGEST_ANSWER, False, ((limit.name, call.cost),))  # noqa: FBT003 - a record's field
        rule_ = rule(limit, now)
        self._account, decision = limits.spend(account, order, {limit.name: rule_}, moment)
        match decision:
            case Booked(until):
                self._result.granted += call.cost
                self._at(now + self._delay(), lambda t: self._reach(t, call, until))
                return None
            case Held(held):
                return max(held - now, standings.ASK_AGAIN)
            case Short():
                count_ = limits.current(rule_, account.counts.get(limit.name), moment)
                denied = standings.denied(limit, rule_, count_, call.cost, moment, urgent=False)
                return denied.retry_after if denied.soonest is None else denied.soonest

    def _delay(self) -> float:
        return 0.001 + self._random.random() * self._trial.jitter

    # ── the provider ──

    def _reach(self, now: float, call: _Call, until: float) -> None:
        trial = self._trial
        accepted = trial.enforcer.take(now + trial.offset, call.cost)
        if accepted:
            self._tally(now, call.cost)
        else:
            self._result.refused += 1
        if self._random.random() < trial.lost:
            return
        used = trial.enforcer.used(now + trial.offset)
        date = float(math.floor(now + trial.offset))
        self._at(
            now + self._delay(),
            lambda t: self._answered(t, call, until, used if trial.reports else -1.0, date),
        )

    def _answered(self, now: float, call: _Call, until: float, used: float, date: float) -> None:
        name = self._trial.limit.name
        ending = Ending(
            str(call.number),
            until,
            _LONGEST_ANSWER,
            sent=True,
            answered=True,
            charges=((name, call.cost, call.cost),),
            date=date if self._trial.dates else math.nan,
            figures=(Figure(name, used, 0.0, call.cost),) if used >= 0 else (),
        )
        account, moment = limits.opened(self._account, now, now)
        rules = {name: rule(self._trial.limit, now)}
        self._account = limits.settle(account, ending, rules, moment)
        for spender, queue in enumerate(self._queues):
            if queue and self._wakes[spender] > now:
                self._wake_at(spender, now)
