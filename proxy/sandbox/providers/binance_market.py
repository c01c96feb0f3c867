"""What Binance spot and futures share: symbols, errors, figures, candles, trades.

Facts kept: `symbol` and `symbols` exclude each other (-1128); one bad symbol fails the whole
call (-1121); a list is answered in the exchange's own order, not in the caller's; times are
milliseconds, or microseconds where `X-MBX-TIME-UNIT: MICROSECOND` asks for them.
"""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import msgspec

from proxy.core.fields import Fields
from proxy.sandbox.candles import INTERVALS, spans
from proxy.sandbox.limits import Counted, Refused
from proxy.sandbox.market import DAY, Candle, Market, decimals, tick_places
from proxy.sandbox.provider import Answer, Call, Reply, json_reply, whole

NO_STORE: Fields = (
    ("Cache-Control", "no-cache, no-store, must-revalidate"),
    ("Pragma", "no-cache"),
    ("Expires", "0"),
    ("Strict-Transport-Security", "max-age=31536000; includeSubdomains"),
    ("X-Cache", "Miss from cloudfront"),
    ("Via", "1.1 sandbox.cloudfront.net (CloudFront)"),
)
Trade: TypeAlias = tuple[int, float, str, str]
"""Number, moment, price, quantity."""
CHEAPEST = 1e-6
"""No pair is quoted lower: eight decimals would show nothing of its movement."""
LISTED = 1_500_000_000.0
"""Nothing was traded before (Unix time): no candle is older."""
_SYMBOL = re.compile(r"[A-Z0-9._-]{1,20}")


@dataclass(frozen=True, slots=True)
class Pair:
    """A trading pair."""

    symbol: str
    base: str
    quote: str
    places: int
    """Decimals that its price moves in."""


@dataclass(frozen=True, slots=True, eq=False)
class Exchange:
    """The pairs that one exchange trades, in its own order."""

    pairs: dict[str, Pair]
    width: int
    """Decimals that prices are written with; 0: as many as the pair's tick."""

    def price(self, pair: Pair, market: Market, at: float) -> str:
        """Return the price as this exchange writes it."""
        return self.figure(pair, market.price(pair.base, pair.quote, at))

    def figure(self, pair: Pair, value: float) -> str:
        """Return `value` rounded to the pair's tick, in the exchange's width."""
        text = decimals(value, pair.places)
        missing = self.width - pair.places
        return text + "0" * missing if missing > 0 else text


@lru_cache(maxsize=8)
def pairs(market: Market, quotes: tuple[tuple[str, int], ...]) -> dict[str, Pair]:
    """Return each quote's pairs with the first so many assets."""
    found = {}
    for quote, count in quotes:
        dollars = market.by_symbol[quote].dollars
        for asset in market.assets[:count]:
            if asset.symbol == quote or (quote == "USDC" and asset.symbol == "USDT"):
                continue
            if asset.dollars / dollars < CHEAPEST:
                continue
            symbol = asset.symbol + quote
            found[symbol] = Pair(symbol, asset.symbol, quote, tick_places(asset.dollars / dollars))
    return found


def error(code: int, message: str, status: int = 400) -> Reply:
    """Return an error in Binance's form."""
    return json_reply({"code": code, "msg": message}, status)


