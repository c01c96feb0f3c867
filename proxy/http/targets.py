"""The request line's target and the Host field (RFC 9112 sections 3.2 and 7.2).

Path and query stay exactly as written: a signature may have been counted over them. Only what
could mean another place is refused: dot segments, however they are encoded.
"""

import functools
import re
from urllib.parse import unquote

from msgspec import Struct

_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]*)(:(?P<port>\d*))?")
_SEPARATORS = re.compile(r"[/\\]")


class Target(Struct, frozen=True):
    """Where a request goes."""

    path: str
    query: str
    authority: str | None = None
    """Of an absolute-form target, with its port, without user information; it overrules Host."""


def parse_target(raw: str) -> Target | None:
    """Return what a request line's target names, or None where it is no HTTP target."""
    authority = None
    if not raw.startswith("/"):
        scheme, separator, rest = raw.partition("://")
        if not separator or scheme.lower() not in {"http", "https"}:
            return None
        end = min((at for at in map(rest.find, "/?#") if at >= 0), default=len(rest))
        authority, raw = rest[:end].rpartition("@")[2], rest[end:]
        if not raw.startswith("/"):
            raw = f"/{raw}"
    path, _, query = raw.partition("#")[0].partition("?")
    if ("/." in path or "%" in path or "\\" in path) and _leaves(path):
        return None
    return Target(path, query, authority)


def _leaves(path: str) -> bool:
    """Return whether the path holds a dot segment, written or encoded, once or twice."""
    plain = unquote(unquote(path))
    return any(segment in {".", ".."} for segment in _SEPARATORS.split(plain))


@functools.lru_cache(maxsize=256)
def parse_host(value: str) -> str | None:
    """Return the host of a Host field in lower case, without its port; None where it is none."""
    met = _HOST.fullmatch(value)
    return None if met is None else met["name"].lower().rstrip(".")
