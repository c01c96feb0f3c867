"""What was spent before we came: asked of the provider itself, once, when the proxy starts.

The question goes the ordinary way, with the proxy's own key, and is charged as any. Its answer
corrects the count upwards only: a provider that counts late must not hand out tokens twice. What
cannot be asked or read is a warning; the count then stands as the ledger has it.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

from proxy.answer import Answer
from proxy.core.codings import GZIP, gunzip
from proxy.core.model import Request
from proxy.core.signals import at_path
from proxy.core.spending import Level
from proxy.core.upstreams import Upstream

OK = 200
_log = structlog.get_logger("arrears")

Ask = Callable[[Request], Awaitable[Answer]]


class Counts(Protocol):
    """Where limits are counted."""

    async def snapshot(self, upstream: str) -> tuple[Level, ...]:
        """Return how the upstream's counts stand now."""
        ...

    async def set_used(self, upstream: str, bucket: str, used: float) -> bool:
        """Say what was used already."""
        ...


async def caught_up(upstream: Upstream, ask: Ask, counts: Counts) -> float | None:
    """Return what the provider says was spent, now counted; None: it did not say."""
    asked = upstream.usage_from
    if asked is None or upstream.disabled:
        return None
    path, _, query = asked.path.partition("?")
    answer = await ask(Request("GET", upstream.prefix.rstrip("/") + path, query, ()))
    used = _figure(answer, asked.used)
    if used is None:
        _log.warning("usage_not_told", upstream=upstream.name, status=answer.status)
        return None
    known = [each for each in await counts.snapshot(upstream.name) if each.bucket == asked.limit]
    if not known or known[0].used < used:
        await counts.set_used(upstream.name, asked.limit, used)
        _log.info("usage_told", upstream=upstream.name, limit=asked.limit, used=used)
    return used


def _figure(answer: Answer, path: str) -> float | None:
    body = answer.body
    if answer.status != OK or answer.problem is not None or not isinstance(body, bytes):
        return None
    try:
        content = gunzip(body) if answer.encoding == GZIP else body
    except ValueError:
        return None
    for found in at_path(content, path):
        if isinstance(found, int | float) and not isinstance(found, bool) and found >= 0:
            return float(found)
    return None
