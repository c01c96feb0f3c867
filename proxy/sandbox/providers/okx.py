"""OKX: `/api/v5`, limits per endpoint in 2 seconds, 429 with code 50011."""

from typing import Any

from proxy.core.fields import Fields
from proxy.sandbox.candles import spans
from proxy.sandbox.limits import Limit, Refused
from proxy.sandbox.market import DAY, Market, decimals
from proxy.sandbox.provider import Answer, Call, Provider, Reply, Route, whole
from proxy.sandbox.providers import okx_public as public
from proxy.sandbox.providers.binance_market import Pair
from proxy.sandbox.providers.okx_forms import asked_pair, failure, pairs, success

BARS = {
    "1s": "1s", "1m": "1m", "3m": "3m", "5m": "5m", "15m": "15m", "30m": "30m", "1H": "1h",
    "2H": "2h", "4H": "4h", "6Hutc": "6h", "12Hutc": "12h", "1Dutc": "1d", "1D": "1d", "1W": "1w",
}  # fmt: skip


def _ticker(call: Call, market: Market) -> Reply:
    pair = asked_pair(call, market)
    return pair if isinstance(pair, Reply) else success([_figures(call, market, pair)])


def _tickers(call: Call, market: Market) -> Reply:
    found = pairs(market, call.query.get("instType", "").upper())
    if not found:
        return failure("51000", "Parameter instType error", 400)
    return success([_figures(call, market, pair) for pair in found.values()])


def _figures(call: Call, market: Market, pair: Pair) -> dict[str, str]:
    at = market.moment(call.now)
    day = market.candle(pair.base, pair.quote, at - DAY, at, at)
    last = decimals(day.close, pair.places)
    return {
        "instType": "SWAP" if pair.symbol.endswith("-SWAP") else "SPOT", "instId": pair.symbol,
        "last": last, "lastSz": "0.1", "askPx": last, "askSz": "11", "bidPx": last, "bidSz": "5",
        "open24h": decimals(day.open, pair.places), "high24h": decimals(day.high, pair.places),
        "low24h": decimals(day.low, pair.places), "volCcy24h": decimals(day.volume, 4),
        "vol24h": decimals(day.volume, 4), "sodUtc0": decimals(day.open, pair.places),
        "sodUtc8": decimals(day.open, pair.places), "ts": str(int(at * 1000)),
    }  # fmt: skip


def _candles(call: Call, market: Market) -> Reply:
    pair = asked_pair(call, market)
    return pair if isinstance(pair, Reply) else _drawn(call, market, pair, volumes=3)


def _drawn(call: Call, market: Market, pair: Pair, volumes: int) -> Reply:
    bar = BARS.get(call.query.get("bar", "1m"))
    if bar is None:
        return failure("51000", "Parameter bar error", 400)
    at, later = market.moment(call.now), call.query.get("after", "")
    end = (int(later) - 1) / 1000 if later.isdigit() else None
    rows = []
    for opened, closes in spans(bar, whole(call.query.get("limit"), 100, 1, 300), None, end, at):
        candle = market.candle(pair.base, pair.quote, opened, closes, at)
        prices = (candle.open, candle.high, candle.low, candle.close)
        shown = [decimals(price, pair.places) for price in prices]
        volume = [decimals(candle.volume, 4)] * volumes
        rows.append([str(opened * 1000), *shown, *volume, str(int(closes <= at))])
    return success(rows[::-1])


def _books(call: Call, market: Market) -> Reply:
    pair = asked_pair(call, market)
    if isinstance(pair, Reply):
        return pair
    at, size = market.moment(call.now), whole(call.query.get("sz"), 1, 1, 400)
    price, tick = market.price(pair.base, pair.quote, at), 10.0**-pair.places
    sides: dict[str, Any] = {
        side: [[decimals(price + sign * tick * (level + 1), pair.places), "0.6", "0", "1"]
               for level in range(size)]
        for side, sign in (("asks", 1), ("bids", -1))
    }  # fmt: skip
    return success([{**sides, "ts": str(int(at * 1000))}])


def _trades(call: Call, market: Market) -> Reply:
    pair = asked_pair(call, market)
    if isinstance(pair, Reply):
        return pair
    at, count = int(market.moment(call.now)), whole(call.query.get("limit"), 100, 1, 500)
    rows = [
        {"instId": pair.symbol, "side": ("buy", "sell")[number % 2], "sz": "0.00001",
         "px": decimals(market.price(pair.base, pair.quote, number), pair.places),
         "tradeId": str(number), "ts": str(number * 1000)}
        for number in range(at, at - count, -1)
    ]  # fmt: skip
    return success(rows)


def _instruments(call: Call, market: Market) -> Reply:
    kind = call.query.get("instType", "").upper()
    return success([_described(pair, kind) for pair in pairs(market, kind).values()])


