"""The sandbox from outside."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from proxy.sandbox import Sandbox


class Controls:
    """A sandbox, and a session to it."""

    def __init__(self, sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        self.sandbox = sandbox
        self.session = session

    async def ask(self, method: str, path: str, value: Any = None) -> tuple[int, Any]:
        """Send a control request; return status and JSON."""
        url = f"{self.sandbox.origin}/_sandbox/{path}"
        async with self.session.request(method, url, json=value) as response:
            return response.status, await response.json()

    async def ping(self) -> int:
        """Ask Binance for nothing."""
        url = f"{self.sandbox.base_url('binance')}/api/v3/ping"
        async with self.session.get(url) as response:
            await response.read()
            return response.status


@pytest.fixture
async def controls() -> AsyncIterator[Controls]:
    """A sandbox under control."""
    async with Sandbox() as sandbox, aiohttp.ClientSession() as session:
        yield Controls(sandbox, session)


async def test_counts_are_told_for_all_or_for_one(controls: Controls) -> None:
    """With what is used of each limit, arrivals and requests."""
    await controls.ping()
    _, every = await controls.ask("GET", "")
    _, one = await controls.ask("GET", "binance")
    _, received = await controls.ask("GET", "binance/received")

    assert every["binance"]["requests"] == one["requests"] == 1
    assert every["coingecko"]["requests"] == 0
    assert one["used"]["weight"] == {"127.0.0.1": 1}
    assert one["by_status"] == {"200": 1}
    assert len(one["arrivals"]) == 1
    assert (received[0]["method"], received[0]["target"]) == ("GET", "/api/v3/ping")


async def test_limits_faults_latency_and_market_are_set(controls: Controls) -> None:
    """Each takes the place of what was set before."""
    await controls.ask("PUT", "binance/limits", [{"name": "w", "limit": 1, "per": 3600}])
    limited = [await controls.ping() for _ in range(2)]
    await controls.ask("POST", "binance/reset")
    await controls.ask("PUT", "binance/faults", [{"kind": "error", "times": 1}])
    failed = await controls.ping()
    await controls.ask("PUT", "binance/latency", {"mean": 0.001, "jitter": 0.001})
    await controls.ask("PUT", "market", {"frozen_at": 5.0})

    assert (limited, failed) == ([200, 429], 500)
    assert controls.sandbox.services["binance"].latency.mean == 0.001
    assert controls.sandbox.market.frozen_at == 5.0


async def test_reset_forgets_what_was_counted(controls: Controls) -> None:
    """Of all providers, or of one."""
    await controls.ping()
    status, _ = await controls.ask("POST", "reset")

    assert status == 200
    assert controls.sandbox.counts("binance").requests == 0


@pytest.mark.parametrize(
    ("method", "path", "value", "status"),
    [
        ("GET", "nobody", None, 404),
        ("PUT", "nobody/faults", [], 404),
        ("PATCH", "binance", None, 404),
        ("PUT", "binance/faults", [{"kind": "dorp"}], 400),
        ("PUT", "binance/limits", [{"nme": "x"}], 400),
        ("PUT", "binance/latency", 7, 400),
        ("PUT", "market", {"frozen": 1}, 400),
    ],
)
async def test_mistakes_are_told(
    controls: Controls, method: str, path: str, value: Any, status: int
) -> None:
    """An unknown provider is 404, a wrong value 400."""
    assert (await controls.ask(method, path, value))[0] == status
