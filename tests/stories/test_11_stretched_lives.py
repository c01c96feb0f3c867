"""As quota runs short answers live longer, and whoever gets one can see it."""

from proxy.sandbox import Limit, Sandbox
from tests.stories.stage import Got, Stage, command, until, written

LIMIT = 10
PRICE = "/coingecko/api/v3/ping"
TTL = 1


async def test_a_limit_near_its_end_makes_lives_longer(sandbox: Sandbox, stage: Stage) -> None:
    """`Age`, `Cache-Status` and the metrics show it."""
    sandbox.set_limits("coingecko", [Limit("window", LIMIT, 3600, "sliding_window", "requests")])
    proxy = await stage.proxy(
        written(
            stage.folder,
            {
                "name": "coingecko",
                "base_url": sandbox.base_url("coingecko"),
                "limits": {"window": {"limit": LIMIT, "per": "1h"}},
                "endpoints": {"price": {"path": "/api/v3/ping", "ttl": TTL, "stretch": "60x"}},
            },
        )
    )
    assert "MISS" == (await proxy.get(PRICE)).verdict
    setting = ("quota", "set", "coingecko.window", "--admin", proxy.admin, "--used")
    assert 0 == (await command(*setting, str(LIMIT)))[0]
    got: list[Got] = []

    async def is_old() -> bool:
        got.append(await proxy.get(PRICE))
        return int(got[-1].headers.get("Age", 0)) >= 3 * TTL

    await until(is_old, "an answer older than its TTL")

    assert {"HIT"} == {each.verdict for each in got}
    assert 'detail="stretched"' in got[-1].headers["Cache-Status"]
    assert 1 == sandbox.counts("coingecko").requests
    metrics = (await proxy.get_admin("/metrics")).body.decode()
    [ratio] = [line for line in metrics.splitlines() if line.startswith("quota_proxy_stretch_rat")]
    assert 3 < float(ratio.rpartition(" ")[2]) <= 60
