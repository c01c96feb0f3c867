"""Kraken: `/0/public`, about one a second per endpoint and address.

Fact kept: "too much" is HTTP 200 with `{"error":["EGeneral:Too many requests"]}`, and so is
every other error.
"""

from functools import lru_cache
from typing import Any

from proxy.core.fields import Fields
from proxy.sandbox.candles import opening
from proxy.sandbox.limits import Limit, Refused
from proxy.sandbox.market import DAY, Market, decimals, tick_places
from proxy.sandbox.provider import Call, Provider, Reply, Route, json_reply, whole, words
from proxy.sandbox.providers.binance_market import Pair

MINUTES = {1: "1m", 5: "5m", 15: "15m", 30: "30m", 60: "1h", 240: "4h", 1440: "1d", 10_080: "1w"}
OLD_NAMES = {"BTC": "XXBT", "ETH": "XETH", "XRP": "XXRP", "LTC": "XLTC", "XLM": "XXLM"}
NAMES = {"BTC": "XBT", "DOGE": "XDG"}


def error(text: str) -> Reply:
    """Return an error: Kraken says it in a 200."""
    return json_reply({"error": [text]})


@lru_cache(maxsize=8)
def pairs(market: Market) -> dict[str, Pair]:
    """Return the pairs by the name that answers use; aliases are resolved by `pair_of`."""
    found = {}
    for asset in market.assets[:60]:
        old = OLD_NAMES.get(asset.symbol)
        name = f"{old}ZUSD" if old else f"{NAMES.get(asset.symbol, asset.symbol)}USD"
        found[name] = Pair(name, asset.symbol, "USD", tick_places(asset.dollars))
    return found


@lru_cache(maxsize=8)
def aliases(market: Market) -> dict[str, str]:
    """Return every name that a pair is asked by, to the name that answers use."""
    found: dict[str, str] = {}
    for name, pair in pairs(market).items():
        short = NAMES.get(pair.base, pair.base)
        found |= dict.fromkeys((name, f"{short}USD", f"{pair.base}USD", f"{short}/USD"), name)
    return found


def _asked(call: Call, market: Market) -> list[Pair] | Reply:
    known = aliases(market)
    names = words(call.query.get("pair", "").upper())
    if not names:
        return list(pairs(market).values())
    if any(name not in known for name in names):
        return error("EQuery:Unknown asset pair")
    return [pairs(market)[known[name]] for name in names]


def result(value: Any) -> Reply:
    """Return a success."""
    return json_reply({"error": [], "result": value})


def _time(call: Call, _market: Market) -> Reply:
    return result({"unixtime": int(call.now), "rfc1123": ""})


def _system(_call: Call, _market: Market) -> Reply:
    return result({"status": "online", "timestamp": "2024-05-03T11:23:45Z"})


def _assets(_call: Call, market: Market) -> Reply:
    rows: dict[str, Any] = {
        OLD_NAMES.get(asset.symbol, NAMES.get(asset.symbol, asset.symbol)): {
            "aclass": "currency", "altname": NAMES.get(asset.symbol, asset.symbol), "decimals": 10,
            "display_decimals": 5, "status": "enabled",
        }
        for asset in market.assets[:60]
    }  # fmt: skip
    dollar = {"aclass": "currency", "altname": "USD", "decimals": 4, "display_decimals": 2,
              "status": "enabled"}  # fmt: skip
    return result(rows | {"ZUSD": dollar})


def _asset_pairs(call: Call, market: Market) -> Reply:
    found = _asked(call, market)
    if isinstance(found, Reply):
        return found
    return result({pair.symbol: _described(pair) for pair in found})


def _described(pair: Pair) -> dict[str, Any]:
    short = NAMES.get(pair.base, pair.base)
    return {
        "altname": f"{short}USD", "wsname": f"{short}/USD", "aclass_base": "currency",
        "base": OLD_NAMES.get(pair.base, short), "aclass_quote": "currency", "quote": "ZUSD",
        "lot": "unit", "cost_decimals": 5, "pair_decimals": pair.places, "lot_decimals": 8,
        "lot_multiplier": 1, "leverage_buy": [2, 3], "leverage_sell": [2, 3],
        "fees": [[0, 0.26], [50_000, 0.24]], "fees_maker": [[0, 0.16], [50_000, 0.14]],
        "fee_volume_currency": "ZUSD", "margin_call": 80, "margin_stop": 40, "ordermin": "0.0001",
        "costmin": "0.5", "tick_size": decimals(10.0**-pair.places, pair.places),
        "status": "online",
    }  # fmt: skip


def _ticker(call: Call, market: Market) -> Reply:
    found = _asked(call, market)
    if isinstance(found, Reply):
        return found
    at = market.moment(call.now)
    return result({pair.symbol: _figures(market, pair, at) for pair in found})


