"""Fair shares of a contended limit: who has had its own, and what is kept for the others.

The line (`core.waiting`) is fair among those who stand in it at the same moment. Where patience is
shorter than the window, that is not enough: tokens come back all at once, whoever floods has a
hundred places in the line at that moment, and the others one each. So what clients asked for in
the last window says what each may claim of the present one, max-min fair by weight (nobody gets
more than it asks for, the rest is divided alike), more urgent classes first:

    standing  who is behind its share goes first, then who is ahead of it, then who has had it all
    kept      what others will ask of their shares before as much has come back: who is not behind
              leaves it untouched, so that those whose turn comes later in the window find it

Nothing is kept for who asked for nothing, nor of what a client stands in line for, for the line is
fair by itself; with demand below the limit nobody is ever ahead. Who was not known in the last
window has one share together with all other newcomers: nobody gains by ever new names.

A grant or a request is O(1) here; a new window sorts the clients that came in the last one, which
is a logarithm of them for each of the requests that made them known.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from proxy.core.model import Client
from proxy.core.spending import Outlook

_CRUMB = 1e-9

_SPARE = 0.05
"""Share of a window that is kept, at the most, beyond what is expected: askers come by chance."""

_KEPT = 2.0
"""Windows without contention after which a limit is no longer contended."""


class Standing(IntEnum):
    """How a client stands in the present window; who has had less of its own goes first."""

    BEHIND = 0
    AHEAD = 1
    """It has had more than is due by now, and asks for more than its share in any case."""
    OVER = 2
    """It has had its share."""


@dataclass(slots=True)
class _Claim:
    """A client's part in the present window."""

    asked: float
    """Tokens it asked for in the last one."""
    weight: float
    share: float
    """What it may claim: no more than it asked for."""
    got: float = 0.0
    waits: float = 0.0
    """What it stands in line for: the line is fair, so that nothing need be kept of it."""

    @property
    def due(self) -> float:
        """What it has not had of its share."""
        return max(0.0, self.share - self.got)

    @property
    def open(self) -> float:
        """What it has not had of its share, nor waits for."""
        return max(0.0, self.due - self.waits)


class _Claims(NamedTuple):
    """What some clients have not had of their shares."""

    open: float
    rate: float
    """Tokens a second in which they ask for it."""
    pace: float
    """Tokens a second that they may claim anew when the window has ended."""
    left: float
    """Seconds until it ends."""

    def within(self, seconds: float) -> float:
        """Return what they will ask for in so many seconds."""
        now, anew = min(seconds, self.left), max(0.0, seconds - self.left)
        return min(self.open, self.rate * now) + self.pace * anew


class _Class:
    """The clients of one priority."""

    def __init__(self) -> None:
        self.asked: dict[str, tuple[float, float]] = {}
        """What each asked for in the present window, and its weight."""
        self.claims: dict[str, _Claim] = {}
        self.newcomers = _Claim(0.0, 1.0, 0.0)
        self.level = math.inf
        """Tokens to a weight of 1: who has had so many has had its share."""
        self.waiting: dict[str, float] = {}
        """What each waits for."""
        self.due = self.open = 0.0
        """Sums of what is due and what is open; of the shares and askings of who has some open."""
        self.pace = self.asks = 0.0

    def claim(self, identity: str) -> _Claim:
        return self.claims.get(identity, self.newcomers)

    def grant(self, identity: str, cost: float) -> None:
        claim = self.claim(identity)
        self._count(claim, -1)
        claim.got = max(0.0, claim.got + cost)
        self._count(claim, 1)

    def wait(self, identity: str, cost: float) -> None:
        waits = self.waiting.get(identity, 0.0) + cost
        if waits > _CRUMB:
            self.waiting[identity] = waits
        else:
            self.waiting.pop(identity, None)
        claim = self.claims.get(identity)
        if claim is not None:
            self._count(claim, -1)
            claim.waits = max(0.0, waits)
            self._count(claim, 1)

    def _count(self, claim: _Claim, sign: int) -> None:
        self.due += sign * claim.due
        if claim.open > 0:
            self.open += sign * claim.open
            self.pace += sign * claim.share
            self.asks += sign * claim.asked

    def turn(self, size: float, dearest: float, scale: float) -> float:
        """Begin a window with `size` tokens for this class; return what is left for the next.

        `scale` makes what was asked for in the last one a whole window's.
        """
        before, level = self.claims, self.level
        self.asked = {
            identity: (asked * scale, weight) for identity, (asked, weight) in self.asked.items()
        }
        self.level = water_level(self.asked.values(), size)
        self.claims = {}
        self.due = self.open = self.pace = self.asks = 0.0
        for identity, (asked, weight) in self.asked.items():
            had = before.get(identity)
            ahead = 0.0 if had is None else had.got - level * had.weight
            claim = _Claim(asked, weight, min(asked, self.level * weight))
            claim.got = min(max(0.0, ahead), dearest)  # a grant is whole, a share need not be
            self.claims[identity] = claim
            claim.waits = self.waiting.get(identity, 0.0)
            self._count(claim, 1)
        self.newcomers = _Claim(0.0, 1.0, 0.0)
        self.asked = {}
        return max(0.0, size - sum(claim.share for claim in self.claims.values()))


