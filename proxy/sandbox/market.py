"""A market that moves by itself and is the same for everybody who asks at the same moment.

Rules
    A price is a function of seed, asset and time alone: sums of sines, no state, no randomness.
    Time moves in ticks of `step` seconds, so two answers of one tick are equal to the byte;
    `frozen_at` stops it altogether.
    Figures are decimal strings of the provider's own style: see `decimals` and `significant`.
"""

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

DAY = 86_400.0
REMEMBERED = 100_000
"""Closed candles that are kept: they never change, and bots ask for them again and again."""

# ticker symbol, CoinGecko id, name, CoinMarketCap id, dollars, coins in circulation
KNOWN = (
    ("BTC", "bitcoin", "Bitcoin", 1, 97_000.0, 19_900_000),
    ("ETH", "ethereum", "Ethereum", 1027, 3_400.0, 120_600_000),
    ("USDT", "tether", "Tether", 825, 1.0, 140_000_000_000),
    ("XRP", "ripple", "XRP", 52, 2.3, 58_000_000_000),
    ("BNB", "binancecoin", "BNB", 1839, 690.0, 144_000_000),
    ("SOL", "solana", "Solana", 5426, 190.0, 486_000_000),
    ("USDC", "usd-coin", "USDC", 3408, 1.0, 45_000_000_000),
    ("DOGE", "dogecoin", "Dogecoin", 74, 0.33, 147_000_000_000),
    ("ADA", "cardano", "Cardano", 2010, 0.92, 35_000_000_000),
    ("TRX", "tron", "TRON", 1958, 0.25, 86_000_000_000),
    ("LINK", "chainlink", "Chainlink", 1975, 21.5, 638_000_000),
    ("AVAX", "avalanche-2", "Avalanche", 5805, 37.0, 411_000_000),
    ("XLM", "stellar", "Stellar", 512, 0.41, 30_000_000_000),
    ("TON", "the-open-network", "Toncoin", 11419, 5.4, 2_550_000_000),
    ("SUI", "sui", "Sui", 20947, 4.5, 3_000_000_000),
    ("SHIB", "shiba-inu", "Shiba Inu", 5994, 0.0000215, 589_000_000_000_000),
    ("HBAR", "hedera-hashgraph", "Hedera", 4642, 0.29, 38_000_000_000),
    ("DOT", "polkadot", "Polkadot", 6636, 7.1, 1_530_000_000),
    ("LTC", "litecoin", "Litecoin", 2, 105.0, 75_000_000),
    ("BCH", "bitcoin-cash", "Bitcoin Cash", 1831, 445.0, 19_800_000),
    ("UNI", "uniswap", "Uniswap", 7083, 13.6, 600_000_000),
    ("PEPE", "pepe", "Pepe", 24478, 0.0000182, 420_690_000_000_000),
    ("AAVE", "aave", "Aave", 7278, 310.0, 15_000_000),
    ("NEAR", "near", "NEAR Protocol", 6535, 5.1, 1_170_000_000),
    ("APT", "aptos", "Aptos", 21794, 9.0, 560_000_000),
    ("ICP", "internet-computer", "Internet Computer", 8916, 10.2, 479_000_000),
    ("ETC", "ethereum-classic", "Ethereum Classic", 1321, 26.1, 150_000_000),
    ("MATIC", "matic-network", "Polygon", 3890, 0.47, 8_500_000_000),
    ("ATOM", "cosmos", "Cosmos Hub", 3794, 6.6, 390_000_000),
    ("FIL", "filecoin", "Filecoin", 2280, 5.0, 615_000_000),
    ("DAI", "dai", "Dai", 4943, 1.0, 5_300_000_000),
    ("ARB", "arbitrum", "Arbitrum", 11841, 0.74, 4_200_000_000),
    ("OP", "optimism", "Optimism", 11840, 1.8, 1_350_000_000),
    ("INJ", "injective-protocol", "Injective", 7226, 20.4, 98_000_000),
    ("BONK", "bonk", "Bonk", 23095, 0.0000302, 75_000_000_000_000),
    ("WIF", "dogwifcoin", "dogwifhat", 28752, 1.9, 998_000_000),
    ("YFI", "yearn-finance", "yearn.finance", 5864, 8_200.0, 33_000),
    ("WBTC", "wrapped-bitcoin", "Wrapped Bitcoin", 3717, 96_900.0, 134_000),
    ("MKR", "maker", "Maker", 1518, 1_520.0, 880_000),
    ("GRT", "the-graph", "The Graph", 6719, 0.2, 9_500_000_000),
)
STABLE = frozenset({"USDT", "USDC", "DAI"})
# Units of a currency for one dollar; those named like an asset follow the asset's price.
FIAT = {"usd": 1.0, "eur": 0.94, "gbp": 0.79, "jpy": 154.3, "chf": 0.885, "aud": 1.53, "cny": 7.24}
CRYPTO = ("btc", "eth", "bnb", "xrp", "sol", "ltc", "bch", "dot", "link", "xlm", "yfi")
# Addresses that everybody knows; the others are made up.
ETHEREUM = {
    "ETH": "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2",
    "USDT": "0xdAC17F958D2ee523a2206206994597C13D831ec7",
    "USDC": "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48",
    "WBTC": "0x2260FAC5E5542a773Aa44fBCfeDf7C193bc2C599",
    "LINK": "0x514910771AF9Ca656af840dff83E8264EcF986CA",
    "UNI": "0x1f9840a85d5aF5bf1D1762F925BDADdC4201F984",
    "DAI": "0x6B175474E89094C44Da98b954EedeAC495271d0F",
}
SOLANA = {
    "SOL": "So11111111111111111111111111111111111111112",
    "USDC": "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v",
    "BONK": "DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263",
}
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_SYLLABLES = ("ba", "co", "di", "fu", "ge", "hy", "jo", "ka", "lu", "mo", "ne", "pi", "ra", "so")


