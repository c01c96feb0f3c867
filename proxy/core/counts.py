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
    """What the provider told of a limit's use, and what was learnt of others from it."""

    at: float = 0.0
    """Ledger's time of the newest answer whose figures were taken; 0: none."""
    asked: float = 0.0
    """When the call was granted that it answered."""
    start: float = 0.0
    """Fixed window: beginning of the window that the rest is about (provider's clock)."""
    top: float = 0.0
    """Most that the provider said was used of it."""
    counted: float = 0.0
    """Own spends that are surely within `top`: of this window, or (unaligned) of that call."""
    size: float = 0.0
    """Size that the provider states, where it is below ours; 0: none."""
    lag: float = 0.0
    """Seconds that exchanges take, at the longest of late."""
    sure: float = 0.0
    """Others' tokens in this window, at the least."""
    seen: float = 0.0
    """Others' tokens in earlier windows, the older the less; unaligned: in a window of late."""
    span: float = 0.0
    """Seconds in which those were seen (fixed windows)."""
    stride: float = 0.0
    """Most that others have spent at once beyond what their pace foretold, of late."""
    dearest: float = 0.0
    """Cost of our dearest call of late: others' calls are taken to cost as much."""


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
    withheld: float = 0.0
    """Share of every limit that spenders who were cut off may be using."""
    in_turns: float = 0.0
    """Limits smaller than this they may be using whole, one after another."""
