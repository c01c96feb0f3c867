"""How simulated providers count: a limit's windows, and when whoever goes on is banned.

Rules
    Time is an argument; nothing here reads a clock or waits.
    A request is counted, or refused, at the moment it arrives, on all limits at once or on none.
    A refused request spends nothing, unless the limit says `counts_refusals`.
    This arithmetic is the providers' side: it shares no line with proxy/core/limits.py, so that
    a mistake there is not repeated, and thereby hidden, here.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol


class Algorithm(StrEnum):
    """How spent tokens come back."""

    FIXED_WINDOW = "fixed_window"
    """All at the boundaries of a grid laid over Unix time (`offset` shifts the grid)."""
    FIRST_REQUEST_WINDOW = "first_request_window"
    """All, `per` after the request that opened the window."""
    SLIDING_WINDOW = "sliding_window"
    """Each `per` after it was spent."""
    TOKEN_BUCKET = "token_bucket"  # noqa: S105 - the field's term, no password
    """Continuously, `limit` in `per`, up to `burst`."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit as the provider enforces it."""

    name: str
    limit: int
    per: float | str
    """Seconds, or `day` or `month` of the calendar (UTC; always fixed windows)."""
    algorithm: Algorithm | str = Algorithm.FIXED_WINDOW
    counts: str = "cost"
    """`cost`, or `requests`: each is one."""
    of: str = "address"
    """Who is counted: the `address`, or the `credential` (the address where none was brought)."""
    when: str = "always"
    """`always`, `keyed` or `keyless`: counted only for requests with, or without, a key."""
    group: str = ""
    """Counts the routes of this group only; empty: all."""
    each: bool = False
    """Every route is counted for itself."""
    offset: float = 0.0
    """Seconds by which a fixed window's grid is shifted from Unix time."""
    burst: int = 0
    """Size of a token bucket; 0 means `limit`."""
    counts_refusals: bool = False
    """A refused request spends as well, as some providers do."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "algorithm", Algorithm(self.algorithm))


@dataclass(frozen=True, slots=True)
class Ban:
    """What meets who goes on after 429: 418, longer with each ban (Binance)."""

    after: int = 5
    """Refusals of one spender, since its last success, that are still answered by 429."""
    seconds: float = 120.0
    longest: float = 259_200.0
    growth: float = 4.0


@dataclass(frozen=True, slots=True)
class Spending:
    """What one request asks of the limits."""

    address: str
    credential: str
    """Empty where none was brought."""
    route: str
    groups: tuple[str, ...]
    cost: int


@dataclass(frozen=True, slots=True)
class Counted:
    """The request was let in; what each of its limits holds now, by name."""

    used: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Refused:
    """The request was turned away."""

    limit: Limit
    retry_after: float
    """Seconds until it would fit."""
    used: Mapping[str, int]
    banned_until: float | None = None
    """Unix time; None for a plain 429."""


class Window(Protocol):
    """The count of one limit for one spender."""

    def used(self, now: float) -> int:
        """Return what is spent and not yet back."""
        ...

    def wait(self, cost: int, now: float) -> float:
        """Return for how many seconds `cost` does not fit yet; 0 where it fits."""
        ...

    def take(self, cost: int, now: float) -> None:
        """Spend `cost`, whether it fits or not."""
        ...


def bounds(limit: Limit, now: float) -> tuple[float, float]:
    """Return the fixed window that `now` lies in, as Unix times `[start, end)`."""
    match limit.per:
        case "month":
            month = datetime.fromtimestamp(now, UTC)
            first = month.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
            year, zero_based = divmod(first.year * 12 + first.month, 12)
            return first.timestamp(), first.replace(year=year, month=zero_based + 1).timestamp()
        case "day":
            return now - now % 86_400, now - now % 86_400 + 86_400
        case _:
            per = float(limit.per)
            start = now - (now - limit.offset) % per
            return start, start + per


@dataclass(slots=True)
class FixedWindow:
    """A count that falls to nothing at each boundary of the grid."""

    limit: Limit
    end: float = 0.0
    count: int = 0

    def used(self, now: float) -> int:
        """Return the running window's count."""
        return self.count if now < self.end else 0

    def wait(self, cost: int, now: float) -> float:
        """Return the seconds to the next boundary where `cost` does not fit before it."""
        if self.used(now) + cost <= self.limit.limit:
            return 0.0
        return bounds(self.limit, now)[1] - now

    def take(self, cost: int, now: float) -> None:
        """Count in the window of `now`."""
        self.count = self.used(now) + cost
        self.end = max(self.end, bounds(self.limit, now)[1])


