"""Binance USD-M futures: `/fapi`, `/futures/data`, weight 2400 a minute per address.

Facts kept: no `symbols=`; leaving `symbol` out returns all. The used-weight header of
ticker/bookTicker and of v2 ticker/price is wrong (here: ten too high). fundingRate and
fundingInfo share 500 requests per 5 minutes, `/futures/data/*` has 1000, both weigh nothing.
`/dapi/v1/exchangeInfo` is answered too: ccxt's load_markets asks it by default.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from proxy.core.fields import Fields
from proxy.sandbox.limits import Ban, Counted, Limit, Refused
from proxy.sandbox.market import Market, decimals
from proxy.sandbox.provider import Answer, Call, Provider, Reply, Route, json_reply, whole
from proxy.sandbox.providers import binance_market as shared
from proxy.sandbox.providers.binance_futures_account import ROUTES as ACCOUNT
from proxy.sandbox.providers.binance_futures_account import by_symbol, exchange
from proxy.sandbox.providers.binance_market import Pair, millis, of_pair

PERPETUAL_END = 4_133_404_800_000
EIGHT_HOURS = 28_800
WRONG_USAGE = frozenset({"/fapi/v1/ticker/bookTicker", "/fapi/v2/ticker/price"})


# --- what a call weighs ---------------------------------------------------------------------


def depth_weight(call: Call) -> int:
    """Weigh an order book by its depth."""
    limit = whole(call.query.get("limit"), 500, 1)
    return next((weight for most, weight in ((50, 2), (100, 5), (500, 10)) if limit <= most), 20)


def kline_weight(call: Call) -> int:
    """Weigh candles by their number."""
    limit = whole(call.query.get("limit"), 500, 1)
    steps = ((99, 1), (499, 2), (1000, 5))
    return next((weight for most, weight in steps if limit <= most), 10)


# --- market data ----------------------------------------------------------------------------


def _ping(_call: Call, _market: Market) -> Reply:
    return json_reply({})


def _time(call: Call, _market: Market) -> Reply:
    return json_reply({"serverTime": millis(call, call.now)})


def _exchange_info(call: Call, market: Market) -> Reply:
    at = millis(call, market.moment(call.now))
    limits = [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400},
        {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1200},
    ]
    assets = [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-10000"}]
    return json_reply(
        {
            "timezone": "UTC", "serverTime": at, "futuresType": "U_MARGINED",
            "rateLimits": limits, "exchangeFilters": [], "assets": assets,
            "symbols": [_described(pair) for pair in exchange(market).pairs.values()],
        }
    )  # fmt: skip


@lru_cache(maxsize=1024)
def _described(pair: Pair) -> dict[str, Any]:
    tick = decimals(10.0**-pair.places, pair.places)
    return {
        "symbol": pair.symbol,
        "pair": pair.symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": PERPETUAL_END,
        "onboardDate": 1_569_398_400_000,
        "status": "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": pair.base,
        "quoteAsset": pair.quote,
        "marginAsset": pair.quote,
        "pricePrecision": pair.places,
        "quantityPrecision": 3,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": ["PoW"],
        "settlePlan": 0,
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10_000,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000",
             "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000000", "stepSize": "0.001"},
            {"filterType": "MARKET_LOT_SIZE", "minQty": "0.001", "maxQty": "10000",
             "stepSize": "0.001"},
            {"filterType": "MAX_NUM_ORDERS", "limit": 200},
            {"filterType": "MIN_NOTIONAL", "notional": "5"},
            {"filterType": "PERCENT_PRICE", "multiplierUp": "1.0500", "multiplierDown": "0.9500",
             "multiplierDecimal": "4"},
        ],
        "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT",
                       "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
    }  # fmt: skip


def _coin_margined(call: Call, market: Market) -> Reply:
    rows = []
    for base in ("BTC", "ETH"):
        pair = exchange(market).pairs[f"{base}USDT"]
        row = {**_described(pair), "symbol": f"{base}USD_PERP", "pair": f"{base}USD"}
        row |= {"contractStatus": row.pop("status"), "contractSize": 100, "marginAsset": base}
        rows.append({**row, "quoteAsset": "USD", "equalQtyPrecision": 4})
    at = millis(call, market.moment(call.now))
    return json_reply(
        {"timezone": "UTC", "serverTime": at, "rateLimits": [], "exchangeFilters": [],
         "symbols": rows}
    )  # fmt: skip


def _depth(call: Call, market: Market, pair: Pair) -> Reply:
    at = market.moment(call.now)
    limit = whole(call.query.get("limit"), 500, 1, 1000)
    levels = shared.depth_levels(market, exchange(market), pair, at, limit)
    moment = millis(call, at)
    return json_reply({"lastUpdateId": int(at * 10), "E": moment, "T": moment, **levels})


def _last_trades(call: Call, market: Market, pair: Pair) -> Iterable[shared.Trade]:
    return shared.last_trades(call, market, exchange(market), pair)


def _trades(call: Call, market: Market, pair: Pair) -> Reply:
    rows = [
        {"id": number, "price": price, "qty": amount,
         "quoteQty": decimals(float(price) * float(amount), 2),
         "time": millis(call, moment), "isBuyerMaker": number % 3 == 0}
        for number, moment, price, amount in _last_trades(call, market, pair)
    ]  # fmt: skip
    return json_reply(rows)


def _aggregates(call: Call, market: Market, pair: Pair) -> Reply:
    rows = [
        {"a": number, "p": price, "q": amount, "f": number, "l": number,
         "T": millis(call, moment), "m": number % 3 == 0}
        for number, moment, price, amount in _last_trades(call, market, pair)
    ]  # fmt: skip
    return json_reply(rows)


def _klines(call: Call, market: Market, pair: Pair) -> Reply:
    return shared.klines(call, market, exchange(market), pair, 1500)


def _pair_klines(call: Call, market: Market) -> Reply:
    pair = exchange(market).pairs.get(call.query.get("pair", ""))
    return _klines(call, market, pair) if pair else shared.error(-1121, "Invalid symbol.")


def _each(shape: Any) -> Answer:
    """Return an answer of one object for `symbol`, else of all, shaped by `shape`."""

    def found(call: Call, market: Market) -> Reply:
        futures = exchange(market)
        asked = (
            shared.one_symbol(call, futures)
            if "symbol" in call.query
            else list(futures.pairs.values())
        )
        at = market.moment(call.now)
        return shared.each_or_one(asked, lambda pair: shape(call, market, pair, at))

    return found


def _price(call: Call, market: Market, pair: Pair, at: float) -> dict[str, Any]:
    price = exchange(market).price(pair, market, at)
    return {"symbol": pair.symbol, "price": price, "time": millis(call, at)}


def _book(call: Call, market: Market, pair: Pair, at: float) -> dict[str, Any]:
    levels = shared.depth_levels(market, exchange(market), pair, at, 1)
    (bid, bid_amount), (ask, ask_amount) = levels["bids"][0], levels["asks"][0]
    return {
        "lastUpdateId": int(at * 10), "symbol": pair.symbol, "bidPrice": bid,
        "bidQty": bid_amount, "askPrice": ask, "askQty": ask_amount, "time": millis(call, at),
    }  # fmt: skip


def _day(call: Call, market: Market, pair: Pair, _at: float) -> dict[str, Any]:
    return {**shared.day_figures(call, market, exchange(market), pair), "lastQty": "0.015"}


def _premium(call: Call, market: Market, pair: Pair, at: float) -> dict[str, Any]:
    mark, index = market.price(pair.base, "USDT", at), market.price(pair.base, "USDT", at - 1)
    return {
        "symbol": pair.symbol, "markPrice": decimals(mark, 8), "indexPrice": decimals(index, 8),
        "estimatedSettlePrice": decimals(index, 8), "lastFundingRate": _funding(at),
        "interestRate": "0.00010000", "nextFundingTime": _next_funding(at),
        "time": millis(call, at),
    }  # fmt: skip


def _next_funding(at: float) -> int:
    return int(at // EIGHT_HOURS + 1) * EIGHT_HOURS * 1000


def _funding(at: float) -> str:
    return decimals(0.0001 * (1 + int(at // EIGHT_HOURS) % 5), 8)


def _funding_rates(call: Call, market: Market) -> Reply:
    symbol = call.query.get("symbol", "BTCUSDT")
    pair = exchange(market).pairs.get(symbol)
    if pair is None:
        return shared.error(-1121, "Invalid symbol.")
    limit = whole(call.query.get("limit"), 100, 1, 1000)
    last = int(market.moment(call.now) // EIGHT_HOURS)
    rows = [
        {"symbol": symbol, "fundingTime": slot * EIGHT_HOURS * 1000,
         "fundingRate": _funding(slot * EIGHT_HOURS),
         "markPrice": decimals(market.price(pair.base, "USDT", slot * EIGHT_HOURS), 8)}
        for slot in range(last - limit + 1, last + 1)
    ]  # fmt: skip
    return json_reply(rows)


def _funding_info(_call: Call, market: Market) -> Reply:
    rows = [
        {"symbol": symbol, "adjustedFundingRateCap": "0.02000000",
         "adjustedFundingRateFloor": "-0.02000000", "fundingIntervalHours": 8, "disclaimer": False}
        for symbol in list(exchange(market).pairs)[:20]
    ]  # fmt: skip
    return json_reply(rows)


def _open_interest(call: Call, market: Market, pair: Pair) -> Reply:
    at = market.moment(call.now)
    figure = decimals(market.by_symbol[pair.base].supply * 0.004, 3)
    return json_reply({"openInterest": figure, "symbol": pair.symbol, "time": millis(call, at)})


DATA = {
    "openInterestHist": ("symbol", "sumOpenInterest", "sumOpenInterestValue"),
    "topLongShortAccountRatio": ("symbol", "longShortRatio", "longAccount", "shortAccount"),
    "topLongShortPositionRatio": ("symbol", "longShortRatio", "longAccount", "shortAccount"),
    "globalLongShortAccountRatio": ("symbol", "longShortRatio", "longAccount", "shortAccount"),
    "takerlongshortRatio": ("buySellRatio", "buyVol", "sellVol"),
    "basis": (
        "pair",
        "contractType",
        "indexPrice",
        "futuresPrice",
        "basis",
        "basisRate",
        "annualizedBasisRate",
    ),
}


def _data(call: Call, market: Market) -> Reply:
    if (members := DATA.get(call.names["kind"])) is None:
        return shared.missing(call)
    symbol = call.query.get("symbol") or call.query.get("pair") or ""
    if symbol not in exchange(market).pairs:
        return shared.error(-1121, "Invalid symbol.")
    limit = whole(call.query.get("limit"), 30, 1, 500)
    last = int(market.moment(call.now) // 300)
    rows = []
    for slot in range(last - limit + 1, last + 1):
        figure = decimals(1.0 + (slot % 37) / 50, 4)
        row: dict[str, Any] = dict.fromkeys(members, figure)
        row |= {name: symbol for name in ("symbol", "pair") if name in members}
        row |= {name: "PERPETUAL" for name in ("contractType",) if name in members}
        rows.append({**row, "timestamp": slot * 300_000})
    return json_reply(rows)


def _index_info(call: Call, market: Market) -> Reply:
    basket = [
        {"baseAsset": base, "quoteAsset": "USDT", "weightInQuantity": "1.04406228",
         "weightInPercentage": "0.50000000"}
        for base in ("UNI", "AAVE")
    ]  # fmt: skip
    moment = millis(call, market.moment(call.now))
    return json_reply(
        [{"symbol": "DEFIUSDT", "time": moment, "component": "baseAsset", "baseAssetList": basket}]
    )


def _asset_index(call: Call, market: Market) -> Reply:
    at, rows = market.moment(call.now), []
    for base in ("ADA", "ETH"):
        index = market.price(base, "USD", at)
        figures = {"index": 1.0, "bidRate": 0.99, "askRate": 1.01, "autoExchangeBidRate": 0.95,
                   "autoExchangeAskRate": 1.05}  # fmt: skip
        shown = {name: decimals(index * share, 8) for name, share in figures.items()}
        buffers = ("bidBuffer", "askBuffer", "autoExchangeBidBuffer", "autoExchangeAskBuffer")
        row = {"symbol": f"{base}USD", "time": millis(call, at), **shown}
        rows.append({**row, **dict.fromkeys(buffers, "0.10000000")})
    asked = [row for row in rows if row["symbol"] == call.query.get("symbol")]
    return json_reply(asked[0] if asked else rows)


def _constituents(call: Call, market: Market, pair: Pair) -> Reply:
    at = market.moment(call.now)
    price = decimals(market.price(pair.base, "USDT", at), 8)
    parts = [
        {"exchange": name, "symbol": pair.symbol, "price": price, "weight": "0.50000000"}
        for name in ("binance", "coinbase")
    ]
    return json_reply({"symbol": pair.symbol, "time": millis(call, at), "constituents": parts})


def _insurance(call: Call, market: Market) -> Reply:
    moment = millis(call, market.moment(call.now))
    assets = [{"asset": "USDT", "marginBalance": "793930579.315848", "updateTime": moment}]
    return json_reply({"symbols": ["BTCUSDT", "ETHUSDT"], "assets": assets})


def _usage(call: Call, counted: Counted | Refused) -> Fields:
    if call.path not in WRONG_USAGE:
        return shared.usage(call, counted)
    return (("X-MBX-USED-WEIGHT-1M", str(counted.used.get("weight", 0) + 10)),)


V1 = "/fapi/v1"
FUNDING = ("funding",)
ROUTES = (
    Route(f"{V1}/ping", _ping, 1),
    Route(f"{V1}/time", _time, 1),
    Route(f"{V1}/exchangeInfo", _exchange_info, 1),
    Route("/dapi/v1/exchangeInfo", _coin_margined, 1),
    Route(f"{V1}/depth", of_pair(exchange, _depth), depth_weight),
    Route(f"{V1}/trades", of_pair(exchange, _trades), 5),
    Route(f"{V1}/historicalTrades", of_pair(exchange, _trades), 200),
    Route(f"{V1}/aggTrades", of_pair(exchange, _aggregates), 20),
    Route(f"{V1}/klines", of_pair(exchange, _klines), kline_weight),
    Route(f"{V1}/markPriceKlines", of_pair(exchange, _klines), kline_weight),
    Route(f"{V1}/premiumIndexKlines", of_pair(exchange, _klines), kline_weight),
    Route(f"{V1}/continuousKlines", _pair_klines, kline_weight),
    Route(f"{V1}/indexPriceKlines", _pair_klines, kline_weight),
    Route(f"{V1}/premiumIndex", _each(_premium), by_symbol(1, 10)),
    Route(f"{V1}/ticker/24hr", _each(_day), by_symbol(1, 40)),
    Route(f"{V1}/ticker/price", _each(_price), by_symbol(1, 2)),
    Route("/fapi/v2/ticker/price", _each(_price), by_symbol(1, 2)),
    Route(f"{V1}/ticker/bookTicker", _each(_book), by_symbol(2, 5)),
    Route(f"{V1}/openInterest", of_pair(exchange, _open_interest), 1),
    Route(f"{V1}/fundingRate", _funding_rates, 0, FUNDING),
    Route(f"{V1}/fundingInfo", _funding_info, 0, FUNDING),
    Route("/futures/data/{kind}", _data, 0, ("data",)),
    Route(f"{V1}/indexInfo", _index_info, 1),
    Route(f"{V1}/assetIndex", _asset_index, by_symbol(1, 10)),
    Route(f"{V1}/constituents", of_pair(exchange, _constituents), 2),
    Route(f"{V1}/insuranceBalance", _insurance, 1),
    *ACCOUNT,
)
PROVIDER = Provider(
    name="binance-futures",
    variable="BINANCE_FUTURES_BASE_URL",
    limits=(
        Limit("weight", 2400, 60.0),
        Limit("funding", 500, 300.0, counts="requests", group="funding"),
        Limit("data", 1000, 300.0, counts="requests", group="data"),
        Limit("orders", 1200, 60.0, counts="requests", group="orders", of="credential"),
    ),
    routes=ROUTES,
    refusal=shared.refusal,
    missing=shared.missing,
    credential=shared.key,
    head=lambda _call, _reply: shared.NO_STORE,
    usage=_usage,
    ban=Ban(),
)
