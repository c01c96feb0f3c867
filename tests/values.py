"""Changing one thing of a value, whichever kind of value it is."""

import dataclasses
from typing import Any, TypeVar

from msgspec import Struct, structs

T = TypeVar("T")


def replace(value: T, /, **changes: Any) -> T:
    """Return a value with some of its fields changed."""
    if isinstance(value, Struct):
        return structs.replace(value, **changes)
    changed: Any = dataclasses.replace(value, **changes)  # type: ignore[type-var]  # any dataclass
    return changed  # type: ignore[no-any-return]  # of the same kind
