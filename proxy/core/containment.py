"""Containment: a shorter answer cut from a longer one, which holds it.

Candles asked for with `limit=100` are the last hundred of those asked for with `limit=500`. The
array is cut as raw JSON: no number is ever written anew.

Candles asked for from a moment on are in the latest ones too, if those reach back to it (their
first opens no later, or they are fewer than were asked for, so that there are none before), and up
to it. Else nothing is known of them.
"""

from bisect import bisect_left
from dataclasses import dataclass
from typing import Final

import msgspec

from proxy.core.parameters import Parameters
from proxy.core.series import Contains

LAST: Final = "last"
_DIGITS: Final = 9
_DIGITS_OF_TIME: Final = 15


@dataclass(frozen=True, slots=True)
class Part:
    """What of a longer answer a shorter one has."""

    count: int
    """So many elements."""
    last: bool = True
    """The last of them; else the first."""
    start: int | None = None
    """Only those that open no earlier, in the units of the elements; None: all."""
    opens: int = 0
    """Where in an element it stands when it opens."""


def size(contains: Contains, parameters: Parameters) -> int | None:
    """Return how many elements are asked for; None: it cannot be said."""
    values = [value for name, value in parameters if name == contains.parameter]
    if not values:
        return contains.absent
    text = values[0]
    if len(values) > 1 or not (text.isascii() and text.isdecimal()) or len(text) > _DIGITS:
        return None
    return int(text) or None


def start(contains: Contains, parameters: Parameters) -> int | None:
    """Return the moment from which on elements are asked for; None: none that can be looked up."""
    values = [value for name, value in parameters if name == contains.first_from]
    if contains.opens is None or len(values) != 1:
        return None
    text = values[0]
    return (
        int(text) if text.isascii() and text.isdecimal() and len(text) < _DIGITS_OF_TIME else None
    )


def rest(contains: Contains, parameters: Parameters, *, latest: bool = False) -> Parameters:
    """Return all parameters that must agree; those of the `latest` ones name no start."""
    own = {contains.parameter, contains.first_from} if latest else {contains.parameter}
    return tuple(pair for pair in parameters if pair[0] not in own)


def keeps_last(contains: Contains, parameters: Parameters) -> bool:
    """Whether the shorter answer has the last elements of the longer one; else the first."""
    if contains.first_from and any(name == contains.first_from for name, _ in parameters):
        return False
    return contains.keeps == LAST


def cut(body: bytes, part: Part, asked: int) -> bytes | None:
    """Return the array with only a part of its elements, where so many were `asked` for.

    None: it is no array, or does not hold the part for certain.
    """
    try:
        elements = msgspec.json.decode(body, type=list[msgspec.Raw])
        first = 0 if part.start is None else _first(elements, part, asked)
    except (msgspec.MsgspecError, RecursionError, IndexError):
        return None
    if first is None:
        return None
    if first == 0 and len(elements) <= part.count:
        return body
    chosen = elements[first:]
    kept = chosen[-part.count :] if part.last else chosen[: part.count]
    return b"[" + b",".join(map(bytes, kept)) + b"]"


def _first(elements: list[msgspec.Raw], part: Part, asked: int) -> int | None:
    """Return where the first element stands that does not open before the start."""

    def opening(element: msgspec.Raw) -> int:
        return msgspec.json.decode(
            msgspec.json.decode(element, type=list[msgspec.Raw])[part.opens], type=int
        )

    wanted = part.start or 0
    if len(elements) >= asked and opening(elements[0]) > wanted:
        return None
    found = bisect_left(elements, wanted, key=opening)
    return found if found < len(elements) else None  # there may be newer ones by now