@dataclass(frozen=True, slots=True)
class Asset:
    """Something with a price."""

    rank: int
    symbol: str
    id: str
    name: str
    number: int
    """CoinMarketCap's id."""
    dollars: float
    """The price around which it moves."""
    supply: int
    ethereum: str
    solana: str
    waves: tuple[tuple[float, float, float], ...]
    """Share of the price, radians a second, phase."""


@dataclass(frozen=True, slots=True)
class Candle:
    """One interval of trade. Times are Unix seconds; `closed` is the last moment, excluded."""

    opened: float
    closed: float
    open: float
    high: float
    low: float
    close: float
    volume: float
    trades: int


class Market:
    """The prices of all assets at any moment."""

    def __init__(self, seed: int = 0, assets: int = 300, step: float = 1.0) -> None:
        self.seed = seed
        self.step = step
        self.frozen_at: float | None = None
        self._closed: dict[tuple[str, str, float, float], Candle] = {}
        self.assets = tuple(_asset(seed, rank) for rank in range(1, assets + 1))

    def moment(self, now: float) -> float:
        """Return the tick that `now` belongs to (Unix time)."""
        shown = now if self.frozen_at is None else self.frozen_at
        return shown - shown % self.step

    @cached_property
    def by_symbol(self) -> dict[str, Asset]:
        """Assets by ticker symbol, in capitals."""
        return {asset.symbol: asset for asset in self.assets}

    @cached_property
    def by_id(self) -> dict[str, Asset]:
        """Assets by CoinGecko's id."""
        return {asset.id: asset for asset in self.assets}

    @cached_property
    def by_number(self) -> dict[int, Asset]:
        """Assets by CoinMarketCap's id."""
        return {asset.number: asset for asset in self.assets}

    def dollars(self, asset: Asset, at: float) -> float:
        """Return the price in dollars at a moment (Unix time)."""
        moved = 1.0
        for share, speed, phase in asset.waves:
            moved += share * math.sin(speed * at + phase)
        return asset.dollars * moved

    def price(self, base: str, quote: str, at: float) -> float:
        """Return the price of one asset in another (ticker symbols)."""
        dollars = self.dollars(self.by_symbol[base], at)
        return dollars if quote == "USD" else dollars / self.dollars(self.by_symbol[quote], at)

    def rate(self, currency: str, at: float) -> float | None:
        """Return what a dollar is worth in a currency (lower case), or None for an unknown one."""
        if currency in FIAT:
            return FIAT[currency]
        if currency in CRYPTO:
            return 1.0 / self.dollars(self.by_symbol[currency.upper()], at)
        return None

    def change(self, asset: Asset, at: float, over: float = DAY) -> float:
        """Return by how many percent the price rose in the `over` seconds before `at`."""
        return (self.dollars(asset, at) / self.dollars(asset, at - over) - 1.0) * 100.0

    def volume(self, asset: Asset, at: float) -> float:
        """Return the dollars traded in the day before `at`."""
        return asset.dollars * asset.supply * 0.04 * (1.2 + math.sin(at / 7_000.0 + asset.rank))

    def candle(self, base: str, quote: str, opened: float, closed: float, now: float) -> Candle:
        """Return the candle of `[opened, closed)` as it stands at `now`."""
        if closed > now:
            return self._drawn(base, quote, opened, closed, now)
        key = (base, quote, opened, closed)
        if (known := self._closed.get(key)) is None:
            if len(self._closed) >= REMEMBERED:
                self._closed.clear()
            known = self._closed[key] = self._drawn(base, quote, opened, closed, closed)
        return known

    def _drawn(self, base: str, quote: str, opened: float, closed: float, now: float) -> Candle:
        end = min(closed, now)
        points = [self.price(base, quote, opened + (end - opened) * part / 4) for part in range(5)]
        busy = (end - opened) / DAY * (1.3 + math.sin(opened / 977.0))
        volume = self.by_symbol[base].supply * 0.004 * busy
        return Candle(
            opened, closed, points[0], max(points) * 1.0004, min(points) * 0.9996, points[-1],
            volume, 1 + int(busy * 50_000),
        )  # fmt: skip


