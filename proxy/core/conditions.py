"""Conditions: what clients ask of what is stored, and what we ask of the upstream.

- A client's If-None-Match is compared weakly and comes before If-Modified-Since, which is then not
  looked at (RFC 9110 section 13.2.2). They are answered from what is stored (RFC 9111 4.3.2).
- A reply without Last-Modified is compared by its Date, else by when it came.
- Our own conditions name every variant that a 304 may confirm (RFC 9111 section 4.3.1).
- A 304 confirms the variant whose entity tag it names; or, naming none that is known, the one that
  was asked about, which by the letter it does then not update (section 4.3.4).
"""

import re
from typing import Final

from proxy.core import dates
from proxy.core.fields import Fields, combined, first
from proxy.core.model import Entry, Request

CONDITIONAL: Final = frozenset({"if-none-match", "if-modified-since"})
ORIGIN_ALONE: Final = frozenset({"if-match", "if-unmodified-since"})
"""Conditions that a cache leaves to the origin (RFC 9111 section 4.3.2)."""

_TAG: Final = re.compile(r'(?:W/)?"[^"]*"|[^",\s]+')
_OK: Final = 200


def not_modified(entry: Entry, request: Request, now: float) -> bool:
    """Return whether the client already has what `entry` holds: it is answered with a 304."""
    if request.method not in {"GET", "HEAD"} or entry.status != _OK:
        return False
    wanted = combined(request.fields, "if-none-match")
    if wanted is not None:
        return _listed(wanted, first(entry.fields, "etag"))
    since = first(request.fields, "if-modified-since")
    return since is not None and _unchanged(entry, since, now)


def validators(stored: tuple[Entry, ...], chosen: Entry | None) -> Fields:
    """Return the fields that ask the upstream whether one of `stored` still holds."""
    tags = [tag for entry in stored if (tag := first(entry.fields, "etag"))]
    asked = [("If-None-Match", ", ".join(dict.fromkeys(tags)))] if tags else []
    if chosen is not None and (modified := first(chosen.fields, "last-modified")):
        asked.append(("If-Modified-Since", modified))
    return tuple(asked)


def confirmed(stored: tuple[Entry, ...], chosen: Entry | None, answer: Fields) -> Entry | None:
    """Return the entry that a 304 with these fields confirms, or None."""
    tag = first(answer, "etag")
    if tag is not None:
        for entry in stored:
            if (own := first(entry.fields, "etag")) is not None and opaque(own) == opaque(tag):
                return entry
    # Some origins name no tag, or another spelling of it: it can only mean what was asked about.
    if chosen is not None:
        return chosen
    return stored[0] if len(stored) == 1 else None


def names_another(answer: Fields, entry: Entry) -> bool:
    """Return whether a 304 with these fields speaks of something else than `entry`.

    It may then not be used to update it (RFC 9111 section 4.3.4).
    """
    tag, own = first(answer, "etag"), first(entry.fields, "etag")
    if tag is None:
        return False
    return strong(tag) if own is None else opaque(tag) != opaque(own)


def same_representation(stored: Entry, answer: Fields) -> bool:
    """Return whether a HEAD's validators are those of the stored GET (RFC 9111 section 4.3.5)."""
    for name in ("etag", "last-modified"):
        new = first(answer, name)
        if new is not None and new != first(stored.fields, name):
            return False
    return True


def opaque(tag: str) -> str:
    """Return an entity tag without its weakness: the weak comparison (RFC 9110 8.8.3.2)."""
    return tag.strip().removeprefix("W/")


def strong(tag: str) -> bool:
    """Return whether an entity tag is a strong one."""
    return tag.strip().startswith('"')


def _listed(wanted: str, tag: str | None) -> bool:
    if wanted.strip() in {"*", (tag or "*").strip()}:  # the very same spelling is the same tag
        return True
    return tag is not None and opaque(tag) in {opaque(each) for each in _TAG.findall(wanted)}


def _unchanged(entry: Entry, since: str, now: float) -> bool:
    asked = dates.parse(since, now)
    if asked is None:
        return False
    for name in ("last-modified", "date"):
        value = first(entry.fields, name)
        if value is not None and (at := dates.parse(value, now)) is not None:
            return at <= asked
    return entry.received_at <= asked
