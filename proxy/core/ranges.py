"""Ranges: parts of a stored whole (RFC 9110 section 14).

One range of bytes is cut out; several, another unit, or a malformed one are not understood, and the
whole is given. If-Range must name the whole that we hold, by a strong tag or by its exact date.
Parts are of the identity form: where the provider's was gzip, that is another representation, which
a strong tag of the provider's does not name.
"""

import re
from typing import Final

from msgspec.structs import replace

from proxy.core import conditions, dates
from proxy.core.codings import GZIP, content, is_gzip, negotiated
from proxy.core.fields import combined, first, without
from proxy.core.model import Entry, Reply, Request

_RANGE: Final = re.compile(r"bytes=[ \t]*([0-9]{0,4000})-([0-9]{0,4000})[ \t]*", re.IGNORECASE)
_OK: Final = 200
_OF_THE_WHOLE: Final = frozenset(
    {"content-length", "content-range", "content-digest", "content-md5"}
)
"""What describes the bytes of one message, not the representation (RFC 9530 section 2)."""


def part(entry: Entry, reply: Reply, request: Request) -> Reply:
    """Return the part of `reply`, made from `entry`, that the client asks for; else the whole."""
    wanted = first(request.fields, "range")
    if wanted is None or request.method != "GET" or entry.status != _OK:
        return reply
    found = _RANGE.fullmatch(wanted.strip())
    if found is None or not (found[1] or found[2]) or not _current(entry, request):
        return reply
    recoded = reply.encoding == GZIP and is_gzip(entry.fields)
    whole = _identity(reply)
    if whole is None or (recoded and not _may_be_recoded(entry, request)):
        return reply
    if (span := _span(found[1], found[2], len(whole))) is None:
        return reply
    fields = without(reply.fields, _OF_THE_WHOLE)
    if recoded:
        fields = negotiated(fields, "", changed=True)
    first_byte, end = span
    if first_byte >= end:
        named = (*fields, ("Content-Range", f"bytes */{len(whole)}"))
        return Reply(416, "Range Not Satisfiable", named, b"")
    named = (*fields, ("Content-Range", f"bytes {first_byte}-{end - 1}/{len(whole)}"))
    return replace(
        reply,
        status=206,
        reason="Partial Content",
        fields=named,
        body=whole[first_byte:end],
        encoding="",
    )


def _span(start: str, last: str, length: int) -> tuple[int, int] | None:
    """Return the half-open span of bytes; empty where it cannot be met, None where malformed."""
    if not start:
        return max(0, length - int(last)), length
    if last and int(last) < int(start):
        return None
    return int(start), min(length, int(last) + 1) if last else length


def _current(entry: Entry, request: Request) -> bool:
    condition = first(request.fields, "if-range")
    if condition is None:
        return True
    condition = condition.strip()
    tag = first(entry.fields, "etag")
    if condition.startswith(('"', "W/")):
        return tag is not None and conditions.strong(tag) and condition == tag.strip()
    modified = first(entry.fields, "last-modified")
    return modified is not None and condition == modified.strip() and _settled(entry, modified)


def _settled(entry: Entry, modified: str) -> bool:
    """Return whether a modification time is a strong validator (RFC 9110 section 8.8.2.2).

    Within the second of its Date the origin may have changed the representation once more.
    """
    since, date = (
        None if value is None else dates.parse(value, entry.received_at)
        for value in (modified, first(entry.fields, "date"))
    )
    return since is not None and date is not None and date >= since + 1.0


def _identity(reply: Reply) -> bytes | None:
    """Return the body unpacked; None where it calls itself gzip and is not."""
    try:
        return content(reply.body) if reply.encoding == GZIP else reply.body
    except ValueError:
        return None


def _may_be_recoded(entry: Entry, request: Request) -> bool:
    """Return whether the identity form may be given of what came as gzip, and is what is meant."""
    allowed = "no-transform" not in (combined(entry.fields, "cache-control") or "").lower()
    condition = first(request.fields, "if-range")
    return allowed and (condition is None or not condition.strip().startswith('"'))
