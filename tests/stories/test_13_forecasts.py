"""What an operator sees of quotas: figures, forecast, metrics, the log, and counting alone."""

import datetime as dt
from pathlib import Path
from typing import Any

import aiohttp

from proxy import clock
from proxy.core.spenders import HEARTBEAT, SILENT
from tests.fixtures.redis import RedisServer
from tests.stories.origin import answer, origin
from tests.stories.stage import Proxy, Stage, until, written

HALF = 12 * 3600.0
"""Seconds: the day is half over."""
JSON = "Content-Type: application/json"


def halfway(base_url: str) -> dict[str, Any]:
    """Return a provider of ten thousand a day, whose day ends in twelve hours."""
    ends = dt.datetime.fromtimestamp(clock.wall() + HALF, dt.UTC)
    return {
        "name": "up",
        "base_url": base_url,
        "limits": {"day": {"limit": 10000, "per": "day", "resets": f"{ends:%H:%M}"}},
        "endpoints": {"any": {"path": "/v1/{name}", "ttl": "60s"}},
    }


async def _metric(proxy: Proxy, name: str) -> float | None:
    text = (await proxy.get_admin("/metrics")).body.decode()
    values = [line.split()[-1] for line in text.splitlines() if line.startswith(f"{name}{{")]
    return float(values[0]) if values else None


async def test_a_budget_that_runs_out_is_seen_everywhere(
    stage: Stage, tmp_path: Path, own_redis: RedisServer
) -> None:
    """Three quarters gone at half-time: four hours left, says API, metric and, once, the log."""
    async with origin() as provider:
        url = f"http://127.0.0.1:{provider.port}"
        proxy = await stage.proxy(written(tmp_path, halfway(url)), REDIS_URL=own_redis.url)
        before = await proxy.quota("up", "day"), await _metric(proxy, FORECAST)
        async with aiohttp.ClientSession() as session:
            put = await session.put(f"{proxy.admin}/api/v1/quota/up/day", json={"used": 7500})
        await proxy.stop()
        await proxy.start()
        await until(lambda: "quota_runs_out" in proxy.log, "a word in the log")
        after = await proxy.quota("up", "day")
        runs_out = dt.datetime.fromisoformat(after["forecast"]).timestamp()
        seconds = await _metric(proxy, FORECAST)

        assert put.status == 200
        assert (0, None) == (before[0]["used"], before[0]["forecast"])
        assert (10000, 7500, 2500) == (after["limit"], after["used"], after["remaining"])
        assert abs(runs_out - clock.wall() - 4 * 3600) < 300
        assert seconds is not None
        assert abs(seconds - 4 * 3600) < 300
        assert 1 == proxy.log.count("quota_runs_out")

        provider.line_up("/v1/with", answer("{}", JSON))
        assert 200 == (await proxy.get("/up/v1/with")).status
        assert 0.0 == await _metric(proxy, SHARE)

        known = clock.boottime() + SILENT + 3 * HEARTBEAT  # then all others would know of it
        await until(lambda: clock.boottime() >= known, "its time")
        own_redis.kill()
        number = 0

        async def alone() -> bool:
            nonlocal number
            number += 1
            provider.line_up(f"/v1/{number}", answer("{}", JSON))
            got = await proxy.get(f"/up/v1/{number}")
            return got.status == 200 and await _metric(proxy, SHARE) == 1.0

        await until(alone, "an answer while it counts alone")
        own_redis.start()

        async def found() -> bool:
            return await _metric(proxy, SHARE) == 0.0

        await until(found, "Redis found again")


FORECAST = "quota_proxy_quota_forecast_seconds"
SHARE = "quota_proxy_share_mode"
