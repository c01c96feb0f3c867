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
from collections.abc import Iterable
from functools import lru_cache
from operator import itemgetter
from typing import Final

from proxy.core import parameters
from proxy.core.accepts import default_accept, normal_accept
from proxy.core.fields import combined
from proxy.core.model import Policy, Request
from proxy.core.parameters import quoted
from proxy.core.privacy import credential, is_private, is_secret_header, is_secret_parameter
from proxy.core.routing import REMEMBERED, Match

__all__ = ["DESCRIBE_BODY", "LONGEST", "is_private", "key", "named"]

LONGEST: Final = 128
"""Characters of parameters that are shown; longer ones are hashed."""

DESCRIBE_BODY: Final = ("content-type", "content-encoding")
"""Fields that say how a cached request's body is to be read."""

_by_name = itemgetter(0)


def key(match: Match, request: Request, secret: bytes = b"") -> str:
    """Return the key of a request that is not private.

    `secret` keys the HMAC of credentials that clients bring and that go upstream.
    """
    target = _target(match)
    variant = _variant(match, request, secret)
    readable = target + variant
    if len(readable) > LONGEST or not readable.isascii() or ";" in target:
        whole = f"{target}\n{variant}".encode("utf-8", "surrogateescape")
        readable = "#" + hashlib.blake2b(whole, digest_size=32).hexdigest()
    return f"{match.upstream.name}:{match.endpoint.name}:{readable}"


@lru_cache(maxsize=REMEMBERED)  # bots ask for the same again and again; a match is told by identity
def _target(match: Match) -> str:
    """Return what the target says.

    The path's variables and the parameters that matter, decoded, sorted and quoted; under `obey`
    the target as the client wrote it, less secrets.
    """
    return _written(match) if match.endpoint.policy is Policy.OBEY else _path(match) + _query(match)


def _written(match: Match) -> str:
    upstream = match.upstream
    query = parameters.without(match.query, lambda name, _: is_secret_parameter(upstream, name))
    return f"{match.path}?{query}" if query else match.path


def _path(match: Match) -> str:
    if match.unmatched:
        # What is forwarded as it was written is keyed as it was written.
        return "/" + "/".join(map(quoted, match.path[1:].split("/")))
    if not match.variables:
        return ""
    shape = match.endpoint.segments
    values = [match.segments[index] for index, each in enumerate(shape) if each.kind == "variable"]
    if shape[-1].kind == "rest":
        values += match.segments[len(shape) - 1 :]
    return "/" + "/".join(map(quoted, values))


def _query(match: Match) -> str:
    if not match.parameters:
        return ""
    upstream, ignored = match.upstream, match.endpoint.ignored_parameters
    kept = [
        (quoted(name), quoted(value))
        for name, value in match.parameters
        if name not in ignored and not is_secret_parameter(upstream, name)
    ]
    kept.sort(key=_by_name)  # stable: repeated parameters keep their order
    return "?" + "&".join([f"{name}={value}" for name, value in kept]) if kept else ""


def _variant(match: Match, request: Request, secret: bytes) -> str:
    """Return what beside the target makes the answer another: each part begins with `;`."""
    endpoint = match.endpoint
    parts = [] if endpoint.policy is Policy.OBEY else _headers(match, request)
    if request.method not in {"GET", "HEAD"}:
        parts.append(f"method={quoted(request.method)}")
    if endpoint.cache_body and request.method == "POST":
        parts += _body(match, request)
    if named := credential(match, request, secret, private=False):
        parts.append(f"credential={named}")
    return "".join([f";{part}" for part in parts])


def _headers(match: Match, request: Request) -> list[str]:
    endpoint = match.endpoint
    accept = normal_accept(combined(request.fields, "accept"), endpoint.content_type)
    usual = accept == default_accept(endpoint.content_type)
    return [
        *([] if usual else [f"accept={quoted(accept)}"]),
        *(
            f"header-{quoted(name)}={quoted(value)}"
            for name, value in named(match, request, endpoint.headers)
        ),
    ]


def _body(match: Match, request: Request) -> list[str]:
    """Return what a body means: its octets, and how they are to be read."""
    octets = hashlib.blake2b(request.body or b"", digest_size=32)
    parts = [f"{name}={quoted(value)}" for name, value in named(match, request, DESCRIBE_BODY)]
    return [*parts, f"body={octets.hexdigest()}"]


def named(match: Match, request: Request, names: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return the request's fields called `names` (lower case) that say something and hide nothing.

    The same are keyed and sent; several lines count as one.
    """
    return tuple(
        (name, value.strip())
        for name in names
        if (value := combined(request.fields, name))
        and value.strip()
        and not is_secret_header(match.upstream, name)
    )
