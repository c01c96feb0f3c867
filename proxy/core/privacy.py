"""Which requests are private, and whose credentials a request goes out with.

Private: a method other than GET or HEAD (save a POST that the endpoint caches by its body), a
signature or a token, what the configuration adds, and endpoints that say so. A key alone
(`X-MBX-APIKEY`, which five popular libraries send on public calls) makes nothing private.

A key that a client brings is the value of a secret header or parameter that is not empty. It goes
upstream on private requests, under `client_credentials: forward`, and where the endpoint
`needs_client_key`; else the proxy's own goes in its place. Where it goes, it is known by an HMAC:
in cache keys and in the counts of limits `of: credential`.
"""

import hashlib
import hmac

from proxy.core.marks import SIGNATURE_HEADERS, SIGNATURE_PARAMETERS, TOKEN_HEADERS
from proxy.core.model import Request
from proxy.core.routing import Match
from proxy.core.upstreams import Upstream
from proxy.core.wordings import Wording, wording

__all__ = [
    "SIGNATURE_HEADERS",
    "SIGNATURE_PARAMETERS",
    "TOKEN_HEADERS",
    "client_keys",
    "credential",
    "forwards_client_keys",
    "is_private",
    "is_secret_parameter",
    "private_because",
]


def is_private(match: Match, request: Request) -> bool:
    """Say whether the request concerns its sender alone: never stored, joined or retried."""
    return private_because(match, request) is not None


def private_because(match: Match, request: Request, said: Wording | None = None) -> str | None:
    """Return what makes the request private, in a few words, or None.

    `said` is its wording, where that is known already.
    """
    if said is None:
        said = wording(match.upstream, match.endpoint, request.method, request.fields)
    if said.private is not None:
        return said.private
    if match.parameters and (name := _private_parameter(match)) is not None:
        return f"parameter {name}"
    return said.marked


def _private_parameter(match: Match) -> str | None:
    declared = match.upstream.private_parameters
    for name, _ in match.parameters:
        if name in SIGNATURE_PARAMETERS or name in declared:
            return name
    return None


def client_keys(match: Match, request: Request) -> tuple[tuple[str, str], ...]:
    """Return the keys that the client brought: names (headers in lower case) and secret values.

    What `client_credentials: refuse` refuses; never to be logged.
    """
    upstream = match.upstream
    in_fields = wording(upstream, match.endpoint, request.method, request.fields).keys
    if not match.parameters:
        return in_fields
    return (
        *in_fields,
        *(
            (f"parameter {name}", value)
            for name, value in match.parameters
            if value and is_secret_parameter(upstream, name)
        ),
    )


def forwards_client_keys(match: Match, *, private: bool) -> bool:
    """Say whether a key that the client brings goes upstream."""
    return (
        private or match.endpoint.needs_client_key or match.upstream.client_credentials == "forward"
    )


def credential(match: Match, request: Request, secret: bytes, *, private: bool) -> str:
    """Return what names the client's own credential, where it goes upstream; else an empty text.

    An HMAC under `secret` (the installation's own), so that it tells nothing of the credential.
    Signatures differ with each request and take no part; a token does on private requests.
    """
    if not forwards_client_keys(match, private=private):
        return ""
    found = [pair for pair in client_keys(match, request) if not _signs(match.upstream, pair[0])]
    if not found and private:
        found = [
            ("token", value) for name, value in request.fields if name.lower() in TOKEN_HEADERS
        ]
    if not found:
        return ""
    message = "".join(f"{len(name)}:{name}{len(value)}:{value}" for name, value in sorted(found))
    octets = message.encode("utf-8", "surrogateescape")
    return hmac.new(secret, octets, hashlib.sha256).hexdigest()[:32]


def is_secret_parameter(upstream: Upstream, name: str) -> bool:
    """Say whether the query parameter `name` (decoded, any case) carries a key."""
    return name.lower() in upstream.keys_in_query


def _signs(upstream: Upstream, named: str) -> bool:
    kind, _, name = named.partition(" ")
    if kind == "header":
        return name in SIGNATURE_HEADERS or name in upstream.private_headers
    return name in SIGNATURE_PARAMETERS or name in upstream.private_parameters