@dataclass(slots=True)
class FirstRequestWindow:
    """A count that falls to nothing `per` after the request that opened it."""

    limit: Limit
    end: float = 0.0
    count: int = 0

    def used(self, now: float) -> int:
        """Return the open window's count."""
        return self.count if now < self.end else 0

    def wait(self, cost: int, now: float) -> float:
        """Return the seconds to the window's end where `cost` does not fit before it."""
        return 0.0 if self.used(now) + cost <= self.limit.limit else self.end - now

    def take(self, cost: int, now: float) -> None:
        """Count, and open a window where none is open."""
        if now >= self.end:
            self.count, self.end = 0, now + float(self.limit.per)
        self.count += cost


@dataclass(slots=True)
class SlidingWindow:
    """An exact log: each spend counts for `per` seconds."""

    limit: Limit
    spends: deque[tuple[float, int]] = field(default_factory=deque)
    count: int = 0

    def used(self, now: float) -> int:
        """Return what was spent in the last `per` seconds."""
        while self.spends and self.spends[0][0] + float(self.limit.per) <= now:
            self.count -= self.spends.popleft()[1]
        return self.count

    def wait(self, cost: int, now: float) -> float:
        """Return the seconds until enough of the oldest spends have left."""
        over = self.used(now) + cost - self.limit.limit
        for moment, spent in self.spends:
            if over <= 0:
                break
            over -= spent
            if over <= 0:
                return moment + float(self.limit.per) - now
        return 0.0 if over <= 0 else float(self.limit.per)

    def take(self, cost: int, now: float) -> None:
        """Note the spend."""
        self.spends.append((now, cost))
        self.count += cost


@dataclass(slots=True)
class TokenBucket:
    """A bucket that fills continuously."""

    limit: Limit
    spent: float = 0.0
    moment: float = 0.0

    @property
    def size(self) -> int:
        """Tokens of a full bucket."""
        return self.limit.burst or self.limit.limit

    def missing(self, now: float) -> float:
        """Return how many tokens the bucket lacks."""
        filled = max(0.0, now - self.moment) * self.limit.limit / float(self.limit.per)
        return max(0.0, self.spent - filled)

    def used(self, now: float) -> int:
        """Return how many whole tokens the bucket lacks."""
        return int(self.missing(now))

    def wait(self, cost: int, now: float) -> float:
        """Return the seconds until the bucket holds `cost`; an impossible cost waits for `per`."""
        over = self.missing(now) + cost - self.size
        if over <= 1e-9:  # noqa: PLR2004 - what float arithmetic loses in a refill
            return 0.0
        return over * float(self.limit.per) / self.limit.limit

    def take(self, cost: int, now: float) -> None:
        """Take the tokens out."""
        self.spent, self.moment = self.missing(now) + cost, max(now, self.moment)


def window(limit: Limit) -> Window:
    """Return an empty count for `limit`."""
    if isinstance(limit.per, str):
        return FixedWindow(limit)
    kinds: dict[Algorithm, type[Window]] = {
        Algorithm.FIXED_WINDOW: FixedWindow,
        Algorithm.FIRST_REQUEST_WINDOW: FirstRequestWindow,
        Algorithm.SLIDING_WINDOW: SlidingWindow,
        Algorithm.TOKEN_BUCKET: TokenBucket,
    }
    return kinds[Algorithm(limit.algorithm)](limit)  # type: ignore[call-arg]  # a Protocol has no constructor


@dataclass(slots=True)
class Offence:
    """How often one spender went on after a refusal."""

    refusals: int = 0
    bans: int = 0
    until: float = 0.0


