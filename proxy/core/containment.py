"""Containment: a shorter answer cut from a longer one, which holds it.

Candles asked for with `limit=100` are the last hundred of those asked for with `limit=500`. The
array is cut as raw JSON: no number is ever read, so none is written anew.
"""

from typing import Final

import msgspec

from proxy.core.parameters import Parameters
from proxy.core.series import Contains

LAST: Final = "last"
_DIGITS: Final = 9


def size(contains: Contains, parameters: Parameters) -> int | None:
    """Return how many elements are asked for; None: it cannot be said."""
    values = [value for name, value in parameters if name == contains.parameter]
    if not values:
        return contains.absent
    text = values[0]
    if len(values) > 1 or not (text.isascii() and text.isdecimal()) or len(text) > _DIGITS:
        return None
    return int(text) or None


def rest(contains: Contains, parameters: Parameters) -> Parameters:
    """Return all parameters that must agree."""
    return tuple(pair for pair in parameters if pair[0] != contains.parameter)


def keeps_last(contains: Contains, parameters: Parameters) -> bool:
    """Whether the shorter answer has the last elements of the longer one; else the first."""
    if contains.first_from and any(name == contains.first_from for name, _ in parameters):
        return False
    return contains.keeps == LAST


def cut(body: bytes, count: int, *, last: bool) -> bytes | None:
    """Return the array with only its last or first `count` elements; None: it is no array."""
    try:
        elements = msgspec.json.decode(body, type=list[msgspec.Raw])
    except (msgspec.MsgspecError, RecursionError):
        return None
    if len(elements) <= count:
        return body
    kept = elements[-count:] if last else elements[:count]
    return b"[" + b",".join(map(bytes, kept)) + b"]"
