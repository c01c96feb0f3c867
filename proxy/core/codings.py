"""The gzip content coding (RFC 9110 section 8.4.1.3): what came, checked to be whole."""

import zlib

from proxy.core.fields import Fields, first

GZIP = "gzip"
_WINDOW = 16 + zlib.MAX_WBITS
_NAMES = frozenset({"gzip", "x-gzip"})


def is_gzip(fields: Fields) -> bool:
    """Whether gzip is the one coding of the body that these fields describe."""
    return (first(fields, "content-encoding") or "").strip().lower() in _NAMES


def gunzip(body: bytes) -> bytes:
    """Return the content of a gzip body, of all its members.

    Raises:
        ValueError: it is not gzip, or was cut short.

    """
    content = []
    try:
        while body:
            stream = zlib.decompressobj(_WINDOW)
            content.append(stream.decompress(body))
            if not stream.eof:
                raise ValueError("the gzip body was cut short")
            body = stream.unused_data.lstrip(b"\0")
    except zlib.error as error:
        raise ValueError(f"not a gzip body: {error}") from error
    return b"".join(content)
