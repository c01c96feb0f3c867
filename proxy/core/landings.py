"""How flights end, as the others of a fleet are told: instances on one Redis, workers of a machine.

A stamp is the `received_at` of the entry that a landing stored: who has that very entry knows of
the landing, and need not look for it.
"""

from enum import StrEnum

from msgspec import Struct

NONE = 0.0
"""The stamp of no landing."""


class Ending(StrEnum):
    """How a flight ended, as far as those matter who waited for it elsewhere."""

    STORED = "stored"
    """What it brought is in the store."""
    FAILED = "failed"
    """Nothing came of it, or quota was out: another may lead."""
    OWN = "own"
    """What it brought is for one alone: each goes on for itself."""


class Landed(Struct, frozen=True):
    """Another's flight has landed."""

    ending: Ending
    stamp: float = NONE
    awaited: bool = True
    """It landed while it was waited for; else a moment before."""
