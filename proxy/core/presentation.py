"""Presentation: what one client is given of an entry.

304 where its conditions are met, a part where it asks for one, else the whole. The body of an
answer to HEAD stands in the reply: the front writes its length and leaves it out. Age is the
front's to write: see `Answer.account`.
"""

from typing import Final

from proxy.core import conditions, ranges
from proxy.core.fields import names, without
from proxy.core.model import Entry, Reply, Request

_OF_THE_BODY: Final = frozenset(
    {"content-encoding", "content-length", "content-range", "content-type", "transfer-encoding"}
)
"""What a 304 leaves out (RFC 9110 section 15.4.5); the fields that update a cache stay."""

_FOR_LESS: Final = conditions.CONDITIONAL | {"range"}
"""Without one of these nobody asks for less than the whole."""


def present(entry: Entry, request: Request, now: float) -> Reply:
    """Return the reply to `request` made from `entry`, as of `now`."""
    if names(request.fields).isdisjoint(_FOR_LESS):
        return Reply(entry.status, entry.reason, entry.fields, entry.body, entry.encoding)
    if conditions.not_modified(entry, request, now):
        return Reply(304, "Not Modified", without(entry.fields, _OF_THE_BODY), b"")
    whole = Reply(entry.status, entry.reason, entry.fields, entry.body, entry.encoding)
    return ranges.part(entry, whole, request)
