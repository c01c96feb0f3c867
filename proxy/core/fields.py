"""Header fields: an ordered tuple of pairs, names as they were written, compared without case.

RFC 9110 section 5. The order and the spelling of what passes through the proxy are kept, so
fields are a tuple and not a mapping; look-ups are linear and stay off the path of a hit.
"""

from collections.abc import Container, Iterable
from typing import Final, TypeAlias

Fields: TypeAlias = tuple[tuple[str, str], ...]
DIGESTS: Final = frozenset({"digest", "content-digest", "repr-digest", "content-md5"})
OF_THE_WHOLE: Final = DIGESTS | {"etag", "last-modified", "content-encoding", "content-length"}
"""What describes a body as it came, and no part that is cut from it, nor what holds it."""


def first(fields: Fields, name: str) -> str | None:
    """Return the value of the first field called `name` (given in lower case), or None."""
    size = len(name)  # most names differ in length: seen without lowering them
    for key, value in fields:
        if len(key) == size and key.lower() == name:
            return value
    return None


def values(fields: Fields, name: str) -> tuple[str, ...]:
    """Return the values of every field line called `name` (given in lower case), in order."""
    size = len(name)
    return tuple([value for key, value in fields if len(key) == size and key.lower() == name])


def combined(fields: Fields, name: str) -> str | None:
    """Return all lines of a list field joined as RFC 9110 section 5.3 allows, or None."""
    lines = values(fields, name)
    return ", ".join(lines) if lines else None


def without(fields: Fields, names: Container[str]) -> Fields:
    """Return `fields` less those whose lower-case name is in `names`."""
    return tuple(pair for pair in fields if pair[0].lower() not in names)


def replaced(fields: Fields, new: Iterable[tuple[str, str]]) -> Fields:
    """Return `fields` with every field that `new` names taken from `new` instead."""
    added = tuple(new)
    return without(fields, {name.lower() for name, _ in added}) + added
