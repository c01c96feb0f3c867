"""Paths: their segments, as they were written and decoded, and which are out of bounds.

Dot segments, in any spelling that some server resolves, and control characters are out of bounds:
they would meet one endpoint here and another at the provider. An `%2F` inside a segment is data.
"""

import re
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import unquote

Segments: TypeAlias = tuple[str, ...]

_has_control = re.compile(r"[\x00-\x1f\x7f]").search
_separators = re.compile(r"[/\\]")


@dataclass(frozen=True, slots=True)
class OutOfBounds:
    """The path is none that may be asked: 400."""

    reason: str


def parsed(path: str) -> tuple[Segments, Segments] | OutOfBounds:
    """Return a path's segments as they were written and decoded, empty ones left out."""
    if path and not path.startswith("/"):
        return OutOfBounds("a path begins with '/'")
    raw = tuple(filter(None, path.split("/")))
    if all(map(is_plain, raw)):
        return raw, raw
    decoded = tuple(unquote(part, errors="surrogateescape") for part in raw)
    for part in decoded:
        if _has_control(part):
            return OutOfBounds("the path holds a control character")
        if _climbs(part):
            return OutOfBounds("the path holds a dot segment")
    return raw, decoded


def is_plain(text: str) -> bool:
    """Say whether a segment is certainly read by everyone as it is written."""
    return text.isprintable() and not ("%" in text or "\\" in text or text.startswith("."))


def _climbs(segment: str) -> bool:
    """Say whether some server would read a `.` or `..` in a decoded segment.

    Also behind an encoded slash or a backslash, before a path parameter (`..;x`), or encoded twice.
    """
    twice = unquote(segment) if "%" in segment else segment
    parts = _separators.split(twice)
    return any(part.partition(";")[0] in {".", ".."} for part in parts)
