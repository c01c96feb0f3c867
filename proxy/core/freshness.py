"""Freshness: how old a reply is, and how long it may be used (RFC 9111 section 4.2).

- The age is the upstream's own Age, the exchange's duration and the time since. Where what the
  upstream says counts (`cap`, `obey`), its Date does too (apparent_age); under `ignore` it does
  not: a provider's wrong clock must not shorten a TTL that the operator promised.
- Lifetime under `obey`: s-maxage, max-age, Expires - Date, else a tenth of the time since
  Last-Modified, for the statuses that allow it. `no-cache` makes it 0.
- Stale: never where `must-revalidate`, `proxy-revalidate`, `s-maxage` or `no-cache` forbid it.
  Else stale-while-revalidate and stale-if-error say how long (RFC 5861); and where no answer can be
  had at all, what once was fresh may be used for `DISCONNECTED` seconds (section 4.2.4).
- `cap`: the operator's lifetimes, cut to what the upstream says where it says anything.
"""

from enum import StrEnum
from typing import Final, assert_never

from msgspec.structs import replace

from proxy.core import dates, directives
from proxy.core.directives import Directives
from proxy.core.fields import Fields, combined, first, names
from proxy.core.model import Entry, Fetched, Lifetimes, Policy

HEURISTIC_STATUSES: Final = frozenset({200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501})
"""Statuses that may be kept without being told how long (RFC 9110 section 15.1); less 206."""
HEURISTIC_FRACTION: Final = 0.1
HEURISTIC_LONGEST: Final = 86400.0
DISCONNECTED: Final = 86400.0
"""Seconds after its lifetime for which an entry may stand in for an upstream that is away."""
REVALIDATED: Final = 86400.0
"""Seconds after its lifetime for which an entry is kept so that a 304 may confirm it."""
FUTURE: Final = 60.0
"""Seconds by which an entry may seem to come from the future (clocks of two machines)."""

MUST_REVALIDATE: Final = "must-revalidate"
NO_CACHE: Final = "no-cache"
STALE_IF_ERROR: Final = "stale-if-error"
_IGNORE: Final = Policy.IGNORE
_FORBID_STALE: Final = ("must-revalidate", "proxy-revalidate", "s-maxage")


class Phase(StrEnum):
    """What an entry of some age is good for."""

    FRESH = "fresh"
    STALE = "stale"
    """Served while it is refreshed."""
    FALLBACK = "fallback"
    """Served only where the upstream fails."""
    EXPIRED = "expired"


def phase(lifetimes: Lifetimes, age: float) -> Phase:
    """Return the phase of an entry at `age` seconds (RFC 9111 section 4.2, RFC 5861)."""
    if age < lifetimes.ttl:
        return Phase.FRESH
    if age < lifetimes.ttl + lifetimes.stale_while_revalidate:
        return Phase.STALE
    if age < lifetimes.ttl + lifetimes.stale_if_error:
        return Phase.FALLBACK
    return Phase.EXPIRED


def from_future(entry: Entry, now: float) -> bool:
    """Return whether the entry was stored by a clock far ahead of ours: its age means nothing."""
    return entry.received_at > now + FUTURE


# ── Age ──


def age_field(fields: Fields) -> float | None:
    """Return the first member of Age; None where it is absent or invalid (RFC 9111 section 5.1)."""
    line = first(fields, "age")
    if line is None:
        return None
    member = line.split(",")[0].strip()
    return directives.delta(member) if member.isascii() and member.isdigit() else None


def initial_age(policy: Policy, fetched: Fetched) -> float:
    """Return `corrected_initial_age` (RFC 9111 section 4.2.3)."""
    received_at = fetched.received_at
    told = received_at - fetched.requested_at
    told = max(told, 0.0)
    fields = fetched.reply.fields
    if "age" in names(fields):
        told += age_field(fields) or 0.0
    return told if policy is _IGNORE else max(told, _apparent_age(fields, received_at))


