"""kill -9 forgets nothing that was spent."""

import asyncio
import socket

from proxy.sandbox import Latency, Sandbox
from tests.berths import free_ports
from tests.stories.stage import PATIENCE, Stage, command, together, until

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


async def test_workers_do_not_outlive_their_supervisor(stage: Stage) -> None:
    """A supervisor that is killed leaves no ports taken: the proxy can be started again."""
    proxy = await stage.proxy(workers=2)
    assert proxy.process is not None
    proxy.process.kill()
    await asyncio.to_thread(proxy.process.wait, PATIENCE)

    def gone() -> bool:
        try:
            for port in proxy.ports:
                socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            return False
        return True

    await until(gone, "workers that end")
    await proxy.start()

    assert 200 == (await proxy.get_admin("/readyz")).status


async def test_a_taken_port_is_said_in_words(stage: Stage) -> None:
    """Traffic or admin, one worker or two: a non-zero exit, and no traceback."""
    there = await stage.proxy(workers=2)
    traffic, admin = there.ports[:2]
    free = free_ports(4)
    for taken in ((traffic, free[1]), (free[0], admin)):
        for workers in ("1", "2"):
            status, out, err = await command(
                "serve",
                "--workers",
                workers,
                QUOTA_PROXY_LISTEN=f"127.0.0.1:{taken[0]}",
                QUOTA_PROXY_ADMIN_LISTEN=f"127.0.0.1:{taken[1]}",
                KRAKEN_LISTEN=f"127.0.0.1:{free[2]}",
                OKX_LISTEN=f"127.0.0.1:{free[3]}",
                REDIS_URL=f"sqlite:{stage.folder / 'other.db'}",
            )
            assert 1 == status
            assert "in use" in out + err
            assert "Traceback" not in out + err
