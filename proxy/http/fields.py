"""What an account says to the client, as field lines. Pure functions over core values.

The values are structured fields (RFC 9651) that are written here by hand, since a hit should not
pay for a general serializer; a property test holds every one of them to a parser.
"""

import functools
import math
from collections.abc import Iterable
from urllib.parse import quote

from proxy.answer import Account, Problem
from proxy.core.fields import Fields, names, values, without
from proxy.core.outbound import HOP_BY_HOP
from proxy.core.spending import Level

CACHE = "quota-proxy"
"""How this cache calls itself in Cache-Status (RFC 9211 section 2)."""

NOT_OURS_TO_REPEAT = frozenset({"via", "alt-svc", "nel", "report-to", "strict-transport-security"})
"""What a provider says of its own address, which is not the address the client asked."""

OURS = frozenset({"x-cache", "ratelimit", "ratelimit-policy", "content-length"})
"""What the front writes itself, whatever the provider wrote."""

_FRAMING = HOP_BY_HOP | {"content-length"}
_NOT_PRESENTED = HOP_BY_HOP | NOT_OURS_TO_REPEAT | OURS
_NONE: frozenset[str] = frozenset()

_LARGEST_INTEGER = 999_999_999_999_999
"""RFC 9651 section 3.3.1: fifteen digits."""


def connection_named(fields: Fields) -> frozenset[str]:
    """Return the lower-case names that Connection makes hop-by-hop (RFC 9110 section 7.6.1)."""
    lines = values(fields, "connection")
    if not lines:
        return _NONE
    return frozenset(
        token.strip().lower() for line in lines for token in line.split(",") if token.strip()
    )


def end_to_end(fields: Fields) -> Fields:
    """Return the fields that go beyond one connection; Content-Length is framing and goes too."""
    return _less(fields, _FRAMING)


def presentable(fields: Fields) -> Fields:
    """Return the provider's fields less those of a connection, of its address, and our own."""
    return fields if names(fields).isdisjoint(_NOT_PRESENTED) else _less(fields, _NOT_PRESENTED)


def _less(fields: Fields, dropped: frozenset[str]) -> Fields:
    """Return `fields` without these, and without what Connection names."""
    named = connection_named(fields)
    return without(fields, dropped | named if named else dropped)


def cache_status(account: Account) -> str:
    """Return this cache's member of Cache-Status (RFC 9211 section 2)."""
    said = CACHE
    if account.forward_reason:
        status = account.forward_status
        said += _forwarded(account.forward_reason, status, account.stored, account.collapsed)
    elif account.age is not None:
        said += "; hit"
    if account.ttl is not None:
        said += f"; ttl={_integer(account.ttl)}"
    if account.key:
        said += f"; key={_string(account.key)}"
    if account.detail:
        said += f"; detail={_string(account.detail)}"
    return said


@functools.lru_cache(maxsize=256)
def _forwarded(reason: str, status: int | None, stored: bool, collapsed: bool) -> str:  # noqa: FBT001 - as they stand in an account
    said = f"; fwd={reason}"
    if status is not None:
        said += f"; fwd-status={status}"
    return said + ("; stored" if stored else "") + ("; collapsed" if collapsed else "")


def rate_limits(levels: Iterable[Level]) -> tuple[tuple[str, str], ...]:
    """Return RateLimit-Policy and RateLimit (IETF draft); the scarcest of each limit's counts."""
    scarcest: dict[str, Level] = {}
    for level in levels:
        known = scarcest.get(level.limit)
        if known is None or level.remaining < known.remaining:
            scarcest[level.limit] = level
    if not scarcest:
        return ()
    policy = ", ".join(map(_policy, scarcest.values()))
    present = ", ".join(
        f"{_string(level.limit)};r={_integer(level.remaining)};t={_whole_wait(level.resets_in)}"
        for level in scarcest.values()
    )
    return (("RateLimit-Policy", policy), ("RateLimit", present))


def retry_after(seconds: float | None, most: float) -> tuple[tuple[str, str], ...]:
    """Return Retry-After, whole seconds and at most `most`: some clients sleep on it blindly.

    Where the true wait is longer, or nobody knows it, `x-should-retry: false` tells the SDKs that
    listen (CoinGecko's, among others) not to come back by themselves.
    """
    longer = seconds is None or seconds > most
    told = most if seconds is None else min(seconds, most)
    field = ("Retry-After", str(max(1, math.ceil(told))))
    return (field, ("x-should-retry", "false")) if longer else (field,)


def verdict_lines(account: Account) -> bytes:
    """Return what happened, and how old the answer is, as field lines; Age in whole seconds.

    Words of our own and structured fields: nothing in them can end a line.
    """
    said = f"X-Cache: {account.verdict}\r\nCache-Status: {cache_status(account)}\r\n"
    if account.age is not None:
        said += f"Age: {_integer(account.age)}\r\n"
    return said.encode("ascii")


def problem_waits(problem: Problem) -> tuple[tuple[str, str], ...]:
    """Return the Retry-After of a problem: always with 429 and 503, else where one is known."""
    if problem.retry_after is None and problem.status not in {429, 503}:
        return ()
    return retry_after(problem.retry_after, problem.retry_after_max)


def _policy(level: Level) -> str:
    window = f";w={_whole_wait(level.window)}" if level.window > 0 else ""
    return f"{_string(level.limit)};q={_integer(level.size)}{window}"


def _integer(number: float) -> int:
    if -_LARGEST_INTEGER <= number <= _LARGEST_INTEGER:
        return math.floor(number)
    return _LARGEST_INTEGER if number > 0 else -_LARGEST_INTEGER


def _whole_wait(seconds: float) -> int:
    return max(0, -_integer(-seconds))


def _string(text: str) -> str:
    r"""Return an sf-string (RFC 9651 section 3.3.3): printable ASCII, `"` and `\` escaped.

    What is not printable ASCII is percent-encoded, as in the URL that it came from.
    """
    if not (text.isascii() and text.isprintable()):
        text = quote(text, safe=_PRINTABLE, errors="surrogatepass")
    if '"' in text or "\\" in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


_PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))
