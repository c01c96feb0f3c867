"""What was asked is recorded, and replayed: what it costs, and what a change would."""

import json
from collections import Counter

from proxy.sandbox import Sandbox
from tests.stories.stage import Stage, command, shipped

SECRET = "a-key-of-a-bot"  # noqa: S105 - of nobody
PRICE = "/coingecko/api/v3/simple/price?vs_currencies=usd&ids="
TARGETS = (
    *(
        f"{PRICE}{ids}&x_cg_demo_api_key={SECRET}"
        for ids in ("bitcoin", "ethereum,bitcoin", "tron")
    ),
    *(f"/binance/api/v3/klines?symbol=BTCUSDT&interval=4h&limit={limit}" for limit in (50, 500)),
    '/binance/api/v3/ticker/price?symbols=["BTCUSDT","ETHUSDT"]',
    "/binance/api/v3/ticker/price?symbol=ETHUSDT",
    f"/binance/api/v3/account?timestamp=1&signature={SECRET}",
)  # fmt: skip


async def test_recorded_and_replayed(sandbox: Sandbox, stage: Stage) -> None:
    """The plan of what was recorded has the very calls that were made, and no secret."""
    trace = stage.folder / "trace.jsonl"
    config = shipped(stage.folder, {}, record=str(trace))
    key = {"COINGECKO_API_KEY": "the-proxys-own"}
    proxy = await stage.proxy(config, **key)
    for target in TARGETS:
        await proxy.get(target, **{"X-MBX-APIKEY": SECRET})
    await proxy.stop()
    written = trace.read_text(encoding="utf-8")

    assert SECRET not in written
    assert len(TARGETS) - 1 == len(written.splitlines())  # signed requests are nobody's business
    environment = {**sandbox.environment(), **key}
    arguments = ("plan", str(trace), "--config", str(config), "--json")
    status, said, complaint = await command(
        *arguments, "--takes", "1ms", "--ttl", "binance.ticker_price=0", **environment
    )

    assert (0, "") == (status, complaint)
    made = json.loads(said)
    calls = Counter[str]()
    for each in made["configured"]["endpoints"]:
        calls[each["upstream"]] += each["calls"]
    assert 3 == calls["coingecko"] == sandbox.counts("coingecko").requests
    assert 2 == calls["binance"] == sandbox.counts("binance").requests - 1
    assert 6 == made["changed"]["calls"]  # who asks for what another has just had pays again
