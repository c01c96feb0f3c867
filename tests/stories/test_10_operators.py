"""What an operator sees, of all processes together."""

import asyncio
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from proxy.sandbox import Sandbox
from tests.stories.stage import Proxy, Stage, ask, command, until, written

PRICE = "/binance/api/v3/ticker/price?symbol="


async def metric(proxy: Proxy, name: str, **labels: str) -> float:
    """Return the sum of a metric's samples that have these labels."""
    text = (await proxy.get_admin("/metrics")).body.decode()
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


async def test_the_counts_of_two_workers_are_one_count(sandbox: Sandbox, stage: Stage) -> None:
    """Whichever worker answered: each connection may meet another."""
    proxy = await stage.proxy(workers=2)
    for number in range(30):
        await proxy.get(PRICE + ("BTCUSDT" if number % 2 else "ETHUSDT"))

    stats: dict[str, Any] = {}

    async def counted() -> bool:
        stats.update(await proxy.stats())
        requests = await metric(proxy, "quota_proxy_requests_total")
        return 30 == stats["requests"] == requests

    await until(counted, "a moment at which neither is too busy to tell")

    assert sandbox.counts("binance").requests == stats["upstream_calls"]
    assert 30 - stats["upstream_calls"] == stats["calls_saved"]
    assert stats["memory_bytes"] > 0


async def test_who_waits_is_seen(sandbox: Sandbox, stage: Stage) -> None:
    """`waiting` and the queue's length, while bots wait for quota."""
    proxy = await stage.proxy(
        written(
            stage.folder,
            {
                "name": "binance",
                "base_url": sandbox.base_url("binance"),
                "limits": {"window": {"limit": 1, "per": "3s"}},
                "endpoints": {"price": {"path": "/api/v3/ticker/price", "ttl": 0}},
            },
        )
    )

    async def bot() -> None:
        while True:
            await proxy.get(PRICE + "BTCUSDT")

    async def seen() -> bool:
        shown = (await proxy.get_admin("/api/v1/quota")).json()["upstreams"]["binance"]
        length = await metric(proxy, "quota_proxy_queue_length", upstream="binance")
        return bool(shown["waiting"] and length)

    bots = asyncio.gather(*(bot() for _ in range(6)))
    try:
        await until(seen, "bots that wait")
    finally:
        bots.cancel()


async def test_the_admin_side_is_not_on_the_traffic_side(stage: Stage) -> None:
    """Nothing of it is reachable where bots ask, nor a provider where operators do."""
    proxy = await stage.proxy()

    for path in ("/metrics", "/healthz", "/api/v1/stats"):
        assert 404 == (await proxy.get(path)).status
    assert 404 == (await proxy.get_admin(PRICE + "BTCUSDT")).status


async def test_the_token_is_asked_for(stage: Stage) -> None:
    """Health needs none, the rest does; a page of another site is refused with it."""
    proxy = await stage.proxy(QUOTA_PROXY_ADMIN_TOKEN="s3cret-s3cret")  # noqa: S106 - made up
    token = {"Authorization": "Bearer s3cret-s3cret"}

    assert 200 == (await proxy.get_admin("/healthz")).status
    assert 401 == (await proxy.get_admin("/metrics")).status
    assert 200 == (await ask(f"{proxy.admin}/metrics", headers=token)).status
    rebound = await ask(f"{proxy.admin}/metrics", headers={**token, "Host": "evil.example"})
    assert 403 == rebound.status


async def test_the_sandbox_command(stage: Stage) -> None:
    """`quota-proxy sandbox` says what points the proxy at it; a taken port is no traceback."""
    proxy = await stage.proxy()

    status, _, said = await command("sandbox", "--port", str(proxy.ports[0]))

    assert 1 == status
    assert "Traceback" not in said
    assert str(proxy.ports[0]) in said


async def test_connections_may_stay_open_at_the_end(sandbox: Sandbox, stage: Stage) -> None:
    """A bot that keeps its connection does not keep the proxy from ending in peace."""
    proxy = await stage.proxy()
    async with aiohttp.ClientSession() as session:
        async with session.get(proxy.url + PRICE + "BTCUSDT") as answer:
            await answer.read()

        assert 0 == await proxy.stop()
    assert 1 == sandbox.counts("binance").requests