def _apparent_age(fields: Fields, received_at: float) -> float:
    date = _date(fields, "date", received_at)
    # Date has whole seconds: so has what it is compared with.
    return 0.0 if date is None else max(0.0, float(int(received_at)) - date)


# ── Lifetimes ──


def lifetimes(policy: Policy, own: Lifetimes, status: int, fields: Fields, at: float) -> Lifetimes:
    """Return the lifetimes of a reply received `at`; `own` are the endpoint's, for this status."""
    match policy:
        case Policy.IGNORE:
            return own
        case Policy.CAP:
            return _capped(own, status, fields, at)
        case Policy.OBEY:
            return _obeyed(status, fields, at)
        case _:
            assert_never(policy)


def flags(fields: Fields) -> frozenset[str]:
    """Return what the reply says that outlives its lifetimes: see the names above."""
    control = directives.of_reply(fields)
    found = {name for name in (STALE_IF_ERROR,) if name in control}
    if control.bare("no-cache"):
        found.add(NO_CACHE)
    if _forbids_stale(control):
        found.add(MUST_REVALIDATE)
    return frozenset(found)


def explicit_lifetime(control: Directives, fields: Fields, at: float) -> float | None:
    """Return the freshness lifetime that the origin states (RFC 9111 section 4.2.1), or None."""
    for name in ("s-maxage", "max-age"):
        if (seconds := control.seconds(name)) is not None:
            return seconds
    if control.targeted or (expires := first(fields, "expires")) is None:
        return None
    until = dates.parse(expires, at)
    if until is None:
        return 0.0  # an invalid date, "0" above all, is a time in the past (section 5.3)
    date = _date(fields, "date", at)
    return max(0.0, until - (at if date is None else date))


def heuristic_lifetime(control: Directives, status: int, fields: Fields, at: float) -> float | None:
    """Return a tenth of the time since Last-Modified, where the status allows it, or None."""
    if status not in HEURISTIC_STATUSES and "public" not in control:
        return None
    modified = _date(fields, "last-modified", at)
    if modified is None:
        return None
    date = _date(fields, "date", at)
    since = (at if date is None else date) - modified
    return min(max(0.0, since * HEURISTIC_FRACTION), HEURISTIC_LONGEST)


def _obeyed(status: int, fields: Fields, at: float) -> Lifetimes:
    control = directives.of_reply(fields)
    ttl = explicit_lifetime(control, fields, at)
    if ttl is None:
        ttl = heuristic_lifetime(control, status, fields, at)
    keep = REVALIDATED if has_validator(fields) else 0.0
    if control.bare("no-cache"):
        return Lifetimes(0.0, keep=keep)
    if _forbids_stale(control):
        return Lifetimes(ttl or 0.0, keep=keep)
    told = control.seconds("stale-if-error")
    away = DISCONNECTED if ttl else 0.0
    return Lifetimes(
        ttl or 0.0,
        stale_while_revalidate=control.seconds("stale-while-revalidate") or 0.0,
        stale_if_error=away if told is None else told,
        keep=keep,
    )


def _capped(own: Lifetimes, status: int, fields: Fields, at: float) -> Lifetimes:
    told = _obeyed(status, fields, at)
    control = directives.of_reply(fields)
    if control.bare("no-cache"):
        return told
    stated = explicit_lifetime(control, fields, at)
    ttl = own.ttl if stated is None else min(own.ttl, stated)
    if _forbids_stale(control):
        return Lifetimes(ttl, keep=told.keep)
    return replace(own, ttl=ttl, keep=told.keep)


def has_validator(fields: Fields) -> bool:
    """Return whether the reply can be asked about later (RFC 9110 section 8.8)."""
    return bool(first(fields, "etag")) or first(fields, "last-modified") is not None


def _forbids_stale(control: Directives) -> bool:
    return any(name in control for name in _FORBID_STALE) or control.bare("no-cache")


def _date(fields: Fields, name: str, now: float) -> float | None:
    value = combined(fields, name)
    return None if value is None else dates.parse(value, now)
