"""OKX's further public endpoints: indices, mark prices, funding, open interest, tiers."""

from typing import Any

from proxy.sandbox.market import DAY, Market, decimals
from proxy.sandbox.provider import Call, Reply, whole
from proxy.sandbox.providers.binance_market import Pair
from proxy.sandbox.providers.okx_forms import asked_pair, failure, pairs, price, success

EIGHT_HOURS = 28_800


def _stamp(call: Call, market: Market) -> str:
    return str(int(market.moment(call.now) * 1000))


def _swaps(call: Call, market: Market) -> list[Pair]:
    asked = call.query.get("instId", "")
    return [pair for pair in pairs(market, "SWAP").values() if asked in {"", pair.symbol}]


def index_tickers(call: Call, market: Market) -> Reply:
    """Give the price of an index."""
    pair = asked_pair(call, market)
    if isinstance(pair, Reply):
        return pair
    at = market.moment(call.now)
    day = market.candle(pair.base, pair.quote, at - DAY, at, at)
    figures = {"idxPx": day.close, "high24h": day.high, "low24h": day.low, "open24h": day.open,
               "sodUtc0": day.open, "sodUtc8": day.open}  # fmt: skip
    shown = {name: decimals(value, pair.places) for name, value in figures.items()}
    return success([{"instId": pair.symbol, **shown, "ts": _stamp(call, market)}])


def index_components(call: Call, market: Market) -> Reply:
    """Tell what an index is made of."""
    name = call.query.get("index", "")
    if (pair := pairs(market, "SPOT").get(name)) is None:
        return failure("51000", "Parameter index error", 400)
    shown = price(market, pair, market.moment(call.now))
    parts = [
        {"symbol": f"{pair.base}/USDT", "symPx": shown, "wgt": "0.500", "cnvPx": shown,
         "exch": exchange}
        for exchange in ("OKX", "Binance")
    ]  # fmt: skip
    return success({"components": parts, "last": shown, "index": name,
                    "ts": _stamp(call, market)})  # fmt: skip


def mark_prices(call: Call, market: Market) -> Reply:
    """Give the mark prices of swaps."""
    at, stamp = market.moment(call.now), _stamp(call, market)
    rows = [
        {"instType": "SWAP", "instId": pair.symbol, "markPx": price(market, pair, at), "ts": stamp}
        for pair in _swaps(call, market)
    ]
    return success(rows)


def price_limit(call: Call, market: Market) -> Reply:
    """Tell between which prices an order is taken."""
    pair = asked_pair(call, market)
    if isinstance(pair, Reply):
        return pair
    now = float(price(market, pair, market.moment(call.now)))
    row = {"instType": "SWAP", "instId": pair.symbol, "enabled": True,
           "buyLmt": decimals(now * 1.02, pair.places),
           "sellLmt": decimals(now * 0.98, pair.places), "ts": _stamp(call, market)}  # fmt: skip
    return success([row])


def volume(call: Call, market: Market) -> Reply:
    """Sum the day's volume up."""
    at = market.moment(call.now)
    dollars = int(sum(market.volume(asset, at) for asset in market.assets[:20]))
    return success(
        [{"volUsd": str(dollars), "volCny": str(dollars * 7), "ts": _stamp(call, market)}]
    )


def open_interest(call: Call, market: Market) -> Reply:
    """Tell how many contracts are open."""
    rows = [
        {"instType": "SWAP", "instId": pair.symbol, "oi": "5000", "oiCcy": "555.55",
         "oiUsd": "50000000", "ts": _stamp(call, market)}
        for pair in _swaps(call, market)
    ]  # fmt: skip
    return success(rows)


def _rate(slot: int) -> str:
    return decimals(0.0001 * (1 + slot % 5), 16)


def funding(call: Call, market: Market) -> Reply:
    """Tell the running funding rate."""
    found = _swaps(call, market)
    if not call.query.get("instId") or not found:
        return failure("51001", "Instrument ID doesn't exist.")
    slot = int(market.moment(call.now) // EIGHT_HOURS)
    ends = [str((slot + more) * EIGHT_HOURS * 1000) for more in (1, 2)]
    row = {
        "instType": "SWAP", "instId": found[0].symbol, "method": "next_period",
        "fundingRate": _rate(slot), "fundingTime": ends[0], "nextFundingRate": "",
        "nextFundingTime": ends[1], "minFundingRate": "-0.00375", "maxFundingRate": "0.00375",
        "settState": "settled", "settFundingRate": _rate(slot - 1), "premium": "0.0001",
        "ts": _stamp(call, market),
    }  # fmt: skip
    return success([row])


def funding_history(call: Call, market: Market) -> Reply:
    """List past funding rates, newest first."""
    found = _swaps(call, market)
    if not call.query.get("instId") or not found:
        return failure("51001", "Instrument ID doesn't exist.")
    last = int(market.moment(call.now) // EIGHT_HOURS)
    count = whole(call.query.get("limit"), 100, 1, 400)
    rows = [
        {"instType": "SWAP", "instId": found[0].symbol, "fundingRate": _rate(slot),
         "realizedRate": _rate(slot), "fundingTime": str(slot * EIGHT_HOURS * 1000),
         "method": "next_period"}
        for slot in range(last, last - count, -1)
    ]  # fmt: skip
    return success(rows)


def underlying(_call: Call, market: Market) -> Reply:
    """List what swaps are written on."""
    return success([[pair.symbol.removesuffix("-SWAP") for pair in pairs(market, "SWAP").values()]])


def tiers(call: Call, _market: Market) -> Reply:
    """List how large a position may grow at what margin."""
    row: dict[str, Any] = {
        "baseMaxLoan": "50", "imr": "0.1", "instId": call.query.get("instId", "BTC-USDT"),
        "maxLever": "10", "maxSz": "50", "minSz": "0", "mmr": "0.03", "optMgnFactor": "0",
        "quoteMaxLoan": "500000", "tier": "1", "uly": "", "instFamily": "",
    }  # fmt: skip
    return success([row])


def interest(_call: Call, _market: Market) -> Reply:
    """List what borrowing costs."""
    basic = [{"ccy": name, "quota": "500000", "rate": "0.0004"} for name in ("USDT", "BTC")]
    level = [{"irDiscount": "", "loanQuotaCoef": "6", "level": "VIP1"}]
    return success([{"basic": basic, "vip": level, "regular": level}])


def status(_call: Call, _market: Market) -> Reply:
    """Tell of no maintenance."""
    return success([])
