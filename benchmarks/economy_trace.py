"""What fifty bots ask in an hour: the same questions in every run, from a fixed seed.

40 % single prices, 30 % lists, 30 % candles. Coins are drawn by Zipf, as interest is distributed.
A bot follows CoinGecko or Binance for its prices, as its library does; candles are Binance's. It
draws each list anew, and asks for as many candles as its own indicators need, always the same; one
in five asks, as ccxt does, from a moment in milliseconds.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate
from random import Random
from urllib.parse import quote

import stage  # noqa: F401 - it puts the checkout on the path, for every part of this benchmark

from proxy.sandbox.market import STABLE, Market

SEED = 20_240_501
BOTS = 50
COINS = 200
HOUR = 3600.0
PAUSE = 0.5
"""Mean seconds between two questions of one bot: one that follows twenty pairs, and asks for prices
and candles of each once in 5 to 10 s, as grid and signal bots do in each of their cycles."""
OTHER_PAUSES = (1.0, 2.0)
"""Bots that ask less: what is saved by sharing is less then, and is said as well."""
LONGEST_LIST = 8
MINUTES = {"1m": 1, "5m": 5, "15m": 15, "1h": 60, "4h": 240}
CANDLES = (50, 100, 200, 500, 0)
"""What a bot's `limit` is; 0: it asks from `SINCE` candles ago instead."""
SINCE = 100
COMPRESSION = 10
"""The trace is replayed so many times as fast; lifetimes and windows are as much shorter."""


class Kind(StrEnum):
    """Classes of questions."""

    PRICES = "prices"
    LISTS = "lists"
    CANDLES = "candles"


SHARES = {Kind.PRICES: 40, Kind.LISTS: 30, Kind.CANDLES: 30}


@dataclass(frozen=True, slots=True)
class Question:
    """What one bot asks, and when."""

    at: float
    """Seconds from the trace's beginning, before it is compressed."""
    kind: Kind
    target: str
    """Path and query; the provider's name is the path's first segment."""
    since: int = 0
    """Milliseconds, compressed, before the asking, for a `startTime` that is added then."""


def trace(seconds: float = HOUR, pause: float = PAUSE) -> list[Question]:
    """Return the questions of all bots in the first so many seconds, in order.

    A bot asks once in `pause` seconds, on average.
    """
    coins = [asset for asset in Market().assets if asset.symbol not in STABLE][:COINS]
    weights = list(accumulate(1 / rank for rank in range(1, len(coins) + 1)))
    asked: list[Question] = []
    for number in range(BOTS):
        random = Random(f"{SEED} {number}")
        bot = _Bot(number, [(each.id, f"{each.symbol}USDT") for each in coins], weights, random)
        asked += bot.asks(HOUR, pause)
    asked.sort(key=lambda question: question.at)
    return [question for question in asked if question.at < seconds]


@dataclass(frozen=True, slots=True)
class _Bot:
    number: int
    coins: list[tuple[str, str]]
    weights: list[float]
    random: Random

    def asks(self, seconds: float, pause: float) -> Iterator[Question]:
        at = self.random.expovariate(1 / pause)
        while at < seconds:
            kind = self.random.choices(tuple(SHARES), tuple(SHARES.values()))[0]
            target, since = self._candles() if kind is Kind.CANDLES else (self._prices(kind), 0)
            yield Question(at, kind, target, since)
            at += self.random.expovariate(1 / pause)

    def _prices(self, kind: Kind) -> str:
        count = self.random.randint(2, LONGEST_LIST) if kind is Kind.LISTS else 1
        drawn: dict[tuple[str, str], None] = {}
        while len(drawn) < count:
            drawn[self._coin()] = None
        if self.number % 2:
            ids = quote(",".join(coin for coin, _ in drawn))
            return f"/coingecko/api/v3/simple/price?ids={ids}&vs_currencies=usd"
        symbols = [symbol for _, symbol in drawn]
        if kind is Kind.PRICES:
            return f"/binance/api/v3/ticker/price?symbol={symbols[0]}"
        listed = quote("[" + ",".join(f'"{symbol}"' for symbol in symbols) + "]")
        return f"/binance/api/v3/ticker/price?symbols={listed}"

    def _candles(self) -> tuple[str, int]:
        interval = self.random.choice(tuple(MINUTES))
        _, symbol = self._coin()
        limit = CANDLES[self.number // 2 % len(CANDLES)]
        target = f"/binance/api/v3/klines?symbol={symbol}&interval={interval}"
        if limit:
            return f"{target}&limit={limit}", 0
        return target, SINCE * MINUTES[interval] * 60_000 // COMPRESSION

    def _coin(self) -> tuple[str, str]:
        return self.random.choices(self.coins, cum_weights=self.weights)[0]