def refusal(_call: Call, refused: Refused) -> Reply:
    """Return 429 with `Retry-After`, or 418 with the ban's end in milliseconds (both -1003)."""
    fields = (("Retry-After", str(max(1, -int(-refused.retry_after // 1)))),)
    if refused.banned_until is not None:
        text = (
            f"Way too much request weight used; IP banned until {int(refused.banned_until * 1000)}."
            " Please use WebSocket Streams for live updates to avoid bans."
        )
        return json_reply({"code": -1003, "msg": text}, 418, fields)
    limit = refused.limit
    text = (
        f"Too much request weight used; current limit is {limit.limit} request weight per"
        f" {_interval(limit.per)}. Please use WebSocket Streams for live updates to avoid polling"
        " the API."
        if isinstance(limit.per, float | int)
        else "Too many requests."
    )
    return json_reply({"code": -1003, "msg": text}, 429, fields)


def _interval(seconds: float) -> str:
    return f"{seconds / 60:g} MINUTE" if seconds % 60 == 0 else f"{seconds:g} SECOND"


def missing(_call: Call) -> Reply:
    """Return what an unknown path is answered: an empty 404 page."""
    return Reply(b"<html><body><h2>404 Not found</h2></body></html>", 404, content_type="text/html")


def key(call: Call) -> str:
    """Return the API key that a call brings."""
    return call.field("x-mbx-apikey")


def usage(_call: Call, counted: Counted | Refused) -> Fields:
    """Return the used weight and, on order endpoints, the order count."""
    used = counted.used
    weight = str(used.get("weight", 0))
    fields = [("X-MBX-USED-WEIGHT", weight), ("X-MBX-USED-WEIGHT-1M", weight)]
    if "orders" in used:
        fields.append(("X-MBX-ORDER-COUNT-10S", str(used["orders"])))
    return tuple(fields)


def millis(call: Call, seconds: float) -> int:
    """Return a moment in the unit that the call asked for."""
    return round(seconds * _unit(call))


def _unit(call: Call) -> int:
    return 1_000_000 if call.field("x-mbx-time-unit").upper() == "MICROSECOND" else 1000


def one_symbol(call: Call, exchange: Exchange) -> Pair | Reply:
    """Return the pair that `symbol` names, or the error that it earns."""
    symbol = call.query.get("symbol", "")
    if not symbol:
        text = "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."
        return error(-1102, text)
    return _known(symbol, exchange)


def of_pair(
    exchange: Callable[[Market], Exchange], answer: Callable[[Call, Market, Pair], Reply]
) -> Answer:
    """Return an answer that needs `symbol` first."""

    def found(call: Call, market: Market) -> Reply:
        pair = one_symbol(call, exchange(market))
        return pair if isinstance(pair, Reply) else answer(call, market, pair)

    return found


def asked_symbols(call: Call, exchange: Exchange) -> list[Pair] | Pair | Reply:
    """Return what `symbol`, `symbols` or neither asks for: one pair, a list, or all."""
    if "symbol" in call.query and "symbols" in call.query:
        return error(-1128, "Combination of optional parameters invalid.")
    if "symbol" in call.query:
        return one_symbol(call, exchange)
    if "symbols" not in call.query:
        return list(exchange.pairs.values())
    found = listed_symbols(call)
    if isinstance(found, Reply):
        return found
    asked = [_known(symbol, exchange) for symbol in found]
    if (bad := next((each for each in asked if isinstance(each, Reply)), None)) is not None:
        return bad
    wanted = set(found)
    return [pair for symbol, pair in exchange.pairs.items() if symbol in wanted]


def listed_symbols(call: Call) -> list[str] | Reply:
    """Return the members of `symbols=["A","B"]`, or the error that it earns."""
    try:
        found = json.loads(call.query["symbols"])
    except ValueError:
        found = None
    if not isinstance(found, list) or not found or not all(isinstance(x, str) for x in found):
        return error(
            -1100,
            "Illegal characters found in parameter 'symbols'; legal range is "
            '\'^\\["[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}\\]$\'.',
        )
    if len(set(found)) < len(found):
        return error(-1151, "Symbol is present multiple times in the list.")
    return found


def _known(symbol: str, exchange: Exchange) -> Pair | Reply:
    if not _SYMBOL.fullmatch(symbol):
        legal = "'^[A-Z0-9-_.]{1,20}$'"
        text = f"Illegal characters found in parameter 'symbol'; legal range is {legal}."
        return error(-1100, text)
    return exchange.pairs.get(symbol) or error(-1121, "Invalid symbol.")


def each_or_one(found: list[Pair] | Pair | Reply, shape: Any) -> Reply:
    """Return an object for one pair, an array for several, shaped by `shape(pair)`."""
    match found:
        case Reply():
            return found
        case Pair():
            return json_reply(shape(found))
        case _:
            return json_reply([shape(pair) for pair in found])


def klines(call: Call, market: Market, exchange: Exchange, pair: Pair, most: int) -> Reply:
    """Return candles by `interval`, `startTime`, `endTime` and `limit`."""
    interval = call.query.get("interval", "")
    if interval not in INTERVALS:
        return error(-1120, "Invalid interval.")
    now = market.moment(call.now)
    start, end = (
        int(call.query[name]) / 1000 if call.query.get(name, "").isdigit() else None
        for name in ("startTime", "endTime")
    )
    limit = whole(call.query.get("limit"), 500, 1, most)
    start = None if start is None else max(start, LISTED)
    unit = _unit(call)
    rows = [
        _row(exchange, pair, market.candle(pair.base, pair.quote, opened, closes, now), unit)
        for opened, closes in spans(interval, limit, start, end, now)
        if opened >= LISTED
    ]
    return json_reply(rows)


@lru_cache(maxsize=100_000)
def _row(exchange: Exchange, pair: Pair, candle: Candle, unit: int) -> msgspec.Raw:
    """Return a candle as JSON. Bots ask for the same ones again and again."""
    prices = (candle.open, candle.high, candle.low, candle.close)
    volume, middle = candle.volume, (candle.open + candle.close) / 2
    row = [
        round(candle.opened * unit),
        *(exchange.figure(pair, price) for price in prices),
        decimals(volume, 8),
        round(candle.closed * unit) - 1,
        decimals(volume * middle, 8),
        candle.trades,
        decimals(volume * 0.49, 8),
        decimals(volume * 0.49 * middle, 8),
        "0",
    ]
    return msgspec.Raw(msgspec.json.encode(row))


def depth_levels(
    market: Market, exchange: Exchange, pair: Pair, at: float, limit: int
) -> dict[str, list[list[str]]]:
    """Return bids and asks, best first."""
    price, tick = market.price(pair.base, pair.quote, at), 10.0**-pair.places
    amount = 2_000.0 / market.dollars(market.by_symbol[pair.base], at)
    sides: dict[str, list[list[str]]] = {}
    for side, sign in (("bids", -1), ("asks", 1)):
        levels = [
            [
                exchange.figure(pair, max(tick, price + sign * tick * (level + 0.5))),
                decimals(amount * (1 + level % 7), 8),
            ]
            for level in range(limit)
        ]
        sides[side] = levels
    return sides


def day_figures(
    call: Call, market: Market, exchange: Exchange, pair: Pair, over: float = DAY
) -> dict[str, Any]:
    """Return the members that all rolling-window tickers share."""
    at = market.moment(call.now)
    candle = market.candle(pair.base, pair.quote, at - over, at, at)
    middle = (candle.open + candle.close) / 2
    first_id = int(at - over) * 2
    return {
        "symbol": pair.symbol,
        "priceChange": exchange.figure(pair, candle.close - candle.open),
        "priceChangePercent": decimals((candle.close / candle.open - 1) * 100, 3),
        "weightedAvgPrice": exchange.figure(pair, middle),
        "openPrice": exchange.figure(pair, candle.open),
        "highPrice": exchange.figure(pair, candle.high),
        "lowPrice": exchange.figure(pair, candle.low),
        "lastPrice": exchange.figure(pair, candle.close),
        "volume": decimals(candle.volume, 8),
        "quoteVolume": decimals(candle.volume * middle, 8),
        "openTime": millis(call, at - over),
        "closeTime": millis(call, at),
        "firstId": first_id,
        "lastId": first_id + candle.trades - 1,
        "count": candle.trades,
    }


def last_trades(call: Call, market: Market, exchange: Exchange, pair: Pair) -> Iterable[Trade]:
    """Yield `(id, moment, price, quantity)` of the trades asked for, oldest first: two a second."""
    limit = whole(call.query.get("limit"), 500, 1, 1000)
    at = market.moment(call.now)
    last = int(at * 2)
    start = call.query.get("startTime", "")
    oldest = max(0, int(start) // 500) if start.isdigit() else last - limit + 1
    identity = call.query.get("fromId", "")
    oldest = int(identity) if identity.isdigit() else oldest
    for number in range(oldest, min(last, oldest + limit - 1) + 1):
        moment = number / 2
        amount = (1 + number % 13) * 100 / market.by_symbol[pair.base].dollars
        yield number, moment, exchange.price(pair, market, moment), decimals(amount, 8)
