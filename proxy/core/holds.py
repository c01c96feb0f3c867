"""Holds: until when an upstream must be left alone, and who goes first afterwards.

A refusal (429, 418, a body that says so) holds the whole fleet: for as long as the provider says,
or by steps that double. When the hold has passed one probe goes; nobody follows before it is
settled. A refused probe lengthens the hold, an answered one ends the series. Refusals of calls that
had left before the hold began say nothing new: they may extend it, never double it.
"""

import math

import msgspec

SHORTEST = 1.0
LONGEST = 7 * 86400.0
"""Seconds: what a provider says is taken within these."""

JITTER = 0.1
"""Largest share by which a step of our own is lengthened, so that instances do not meet."""


class Holding(msgspec.Struct, frozen=True, array_like=True):
    """State of an upstream's hold; all times are the ledger's."""

    until: float = 0.0
    since: float = 0.0
    """When the present series was last lengthened."""
    refusals: int = 0
    """Refusals in the series; 0: no hold, and no probe needed."""
    probe: str = ""
    """Receipt of the probe that is under way."""
    probe_until: float = 0.0
    """When the probe's answer has come, or will not."""
    reason: str = ""


FREE = Holding()


class Refusal(msgspec.Struct, frozen=True, array_like=True):
    """The provider said: leave me alone."""

    reason: str
    seconds: float
    """As the provider says; negative: it does not."""
    first: float
    """Own steps: the first, and the longest."""
    most: float
    jitter: float
    """Random, 0 to 1."""


def held_until(holding: Holding, now: float) -> float | None:
    """Return until when nobody may go: the hold's end, or the probe's; None: go."""
    if holding.refusals == 0:
        return None
    if holding.until > now:
        return holding.until
    if holding.probe and holding.probe_until > now:
        return holding.probe_until
    return None


def entered(holding: Holding, receipt: str, until: float) -> Holding:
    """Return the hold after a grant: the first one after it is the probe."""
    if holding.refusals == 0:
        return holding
    return msgspec.structs.replace(holding, probe=receipt, probe_until=until)


def lengthened(holding: Holding, refusal: Refusal, sent: float, now: float) -> Holding:
    """Return the hold after a refusal of a call that was granted at `sent`."""
    if holding.refusals > 0 and sent < holding.since:
        said = 0.0 if refusal.seconds < 0 else _bounded(refusal.seconds)
        return msgspec.structs.replace(holding, until=max(holding.until, now + said))
    refusals = min(holding.refusals + 1, 64)
    until = max(holding.until, now + _length(refusal, refusals))
    return Holding(until, now, refusals, reason=refusal.reason)


def _length(refusal: Refusal, refusals: int) -> float:
    if refusal.seconds < 0:
        step = min(refusal.first * 2.0 ** (refusals - 1), refusal.most)
        return _bounded(step * (1.0 + JITTER * refusal.jitter))
    if refusals == 1:
        return _bounded(refusal.seconds)
    return _bounded(max(refusal.seconds, min(refusal.first * 2.0 ** (refusals - 2), refusal.most)))


def _bounded(seconds: float) -> float:
    return max(SHORTEST, min(seconds, LONGEST)) if math.isfinite(seconds) else LONGEST


def ended(holding: Holding, receipt: str, sent: float, *, answered: bool) -> Holding:
    """Return the hold after a call that was not refused."""
    if holding.refusals == 0:
        return holding
    if answered and sent >= holding.since:
        return FREE
    if holding.probe == receipt:
        return msgspec.structs.replace(holding, probe="", probe_until=0.0)
    return holding
