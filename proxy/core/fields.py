"""Header fields: an ordered tuple of pairs, names as they were written, compared without case.

RFC 9110 section 5. The order and the spelling of what passes through the proxy are kept, so
fields are a tuple and not a mapping. Each is asked for a dozen names on its way, most of which it
has not: its names are worked out once, and remembered with the very tuple for as long as it is
about.
"""

from collections.abc import Container, Iterable
from typing import Final, TypeAlias

Fields: TypeAlias = tuple[tuple[str, str], ...]
DIGESTS: Final = frozenset({"digest", "content-digest", "repr-digest", "content-md5"})
OF_THE_WHOLE: Final = DIGESTS | {"etag", "last-modified", "content-encoding", "content-length"}
"""What describes a body as it came, and no part that is cut from it, nor what holds it."""


_MOST_REMEMBERED: Final = 256
_remembered: dict[int, tuple[Fields, frozenset[str]]] = {}
"""By the tuple's own id, which is no other's as long as it is held here."""


def names(fields: Fields) -> frozenset[str]:
    """Return the lower-case names of all fields."""
    known = _remembered.get(id(fields))
    if known is not None and known[0] is fields:
        return known[1]
    found = frozenset([name.lower() for name, _ in fields])
    if len(_remembered) >= _MOST_REMEMBERED:
        _remembered.clear()
    _remembered[id(fields)] = (fields, found)
    return found


def first(fields: Fields, name: str) -> str | None:
    """Return the value of the first field called `name` (given in lower case), or None."""
    known = _remembered.get(id(fields))
    if known is not None and known[0] is fields and name not in known[1]:
        return None
    size = len(name)  # most names differ in length: seen without lowering them
    for key, value in fields:
        if len(key) == size and key.lower() == name:
            return value
    return None


def values(fields: Fields, name: str) -> tuple[str, ...]:
    """Return the values of every field line called `name` (given in lower case), in order."""
    if name not in names(fields):
        return ()
    return tuple([value for key, value in fields if key.lower() == name])


def combined(fields: Fields, name: str) -> str | None:
    """Return all lines of a list field joined as RFC 9110 section 5.3 allows, or None."""
    if name not in names(fields):
        return None
    return ", ".join([value for key, value in fields if key.lower() == name])


def without(fields: Fields, dropped: Container[str]) -> Fields:
    """Return `fields` less those with a lower-case name in `dropped`; the same where none has."""
    if isinstance(dropped, frozenset | set) and names(fields).isdisjoint(dropped):
        return fields
    return tuple([pair for pair in fields if pair[0].lower() not in dropped])


def replaced(fields: Fields, new: Iterable[tuple[str, str]]) -> Fields:
    """Return `fields` with every field that `new` names taken from `new` instead."""
    added = tuple(new)
    if not added:
        return fields
    return without(fields, {name.lower() for name, _ in added}) + added
