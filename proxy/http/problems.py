"""Errors of the proxy's own: problem details (RFC 9457) that the providers' SDKs understand.

`status` is always the number that RFC 9457 section 3.1.2 wants. CoinGecko and CoinMarketCap use
that name for an object; their clients get it where those providers also put it, under `error`,
and go by the status line otherwise.
"""

import datetime as dt
import math
from collections.abc import Callable

import msgspec

from proxy.answer import Problem

TYPE = "urn:quota-proxy:problem:"
"""Every problem's `type` begins with this; its `kind` follows."""

CONTENT_TYPE = "application/problem+json"

_TOO_MANY = frozenset({418, 429})


def problem_body(problem: Problem, now: float) -> bytes:
    """Return the JSON of a problem. `now` is Unix time, which `resets_at` is counted from."""
    members: dict[str, object] = {
        "type": TYPE + problem.kind,
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
    }
    if problem.upstream:
        members["upstream"] = problem.upstream
    if problem.limit:
        members["limit"] = problem.limit
    if problem.retry_after is not None and math.isfinite(problem.retry_after):
        members["retry_after"] = max(0, math.ceil(problem.retry_after))
    if problem.resets_in is not None:
        members["resets_at"] = rfc3339(now + problem.resets_in)
    members.update(problem.members)
    known = _SDKS.get(problem.sdk)
    if known is not None:
        for name, value in known(problem).items():
            members.setdefault(name, value)
    return msgspec.json.encode(members)


def rfc3339(at: float) -> str:
    """Return a Unix time as RFC 3339 in UTC, whole seconds, never earlier than it is."""
    latest = dt.datetime.max.replace(tzinfo=dt.UTC, microsecond=0)
    try:
        moment = dt.datetime.fromtimestamp(math.ceil(at), dt.UTC)
    except (OverflowError, ValueError, OSError):
        moment = latest
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _binance(problem: Problem) -> dict[str, object]:
    """Return `code` and `msg`. python-binance raises them; ccxt maps the code to its errors."""
    return {"code": _binance_code(problem.status), "msg": problem.detail or problem.title}


def _binance_code(status: int) -> int:
    """Return the code whose ccxt error has the right parent.

    -1003 is RateLimitExceeded and -1007 RequestTimeout, both of them NetworkError, upon which bots
    try again later; -1000 and -1001 would be OperationFailed, which few bots catch.
    """
    if status in _TOO_MANY:
        return -1003
    if status in {500, 502, 503, 504}:
        return -1007
    return -2015 if status in {401, 403} else -1100


def _coingecko(problem: Problem) -> dict[str, object]:
    said = {"error_code": problem.status, "error_message": problem.detail or problem.title}
    return {"error": {"status": said}}


def _coinmarketcap(problem: Problem) -> dict[str, object]:
    """Return their error under `error`: 1008 the minute, 1009 the day, 1010 the month."""
    return {
        "error": {
            "status": {
                "error_code": _coinmarketcap_code(problem),
                "error_message": problem.detail or problem.title,
                "credit_count": 0,
            }
        }
    }


def _coinmarketcap_code(problem: Problem) -> int:
    if problem.status not in _TOO_MANY:
        return problem.status
    if "month" in problem.limit:
        return 1010
    return 1009 if "day" in problem.limit else 1008


_SDKS: dict[str, Callable[[Problem], dict[str, object]]] = {
    "binance": _binance,
    "coingecko": _coingecko,
    "coinmarketcap": _coinmarketcap,
}
