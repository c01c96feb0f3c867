"""The `Accept` field in its normal form: what is keyed is what is sent.

Where the endpoint declares a content type, an Accept that likes nothing better than it (absent,
`*/*`, `application/json`, `application/json, text/plain, */*`) asks for just that. Any other is
kept, less case and blanks. RFC 9110 section 12.5.1.
"""

from functools import lru_cache
from typing import Final

ANY: Final = "*/*"


@lru_cache(maxsize=1024)  # clients send a handful of different ones
def normal_accept(accept: str | None, content_type: str | None) -> str:
    """Return the Accept to key and to send; it is the default where `content_type` is liked best.

    The default is the content type, or `*/*` where none is declared.
    """
    default = default_accept(content_type)
    if accept is None or not accept.strip():
        return default
    ranges = [_range(part) for part in accept.lower().split(",") if part.strip()]
    best = max((quality for _, quality in ranges), default=0.0)
    if content_type is None:
        liked = {ANY} if len(ranges) == 1 else set()
    else:
        liked = {default, f"{default.partition('/')[0]}/*", ANY}
    if best > 0 and any(kind in liked and quality == best for kind, quality in ranges):
        return default
    return ",".join("".join(part.split()) for part in accept.lower().split(",") if part.strip())


@lru_cache(maxsize=256)  # as many as there are declared types
def default_accept(content_type: str | None) -> str:
    """Return what is sent for a client that does not mind."""
    return content_type.partition(";")[0].strip().lower() if content_type else ANY


def _range(part: str) -> tuple[str, float]:
    """Return a media range and its quality; parameters other than `q` stay with the range."""
    kind, *parameters = (piece.strip() for piece in part.split(";"))
    quality = 1.0
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            quality = _quality(value.strip())
        else:
            kind += ";" + parameter
    return kind, quality


def _quality(value: str) -> float:
    try:
        quality = float(value)
    except ValueError:
        return 1.0
    return quality if 0.0 <= quality <= 1.0 else 1.0
