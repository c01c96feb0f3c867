"""Cache directives: Cache-Control as it is found in the wild, CDN-Cache-Control as it is defined.

- Cache-Control (RFC 9111 section 5.2): any case, token or quoted string, no space around `=`. Of a
  directive written twice, the first counts. A number that is none makes the reply stale
  (section 4.2.1), so `seconds` says 0 for it.
- CDN-Cache-Control (RFC 9213) is a structured field, a Dictionary: one mistake in it, and it is not
  there at all; present and whole, it replaces Cache-Control and Expires.
- A directive with field names (`private="a, b"`) speaks of these fields alone only in the quoted
  form; any other value is taken for the stricter, bare directive.
"""

import re
from dataclasses import dataclass
from typing import Final

import http_sf

from proxy.core.fields import Fields, combined, values

FOREVER: Final = 2147483648.0
"""Seconds: what a delta too large is taken for (RFC 9111 section 1.2.2)."""

_MEMBER: Final = re.compile(
    r"""\s*(?P<name>[^\s,="]+)(?P<rest>(?:"(?:[^"\\]|\\.)*"|[^,"]|"(?!(?:[^"\\]|\\.)*"))*)\s*(?:,|$)""",
    re.DOTALL,
)
_DIGITS: Final = re.compile(r"[0-9]+")
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Argument:
    """What stands after `=`."""

    text: str
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Directives:
    """The directives of one message, in order; names in lower case."""

    members: tuple[tuple[str, Argument | None], ...] = ()
    targeted: bool = False
    """They come from CDN-Cache-Control: Expires is not looked at (RFC 9213 section 2.2)."""

    def __contains__(self, name: object) -> bool:
        return any(member == name for member, _ in self.members)

    def argument(self, name: str) -> Argument | None:
        """Return what the first directive called `name` carries, or None."""
        return next((argument for member, argument in self.members if member == name), None)

    def seconds(self, name: str) -> float | None:
        """Return a delta in seconds; None where the directive is absent, 0 where it is invalid."""
        if name not in self:
            return None
        return self.number(name) or 0.0

    def number(self, name: str) -> float | None:
        """Return a delta in seconds; None where the directive is absent or invalid."""
        argument = self.argument(name)
        if argument is None or not _DIGITS.fullmatch(argument.text):
            return None
        return delta(argument.text)

    def bare(self, name: str) -> bool:
        """Return whether `name` stands for the whole reply, not for some of its fields."""
        return any(member == name and not _names(argument) for member, argument in self.members)

    def names(self, name: str) -> frozenset[str]:
        """Return the fields, lower case, that `no-cache="…"` or `private="…"` speak of."""
        found: set[str] = set()
        for member, argument in self.members:
            if member == name:
                found |= _names(argument)
        return frozenset(found)


NONE: Final = Directives()


def parse(value: str | None) -> Directives:
    """Return the directives of a Cache-Control field, all its lines joined; never fails."""
    if not value:
        return NONE
    return Directives(tuple(_member(found) for found in _MEMBER.finditer(value)))


def of_request(fields: Fields) -> Directives:
    """Return what a client asks of caches (RFC 9111 section 5.2.1)."""
    return parse(combined(fields, "cache-control"))


def of_reply(fields: Fields) -> Directives:
    """Return what the origin tells this cache: its targeted field where whole, else the general."""
    targeted = _targeted(values(fields, "cdn-cache-control"))
    return targeted if targeted is not None else parse(combined(fields, "cache-control"))


def delta(digits: str) -> float:
    """Return the seconds that a row of digits says, at most `FOREVER`."""
    return min(float(digits.lstrip("0")[:11] or "0"), FOREVER)


def _member(found: re.Match[str]) -> tuple[str, Argument | None]:
    rest = found["rest"]
    if not rest.startswith("="):
        return found["name"].lower(), None
    text = rest[1:].rstrip()
    if (quoted := _QUOTED.fullmatch(text)) is not None:
        return found["name"].lower(), Argument(re.sub(r"\\(.)", r"\1", quoted[1]), quoted=True)
    return found["name"].lower(), Argument(text)


def _names(argument: Argument | None) -> set[str]:
    if argument is None or not argument.quoted:
        return set()
    return {name for part in argument.text.split(",") if (name := part.strip().lower())}


def _targeted(lines: tuple[str, ...]) -> Directives | None:
    """Return the directives of a CDN-Cache-Control, or None where it is absent, empty or broken."""
    if not lines:
        return None
    try:
        found = http_sf.parse(", ".join(lines).encode("ascii"), tltype="dictionary")
    except ValueError:
        return None
    members: list[tuple[str, Argument | None]] = []
    for name, member in found.items() if isinstance(found, dict) else ():
        value = member[0] if isinstance(member, tuple) else None
        if name in _DELTAS and (isinstance(value, bool) or not isinstance(value, int)):
            return None
        if value is not False:
            members.append((name, None if value is True else _structured(value)))
    return Directives(tuple(members), targeted=True) if members else None


_DELTAS: Final = frozenset({"max-age", "s-maxage", "stale-while-revalidate", "stale-if-error"})


def _structured(value: object) -> Argument:
    return Argument(str(value), quoted=type(value) is str)
