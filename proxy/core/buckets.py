"""Token buckets: `size` tokens at most, filled at `size / window` a second.

The provider's bucket is never below ours. Both fill at one rate; ours pays when a spend is granted,
the provider's when it counts it, so ours is lower by what is in flight and not yet counted. Only at
the top could ours overtake: a full provider's bucket fills no more while the spend in flight has
not been taken from it. So ours fills up to `size` less what is in flight, and no further.
"""

import msgspec

from proxy.core import tallies
from proxy.core.counts import Count
from proxy.core.rules import Rule


def filled(rule: Rule, count: Count, now: float, withheld: float = 0.0) -> Count:
    """Return the bucket at `now`; it fills slot by slot, as what was in flight is answered.

    What is withheld for spenders that were cut off fills theirs, not ours.
    """
    if now <= count.at:
        return count
    rate = rule.size / rule.window * (1.0 - withheld)
    level, at, flying = count.level, count.at, in_flight(count, count.at, rule.slot)
    for slot, tokens in zip(count.own.slots, count.own.tokens, strict=True):
        ended = slot * rule.slot
        if count.at < ended <= now:
            level = min(level + rate * (ended - at), rule.size - flying)
            at, flying = ended, flying - tokens
    level = min(level + rate * (now - at), rule.size - flying)
    own = tallies.since(count.own, now - rule.window, rule.slot)
    owed = 0.0 if level >= rule.size - flying else count.owed
    return msgspec.structs.replace(count, own=own, level=level, at=now, owed=owed)


def in_flight(count: Count, now: float, width: float) -> float:
    """Return the tokens of spends whose answers may still come after `now`."""
    flying = 0.0
    for slot, tokens in zip(reversed(count.own.slots), reversed(count.own.tokens), strict=True):
        if slot * width <= now:
            break
        flying += tokens
    return flying


def fits(rule: Rule, count: Count, cost: float, *, urgent: bool) -> bool:
    """Tell whether a (filled) bucket holds `cost`."""
    floor = 0.0 if urgent else rule.size * rule.reserve
    return count.level - cost >= floor - tallies.CRUMB
