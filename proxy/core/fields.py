"""Header fields: an ordered tuple of pairs, names as they were written, compared without case.

RFC 9110 section 5. The order and the spelling of what passes through the proxy are kept, so
fields are a tuple and not a mapping. Each is asked for a dozen names on its way, most of which it
has not, and two or three times for all but some. Values differ in each message; names do not: so
what follows from the names alone (`_Shape`) is worked out once for a row of names, and known with
the very tuple for as long as it is about.
"""

from collections.abc import Callable, Container, Iterable
from operator import itemgetter
from typing import Final, TypeAlias

from msgspec import Struct

Fields: TypeAlias = tuple[tuple[str, str], ...]
DIGESTS: Final = frozenset({"digest", "content-digest", "repr-digest", "content-md5"})
OF_THE_WHOLE: Final = DIGESTS | {"etag", "last-modified", "content-encoding", "content-length"}
"""What describes a body as it came, and no part that is cut from it, nor what holds it."""

_Pick: TypeAlias = Callable[[Fields], Fields]

_MOST_REMEMBERED: Final = 256
_MOST_SHAPES: Final = 1024
_LONGEST: Final = 2048
"""Characters of names that are worth remembering, in a row or to be taken out: the other side
chooses them."""
_MOST_CUTS: Final = 16


class _Shape(Struct):
    """A row of names: depends on how they are spelled and on their order, and on no value."""

    names: frozenset[str]
    """In lower case."""
    places: dict[str, int]
    """Where each name, in lower case, stands first."""
    repeated: frozenset[str]
    """Names that stand more than once."""
    cuts: dict[frozenset[str], _Pick | None]
    """How to take out names; None: none of them is there."""
    picks: dict[frozenset[str], _Pick]
    """How to take names alone."""


_name = itemgetter(0)
_remembered: dict[int, tuple[Fields, _Shape]] = {}
"""By the tuple's own id, which is no other's as long as it is held here."""
_shapes: dict[tuple[str, ...], _Shape] = {}


def _shape(fields: Fields) -> _Shape:
    known = _remembered.get(id(fields))
    if known is not None and known[0] is fields:
        return known[1]
    row = tuple(map(_name, fields))
    shape = _shapes.get(row)
    if shape is None:
        shape = _new_shape(row)
        if sum(map(len, row)) <= _LONGEST:
            if len(_shapes) >= _MOST_SHAPES:
                _shapes.clear()
            _shapes[row] = shape
    if len(_remembered) >= _MOST_REMEMBERED:
        _remembered.clear()
    _remembered[id(fields)] = (fields, shape)
    return shape


def _new_shape(row: tuple[str, ...]) -> _Shape:
    lowered = [name.lower() for name in row]
    places = {name: place for place, name in reversed(list(enumerate(lowered)))}
    repeated = {name for place, name in enumerate(lowered) if places[name] != place}
    return _Shape(frozenset(lowered), places, frozenset(repeated), {}, {})


def names(fields: Fields) -> frozenset[str]:
    """Return the lower-case names of all fields."""
    known = _remembered.get(id(fields))
    if known is not None and known[0] is fields:
        return known[1].names
    return _shape(fields).names


def first(fields: Fields, name: str) -> str | None:
    """Return the value of the first field called `name` (given in lower case), or None."""
    known = _remembered.get(id(fields))
    if known is not None and known[0] is fields:
        place = known[1].places.get(name)
        return None if place is None else fields[place][1]
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
    known = _remembered.get(id(fields))
    shape = known[1] if known is not None and known[0] is fields else _shape(fields)
    place = shape.places.get(name)
    if place is None:
        return None
    if name not in shape.repeated:
        return fields[place][1]
    return ", ".join([value for key, value in fields if key.lower() == name])


def without(fields: Fields, dropped: Container[str]) -> Fields:
    """Return `fields` less those with a lower-case name in `dropped`; the same where none has."""
    if not isinstance(dropped, frozenset):
        if isinstance(dropped, set) and names(fields).isdisjoint(dropped):
            return fields
        return tuple([pair for pair in fields if pair[0].lower() not in dropped])
    known = _remembered.get(id(fields))
    shape = known[1] if known is not None and known[0] is fields else _shape(fields)
    try:
        cut = shape.cuts[dropped]
    except KeyError:
        cut = _new_cut(fields, shape, dropped)
    return fields if cut is None else cut(fields)


def only(fields: Fields, kept: frozenset[str]) -> Fields:
    """Return the fields with a lower-case name in `kept`."""
    known = _remembered.get(id(fields))
    shape = known[1] if known is not None and known[0] is fields else _shape(fields)
    pick = shape.picks.get(kept)
    if pick is None:
        if len(shape.picks) >= _MOST_CUTS:
            shape.picks.clear()
        places = [place for place, (name, _) in enumerate(fields) if name.lower() in kept]
        pick = shape.picks[kept] = _picking(places)
    return pick(fields)


def _new_cut(fields: Fields, shape: _Shape, dropped: frozenset[str]) -> _Pick | None:
    kept = [place for place, (name, _) in enumerate(fields) if name.lower() not in dropped]
    cut = None if len(kept) == len(fields) else _picking(kept)
    if sum(map(len, dropped)) <= _LONGEST:  # what Connection names is the other side's to choose
        if len(shape.cuts) >= _MOST_CUTS:
            shape.cuts.clear()
        shape.cuts[dropped] = cut
    return cut


def _picking(places: list[int]) -> _Pick:
    if len(places) > 1:
        return itemgetter(*places)
    if not places:
        return lambda _: ()
    place = places[0]
    return lambda fields: (fields[place],)


def replaced(fields: Fields, new: Iterable[tuple[str, str]]) -> Fields:
    """Return `fields` with every field that `new` names taken from `new` instead."""
    added = tuple(new)
    if not added:
        return fields
    return without(fields, {name.lower() for name, _ in added}) + added
