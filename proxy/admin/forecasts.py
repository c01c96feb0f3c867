"""Says in the log when a long budget is about to run out before it is whole again.

Once when it turns so, and once when it is well again: what changes to and fro is not said. A pace
is believed once a tenth of the budget is spent: at the window's very beginning each call would
look like ruin. Short windows run out and come back all the time; nobody is told.
"""

import asyncio

import structlog
from structlog.typing import FilteringBoundLogger

from proxy.admin.house import House
from proxy.admin.quota import forecast, standings
from proxy.admin.times import rfc3339
from proxy.core.spending import Level

EVERY = 60.0
"""Seconds between two looks."""

LONG = 23 * 3600.0
"""Seconds of the shortest window that is told of: the shortest day a calendar has."""

BELIEVED = 0.1
"""Share of the budget that is spent before its pace says anything."""

MARGIN = 0.02
"""Share of the window by which it must run out too early."""


class Forecasts:
    """What was said of each limit."""

    def __init__(self, house: House, logger: FilteringBoundLogger | None = None) -> None:
        """Take what is looked at, and where to log (else structlog's own logger)."""
        self._house = house
        self._log: FilteringBoundLogger = logger or structlog.get_logger("forecast")
        self._bad: set[tuple[str, str]] = set()

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(EVERY)

    async def look(self) -> None:
        """Look at every long limit once, and say what has changed."""
        for standing in await standings(self._house):
            for level in standing.levels:
                if level.window >= LONG:
                    self._judge(standing.upstream, level)

    def _judge(self, upstream: str, level: Level) -> None:
        name, runs_out = (upstream, level.bucket), forecast(level)
        if runs_out is None and name in self._bad:
            self._bad.discard(name)
            self._log.info("quota_lasts_again", upstream=upstream, limit=level.bucket)
        elif runs_out is not None and name not in self._bad and _is_bad(level, runs_out):
            self._bad.add(name)
            wall = self._house.wall()
            self._log.warning(
                "quota_runs_out",
                upstream=upstream,
                limit=level.bucket,
                used=level.used,
                of=level.size,
                runs_out_at=rfc3339(wall + runs_out),
                resets_at=rfc3339(wall + level.resets_in),
            )


def _is_bad(level: Level, runs_out: float) -> bool:
    early = level.resets_in - runs_out
    return level.used >= BELIEVED * level.size and early >= MARGIN * level.window
