"""kill -9 forgets nothing that was spent."""

import asyncio

from proxy.sandbox import Latency, Sandbox
from tests.stories.stage import Stage, together, until

KEY = {"COINGECKO_API_KEY": "CG-a-demo-key"}


def price(coin: str) -> str:
    return f"/coingecko/api/v3/simple/price?ids={coin}&vs_currencies=usd"


async def test_the_months_count_survives_a_crash(sandbox: Sandbox, stage: Stage) -> None:
    """After kill -9 the count is what it was; what was cached is a HIT still."""
    proxy = await stage.proxy(**KEY)
    for coin in ("bitcoin", "ethereum", "solana"):
        await proxy.get(price(coin))
    before = await proxy.quota("coingecko", "month")

    await proxy.kill()
    await proxy.start()

    after = await proxy.quota("coingecko", "month")
    assert 3 == before["used"] == after["used"]
    assert "HIT" == (await proxy.get(price("solana"))).verdict
    assert 3 == sandbox.counts("coingecko").requests


async def test_calls_that_were_under_way_stay_spent(sandbox: Sandbox, stage: Stage) -> None:
    """A crash between spend and answer: the provider counted them, and so did we."""
    sandbox.set_latency("coingecko", Latency(mean=20.0))
    proxy = await stage.proxy(**KEY)

    paths = (price("bitcoin"), "/coingecko/api/v3/global")  # of two kinds, so that none is shared

    bots = asyncio.gather(*map(proxy.get, paths), return_exceptions=True)
    await until(lambda: sandbox.counts("coingecko").requests == 2, "two calls under way")
    await proxy.kill()
    await bots
    sandbox.set_latency("coingecko", Latency())
    await proxy.start()

    assert 2 == (await proxy.quota("coingecko", "month"))["used"]


async def test_a_month_used_up_stays_used_up(sandbox: Sandbox, stage: Stage) -> None:
    """The minute's limit too: a restart is no way around it."""
    proxy = await stage.proxy()
    pages = "/coingecko/api/v3/coins/markets?vs_currency=usd&page="
    await together(proxy.get(f"{pages}{number}") for number in range(1, 6))

    await proxy.kill()
    await proxy.start()
    refused = await proxy.get(f"{pages}6", Prefer="wait=0")

    assert (429, "REFUSED") == (refused.status, refused.verdict)
    assert 5 == sandbox.counts("coingecko").requests
