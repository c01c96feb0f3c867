"""Binance spot: `/api/v3`, weights by parameter, 6000 a minute per address, 418 for who goes on.

Signed endpoints want `X-MBX-APIKEY` and take any signature. Doubtful in providers.md and set
here so: 61,000 raw requests in 5 minutes; 100 orders in 10 seconds.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from proxy.sandbox.limits import Ban, Limit
from proxy.sandbox.market import Market, decimals
from proxy.sandbox.provider import Call, Provider, Reply, Route, json_reply, whole
from proxy.sandbox.providers import binance_account as account
from proxy.sandbox.providers import binance_market as shared
from proxy.sandbox.providers.binance_account import ORDERING, signed
from proxy.sandbox.providers.binance_market import Exchange, Pair, error, millis, of_pair

QUOTES = (("USDT", 300), ("BTC", 40), ("ETH", 20), ("USDC", 40), ("BNB", 15))
ORDER_TYPES = (
    "LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT",
    "TAKE_PROFIT_LIMIT",
)  # fmt: skip


@lru_cache(maxsize=8)
def exchange(market: Market) -> Exchange:
    """Return the spot exchange of a market."""
    return Exchange(shared.pairs(market, QUOTES), width=8)


# --- what a call weighs ---------------------------------------------------------------------


def _members(call: Call) -> int:
    found = shared.listed_symbols(call)
    return 1 if isinstance(found, Reply) else len(found)


def depth_weight(call: Call) -> int:
    """Weigh an order book by its depth."""
    limit = whole(call.query.get("limit"), 100, 1)
    steps = ((100, 5), (500, 25), (1000, 50))
    return next((weight for most, weight in steps if limit <= most), 250)


def day_weight(call: Call) -> int:
    """Weigh ticker/24hr: one 2, a list by its length, all 80."""
    if "symbol" in call.query:
        return 2
    if "symbols" not in call.query:
        return 80
    count = _members(call)
    return next((weight for most, weight in ((20, 2), (100, 40)) if count <= most), 80)


def price_weight(call: Call) -> int:
    """Weigh ticker/price and bookTicker: one 2, else 4."""
    return 2 if "symbol" in call.query else 4


def window_weight(call: Call) -> int:
    """Weigh ticker and ticker/tradingDay: 4 a symbol, at most 200."""
    return min(200, 4 * (1 if "symbol" in call.query else _members(call)))


def open_orders_weight(call: Call) -> int:
    """Weigh openOrders: 6 for one symbol, 80 for all."""
    return 6 if "symbol" in call.query else 80


def trial_weight(call: Call) -> int:
    """Weigh a test order: 20 where it asks for the commission too."""
    return 20 if account.arguments(call).get("computeCommissionRates") == "true" else 1


# --- public market data ---------------------------------------------------------------------


def _ping(_call: Call, _market: Market) -> Reply:
    return json_reply({})


def _time(call: Call, _market: Market) -> Reply:
    return json_reply({"serverTime": millis(call, call.now)})


def _exchange_info(call: Call, market: Market) -> Reply:
    found = shared.asked_symbols(call, exchange(market))
    if isinstance(found, Reply):
        return found
    shown = [found] if isinstance(found, Pair) else found
    limits = [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000},
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 100},
        {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": 200_000},
        {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 61_000},
    ]
    return json_reply(
        {
            "timezone": "UTC",
            "serverTime": millis(call, market.moment(call.now)),
            "rateLimits": limits,
            "exchangeFilters": [],
            "symbols": [_described(pair) for pair in shown],
        }
    )


@lru_cache(maxsize=4096)
def _described(pair: Pair) -> dict[str, Any]:
    tick = decimals(10.0**-pair.places, 8)
    return {
        "symbol": pair.symbol,
        "status": "TRADING",
        "baseAsset": pair.base,
        "baseAssetPrecision": 8,
        "quoteAsset": pair.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ORDER_TYPES,
        "icebergAllowed": True,
        "ocoAllowed": True,
        "otoAllowed": True,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": True,
        "cancelReplaceAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": True,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000.00000000",
             "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": "0.00001000", "maxQty": "9000000.00000000",
             "stepSize": "0.00001000"},
            {"filterType": "ICEBERG_PARTS", "limit": 10},
            {"filterType": "MARKET_LOT_SIZE", "minQty": "0.00000000",
             "maxQty": "3200.00000000", "stepSize": "0.00000000"},
            {"filterType": "NOTIONAL", "minNotional": "5.00000000", "applyMinToMarket": True,
             "maxNotional": "9000000.00000000", "applyMaxToMarket": False, "avgPriceMins": 5},
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
        ],
        "permissions": [],
        "permissionSets": [["SPOT", "MARGIN"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"],
    }  # fmt: skip


def _depth(call: Call, market: Market, pair: Pair) -> Reply:
    at = market.moment(call.now)
    limit = whole(call.query.get("limit"), 100, 1, 5000)
    levels = shared.depth_levels(market, exchange(market), pair, at, limit)
    return json_reply({"lastUpdateId": int(at * 10), **levels})


def _last_trades(call: Call, market: Market, pair: Pair) -> Iterable[shared.Trade]:
    return shared.last_trades(call, market, exchange(market), pair)


def _trades(call: Call, market: Market, pair: Pair) -> Reply:
    rows = [
        {
            "id": number,
            "price": price,
            "qty": amount,
            "quoteQty": decimals(float(price) * float(amount), 8),
            "time": millis(call, moment),
            "isBuyerMaker": number % 3 == 0,
            "isBestMatch": True,
        }
        for number, moment, price, amount in shared.last_trades(
            call, market, exchange(market), pair
        )
    ]
    return json_reply(rows)


def _aggregates(call: Call, market: Market, pair: Pair) -> Reply:
    rows = [
        {"a": number, "p": price, "q": amount, "f": number, "l": number,
         "T": millis(call, moment), "m": number % 3 == 0, "M": True}
        for number, moment, price, amount in _last_trades(call, market, pair)
    ]  # fmt: skip
    return json_reply(rows)


def _klines(call: Call, market: Market, pair: Pair) -> Reply:
    return shared.klines(call, market, exchange(market), pair, 1000)


def _average(call: Call, market: Market, pair: Pair) -> Reply:
    at = market.moment(call.now)
    price = exchange(market).price(pair, market, at - 150)
    return json_reply({"mins": 5, "price": price, "closeTime": millis(call, at)})


# --- tickers --------------------------------------------------------------------------------


def _price(call: Call, market: Market) -> Reply:
    spot, at = exchange(market), market.moment(call.now)
    return shared.each_or_one(
        shared.asked_symbols(call, spot),
        lambda pair: {"symbol": pair.symbol, "price": spot.price(pair, market, at)},
    )


def _book(call: Call, market: Market) -> Reply:
    spot, at = exchange(market), market.moment(call.now)
    return shared.each_or_one(
        shared.asked_symbols(call, spot),
        lambda pair: {"symbol": pair.symbol, **_best(market, spot, pair, at)},
    )


def _best(market: Market, spot: Exchange, pair: Pair, at: float) -> dict[str, str]:
    levels = shared.depth_levels(market, spot, pair, at, 1)
    (bid, bid_amount), (ask, ask_amount) = levels["bids"][0], levels["asks"][0]
    return {"bidPrice": bid, "bidQty": bid_amount, "askPrice": ask, "askQty": ask_amount}


def _day(call: Call, market: Market) -> Reply:
    spot, at = exchange(market), market.moment(call.now)

    def shape(pair: Pair) -> dict[str, Any]:
        figures = shared.day_figures(call, market, spot, pair)
        names = ("symbol", "priceChange", "priceChangePercent", "weightedAvgPrice")
        if call.query.get("type") == "MINI":
            return {name: value for name, value in figures.items() if name not in names[1:]}
        head = {name: figures.pop(name) for name in names}
        last = figures.pop("lastPrice")
        middle = {
            "prevClosePrice": figures["openPrice"],
            "lastPrice": last,
            "lastQty": "0.01500000",
        }
        return {**head, **middle, **_best(market, spot, pair, at), **figures}

    return shared.each_or_one(shared.asked_symbols(call, spot), shape)


def _window(call: Call, market: Market) -> Reply:
    spot = exchange(market)
    if "symbol" not in call.query and "symbols" not in call.query:
        return error(-1128, "Combination of optional parameters invalid.")
    return shared.each_or_one(
        shared.asked_symbols(call, spot), lambda pair: shared.day_figures(call, market, spot, pair)
    )


def _order(call: Call, market: Market) -> Reply:
    return account.order(call, market, exchange(market))


V3 = "/api/v3"
ROUTES = (
    Route(f"{V3}/ping", _ping, 1),
    Route(f"{V3}/time", _time, 1),
    Route(f"{V3}/exchangeInfo", _exchange_info, 20),
    Route(f"{V3}/depth", of_pair(exchange, _depth), depth_weight),
    Route(f"{V3}/trades", of_pair(exchange, _trades), 25),
    Route(f"{V3}/historicalTrades", of_pair(exchange, _trades), 25),
    Route(f"{V3}/aggTrades", of_pair(exchange, _aggregates), 4),
    Route(f"{V3}/klines", of_pair(exchange, _klines), 2),
    Route(f"{V3}/uiKlines", of_pair(exchange, _klines), 2),
    Route(f"{V3}/avgPrice", of_pair(exchange, _average), 2),
    Route(f"{V3}/ticker/24hr", _day, day_weight),
    Route(f"{V3}/ticker/price", _price, price_weight),
    Route(f"{V3}/ticker/bookTicker", _book, price_weight),
    Route(f"{V3}/ticker/tradingDay", _window, window_weight),
    Route(f"{V3}/ticker", _window, window_weight),
    Route(f"{V3}/account", signed(account.account), 20),
    Route(f"{V3}/order", signed(_order), 4, ("orders",), ORDERING),
    Route(f"{V3}/order/test", signed(_ping), trial_weight, (), ("POST",)),
    Route(f"{V3}/order/cancelReplace", signed(_order), 1, ("orders",), ("POST",)),
    Route(f"{V3}/orderList/{{rest:path}}", signed(account.nothing), 4, ("orders",), ORDERING),
    Route(f"{V3}/openOrderList", signed(account.nothing), 6),
    Route(f"{V3}/allOrderList", signed(account.nothing), 20),
    Route(f"{V3}/myAllocations", signed(account.nothing), 20),
    Route(f"{V3}/myPreventedMatches", signed(account.nothing), 20),
    Route(f"{V3}/rateLimit/order", signed(account.order_rates), 40),
    Route(f"{V3}/account/commission", signed(account.commission), 20),
    Route(f"{V3}/openOrders", signed(account.nothing), open_orders_weight, (), ("GET", "DELETE")),
    Route(f"{V3}/allOrders", signed(account.nothing), 20),
    Route(f"{V3}/myTrades", signed(account.nothing), 20),
    Route(f"{V3}/userDataStream", account.listen_key, 2, (), ("POST", "PUT", "DELETE")),
    Route("/sapi/v1/capital/config/getall", signed(account.coins), 10),
    Route("/sapi/v1/margin/allPairs", signed(account.margin_pairs), 1),
    Route("/sapi/v1/margin/isolated/allPairs", signed(account.margin_pairs), 10),
)
PROVIDER = Provider(
    name="binance",
    variable="BINANCE_BASE_URL",
    limits=(
        Limit("weight", 6000, 60.0),
        Limit("raw_requests", 61_000, 300.0, counts="requests"),
        Limit("orders", 100, 10.0, counts="requests", group="orders", of="credential"),
    ),
    routes=ROUTES,
    refusal=shared.refusal,
    missing=shared.missing,
    credential=shared.key,
    head=lambda _call, _reply: shared.NO_STORE,
    usage=shared.usage,
    ban=Ban(),
)