def _described(pair: Pair, kind: str) -> dict[str, str]:
    swap = kind == "SWAP"
    family = f"{pair.base}-USDT" if swap else ""
    return {
        "alias": "", "baseCcy": "" if swap else pair.base, "category": "1",
        "ctMult": "1" if swap else "", "ctType": "linear" if swap else "",
        "ctVal": "0.01" if swap else "", "ctValCcy": pair.base if swap else "", "expTime": "",
        "instFamily": family, "instId": pair.symbol, "instType": kind, "lever": "10",
        "listTime": "1606468572000", "lotSz": "0.00000001", "maxLmtSz": "9999999999",
        "maxLmtAmt": "1000000", "maxMktAmt": "1000000", "maxStopSz": "1000000",
        "maxIcebergSz": "9999999999", "maxTriggerSz": "9999999999", "maxTwapSz": "9999999999",
        "maxMktSz": "1000000", "minSz": "0.00001", "optType": "",
        "quoteCcy": "" if swap else "USDT", "settleCcy": "USDT" if swap else "", "state": "live",
        "stk": "", "tickSz": decimals(10.0**-pair.places, pair.places), "uly": family,
    }  # fmt: skip


def _time(call: Call, _market: Market) -> Reply:
    return success([{"ts": str(int(call.now * 1000))}])


def _index_candles(call: Call, market: Market) -> Reply:
    """Give candles of an index or a mark price: without volume."""
    pair = asked_pair(call, market)
    return pair if isinstance(pair, Reply) else _drawn(call, market, pair, volumes=0)


def _signed(call: Call, _market: Market) -> Reply:
    if not call.field("ok-access-key") or not call.field("ok-access-sign"):
        return failure("50103", 'Request header "OK-ACCESS-KEY" cannot be empty.', 401)
    return success([])


def _refusal(_call: Call, _refused: Refused) -> Reply:
    return failure("50011", "Too Many Requests", 429)


def _missing(_call: Call) -> Reply:
    return failure("404", "Not Found", 404)


def _head(_call: Call, _reply: Reply) -> Fields:
    return (
        ("Cache-Control", "no-cache, no-store, max-age=0, must-revalidate"),
        ("Server", "cloudflare"),
        ("CF-Cache-Status", "DYNAMIC"),
        ("Set-Cookie", "__cf_bm=sandbox; path=/; HttpOnly; Secure"),
    )


V5 = "/api/v5"
FURTHER: tuple[tuple[str, Answer], ...] = (
    ("market/index-tickers", public.index_tickers),
    ("market/index-components", public.index_components),
    ("market/index-candles", _index_candles),
    ("market/mark-price-candles", _index_candles),
    ("market/platform-24-volume", public.volume),
    ("market/books-full", _books),
    ("market/history-trades", _trades),
    ("public/mark-price", public.mark_prices),
    ("public/price-limit", public.price_limit),
    ("public/open-interest", public.open_interest),
    ("public/funding-rate", public.funding),
    ("public/funding-rate-history", public.funding_history),
    ("public/underlying", public.underlying),
    ("public/position-tiers", public.tiers),
    ("public/interest-rate-loan-quota", public.interest),
    ("system/status", public.status),
)
TWENTY, FORTY, HUNDRED = ("20 in 2 s",), ("40 in 2 s",), ("100 in 2 s",)
PROVIDER = Provider(
    name="okx",
    variable="OKX_BASE_URL",
    limits=(
        Limit("twenty", 20, 2.0, "sliding_window", group=TWENTY[0], each=True),
        Limit("forty", 40, 2.0, "sliding_window", group=FORTY[0], each=True),
        Limit("hundred", 100, 2.0, "sliding_window", group=HUNDRED[0], each=True),
    ),
    routes=(
        Route(f"{V5}/market/ticker", _ticker, groups=TWENTY),
        Route(f"{V5}/market/tickers", _tickers, groups=TWENTY),
        Route(f"{V5}/market/books", _books, groups=FORTY),
        Route(f"{V5}/market/candles", _candles, groups=FORTY),
        Route(f"{V5}/market/history-candles", _candles, groups=TWENTY),
        Route(f"{V5}/market/trades", _trades, groups=HUNDRED),
        Route(f"{V5}/public/instruments", _instruments, groups=TWENTY),
        Route(f"{V5}/public/time", _time, groups=TWENTY),
        *(Route(f"{V5}/{path}", answer, groups=TWENTY) for path, answer in FURTHER),
        *(
            Route(f"{V5}/{kind}/{{rest:path}}", _signed, methods=("GET", "POST"))
            for kind in ("account", "asset", "trade")
        ),
    ),
    refusal=_refusal,
    missing=_missing,
    credential=lambda call: call.field("ok-access-key"),
    head=_head,
)
