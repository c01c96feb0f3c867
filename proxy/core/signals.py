"""What a provider says of itself in an answer: usage, "too much", errors hidden in a 200.

Holds: 429 and 418 always; a declared block (`403 access too frequent`); a declared body check.
Their length: Retry-After (RFC 9110 section 10.2.3) or "banned until" in the body, whichever is
later; else the reset of a limit of which nothing remains, as the answer says; else growing steps,
which the ledger counts. Figures that are negative or no numbers are not reported at all.
"""

import math
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from proxy.core import dates, rate_limits
from proxy.core.fields import Fields, combined, first, names
from proxy.core.rate_limits import REMAINING, RESET, SIZE
from proxy.core.spending import HoldFor, Report
from proxy.core.upstreams import BodyCheck, Endpoint, Upstream, Usage

_WAYSIDE = frozenset(
    {"age", "via", "x-cache", "cf-ray", "cf-cache-status", "x-amz-cf-id", "x-served-by"}
)
"""Fields of caches and CDNs, which write Date by their own clock."""
BLOCKED = "blocked"
"""Why an answer is none that holds us off."""
BODY_SEARCHED = 64 * 1024
"""Bytes of a body in which texts ("banned until", a block's words) are looked for."""


class Signals(msgspec.Struct, frozen=True, gc=False):
    """What was found. `rejected` says why the answer is no answer: `blocked`, `error` or empty."""

    reports: tuple[Report, ...] = ()
    hold: HoldFor | None = None
    rejected: str = ""


NOTHING: Final = Signals()
"""Of an answer that says nothing."""


def reads_body(upstream: Upstream, endpoint: Endpoint, status: int) -> bool:
    """Whether an answer of this status says anything in its body that must be read first."""
    if status in upstream.telling:
        return True
    return upstream.counts_in_body and not endpoint.ignore_usage


def signals(
    upstream: Upstream, endpoint: Endpoint, status: int, fields: Fields, body: bytes, wall: float
) -> Signals:
    """Read all that an answer says of the provider's state.

    `body` is its identity form, or empty where it is not read; `wall` is Unix time.
    """
    told = upstream.usage and not endpoint.ignore_usage
    reports = tuple(_reports(upstream, fields, body, wall)) if told else ()
    if status not in upstream.telling:
        return Signals(reports) if reports else NOTHING
    check = _failed_check(upstream.body_checks, status, body)
    if check is not None and check.counts_as == "error":
        return Signals(reports, None, "error")
    hold = _hold(upstream, status, fields, body, wall, hidden=check is not None)
    if hold is not None and hold.seconds is None:
        hold = replace(hold, seconds=_spent_for(reports))
    if hold is None and not reports:
        return NOTHING
    return Signals(reports, hold, BLOCKED if hold is not None else "")


def _spent_for(reports: tuple[Report, ...]) -> float | None:
    """Return the seconds until a limit is reset of which the answer says that nothing remains."""
    resets = (
        report.resets_in
        for report in reports
        if report.resets_in is not None and report.remaining is not None and report.remaining <= 0
    )
    return max(resets, default=None)


def _hold(
    upstream: Upstream, status: int, fields: Fields, body: bytes, wall: float, *, hidden: bool
) -> HoldFor | None:
    rule = upstream.hold
    if not (hidden or rule.blocked_statuses or status in rule.statuses):
        return None
    text = body[:BODY_SEARCHED].decode("utf-8", "replace")
    for blocked, words, seconds in rule.blocked_statuses:
        if status == blocked and words.lower() in text.lower():
            return HoldFor(f"{status} {words}".strip(), seconds, rule.first, rule.most)
    if status not in rule.statuses and not hidden:
        return None
    named = [
        seconds
        for seconds in (retry_after(fields, wall), _banned_for(rule.body_patterns, text, wall))
        if seconds is not None
    ]
    reason = str(status) if not hidden else f"{status} with an error in its body"
    return HoldFor(reason, max(named) if named else None, rule.first, rule.most)


def retry_after(fields: Fields, wall: float) -> float | None:
    """Return the seconds that Retry-After asks for; None where it is absent or makes no sense."""
    value = first(fields, "retry-after")
    if value is None:
        return None
    seconds = _figure(value)
    if seconds is None:
        date = dates.parse(value.strip(), wall)
        return None if date is None else max(0.0, date - wall)
    return seconds


