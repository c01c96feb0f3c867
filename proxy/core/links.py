"""Absolute links to the provider's API inside its answers (CryptoPanic's `next`, `previous`).

They carry the proxy's own key, and would lead bots past the proxy. So before an answer is stored
each is made neutral: its keys are taken out and its origin becomes `NOWHERE`, a name that cannot
exist (RFC 2606 section 2); when it is given to a client, that becomes the address under which the
client asked. All else in the body stays as it was, byte for byte.
"""

import re
from urllib.parse import urlsplit

from proxy.core import parameters
from proxy.core.privacy import is_secret_parameter
from proxy.core.upstreams import Upstream

NOWHERE = "http://quota-proxy.invalid"
"""Stands for the proxy's address in what is stored."""
_LINK = re.compile(rb'"(https?:(?:\\?/){2}[^"\\]*(?:\\/[^"\\]*)*)"')


def neutral(body: bytes, upstream: Upstream) -> bytes:
    """Return a JSON body whose links to the upstream's API name neither key nor provider."""
    hidden = upstream.credentials.value.encode()

    def rewritten(found: re.Match[bytes]) -> bytes:
        link = _neutral_link(found[1], upstream)
        return found[0] if link is None else b'"' + link + b'"'

    cleaned = _LINK.sub(rewritten, body)
    return cleaned.replace(hidden, b"***") if hidden and hidden in cleaned else cleaned


def local(body: bytes, origin: str, *, without_prefix: str = "") -> bytes:
    """Return the body with neutral links made the client's: `origin` is `http://host:port`.

    A client that met the upstream by Host or port asks `without_prefix`.
    """
    for slash in ("/", "\\/"):
        nowhere = (NOWHERE + without_prefix).replace("/", slash).encode()
        body = body.replace(nowhere, origin.replace("/", slash).encode("latin-1", "replace"))
    return body


def _neutral_link(written: bytes, upstream: Upstream) -> bytes | None:
    """Return a link to the API in its neutral form; None for any other."""
    escaped = b"\\/" in written
    try:
        parts = urlsplit(written.replace(b"\\/", b"/").decode())
    except ValueError:
        return None
    base = urlsplit(upstream.base_url)
    queried = [name for name, _ in parameters.decode(parts.query)]
    keyed = any(is_secret_parameter(upstream, name) for name in queried)
    if parts.hostname != base.hostname or not keyed:
        return None
    query = parameters.without(parts.query, lambda name, _: is_secret_parameter(upstream, name))
    path = upstream.prefix.rstrip("/") + parts.path.removeprefix(base.path.rstrip("/"))
    link = f"{NOWHERE}{path}" + (f"?{query}" if query else "")
    return (link.replace("/", "\\/") if escaped else link).encode()
