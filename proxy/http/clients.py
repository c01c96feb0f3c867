"""Who asks: from what a request carries to a client's identity.

The front asks a `Clients` for each request it has not seen before. What is here lets everybody in
and knows the two names that a client can give itself in a base URL: `http://P/~name/…`, and the
user of `http://name:anything@P/`. Such a name only keeps queues fair; it never labels a metric.
"""

import base64
import binascii
import functools
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from proxy.core.fields import Fields, first, without
from proxy.core.model import Client

_SHORT: Final = 256
"""Characters of a name that is worth remembering: clients choose it, as long as a target."""


class Identified(NamedTuple):
    """A client that is let in; `path` and `fields` without what named it."""

    client: Client
    path: str
    fields: Fields


@dataclass(frozen=True, slots=True)
class Refusal:
    """A client that is not let in."""

    status: int
    title: str
    detail: str
    fields: Fields = ()
    """For 401: WWW-Authenticate."""


class Clients(Protocol):
    """Decides who asks. Pure in its arguments while `generation` stays the same."""

    generation: int
    """Rises when the rules change: what was decided before is then asked again."""

    def identify(self, fields: Fields, peer: str, port: int, path: str) -> Identified | Refusal:
        """Return who sent a request from `peer` (an address) to the listener on `port`.

        Of the path nothing but a `/~name` before it counts.
        """
        ...


class OpenClients:
    """Lets everybody in. The name in the path wins over Basic's user, that over the address."""

    generation = 0

    def identify(self, fields: Fields, peer: str, port: int, path: str) -> Identified | Refusal:
        """Return who asks; never a refusal."""
        del port
        name, path = named_in_path(path)
        if not name and (user := basic_user(fields)) is not None:
            name, fields = user, without(fields, {"authorization"})
        identity = name or peer
        short = len(identity) <= _SHORT
        return Identified(_known(identity) if short else _nameless(identity), path, fields)


def _nameless(identity: str) -> Client:
    return Client(identity=identity)


_known = functools.lru_cache(maxsize=4096)(_nameless)


def named_in_path(path: str) -> tuple[str, str]:
    """Cut `/~name` off a path: `/~grid-1/coingecko/x` is `grid-1` and `/coingecko/x`."""
    if not path.startswith("/~"):
        return "", path
    name, slash, rest = path[2:].partition("/")
    return (name, slash + rest if slash else "/")


def basic_user(fields: Fields) -> str | None:
    """Return the user of Basic credentials (RFC 7617), which a URL's user information becomes."""
    given = first(fields, "authorization")
    if given is None:
        return None
    scheme, _, encoded = given.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        plain = base64.b64decode(encoded.strip(), validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return None
    return plain.partition(":")[0]