class Enforcer:
    """Counts the requests of one provider, and says which are refused."""

    def __init__(self, limits: Iterable[Limit], ban: Ban | None = None) -> None:
        self.limits = tuple(limits)
        self.ban = ban
        self._windows: dict[tuple[str, str, str], Window] = {}
        self._offences: dict[str, Offence] = {}

    def enter(self, spending: Spending, now: float) -> Counted | Refused:
        """Count a request that arrives at `now` (Unix time), or refuse it."""
        offence = self._offences.get(spending.address)
        if offence is not None and now < offence.until:
            return self._banned(spending, offence, now)
        costs = [
            (limit, self._window(limit, spending), _cost(limit, spending))
            for limit in self.limits
            if _applies(limit, spending)
        ]
        worst = max(
            ((held.wait(cost, now), limit) for limit, held, cost in costs if cost),
            key=lambda pair: pair[0],
            default=None,
        )
        refused = worst is not None and worst[0] > 0
        for limit, held, cost in costs:
            if not refused or limit.counts_refusals:
                held.take(cost, now)
        used = {limit.name: held.used(now) for limit, held, _ in costs}
        if refused and worst is not None:
            return self._refuse(spending.address, worst[1], worst[0], used, now)
        self._pardon(spending.address)
        return Counted(used)

    def standing(self, spending: Spending, now: float) -> dict[str, int]:
        """Return what the spender has used of each of its limits, counting nothing."""
        return {
            limit.name: self._window(limit, spending).used(now)
            for limit in self.limits
            if _applies(limit, spending)
        }

    def used(self, now: float) -> dict[str, dict[str, int]]:
        """Return what is spent now: by limit, then by spender (and route, where counted each)."""
        found: dict[str, dict[str, int]] = {limit.name: {} for limit in self.limits}
        for (name, spender, route), held in self._windows.items():
            found[name][f"{spender} {route}".strip()] = held.used(now)
        return found

    def banned(self, now: float) -> dict[str, float]:
        """Return who is banned at `now`, and until when (Unix time)."""
        return {who: each.until for who, each in self._offences.items() if each.until > now}

    def spend(self, name: str, amount: int, spender: str, now: float) -> None:
        """Spend of a limit behind everybody's back, as a foreign program on the address would."""
        limit = next(each for each in self.limits if each.name == name)
        key = (name, spender, "")
        self._windows.setdefault(key, window(limit)).take(amount, now)

    def _window(self, limit: Limit, spending: Spending) -> Window:
        credential = spending.credential if limit.of == "credential" else ""
        key = (limit.name, credential or spending.address, spending.route if limit.each else "")
        if key not in self._windows:
            self._windows[key] = window(limit)
        return self._windows[key]

    def _refuse(
        self, address: str, limit: Limit, wait: float, used: Mapping[str, int], now: float
    ) -> Refused:
        if self.ban is None:
            return Refused(limit, wait, used)
        offence = self._offences.setdefault(address, Offence())
        offence.refusals += 1
        if offence.refusals <= self.ban.after:
            return Refused(limit, wait, used)
        seconds = min(self.ban.longest, self.ban.seconds * self.ban.growth**offence.bans)
        offence.bans, offence.refusals, offence.until = offence.bans + 1, 0, now + seconds
        return Refused(limit, seconds, used, offence.until)

    def _banned(self, spending: Spending, offence: Offence, now: float) -> Refused:
        limit = next(each for each in self.limits if _applies(each, spending))
        return Refused(limit, offence.until - now, {}, offence.until)

    def _pardon(self, address: str) -> None:
        if (offence := self._offences.get(address)) is not None:
            offence.refusals = 0


def _applies(limit: Limit, spending: Spending) -> bool:
    if limit.group and limit.group not in spending.groups:
        return False
    match limit.when:
        case "keyed":
            return bool(spending.credential)
        case "keyless":
            return not spending.credential
        case _:
            return True


def _cost(limit: Limit, spending: Spending) -> int:
    return 1 if limit.counts == "requests" else spending.cost
