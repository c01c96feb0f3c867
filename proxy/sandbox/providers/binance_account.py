"""Binance's signed endpoints: they want `X-MBX-APIKEY` and a signature, whatever they are.

Nothing is traded: an order is acknowledged with what was sent. Equal bytes get equal order
numbers, so that a test sees whether they came through untouched.
"""

import zlib

from proxy.sandbox.market import Market
from proxy.sandbox.provider import Answer, Call, Reply, json_reply, query_of
from proxy.sandbox.providers.binance_market import Exchange, error, key, millis

ORDERING = ("GET", "POST", "PUT", "DELETE")


def arguments(call: Call) -> dict[str, str]:
    """Return a signed call's parameters, from query and form body together."""
    return {**call.query, **query_of("?" + call.body.decode("utf-8", "replace"))}


def signed(answer: Answer) -> Answer:
    """Return an answer that wants an API key and a signature, whatever they are."""

    def checked(call: Call, market: Market) -> Reply:
        if not key(call):
            return error(-2014, "API-key format invalid.", 401)
        if "signature" not in arguments(call):
            text = "Mandatory parameter 'signature' was not sent, was empty/null, or malformed."
            return error(-1102, text)
        return answer(call, market)

    return checked


def account(call: Call, _market: Market) -> Reply:
    """Show balances."""
    balances = [
        {"asset": asset, "free": "1000.00000000", "locked": "0.00000000"}
        for asset in ("BTC", "ETH", "USDT", "BNB")
    ]
    rates = {"maker": "0.00100000", "taker": "0.00100000", "buyer": "0.00000000"}
    return json_reply(
        {
            "makerCommission": 10, "takerCommission": 10, "buyerCommission": 0,
            "sellerCommission": 0, "commissionRates": {**rates, "seller": "0.00000000"},
            "canTrade": True, "canWithdraw": False, "canDeposit": True, "brokered": False,
            "requireSelfTradePrevention": False, "preventSor": False,
            "updateTime": millis(call, call.now), "accountType": "SPOT", "balances": balances,
            "permissions": ["SPOT"], "uid": 1,
        }
    )  # fmt: skip


def order(call: Call, market: Market, exchange: Exchange) -> Reply:
    """Take, show or cancel an order; nothing is ever filled, and none is remembered."""
    sent = arguments(call)
    pair = exchange.pairs.get(sent.get("symbol", ""))
    if pair is None:
        return error(-1121, "Invalid symbol.")
    at = millis(call, call.now)
    cancelled = call.method == "DELETE"
    return json_reply(
        {
            "symbol": pair.symbol, "orderId": zlib.crc32(call.target.encode() + call.body),
            "orderListId": -1,
            "clientOrderId": sent.get("newClientOrderId", "sandbox"), "transactTime": at,
            "price": sent.get("price", exchange.price(pair, market, call.now)),
            "origQty": sent.get("quantity", "0.00000000"), "executedQty": "0.00000000",
            "origQuoteOrderQty": "0.00000000", "cummulativeQuoteQty": "0.00000000",
            "status": "CANCELED" if cancelled else "NEW",
            "timeInForce": sent.get("timeInForce", "GTC"), "type": sent.get("type", "LIMIT"),
            "side": sent.get("side", "BUY"), "workingTime": at, "fills": [],
            "selfTradePreventionMode": "EXPIRE_MAKER",
        }
    )  # fmt: skip


def nothing(_call: Call, _market: Market) -> Reply:
    """List nothing: no order is remembered."""
    return json_reply([])


def listen_key(call: Call, _market: Market) -> Reply:
    """Open, keep or close a user data stream."""
    if not key(call):
        return error(-2014, "API-key format invalid.", 401)
    return json_reply({"listenKey": "sandbox" * 9} if call.method == "POST" else {})


def coins(_call: Call, market: Market) -> Reply:
    """List the coins of the wallet, with their networks."""
    network = {"network": "ETH", "isDefault": True, "depositEnable": True, "withdrawEnable": True,
               "withdrawFee": "0.001", "withdrawMin": "0.01", "withdrawMax": "1000",
               "name": "Ethereum", "minConfirm": 12, "unLockConfirm": 12}  # fmt: skip
    rows = [
        {"coin": asset.symbol, "name": asset.name, "depositAllEnable": True,
         "withdrawAllEnable": True, "free": "0", "locked": "0", "isLegalMoney": False,
         "trading": True, "networkList": [{**network, "coin": asset.symbol}]}
        for asset in market.assets
    ]  # fmt: skip
    return json_reply(rows)


def commission(call: Call, _market: Market) -> Reply:
    """Show what trading costs."""
    rates = {"maker": "0.00100000", "taker": "0.00100000", "buyer": "0.0", "seller": "0.0"}
    symbol = arguments(call).get("symbol", "BTCUSDT")
    return json_reply({"symbol": symbol, "standardCommission": rates, "taxCommission": rates})


def order_rates(_call: Call, _market: Market) -> Reply:
    """Show how many orders were sent in the running intervals."""
    row = {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 100}
    return json_reply([{**row, "count": 0}])


def margin_pairs(_call: Call, _market: Market) -> Reply:
    """List pairs for margin trading: one, as ccxt's load_markets asks for them."""
    row = {"base": "BTC", "quote": "USDT", "symbol": "BTCUSDT", "isMarginTrade": True,
           "isBuyAllowed": True, "isSellAllowed": True}  # fmt: skip
    return json_reply([{**row, "id": 351_637_150_141_315_861}])
