"""Content codings: gzip or identity, whatever the client claims (RFC 9110 section 12.5.3).

Some SDKs advertise `br` and then cannot decode it, so nothing else is ever chosen. The store keeps
bodies compressed; where the form that goes out is not the form that came, the answer is another
representation: `Vary` says so, a strong ETag becomes weak, and digests of the old bytes go.
"""

import functools
import zlib
from collections.abc import AsyncIterator

from proxy.core.codings import GZIP
from proxy.core.fields import Fields, first

IDENTITY = ""

_ALIASES = {"gzip": GZIP, "x-gzip": GZIP, "identity": IDENTITY}
_GZIP_WINDOW = 16 + zlib.MAX_WBITS
_PIECE = 256 * 1024


@functools.lru_cache(maxsize=1024)
def takes_gzip(accept_encoding: str | None) -> bool:
    """Return whether gzip is the better form for a client that sent this Accept-Encoding.

    A client that sent none gets identity: it may take anything, but has not said that it can.
    """
    if not accept_encoding:
        return False
    weights: dict[str, float] = {}
    for member in accept_encoding.split(","):
        coding, _, parameters = member.partition(";")
        name = coding.strip().lower()
        weights[_ALIASES.get(name, name)] = _weight(parameters)
    anything = weights.get("*", 0.0)
    gzip = weights.get(GZIP, anything)
    return gzip > 0 and gzip >= weights.get(IDENTITY, 0.0)


def _weight(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def coding_of(fields: Fields) -> str:
    """Return the content coding that the provider gave the body, in lower case; empty: none."""
    coding = (first(fields, "content-encoding") or "").strip().lower()
    return _ALIASES.get(coding, coding)


async def gunzipped(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the content of a gzip stream in pieces of bounded size.

    Raises:
        zlib.error: the stream is not gzip, or ended too early.

    """
    stream = zlib.decompressobj(_GZIP_WINDOW)
    async for chunk in body:
        rest = chunk.lstrip(b"\0") if stream.eof else chunk  # padding is no further member
        while rest:
            if stream.eof:  # a further member
                stream = zlib.decompressobj(_GZIP_WINDOW)
            yield stream.decompress(rest, _PIECE)
            rest = stream.unconsumed_tail or stream.unused_data.lstrip(b"\0")
    if not stream.eof:
        raise zlib.error("incomplete gzip stream")
