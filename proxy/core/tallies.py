"""Tallies: how many tokens were counted when, in slots, oldest first.

Slot `i` holds what was counted before `i * width` seconds (and not before the slot's beginning),
so a slot that lies wholly in the past is wholly past: a tally errs on the late side, by less than
one slot. Empty slots are not kept.
"""

from bisect import bisect_left, bisect_right
from math import floor

import msgspec


class Tally(msgspec.Struct, frozen=True, array_like=True):
    """Tokens by slot."""

    slots: tuple[int, ...] = ()
    tokens: tuple[float, ...] = ()
    total: float = 0.0


EMPTY = Tally()

CRUMB = 1e-9
"""Less than this is nothing: what sums of fractions leave."""


def slot_at(moment: float, width: float) -> int:
    """Return the slot that holds `moment`: the first that ends after it."""
    return floor(moment / width) + 1


def added(tally: Tally, slot: int, tokens: float) -> Tally:
    """Return the tally with `tokens` more in `slot`."""
    slots, held = tally.slots, list(tally.tokens)
    at = bisect_left(slots, slot)
    if at < len(slots) and slots[at] == slot:
        held[at] += tokens
    else:
        held.insert(at, tokens)
        slots = (*slots, slot) if at == len(slots) else (*slots[:at], slot, *slots[at:])
    return Tally(slots, tuple(held), tally.total + tokens)


def taken(tally: Tally, slot: int, tokens: float) -> tuple[Tally, bool]:
    """Return the tally with `tokens` fewer in `slot`, and whether they were there."""
    slots = tally.slots
    at = bisect_left(slots, slot)
    if at == len(slots) or slots[at] != slot or tally.tokens[at] < tokens - CRUMB:
        return tally, False
    held = list(tally.tokens)
    held[at] -= tokens
    if held[at] <= CRUMB:
        del held[at]
        slots = slots[:at] + slots[at + 1 :]
    return Tally(slots, tuple(held), tally.total - tokens if slots else 0.0), True


def moved(tally: Tally, source: int, tokens: float, target: int, other: float) -> Tally | None:
    """Return the tally with `tokens` fewer in `source` and `other` more in `target`.

    None: they were not there. It is `taken` and `added` at once, for half of what they cost.
    """
    slots = tally.slots
    here, there = bisect_left(slots, source), bisect_left(slots, target)
    most = len(slots)
    if here == most or slots[here] != source or tally.tokens[here] < tokens - CRUMB:
        return None
    held = list(tally.tokens)
    held[here] -= tokens
    if held[here] <= CRUMB or there == most or slots[there] != target or other <= 0:
        left, _ = taken(tally, source, tokens)
        return added(left, target, other) if other > 0 else left
    held[there] += other
    return Tally(slots, tuple(held), tally.total - tokens + other)


def since(tally: Tally, cut: float, width: float) -> Tally:
    """Return the tally less the slots that had ended at `cut`."""
    if not tally.slots or tally.slots[0] * width > cut:
        return tally
    gone, total = 0, tally.total
    while gone < len(tally.slots) and tally.slots[gone] * width <= cut:
        total -= tally.tokens[gone]
        gone += 1
    if gone == len(tally.slots):
        return EMPTY
    return Tally(tally.slots[gone:], tally.tokens[gone:], total)


def merged(tally: Tally, until: float, width: float) -> Tally:
    """Return the tally with all that was counted in slots ended at `until` in the last of them."""
    if len(tally.slots) < 2 or tally.slots[1] * width > until:  # noqa: PLR2004 - nothing to join
        return tally
    tokens, at = tally.tokens[0], 1
    while at < len(tally.slots) and tally.slots[at] * width <= until:
        tokens += tally.tokens[at]
        at += 1
    return Tally(tally.slots[at - 1 :], (tokens, *tally.tokens[at:]), tally.total)


def ended_by(tally: Tally, moment: float, width: float) -> float:
    """Return the tokens in the slots that had ended at `moment`."""
    total = 0.0  # in this order, without sum()'s compensation: the Lua script adds the same way
    for tokens in tally.tokens[: bisect_right(tally.slots, moment / width)]:
        total += tokens
    return total


def resized(tally: Tally, width: float, new: float) -> Tally:
    """Return the tally in slots of another width, none of it earlier than it was."""
    if width == new:
        return tally
    result = EMPTY
    for slot, tokens in zip(tally.slots, tally.tokens, strict=True):
        result = added(result, slot_at(slot * width, new), tokens)
    return result
