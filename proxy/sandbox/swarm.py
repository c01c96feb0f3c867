"""A swarm of bots: plain HTTP clients that ask what trading bots ask, as thoughtlessly as they do.

Every bot has a temper (which questions it likes), draws them from a generator seeded by its own
number, and pauses at random between two of them. What came back is tallied by provider.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random
from urllib.parse import quote

import aiohttp
from yarl import URL

from proxy.core.model import Verdict
from proxy.sandbox.market import Market
from proxy.tasks import Tasks

FAILED = "FAILED"
"""Stands where a verdict would, for a request that got no answer at all."""
INTERVALS = ("1m", "5m", "15m", "1h", "4h")


@dataclass(frozen=True, slots=True)
class Ask:
    """A question: to which provider, and for what."""

    provider: str
    target: str


@dataclass(slots=True)
class Tally:
    """What bots asked of one provider, and what they got."""

    asked: int = 0
    """Those under way included."""
    answered: int = 0
    """With a status below 400."""
    verdicts: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    """Waited for answers, in all."""

    def add(self, status: int, verdict: str, seconds: float) -> None:
        """Note one answer (status 0: there was none)."""
        self.answered += 0 < status < 400  # noqa: PLR2004 - errors begin there
        self.verdicts[verdict] += 1
        self.seconds += seconds


class Questions:
    """What can be asked: coins by Zipf, as interest is distributed."""

    def __init__(self, market: Market, coins: int = 200) -> None:
        self._assets = market.assets[:coins]
        self._pairs = [asset.symbol for asset in self._assets if asset.symbol != "USDT"]

    def _zipf(self, random: Random, most: int) -> int:
        """Draw a rank from 0, the first the likeliest."""
        weights = [1 / rank for rank in range(1, most + 1)]
        return random.choices(range(most), weights)[0]

    def _ids(self, random: Random, count: int) -> str:
        drawn = {self._assets[self._zipf(random, len(self._assets))].id for _ in range(count)}
        return ",".join(sorted(drawn, key=lambda _: random.random()))

    def _symbol(self, random: Random, most: int = 200) -> str:
        return f"{self._pairs[self._zipf(random, min(most, len(self._pairs)))]}USDT"

    def price(self, random: Random) -> Ask:
        """Ask CoinGecko for one price."""
        ids = self._ids(random, 1)
        return Ask("coingecko", f"/api/v3/simple/price?ids={ids}&vs_currencies=usd")

    def prices(self, random: Random) -> Ask:
        """Ask CoinGecko for several prices."""
        ids = quote(self._ids(random, random.randint(2, 8)))
        return Ask("coingecko", f"/api/v3/simple/price?vs_currencies=usd&ids={ids}")

    def markets(self, random: Random) -> Ask:
        """Ask CoinGecko for a page of its list."""
        page = 1 + self._zipf(random, 3)
        query = f"vs_currency=usd&order=market_cap_desc&per_page=50&page={page}"
        return Ask("coingecko", f"/api/v3/coins/markets?{query}")

    def ticker(self, random: Random) -> Ask:
        """Ask Binance for one price."""
        return Ask("binance", f"/api/v3/ticker/price?symbol={self._symbol(random)}")

    def tickers(self, random: Random) -> Ask:
        """Ask Binance for several prices."""
        symbols = sorted({self._symbol(random) for _ in range(random.randint(2, 8))})
        listed = quote("[" + ",".join(f'"{symbol}"' for symbol in symbols) + "]")
        return Ask("binance", f"/api/v3/ticker/price?symbols={listed}")

    def candles(self, random: Random) -> Ask:
        """Ask Binance for candles."""
        interval, symbol = random.choice(INTERVALS), self._symbol(random, 60)
        return Ask("binance", f"/api/v3/klines?symbol={symbol}&interval={interval}&limit=200")

    def funding(self, random: Random) -> Ask:
        """Ask Binance futures for mark price and funding."""
        return Ask("binance-futures", f"/fapi/v1/premiumIndex?symbol={self._symbol(random, 60)}")

    def tokens(self, random: Random) -> Ask:
        """Ask DexScreener for tokens."""
        drawn = {self._zipf(random, 60) for _ in range(random.randint(1, 5))}
        addresses = ",".join(self._assets[rank].solana for rank in sorted(drawn))
        return Ask("dexscreener", f"/tokens/v1/solana/{addresses}")

    def quotes(self, random: Random) -> Ask:
        """Ask CoinMarketCap for a quote."""
        number = self._assets[self._zipf(random, 20)].number
        return Ask("coinmarketcap", f"/v2/cryptocurrency/quotes/latest?id={number}")

    def news(self, random: Random) -> Ask:
        """Ask CryptoPanic for news."""
        coin = self._assets[self._zipf(random, 5)].symbol
        return Ask("cryptopanic", f"/api/developer/v2/posts/?currencies={coin}")

    def mood(self, _random: Random) -> Ask:
        """Ask for the Fear & Greed index."""
        return Ask("fear-and-greed", "/fng/?limit=1")


def tempers(questions: Questions) -> tuple[tuple[str, dict[Callable[[Random], Ask], int]], ...]:
    """Return the kinds of bots: a name, and how often each question is asked."""
    q = questions
    return (
        ("grid", {q.ticker: 5, q.candles: 3, q.funding: 2}),
        ("trend", {q.candles: 6, q.prices: 2, q.mood: 1}),
        ("screener", {q.markets: 3, q.tickers: 3, q.tokens: 2, q.quotes: 1}),
        ("portfolio", {q.price: 5, q.prices: 4, q.quotes: 1}),
        ("news", {q.news: 3, q.mood: 2, q.price: 3, q.tokens: 2}),
    )


@dataclass(slots=True)
class Bot:
    """One client of the swarm."""

    name: str
    likes: dict[Callable[[Random], Ask], int]
    random: Random
    pause: float
    """Mean seconds between two questions."""

    def ask(self) -> Ask:
        """Draw the next question."""
        return self.random.choices(tuple(self.likes), tuple(self.likes.values()))[0](self.random)

    def rest(self) -> float:
        """Draw the next pause."""
        return self.random.expovariate(1 / self.pause)


def hatch(
    count: int, market: Market, providers: Iterable[str], seed: int = 0, pause: float = 1.0
) -> list[Bot]:
    """Return so many bots, each kind in turn, that ask only `providers`."""
    kinds, known = tempers(Questions(market)), frozenset(providers)
    bots = []
    for number in range(count):
        name, likes = kinds[number % len(kinds)]
        sample = Random(seed)  # noqa: S311 - bots, not secrets
        able = {ask: weight for ask, weight in likes.items() if ask(sample).provider in known}
        if able:
            random = Random(f"{seed} {number}")  # noqa: S311 - as above
            bots.append(Bot(f"{name}-{number}", able, random, pause))
    return bots


class Swarm:
    """Bots at work against one address (the proxy's: it is asked by prefix)."""

    def __init__(self, address: str, bots: Iterable[Bot]) -> None:
        self.tallies: dict[str, Tally] = {}
        self._address = address.rstrip("/")
        self._bots = tuple(bots)
        self._stumbles: list[BaseException] = []
        self._tasks = Tasks(lambda _name, error: self._stumbles.append(error))

    async def run(self, seconds: float | None) -> None:
        """Let all bots ask until the time is over (None: until cancelled).

        Raises:
            ExceptionGroup: bots that stopped for a mistake of their own.

        """
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=15)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            for bot in self._bots:
                self._tasks.start(self._live(bot, session), bot.name)
            try:
                await asyncio.wait_for(asyncio.Event().wait(), seconds)
            except TimeoutError:
                pass
            finally:
                await self._tasks.close()
        errors = [error for error in self._stumbles if isinstance(error, Exception)]
        if errors:
            raise ExceptionGroup("bots stumbled", errors)

    async def _live(self, bot: Bot, session: aiohttp.ClientSession) -> None:
        await asyncio.sleep(bot.rest() / 2)
        while True:
            await self.put(bot.ask(), session)
            await asyncio.sleep(bot.rest())

    async def put(self, ask: Ask, session: aiohttp.ClientSession) -> None:
        """Put one question, and tally what comes of it."""
        began = asyncio.get_running_loop().time()
        # The target goes out as it is written: bots do not agree on encodings, and need not.
        url = f"{self._address}/{ask.provider}{ask.target}"
        tally = self.tallies.setdefault(ask.provider, Tally())
        tally.asked += 1
        try:
            async with session.get(URL(url, encoded=True)) as response:
                await response.read()
                status, verdict = response.status, response.headers.get("X-Cache", "")
        except (aiohttp.ClientError, TimeoutError):
            status, verdict = 0, FAILED
        known = verdict if verdict in {*Verdict, FAILED} else Verdict.BYPASS
        tally.add(status, known, asyncio.get_running_loop().time() - began)