def decimals(value: float, places: int) -> str:
    """Return `value` with exactly so many decimals: `1441.93000000`."""
    return f"{value:.{places}f}"


def significant(value: float, digits: int = 6) -> str:
    """Return `value` as CoinGecko writes it: whole above 10,000, else so many figures, no zeros."""
    if value == 0:
        return "0"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:.{min(places, 18)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


@lru_cache(maxsize=4096)
def tick_places(dollars: float) -> int:
    """Return how many decimals a price of this size is quoted in."""
    return min(8, max(2, 4 - math.floor(math.log10(dollars))))


def _asset(seed: int, rank: int) -> Asset:
    if rank <= len(KNOWN):
        symbol, name_id, name, number, dollars, supply = KNOWN[rank - 1]
    else:
        syllables = [_SYLLABLES[(rank // 14**place) % 14] for place in range(3)]
        name = "".join(syllables).capitalize()
        symbol, name_id, number = (
            f"{name.upper()[:4]}{rank}",
            f"{name.lower()}-{rank}",
            30_000 + rank,
        )
        dollars, supply = 40.0 / (rank - len(KNOWN)) ** 1.3, 20_000_000 + 1_000_000 * (rank % 97)
    digest = hashlib.sha256(f"{seed} {symbol}".encode()).digest()
    sway = 0.0004 if symbol in STABLE else 1.0
    periods = (11.0, 173.0, 2_900.0, 41_000.0, 397_000.0)
    shares = (0.0003, 0.0015, 0.006, 0.02, 0.05)
    waves = tuple(
        (share * sway, math.tau / (period * (1 + byte / 512)), byte / 40)
        for share, period, byte in zip(shares, periods, digest, strict=False)
    )
    return Asset(
        rank, symbol, name_id, name, number, dollars, supply,
        ETHEREUM.get(symbol) or _ethereum(digest), SOLANA.get(symbol) or _solana(digest), waves,
    )  # fmt: skip


def _ethereum(digest: bytes) -> str:
    # Mixed case, as checksummed addresses are; that the case is a valid EIP-55 sum, nobody checks.
    digits = digest.hex()
    return "0x" + "".join(
        digit.upper() if other > "7" else digit
        for digit, other in zip(digits[:40], digits[24:], strict=True)
    )


def _solana(digest: bytes) -> str:
    number, text = int.from_bytes(digest, "big"), ""
    while number:
        number, rest = divmod(number, 58)
        text = _BASE58[rest] + text
    return text