def _figures(market: Market, pair: Pair, at: float) -> dict[str, Any]:
    day = market.candle(pair.base, "USD", at - DAY, at, at)
    last, volume = decimals(day.close, pair.places), decimals(day.volume, 8)
    high, low = decimals(day.high, pair.places), decimals(day.low, pair.places)
    return {
        "a": [last, "1", "1.000"], "b": [last, "1", "1.000"], "c": [last, "0.00067643"],
        "v": [volume, volume], "p": [last, last], "t": [day.trades, day.trades],
        "l": [low, low], "h": [high, high], "o": decimals(day.open, pair.places),
    }  # fmt: skip


def _one(call: Call, market: Market) -> Pair | Reply:
    if not call.query.get("pair"):
        return error("EGeneral:Invalid arguments")
    found = _asked(call, market)
    return found if isinstance(found, Reply) else found[0]


def _candles(call: Call, market: Market) -> Reply:
    pair = _one(call, market)
    if isinstance(pair, Reply):
        return pair
    minutes = whole(call.query.get("interval"), 1)
    if minutes not in MINUTES:
        return error("EGeneral:Invalid arguments")
    at, step = market.moment(call.now), minutes * 60
    last = opening(MINUTES[minutes], at)
    since = whole(call.query.get("since"), 0)
    rows = []
    for opened in range(last - 719 * step, last + 1, step):
        if opened <= since:
            continue
        candle = market.candle(pair.base, "USD", opened, opened + step, at)
        prices = (candle.open, candle.high, candle.low, candle.close, candle.close)
        shown = [decimals(price, pair.places) for price in prices]
        rows.append([opened, *shown, decimals(candle.volume, 8), candle.trades])
    return result({pair.symbol: rows, "last": last - step})


def _depth(call: Call, market: Market) -> Reply:
    pair = _one(call, market)
    if isinstance(pair, Reply):
        return pair
    at, count = market.moment(call.now), whole(call.query.get("count"), 100, 1, 500)
    price, tick = market.price(pair.base, "USD", at), 10.0**-pair.places
    sides = {
        side: [[decimals(price + sign * tick * (level + 1), pair.places), "1.500", int(at)]
               for level in range(count)]
        for side, sign in (("asks", 1), ("bids", -1))
    }  # fmt: skip
    return result({pair.symbol: sides})


def _trades(call: Call, market: Market) -> Reply:
    pair = _one(call, market)
    if isinstance(pair, Reply):
        return pair
    at, count = market.moment(call.now), whole(call.query.get("count"), 1000, 1, 1000)
    rows = [
        [decimals(market.price(pair.base, "USD", number), pair.places), "0.01000000",
         number + 0.5, "bs"[number % 2], "ml"[number % 3 == 0], "", number]
        for number in range(int(at) - count, int(at))
    ]  # fmt: skip
    return result({pair.symbol: rows, "last": str(int(at) * 1_000_000_000)})


def _spread(call: Call, market: Market) -> Reply:
    pair = _one(call, market)
    if isinstance(pair, Reply):
        return pair
    at, tick = int(market.moment(call.now)), 10.0**-pair.places
    rows = []
    for moment in range(at - 199, at + 1):
        price = market.price(pair.base, "USD", moment)
        rows.append(
            [moment, decimals(price - tick, pair.places), decimals(price + tick, pair.places)]
        )
    return result({pair.symbol: rows, "last": at})


def _signed(call: Call, _market: Market) -> Reply:
    if not call.field("api-key") or not call.field("api-sign"):
        return error("EAPI:Invalid key")
    return result({})


def _refusal(_call: Call, _refused: Refused) -> Reply:
    return error("EGeneral:Too many requests")


def _missing(_call: Call) -> Reply:
    return error("EGeneral:Unknown method")


def _head(_call: Call, _reply: Reply) -> Fields:
    return (
        ("Cache-Control", "public, max-age=2"),
        ("Vary", "Accept-Encoding"),
        ("Server", "cloudflare"),
        ("CF-Cache-Status", "DYNAMIC"),
        ("Set-Cookie", "__cf_bm=sandbox; path=/; HttpOnly; Secure"),
    )


PUBLIC, SHARED = "/0/public", ("public",)
PROVIDER = Provider(
    name="kraken",
    variable="KRAKEN_BASE_URL",
    limits=(Limit("second", 1, 1.0, "sliding_window", each=True, group="public"),),
    routes=(
        Route(f"{PUBLIC}/Time", _time, groups=SHARED),
        Route(f"{PUBLIC}/SystemStatus", _system, groups=SHARED),
        Route(f"{PUBLIC}/Assets", _assets, groups=SHARED),
        Route(f"{PUBLIC}/AssetPairs", _asset_pairs, groups=SHARED),
        Route(f"{PUBLIC}/Ticker", _ticker, groups=SHARED),
        Route(f"{PUBLIC}/OHLC", _candles, groups=SHARED),
        Route(f"{PUBLIC}/Depth", _depth, groups=SHARED),
        Route(f"{PUBLIC}/Trades", _trades, groups=SHARED),
        Route(f"{PUBLIC}/Spread", _spread, groups=SHARED),
        Route("/0/private/{rest:path}", _signed, 0, methods=("POST",)),
    ),
    refusal=_refusal,
    missing=_missing,
    credential=lambda call: call.field("api-key"),
    head=_head,
)
