"""What a simulated provider is: a table of routes, its limits, and how it says "too much".

A provider decides and returns values; `service` alone talks HTTP. Every function here is given
the call and the market, and none of them waits or reads a clock.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, unquote

import msgspec

from proxy.core.fields import Fields, first
from proxy.sandbox.limits import Ban, Counted, Limit, Refused
from proxy.sandbox.market import Market

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Call:
    """A request as the provider received it."""

    method: str
    target: str
    """Path and query as they stood in the request line, less the sandbox's own prefix."""
    path: str
    query: Mapping[str, str]
    """Decoded; the last value wins."""
    fields: Fields
    body: bytes
    address: str
    now: float
    """Unix time of arrival."""
    origin: str
    """The provider's base URL, for links in bodies."""
    standing: Callable[[], Mapping[str, int]] = dict
    """Tells what the caller has used of each limit before this call."""
    names: Mapping[str, str] = field(default_factory=dict)
    """What the route's `{placeholders}` took, decoded."""

    def field(self, name: str) -> str:
        """Return a header field's value (name in lower case); empty where it is absent."""
        return first(self.fields, name) or ""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of the provider's."""

    body: bytes
    status: int = 200
    fields: Fields = ()
    content_type: str = JSON
    cost: int | None = None
    """What it costs in truth, where that differs from the route's figure."""


def json_reply(
    value: Any, status: int = 200, fields: Fields = (), cost: int | None = None
) -> Reply:
    """Return `value` as JSON (`msgspec.Raw` members stand as they are written)."""
    return Reply(msgspec.json.encode(value), status, fields, cost=cost)


Cost: TypeAlias = int | Callable[[Call], int]
Answer: TypeAlias = Callable[[Call, Market], Reply]


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint. The first that fits, in the table's order, is taken."""

    path: str
    """A template: `{name}` takes one segment, a last `{name:path}` all that remains."""
    answer: Answer
    cost: Cost = 1
    groups: tuple[str, ...] = ()
    methods: tuple[str, ...] = ("GET", "HEAD")
    pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        parts = re.split(r"(\{\w+(?::path)?\})", self.path)
        text = "".join(
            f"(?P<{part[1:-1].split(':')[0]}>{'.*' if ':path' in part else '[^/]+'})"
            if part.startswith("{")
            else re.escape(part)
            for part in parts
        )
        object.__setattr__(self, "pattern", re.compile(text))

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """Return the placeholders' values, or None where the route does not fit."""
        if method not in self.methods or (found := self.pattern.fullmatch(path)) is None:
            return None
        return {name: unquote(value) for name, value in found.groupdict().items()}

    def charge(self, call: Call) -> int:
        """Return what the call costs, as far as the request tells."""
        return self.cost if isinstance(self.cost, int) else self.cost(call)


@dataclass(frozen=True, slots=True)
class Provider:
    """Everything that makes one simulated provider differ from another."""

    name: str
    variable: str
    """The environment variable of the shipped configuration that holds its base URL."""
    limits: tuple[Limit, ...]
    routes: tuple[Route, ...]
    refusal: Callable[[Call, Refused], Reply]
    missing: Callable[[Call], Reply]
    """What an unknown path is answered."""
    credential: Callable[[Call], str]
    """The key that a call brings; empty where it brings none."""
    head: Callable[[Call, Reply], Fields] = lambda _call, _reply: ()
    """Fields on every answer."""
    usage: Callable[[Call, Counted | Refused], Fields] = lambda _call, _counted: ()
    """Fields that tell what is used."""
    charge_errors: bool = True
    """Whether an answer of 400 or more takes its cost (requests are counted all the same)."""
    ban: Ban | None = None
    keeps_slash: bool = False
    """A trailing slash belongs to the path."""

    def route(self, method: str, path: str) -> tuple[Route, Mapping[str, str]] | None:
        """Return the route that a request meets, and what its placeholders took."""
        shown = path if self.keeps_slash or len(path) == 1 else path.removesuffix("/")
        for route in self.routes:
            if (names := route.match(method, shown)) is not None:
                return route, names
        return None


def query_of(target: str) -> dict[str, str]:
    """Return the decoded query of a request target."""
    return dict(parse_qsl(target.partition("?")[2], keep_blank_values=True))


def words(text: str, separator: str = ",") -> list[str]:
    """Return the members of a list parameter, empty ones left out."""
    return [part.strip() for part in text.split(separator) if part.strip()]


def whole(text: str | None, default: int, least: int = 0, most: int = 2**63) -> int:
    """Return a number from a parameter, within bounds; the default where it is none."""
    if text is None or not text.lstrip("-").isdigit():
        return default
    return max(least, min(most, int(text)))


def raw(text: str) -> msgspec.Raw:
    """Return a number that stands in the JSON exactly as it is written here."""
    return msgspec.Raw(text.encode())
