"""Clients by name: what each may use, what each may spend, what each has cost."""

from pathlib import Path
from typing import Any

from proxy.sandbox import Sandbox
from tests.stories.stage import Proxy, Stage, shipped

CLIENTS: dict[str, Any] = {
    "named": {
        "grid-1": {"limits": {"minute": {"limit": 2, "per": "60s", "counts": "requests"}}},
        "reports": {"token": "s3cr3t", "upstreams": ["coingecko"]},
    },
}
PRICE = "/binance/api/v3/ticker/price?symbol="
SYMBOLS = ("BTCUSDT", "ETHUSDT", "BNBUSDT")


def configured(folder: Path, **clients: Any) -> Path:
    """Return the shipped configuration, with clients."""
    return shipped(folder, {}, clients={**CLIENTS, **clients})


async def price(proxy: Proxy, client: str, symbol: str) -> tuple[int, str]:
    got = await proxy.get(f"/~{client}{PRICE}{symbol}")
    return got.status, got.verdict


async def test_a_client_spends_no_more_than_its_own(
    sandbox: Sandbox, stage: Stage, tmp_path: Path
) -> None:
    """Two calls are its budget: the third is refused by that, while hits go on and others pay."""
    proxy = await stage.proxy(configured(tmp_path, auto=True))
    btc, eth, bnb = SYMBOLS
    grid = [await price(proxy, "grid-1", symbol) for symbol in (btc, eth, bnb, btc)]
    refused = (await proxy.get(f"/~grid-1{PRICE}{bnb}")).json()
    others = [await price(proxy, "anyone", bnb), await price(proxy, "grid-1", bnb)]

    assert [(200, "MISS"), (200, "MISS"), (429, "REFUSED"), (200, "HIT")] == grid
    assert "~grid-1/minute" == refused["limit"]
    assert [(200, "MISS"), (200, "HIT")] == others
    assert sandbox.counts("binance").requests == 3

    clients = (await proxy.stats())["clients"]
    metrics = (await proxy.get_admin("/metrics")).body.decode()

    assert {"grid-1", "unlisted"} == set(clients)
    assert clients["grid-1"]["verdicts"]["HIT"] == 2
    assert 'quota_proxy_client_requests_total{client="grid-1",verdict="REFUSED"} 2.0' in metrics
    assert 'quota_proxy_client_cost_total{client="unlisted",upstream="binance"}' in metrics
    assert "anyone" not in metrics


async def test_a_client_uses_what_is_its_own(stage: Stage, tmp_path: Path) -> None:
    """By its token, and only what it may; a name nobody gave, or no name, is not let in."""
    proxy = await stage.proxy(configured(tmp_path))
    token = {"X-Quota-Proxy-Token": "s3cr3t"}
    allowed = await proxy.get("/coingecko/api/v3/ping", **token)
    forbidden = await proxy.get(f"{PRICE}BTCUSDT", **token)
    answers = [
        await proxy.get(f"/~reports{PRICE}BTCUSDT"),
        await proxy.get(f"/~nobody{PRICE}BTCUSDT"),
        await proxy.get(f"{PRICE}BTCUSDT"),
    ]

    assert [200, 403] == [allowed.status, forbidden.status]
    assert [401, 403, 401] == [each.status for each in answers]
    assert "s3cr3t" not in proxy.log

    metrics = (await proxy.get_admin("/metrics")).body.decode()

    assert 'quota_proxy_refusals_total{reason="client-unknown",upstream=""} 1.0' in metrics
