"""Spenders: the processes that share a ledger, and what is withheld for those that are silent.

Each call, and a heartbeat where there are none, renews a spender's lease. One that is cut off may
use its share while its lease runs (`core.shares`); the ledger withholds that share for as long. It
knows nothing of the cut but the silence: so a share is withheld after `SILENT` seconds without a
word, and no spender begins with its share before that time has passed for certain.
"""

import msgspec

LEASE = 20.0
"""Seconds for which a spender is alive after its last call."""

SILENT = 2.0
"""Seconds without a call after which a spender may be cut off."""

HEARTBEAT = 1.0
"""Seconds after which a spender that has nothing to ask calls all the same."""


class Spender(msgspec.Struct, frozen=True, array_like=True):
    """One process."""

    id: str
    seen: float
    """Ledger's time of its last call."""
    of: int
    """How many were alive then: what it takes its share to be one of."""
    alone: bool = False
    """Nobody could reach the ledger: where a share is below one call, all took turns."""


Spenders = tuple[Spender, ...]


def met(spenders: Spenders, caller: str, now: float) -> Spenders:
    """Return the spenders after a call: the caller is alive, whose lease has ended is not."""
    alive = [each for each in spenders if each.id != caller and each.seen > now - LEASE]
    return (*alive, Spender(caller, now, len(alive) + 1))


def withheld(spenders: Spenders, now: float) -> float:
    """Return the share of every limit that the silent ones may be using."""
    share = 0.0
    for each in spenders:
        if each.seen < now - SILENT:
            share += 1.0 / each.of
    return min(1.0, share)


def in_turns(spenders: Spenders, now: float) -> float:
    """Return how many the silent ones may take turns with: a smaller limit is all theirs."""
    most = 0.0
    for each in spenders:
        if each.alone and each.seen < now - SILENT:
            most = max(most, float(each.of))
    return most
