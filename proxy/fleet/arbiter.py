"""Who leads which flight, among those who ask one process: in its memory, without I/O.

Rules
- The first who asks for a key leads. All others are told when it has landed; where it came to
  nothing because its leader has gone, the one who has waited longest leads, and the others wait on.
- A landing that stored something is remembered for `REMEMBERED`: who looked into the store before
  it and asks only now is told of it, unless it knows of it (see `proxy.fleet.redis`).
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from proxy.core.landings import NONE, Ending, Landed

REMEMBERED: Final = 5.0
"""Seconds for which a landing is told to those who ask after it."""


@dataclass(frozen=True, slots=True)
class Leading:
    """The lead is given. `inherited`: another had it before, and has gone without a word."""

    inherited: bool = False


Told: TypeAlias = Leading | Landed


@dataclass(eq=False, slots=True)
class Ask:
    """One who asks for the lead of a flight, and how to tell it what came of that."""

    key: str
    known: float
    tell: Callable[[Told], None]


@dataclass(slots=True)
class _Flight:
    leader: Ask
    followers: list[Ask] = field(default_factory=list)


class Arbiter:
    """Gives leads, and tells of landings."""

    def __init__(self, time: Callable[[], float]) -> None:
        """Take a clock that never steps (seconds)."""
        self._time = time
        self._flights: dict[str, _Flight] = {}
        self._landed: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """Stamps of landings and until when they are told, by key, the oldest first."""

    def ask(self, ask: Ask) -> None:
        """Take someone who asks; it is told at once that it leads or need not, or later."""
        flight = self._flights.get(ask.key)
        if flight is not None:
            flight.followers.append(ask)
            return
        stamp = self._remembered(ask.key)
        if stamp not in (NONE, ask.known):
            ask.tell(Landed(Ending.STORED, stamp, awaited=False))
            return
        self._flights[ask.key] = _Flight(ask)
        ask.tell(Leading())

    def land(self, leader: Ask, ending: Ending, stamp: float) -> None:
        """Tell all who follow how a flight ended; one whose leader has changed ends unheard."""
        flight = self._flights.get(leader.key)
        if flight is None or flight.leader is not leader:
            return
        del self._flights[leader.key]
        if ending is Ending.STORED:
            self._landed.pop(leader.key, None)
            self._landed[leader.key] = (stamp, self._time() + REMEMBERED)
        for each in flight.followers:
            each.tell(Landed(ending, stamp))

    def leave(self, ask: Ask) -> None:
        """Forget one who waits no longer, or has died; the next in line inherits its lead."""
        flight = self._flights.get(ask.key)
        if flight is None:
            return
        if flight.leader is not ask:
            flight.followers = [each for each in flight.followers if each is not ask]
        elif flight.followers:
            flight.leader = flight.followers.pop(0)
            flight.leader.tell(Leading(inherited=True))
        else:
            del self._flights[ask.key]

    def _remembered(self, key: str) -> float:
        now = self._time()
        while self._landed and next(iter(self._landed.values()))[1] <= now:
            self._landed.popitem(last=False)
        return self._landed.get(key, (NONE, NONE))[0]
