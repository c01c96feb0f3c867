"""Warm lists: full at the start and kept so, from surplus alone."""

from typing import Any

from proxy.sandbox import Limit, Sandbox
from tests.stories.stage import Stage, command, until, written

LIMIT = 10
HALF = LIMIT // 2
"""What refreshes that nobody waits for may use."""
COINS = ("bitcoin", "ethereum", "solana", "ripple", "cardano", "dogecoin", "tron", "polkadot")
COIN = "/api/v3/coins/"
CLOCK = "/api/v3/ticker/price?symbol=BTCUSDT"


def coingecko(sandbox: Sandbox, **more: Any) -> dict[str, Any]:
    """Describe a provider of `LIMIT` calls an hour, whose answers last as long."""
    sandbox.set_limits("coingecko", [Limit("window", LIMIT, 3600, "sliding_window", "requests")])
    return {
        "name": "coingecko",
        "base_url": sandbox.base_url("coingecko"),
        "limits": {"window": {"limit": LIMIT, "per": "1h"}},
        "endpoints": {"coin": {"path": f"{COIN}{{id}}", "ttl": "1h"}},
        **more,
    }


def ticking(sandbox: Sandbox) -> dict[str, Any]:
    """Describe a provider with room, of which one answer is kept warm: it tells of every look."""
    sandbox.set_limits("binance", [])
    return {
        "name": "binance",
        "base_url": sandbox.base_url("binance"),
        "limits": {"window": {"limit": 6000, "per": "1h"}},
        "endpoints": {"price": {"path": "/api/v3/ticker/price", "ttl": "2s"}},
        "warm": [CLOCK],
    }


async def looked(sandbox: Sandbox, times: int = 3) -> None:
    """Return when what is kept warm was looked at so many times more."""
    before = sandbox.counts("binance").requests
    await until(lambda: sandbox.counts("binance").requests >= before + times, "several looks")


async def test_filled_at_the_start_and_kept(sandbox: Sandbox, stage: Stage) -> None:
    """Nobody has asked yet, and nobody ever meets a MISS."""
    proxy = await stage.proxy(written(stage.folder, ticking(sandbox)))
    await looked(sandbox)
    answers = [await proxy.get(f"/binance{CLOCK}") for _ in range(5)]

    assert ["HIT"] * 5 == [answer.verdict for answer in answers]


async def test_half_is_left_to_who_asks(sandbox: Sandbox, stage: Stage) -> None:
    """A list longer than the quota takes half of it, and all the rest is there for clients."""
    warm = [f"{COIN}{name}" for name in COINS]
    proxy = await stage.proxy(
        written(stage.folder, coingecko(sandbox, warm=warm), ticking(sandbox))
    )
    await looked(sandbox)

    assert HALF == sandbox.counts("coingecko").requests
    answers = [await proxy.get(f"/coingecko{COIN}bitcoin?page={number}") for number in range(HALF)]

    assert [(200, "MISS")] * HALF == [(each.status, each.verdict) for each in answers]
    assert 0 == sandbox.counts("coingecko").refused


async def test_a_start_knows_what_was_used_before(sandbox: Sandbox, stage: Stage) -> None:
    """With half the quota used, by whichever process before, a start fetches nothing."""
    proxy = await stage.proxy(written(stage.folder, coingecko(sandbox)))
    setting = ("quota", "set", "coingecko.window", "--used", str(HALF), "--admin", proxy.admin)
    status, _, said = await command(*setting)

    assert (0, "") == (status, said)
    await proxy.stop()
    warm = [f"{COIN}{name}" for name in COINS]
    await stage.proxy(written(stage.folder, coingecko(sandbox, warm=warm), ticking(sandbox)))
    await looked(sandbox)

    assert 0 == sandbox.counts("coingecko").requests