class FairShares:
    """One contended limit. Times are the caller's, in seconds; tokens are those of its charges."""

    def __init__(self, size: float, window: float, now: float) -> None:
        """Take the tokens of a window, and its length in seconds."""
        self.window = window
        self.turns = 0
        """Windows begun: whoever is over now need not be over in the next."""
        self._size = size
        self._began = now
        self.ends = now + window
        self._contended_at = now
        self._classes: dict[int, _Class] = {}
        self._dearest = 0.0
        self._missed = self._lapses = False
        self._spare = 0.0
        """What is kept beyond what others are expected to ask for."""
        self._spilt = now
        """Until when what comes to a full limit was given away."""
        self._rest = size
        """What the known clients do not claim of the window."""

    def contended(self, now: float) -> None:
        """Note that the limit denied somebody."""
        self._contended_at = now

    def is_over(self, now: float) -> bool:
        """Whether nobody was denied for so long that there is nothing to share."""
        return now > self._contended_at + _KEPT * self.window

    def ask(self, client: Client, priority: int, cost: float, now: float) -> None:
        """Count a request, whatever comes of it."""
        self.roll(now)
        if priority not in self._classes:
            self._classes[priority] = self._class()
        each = self._classes[priority]
        asked, _ = each.asked.get(client.identity, (0.0, 0.0))
        each.asked[client.identity] = (asked + cost, client.weight)

    def grant(self, client: Client, priority: int, cost: float, now: float) -> None:
        """Count a grant; a negative cost takes one back."""
        self.roll(now)
        self._dearest = max(self._dearest, cost)
        if priority in self._classes:
            self._classes[priority].grant(client.identity, cost)

    def wait(self, client: Client, priority: int, cost: float, now: float) -> None:
        """Note that a client stands in line for so much; a negative cost: no more."""
        self.roll(now)
        if priority not in self._classes:
            self._classes[priority] = self._class()
        self._classes[priority].wait(client.identity, cost)

    def miss(self, client: Client, priority: int, now: float) -> None:
        """Note that a request came to nothing; it matters where its client was not over.

        Nor where nobody else asks: what is kept would be kept from the one it is kept for.
        """
        behind = self.standing(client, priority, now) is Standing.BEHIND
        if behind and not self._is_alone(client):
            self._missed = True
            most = max(self._dearest, _SPARE * self._size)
            self._spare = min(self._spare + self._dearest, most)

    def _is_alone(self, client: Client) -> bool:
        """Whether nobody else asked in this window or the last."""
        return all(
            len(known) == (client.identity in known)
            for each in self._classes.values()
            for known in (each.claims, each.asked)
        )

    def standing(self, client: Client, priority: int, now: float) -> Standing:
        """Return how a client stands."""
        self.roll(now)
        each = self._classes.get(priority)
        if each is None or each.level == math.inf:
            return Standing.BEHIND
        claim = each.claim(client.identity)
        most = each.level * claim.weight
        if claim.got >= most:
            return Standing.OVER
        passed = (now - self._began) / (self.ends - self._began)
        ahead = claim.asked > most and claim.got >= most * passed
        return Standing.AHEAD if ahead else Standing.BEHIND

    def claims(self, client: Client, priority: int, seconds: float, now: float) -> float:
        """Return what others will ask of their shares in so many seconds."""
        return self._claims(client, priority, now).within(seconds)

    def _claims(self, client: Client, priority: int, now: float) -> _Claims:
        over = self.standing(client, priority, now) is Standing.OVER
        still = pace = asks = 0.0
        for level, each in self._classes.items():
            if level <= priority:
                still += each.due if over else each.open
                pace, asks = pace + each.pace, asks + each.asks
        own = self._classes[priority].claim(client.identity)
        still -= own.due if over else own.open
        if own.open > 0:
            pace, asks = pace - own.share, asks - own.asked
        rate = asks if self._lapses else pace
        return _Claims(still, rate / self.window, pace / self.window, self.ends - now)

    def kept(self, client: Client, priority: int, outlook: Outlook, now: float) -> float:
        """Return the tokens that a client who is over leaves to others.

        It is what they will ask for before as much has come back.
        """
        self._align(outlook, now)
        claims = self._claims(client, priority, now)
        kept = come = 0.0
        for seconds, tokens in outlook.returns:
            kept = max(kept, claims.within(seconds) - come)
            come += tokens
        come *= max(1.0, self.window / outlook.again)
        kept = max(kept, claims.within(self.window) - come)
        if self._spare > 0 and outlook.brim < math.inf:
            return kept + outlook.brim  # of what fills up in any case, more costs nothing
        return kept + self._spare

    def spills(self, cost: float, outlook: Outlook, now: float) -> bool:
        """Whether a client that is not behind may take what a full limit would lose.

        No faster than it comes: what is in flight makes a bucket full that others will want.
        """
        if now < self._spilt:
            return False
        self._spilt = now + cost * pace(outlook)
        return True

    def _class(self) -> _Class:
        each = _Class()
        each.level = math.inf if self._rest > 0 else 0.0
        return each

    def _align(self, outlook: Outlook, now: float) -> None:
        """Let the window end with the limit's own, where that has an end."""
        self._lapses = outlook.ends_in is not None
        if outlook.ends_in is None:
            return
        ends = now + outlook.ends_in
        if ends > self._began + 1.5 * self.window:  # the limit's has ended a moment before ours
            self.ends = now
            self.roll(now)
        if ends < self._began + 0.5 * self.window:  # too short to learn from what is asked in it
            ends += self.window
        self.ends = ends

    def roll(self, now: float) -> None:
        """Begin the window that `now` is in."""
        if now < self.ends:
            return
        again = now < self.ends + self.window
        self.turns += 1
        scale = self.window / max(self.ends - self._began, 0.5 * self.window)
        self._began = self.ends if again else now
        self.ends = self._began + self.window
        left = self._size
        for priority in sorted(self._classes):
            each = self._classes[priority]
            if not each.waiting and not (again and (each.asked or each.claims)):
                del self._classes[priority]
            else:
                left = each.turn(left, self._dearest, scale)
        self._rest = left
        if not self._missed:
            self._spare = max(0.0, self._spare - self._dearest)
        self._missed = False


def pace(outlook: Outlook) -> float:
    """Return the seconds in which a token comes back."""
    return outlook.again / sum(tokens for _, tokens in outlook.returns)


def water_level(demands: Iterable[tuple[float, float]], size: float) -> float:
    """Return the max-min fair level: each gets `min(asked, level * weight)`, `size` in all.

    `demands` are `(asked, weight)`; infinity: there is enough for all.
    """
    left = size
    rows = sorted(demands, key=lambda row: row[0] / row[1])
    weights = sum(weight for _, weight in rows)
    for asked, weight in rows:
        level = max(0.0, left) / weights
        if asked > level * weight:
            return level
        left -= asked
        weights -= weight
    return math.inf
