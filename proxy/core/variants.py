"""Variants: which stored reply answers a request, where the origin negotiates (Vary).

RFC 9111 section 4.1. Under one primary key lie several entries; a list of them (the index) lies at
the key itself. A variant is chosen where every field that its Vary names is the same in both
requests, once normalised:

- lines are joined, the space around commas is dropped;
- Accept, Accept-Charset, Accept-Encoding and Accept-Language are compared without case or order
  (their order says nothing; what is preferred, `q` says);
- a stored reply in the one language that the client likes best matches whatever else was said.

`Vary: *` matches nothing. Under `ignore` and `cap` there is one entry to a key: what is not in the
key was not sent, so it cannot have changed the answer.
"""

import hashlib
import re
from collections.abc import Iterable
from typing import Final

from proxy.core.fields import Fields, combined, first
from proxy.core.model import Entry, Lifetimes, Request

MOST: Final = 32
"""Variants to a key; one more pushes out the one used longest ago."""
INDEX: Final = "vary-index"
"""The flag of an entry that only lists variants."""

_UNORDERED: Final = frozenset({"accept", "accept-charset", "accept-encoding", "accept-language"})
_PARTS: Final = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^,"]|")+', re.DOTALL)


def names(fields: Fields) -> tuple[str, ...]:
    """Return the fields that Vary names, lower case, sorted; `*` among them where it stands."""
    return tuple(sorted({part.lower() for part in _members(combined(fields, "vary") or "")}))


def selecting(fields: Fields, request: Request) -> Fields:
    """Return the request's fields that selected this reply, normalised: absent ones are absent."""
    return tuple(
        (name, normalised(name, value))
        for name in names(fields)
        if (value := combined(request.fields, name)) is not None
    )


def normalised(name: str, value: str) -> str:
    """Return a request field's value in the one form in which such values are compared."""
    members = _members(value)
    if name in _UNORDERED:
        return ",".join(sorted(re.sub(r"\s+", "", member.lower()) for member in members))
    return ",".join(members)


def matches(entry: Entry, request: Request) -> bool:
    """Return whether `entry` may answer `request`, as far as Vary goes."""
    if not (vary := names(entry.fields)):
        return True
    if "*" in vary:
        return False
    stored = dict(entry.request_fields)
    for name in vary:
        value = combined(request.fields, name)
        asked = None if value is None else normalised(name, value)
        if asked != stored.get(name) and not _speaks(name, entry, value):
            return False
    return True


def select(stored: Iterable[Entry], request: Request) -> Entry | None:
    """Return the most recent of the stored variants that match (RFC 9111 section 4.1)."""
    matching = [entry for entry in stored if INDEX not in entry.flags and matches(entry, request)]
    return max(matching, key=_generated, default=None)


def _generated(entry: Entry) -> float:
    return entry.received_at - entry.initial_age


# ── Keys ──


def variant_key(key: str, fields: Fields, request: Request) -> str:
    """Return where a reply with these fields is stored: `key`, or one of its own if it varies."""
    if not (vary := names(fields)):
        return key
    chosen = dict(selecting(fields, request))
    told = "\n".join(f"{name}:{chosen.get(name, chr(0))}" for name in vary)
    digest = hashlib.blake2b(told.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
    return f"{key}~{digest}"


def listed(entry: Entry) -> tuple[str, ...]:
    """Return the keys of the variants that an index lists; none where `entry` is no index."""
    return tuple(entry.body.decode().split("\n")) if INDEX in entry.flags else ()


def index(key: str, entry: Entry, others: tuple[Entry, ...]) -> Entry:
    """Return the index that lists `entry` and, after it, the `others` that are stored already."""
    kept = [entry.key, *(each.key for each in others if each.key not in {entry.key, key})]
    usable = max(each.lifetimes.usable for each in (entry, *others))
    return Entry(
        key=key,
        status=200,
        reason="",
        fields=(),
        body="\n".join(kept[:MOST]).encode(),
        encoding="",
        requested_at=entry.requested_at,
        received_at=entry.received_at,
        initial_age=0.0,
        lifetimes=Lifetimes(usable),
        flags=frozenset({INDEX}),
        tags=entry.tags,
    )


# ── Language ──


def _speaks(name: str, entry: Entry, value: str | None) -> bool:
    """Return whether the entry is in the one language that the client likes best."""
    if name != "accept-language" or value is None:
        return False
    content = (first(entry.fields, "content-language") or "").strip().lower()
    if not content or "," in content:
        return False
    best = _best(value)
    return best is not None and (content == best or content.startswith(f"{best}-"))


def _best(value: str) -> str | None:
    """Return the one language range of the highest quality, or None where several share it."""
    ranked = sorted((_ranked(member) for member in _members(value.lower())), reverse=True)
    if not ranked or ranked[0][0] <= 0.0 or ranked[0][1] == "*":
        return None
    if len(ranked) > 1 and ranked[1][0] == ranked[0][0]:
        return None
    return ranked[0][1]


def _ranked(member: str) -> tuple[float, str]:
    language, *parameters = (part.strip() for part in member.split(";"))
    for parameter in parameters:
        if (found := re.fullmatch(r"q\s*=\s*([01](?:\.[0-9]{0,3})?)", parameter)) is not None:
            return float(found[1]), language
    return 1.0, language


def _members(value: str) -> list[str]:
    return [part for found in _PARTS.findall(value) if (part := found.strip())]
