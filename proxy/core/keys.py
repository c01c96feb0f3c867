"""Key: what makes two requests the same.

    coingecko:price:?ids=bitcoin&vs_currencies=usd
    coingecko:coin:/bitcoin?localization=false;accept=text/csv
    binance:ticker:#4f0c…                     (long ones are hashed)

`{upstream}:{endpoint}:{parameters}`; the store puts its namespace before it. In it: the path's
variables, the decoded parameters sorted by name (repeated ones keep their order), the Accept and
the headers that the endpoint names, the body where it is cached, an HMAC of the client's own
credential where that goes upstream. Not in it: parameters that do not matter, and any secret.
Under `obey` the key is the URI exactly as written (RFC 9111 section 2), less secrets.

Two requests have one key only where all of these are equal: each part is quoted, so that no value
can look like a separator.
"""

import hashlib
from functools import lru_cache
from operator import itemgetter
from typing import Final

from proxy.core import parameters
from proxy.core.marks import DESCRIBE_BODY
from proxy.core.model import Policy, Request
from proxy.core.parameters import quoted
from proxy.core.privacy import credential
from proxy.core.routing import REMEMBERED, Match
from proxy.core.wordings import Wording, named, wording

LONGEST: Final = 128
"""Characters of parameters that are shown; longer ones are hashed."""

_SHORT: Final = 512
"""Characters of a target that is worth remembering: a match holds it several times over."""

_OBEY: Final = Policy.OBEY
_by_name = itemgetter(0)


def key(match: Match, request: Request, secret: bytes = b"", said: Wording | None = None) -> str:
    """Return the key of a request that is not private.

    `secret` keys the HMAC of credentials that clients bring and that go upstream; `said` is the
    request's wording, where that is known already.
    """
    if said is None:
        said = wording(match.upstream, match.endpoint, request.method, request.fields)
    short = len(match.path) + len(match.query) <= _SHORT
    target = _known(match) if short else _target(match)
    variant = said.variant
    if said.forwards or match.endpoint.cache_body:
        variant += _further(match, request, secret)
    readable = target + variant
    if len(readable) > LONGEST or not readable.isascii() or ";" in target:
        whole = f"{target}\n{variant}".encode("utf-8", "surrogateescape")
        readable = "#" + hashlib.blake2b(whole, digest_size=32).hexdigest()
    return f"{match.upstream.name}:{match.endpoint.name}:{readable}"


def _target(match: Match) -> str:
    """Return what the target says.

    The path's variables and the parameters that matter, decoded, sorted and quoted; under `obey`
    the target as the client wrote it, less secrets.
    """
    if match.endpoint.policy is _OBEY:
        return _written(match)
    path = _path(match)
    return path + _query(match) if match.parameters else path


_known = lru_cache(maxsize=REMEMBERED)(_target)
"""Bots ask for the same again and again; a match is told by identity."""


def _written(match: Match) -> str:
    keys = match.upstream.keys_in_query
    query = parameters.without(match.query, lambda name, _: name.lower() in keys)
    return f"{match.path}?{query}" if query else match.path


def _path(match: Match) -> str:
    if match.unmatched:
        # What is forwarded as it was written is keyed as it was written.
        return "/" + "/".join(map(quoted, match.path[1:].split("/")))
    if not match.variables:
        return ""
    values = [value for _, value in match.variables]
    if match.endpoint.rest:  # its slashes are no text
        values[-1:] = match.segments[len(match.endpoint.segments) - 1 :]
    return "/" + "/".join(map(quoted, values))


def _query(match: Match) -> str:
    keys, ignored = match.upstream.keys_in_query, match.endpoint.ignored_parameters
    kept = [
        (quoted(name), quoted(value))
        for name, value in match.parameters
        if name not in ignored and name.lower() not in keys
    ]
    kept.sort(key=_by_name)  # stable: repeated parameters keep their order
    return "?" + "&".join([f"{name}={value}" for name, value in kept]) if kept else ""


def _further(match: Match, request: Request, secret: bytes) -> str:
    """Return what beside target and wording makes the answer another: each part begins with `;`."""
    posted = match.endpoint.cache_body and request.method == "POST"
    parts = _body(match, request) if posted else []
    if name := credential(match, request, secret, private=False):
        parts.append(f"credential={name}")
    return "".join([f";{part}" for part in parts])


def _body(match: Match, request: Request) -> list[str]:
    """Return what a body means: its octets, and how they are to be read."""
    octets = hashlib.blake2b(request.body or b"", digest_size=32)
    described = named(match.upstream, request.fields, DESCRIBE_BODY)
    parts = [f"{name}={quoted(value)}" for name, value in described]
    return [*parts, f"body={octets.hexdigest()}"]
