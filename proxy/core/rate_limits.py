"""The RateLimit fields of the IETF (draft-ietf-httpapi-ratelimit-headers), as providers send them.

    RateLimit: "minute";r=50;t=30          what remains, and the seconds until it is whole
    RateLimit-Policy: "minute";q=100;w=60  the size
    RateLimit: limit=100, remaining=50, reset=30   the same, as drafts before the eighth wrote it

Of several policies the one that bears the limit's name is meant, else that of which least is left.
What is no structured field (RFC 9651), or has no such figure, says nothing: None.
"""

import math
from typing import Any, Final

import http_sf

_OLD: Final = {"r": "remaining", "q": "limit", "t": "reset"}

REMAINING: Final = "r"
SIZE: Final = "q"
RESET: Final = "t"


def figure(value: str, name: str, limit: str) -> float | None:
    """Return the figure (`REMAINING`, `SIZE`, `RESET`) that a field's value tells of a limit."""
    octets = value.encode("latin-1", "replace")
    policies = _policies(octets)
    if policies:
        named = [each for each in policies if each[0] == limit] or policies
        least = min(named, key=lambda each: _plain(each[1].get(REMAINING), math.inf))
        return _told(least[1].get(name))
    try:
        members = http_sf.parse(octets, tltype="dictionary")
    except ValueError:
        return None
    member = members.get(_OLD[name]) if isinstance(members, dict) else None
    return _told(member[0]) if isinstance(member, tuple) else None


def _policies(octets: bytes) -> list[tuple[str, dict[str, Any]]]:
    try:
        rows = http_sf.parse(octets, tltype="list")
    except ValueError:
        return []
    pairs = [each for each in rows if isinstance(each, tuple)] if isinstance(rows, list) else []
    return [(name, dict(said)) for name, said in pairs if isinstance(name, str)]


def _told(figure_: object) -> float | None:
    told = _plain(figure_, -1.0)
    return told if told >= 0 else None


def _plain(figure_: object, absent: float) -> float:
    if isinstance(figure_, bool) or not isinstance(figure_, int | float):
        return absent
    return float(figure_) if math.isfinite(figure_) else absent
