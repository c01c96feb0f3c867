"""The providers of the economy benchmark: the sandbox, in a day that passes ten times as fast.

    python benchmarks/economy_provider.py PORT EPOCH LATENCY

Prices are clocks: each is 1 + (seconds since EPOCH) / 100, so an answer tells to 10 ms when it was
true, whoever cut it up, put it together or kept it. Limits come back, and candles close, ten times
as often. Every request is remembered, for `/_sandbox/PROVIDER/received`.
"""

import asyncio
import sys
from collections import deque
from typing import Any

import uvloop
from economy_trace import COMPRESSION

from proxy.sandbox import candles
from proxy.sandbox.faults import Latency
from proxy.sandbox.limits import Ban, Limit
from proxy.sandbox.market import STABLE, Asset, Candle, Market
from proxy.sandbox.providers import binance_market
from proxy.sandbox.providers.catalogue import PROVIDERS
from proxy.sandbox.sandbox import Sandbox
from tests.values import replace

NAMES = ("coingecko", "binance")
RATE = 0.01
"""How much a price rises in a second; it is quoted to a hundredth of that."""


def moment(price: float, epoch: float) -> float:
    """Return when a price was true (Unix time)."""
    return epoch + (price - 1.0) / RATE


class Clocks(Market):
    """A market whose prices tell the time."""

    def __init__(self, epoch: float) -> None:
        super().__init__(step=0.01)
        self._epoch = epoch
        self.assets = tuple(
            replace(asset, dollars=1.0 if asset.symbol in STABLE else 1.5) for asset in self.assets
        )

    def dollars(self, asset: Asset, at: float) -> float:
        """Return the price at a moment; 0.5 before the epoch, so that nothing is for nothing."""
        if asset.symbol in STABLE:
            return 1.0
        return max(0.5, 1.0 + (at - self._epoch) * RATE)

    def candle(self, base: str, quote: str, opened: float, closed: float, now: float) -> Candle:
        """Return the same candle for all assets, so that few need be drawn."""
        del base
        return super().candle("BTC", quote, opened, closed, now)


def faster(limit: Limit) -> Limit:
    """Return a limit whose window is as much shorter (a month stays one: its count is the same)."""
    return limit if isinstance(limit.per, str) else replace(limit, per=limit.per / COMPRESSION)


def one_row_for_all() -> None:
    """Write a candle once for all pairs: the provider must not be what is measured."""
    row = binance_market._row  # noqa: SLF001 - what is written depends on no pair here
    pair = binance_market.Pair("BTCUSDT", "BTC", "USDT", places=4)

    def written(exchange: Any, _pair: Any, candle: Candle, unit: int) -> Any:
        return row(exchange, pair, candle, unit)

    binance_market._row = written  # type: ignore[assignment]  # noqa: SLF001 - as above


async def serve(port: int, epoch: float, latency: float) -> None:
    """Serve until ended."""
    for interval, seconds in candles.SECONDS.items():
        candles.SECONDS[interval] = max(1, seconds // COMPRESSION)
    sandbox = Sandbox(NAMES, port=port, latency=Latency(latency, latency / 2))
    market = Clocks(epoch)
    one_row_for_all()
    for name, service in sandbox.services.items():
        provider = PROVIDERS[name]
        ban = provider.ban and Ban(seconds=12.0, longest=provider.ban.longest / COMPRESSION)
        sandbox.set_limits(name, map(faster, provider.limits), ban)
        service.counts.received = deque()
        service._market = market  # noqa: SLF001 - the sandbox makes its own, and of another kind
    async with sandbox:
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])))
