"""Dues: whether an answer that is used is to be refreshed ahead, in earnest and in plans alike.

An answer is hot if it was used `HOT` times since it came; what was used less is let end, and
forgotten. One that is said to wear is due once it is worn, and never at its end: the first to ask
after it is served as soon as any. Where a refresh brings nothing, the next comes ever later, and
what ends meanwhile is forgotten; only what is warm is tried on and on.
"""

from typing import Final

from proxy.core import surplus
from proxy.core.model import Entry
from proxy.freshening.heats import Heat

HOT: Final = 2
AGAIN: Final = 15.0
"""Seconds after which a refresh that brought nothing is tried again for the first time."""


def is_kept(heat: Heat) -> bool:
    """Return whether an answer is refreshed ahead at all: others are counted for other reasons."""
    return heat.warm or heat.asked.match.endpoint.refresh_ahead


def note(heat: Heat, entry: Entry | None) -> None:
    """Begin to count anew if the entry is another than before."""
    if entry is not None and entry.received_at != heat.of:
        heat.hits = heat.hits if heat.of is None else 0
        heat.of = entry.received_at
        heat.rest = 0.0


def tried(heat: Heat, now: float) -> None:
    """Note that an answer is being refreshed."""
    heat.not_before = now + AGAIN
    heat.rest = max(AGAIN, 2 * heat.rest)


def _rests(heat: Heat, entry: Entry, now: float) -> bool:
    """Return whether a refresh of this entry brought nothing of late."""
    if heat.warm or heat.of != entry.received_at:
        return False
    return now < heat.not_before - AGAIN + heat.rest


def is_old(heat: Heat, entry: Entry, now: float) -> bool:
    """Return whether an answer has had its time, or given as much age as a refresh is worth."""
    if _rests(heat, entry, now):
        return False
    age, worn_after = entry.age(now), heat.asked.match.endpoint.worn_after
    if heat.warm or not worn_after:
        return surplus.is_due(entry.lifetimes, age)
    hits = heat.hits if heat.of in {None, entry.received_at} else 0
    return age >= entry.lifetimes.ttl or surplus.is_worn(entry.lifetimes, age, hits, worn_after)


def is_due(heat: Heat, entry: Entry | None, now: float) -> bool:
    """Return whether an answer, whose entry was noted, is to be refreshed."""
    if entry is None:
        return heat.warm
    if not is_old(heat, entry, now):
        return False
    if heat.asked.match.endpoint.worn_after and not heat.warm:
        return entry.age(now) < entry.lifetimes.ttl
    return heat.warm or heat.hits >= HOT


def is_over(heat: Heat, entry: Entry | None, now: float) -> bool:
    """Return whether an answer that is not due is to be forgotten."""
    return not heat.warm and (entry is None or entry.age(now) > entry.lifetimes.ttl)


def worth(heat: Heat) -> float:
    """Return what a refresh saves for its cost: the greatest goes first."""
    return surplus.worth(heat.hits + heat.warm, heat.asked.bill())