def own_date(fields: Fields, wall: float) -> float | None:
    """Return the epoch seconds of Date, where the provider itself wrote it just now.

    An answer that was stored on the way (Age), or that a CDN or cache has marked as its own, says
    that other clock's time: None.
    """
    if not _WAYSIDE.isdisjoint(names(fields)):
        return None
    value = first(fields, "date")
    return None if value is None else dates.parse(value.strip(), wall)


def _banned_for(patterns: tuple[str, ...], text: str, wall: float) -> float | None:
    for pattern in patterns:
        found = re.search(pattern, text)
        until = _figure(found.group(1)) if found else None
        if until is not None:
            return max(0.0, until / 1000 - wall)
    return None


def _reports(upstream: Upstream, fields: Fields, body: bytes, wall: float) -> Iterator[Report]:
    for usage in upstream.usage:
        value = _reported(usage, fields, body)
        if value is None:
            continue
        resets_in = _resets_in(usage, fields, wall)
        match usage.means:
            case "remaining":
                yield Report(usage.limit, remaining=value, resets_in=resets_in)
            case "limit":
                yield Report(usage.limit, size=value, resets_in=resets_in)
            case "cost":
                yield Report(usage.limit, cost=value, resets_in=resets_in)
            case _:
                yield Report(usage.limit, used=value, resets_in=resets_in)


def _reported(usage: Usage, fields: Fields, body: bytes) -> float | None:
    if usage.header is not None:
        value = combined(fields, usage.header.lower())
        if value is None:
            return None
        told = _figure(first(fields, usage.header.lower()) or "")
        name = {"remaining": REMAINING, "limit": SIZE}.get(usage.means)
        if told is None and name is not None:
            return rate_limits.figure(value, name, usage.limit)
        return told
    for found in at_path(body, usage.body or ""):
        return _figure(str(found))
    return None


def _resets_in(usage: Usage, fields: Fields, wall: float) -> float | None:
    value = combined(fields, usage.reset_header.lower()) if usage.reset_header else None
    if value is None:
        return None
    figure = _figure(value.partition(",")[0])
    if figure is None:  # this form tells seconds, whatever the field's plain form does
        return rate_limits.figure(value, RESET, usage.limit)
    match usage.reset_unit:
        case "epoch_ms":
            return max(0.0, figure / 1000 - wall)
        case "epoch_s":
            return max(0.0, figure - wall)
        case _:
            return figure


def _figure(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _failed_check(checks: tuple[BodyCheck, ...], status: int, body: bytes) -> BodyCheck | None:
    for check in checks:
        if status in check.statuses and any(
            _meets(check, found) for found in at_path(body, check.path)
        ):
            return check
    return None


def _meets(check: BodyCheck, found: Any) -> bool:
    text = found if isinstance(found, str) else msgspec.json.encode(found).decode()
    if not check.values and not check.contains:
        return bool(found)
    return text in check.values or any(part in text for part in check.contains)


def at_path(body: bytes, path: str) -> Iterator[Any]:
    """Yield what stands at a dotted path of a JSON body (`*`: any member); nothing where it fails.

    Only what the path leads to is decoded, so that a large body costs one scan.
    """
    steps = path.split(".")
    names = steps[: steps.index("*")] if "*" in steps else steps
    try:
        found: Any = msgspec.json.decode(body, type=_skeleton(tuple(names)))
        for _ in names:
            found = found.member
        if found is msgspec.UNSET:
            return
        found = msgspec.json.decode(found)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, AttributeError):
        return
    yield from _walk(found, steps[len(names) :])


def _walk(found: Any, steps: list[str]) -> Iterator[Any]:
    if not steps:
        yield found
        return
    step, rest = steps[0], steps[1:]
    if step == "*":
        members = found.values() if isinstance(found, dict) else found
        for member in members if not isinstance(members, str | int | float | None) else ():
            yield from _walk(member, rest)
    elif isinstance(found, dict) and step in found:
        yield from _walk(found[step], rest)


@lru_cache(maxsize=256)
def _skeleton(names: tuple[str, ...]) -> Any:
    """Build the type that reads one path and skips the rest; each level has one `member`."""
    if not names:
        return msgspec.Raw
    return msgspec.defstruct(
        "Skeleton",
        [("member", _skeleton(names[1:]) | msgspec.UnsetType, msgspec.UNSET)],
        rename={"member": names[0]},
    )
