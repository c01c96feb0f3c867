"""A count: how one limit stands, whatever its algorithm, and the moment it is looked at.

    own      what this fleet spent: a spend is counted at the latest moment its answer could come,
             and moved to when it came
    foreign  what others on the same address spent, as the provider's figures show

A token bucket keeps its level beside: `own` is then only what is in flight and what was lately.
States are packed as they are (MessagePack arrays), in SQLite as in Redis.
"""

from typing import NamedTuple

import msgspec

from proxy.core.offsets import UNKNOWN, Offset
from proxy.core.tallies import EMPTY, Tally


class Told(msgspec.Struct, frozen=True, array_like=True):
    """What the provider told of a limit's use."""

    at: float = 0.0
    """Ledger's time of the newest answer whose figures were taken."""
    start: float = 0.0
    """Fixed window: beginning of the window that the rest is about (provider's clock)."""
    top: float = 0.0
    """Most that the provider said was used of it."""
    counted: float = 0.0
    """Own spends in it whose answers told its use: all of them are within `top`."""
    size: float = 0.0
    """Size that the provider states, where it is below ours; 0: none."""


UNTOLD = Told()


class Count(msgspec.Struct, frozen=True, array_like=True):
    """State of one count."""

    slot: float
    """Seconds to a slot of the tallies."""
    own: Tally = EMPTY
    foreign: Tally = EMPTY
    told: Told = UNTOLD
    level: float = 0.0
    """Token bucket: tokens in it at `at`; below 0 where a call cost more than was thought."""
    at: float = 0.0
    """Ledger's time; 0: this is no bucket."""
    owed: float = 0.0
    """Token bucket: tokens that the provider's figures took from it."""


class Moment(NamedTuple):
    """Now, on the clocks that count."""

    now: float
    """Ledger's time, s: durations."""
    wall: float
    """Unix time: calendars, where the provider's clock is not known."""
    offset: Offset = UNKNOWN
