"""The signed endpoints of Binance futures, and the listen key. Nothing is traded or remembered."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from proxy.sandbox.market import Market
from proxy.sandbox.provider import Answer, Call, Cost, Reply, Route, json_reply
from proxy.sandbox.providers import binance_account as account
from proxy.sandbox.providers.binance_account import signed
from proxy.sandbox.providers.binance_market import Exchange, millis, pairs


@lru_cache(maxsize=8)
def exchange(market: Market) -> Exchange:
    """Return the futures exchange of a market: perpetual contracts in USDT."""
    return Exchange(pairs(market, (("USDT", 150),)), width=0)


def _balance(call: Call) -> dict[str, Any]:
    return {
        "accountAlias": "sandbox", "asset": "USDT", "balance": "10000.00000000",
        "crossWalletBalance": "10000.00000000", "crossUnPnl": "0.00000000",
        "availableBalance": "10000.00000000", "maxWithdrawAmount": "10000.00000000",
        "marginAvailable": True, "updateTime": millis(call, call.now),
    }  # fmt: skip


def _balances(call: Call, _market: Market) -> Reply:
    return json_reply([_balance(call)])


def _account(call: Call, _market: Market) -> Reply:
    totals = ("totalInitialMargin", "totalMaintMargin", "totalUnrealizedProfit",
              "totalPositionInitialMargin", "totalOpenOrderInitialMargin",
              "totalCrossUnPnl")  # fmt: skip
    wallets = ("totalWalletBalance", "totalMarginBalance", "totalCrossWalletBalance",
               "availableBalance", "maxWithdrawAmount")  # fmt: skip
    asset = {
        "asset": "USDT", "walletBalance": "10000.00000000", "unrealizedProfit": "0.00000000",
        "marginBalance": "10000.00000000", "maintMargin": "0.00000000",
        "initialMargin": "0.00000000", "positionInitialMargin": "0.00000000",
        "openOrderInitialMargin": "0.00000000", "crossWalletBalance": "10000.00000000",
        "crossUnPnl": "0.00000000", "availableBalance": "10000.00000000",
        "maxWithdrawAmount": "10000.00000000", "updateTime": millis(call, call.now),
    }  # fmt: skip
    return json_reply(
        {
            **dict.fromkeys(totals, "0.00000000"), **dict.fromkeys(wallets, "10000.00000000"),
            "feeTier": 0, "canTrade": True, "canDeposit": True, "canWithdraw": False,
            "multiAssetsMargin": False, "assets": [asset], "positions": [],
        }
    )  # fmt: skip


def _order(call: Call, market: Market) -> Reply:
    return account.order(call, market, exchange(market))


def _commission(call: Call, _market: Market) -> Reply:
    symbol = account.arguments(call).get("symbol", "BTCUSDT")
    rates = {"makerCommissionRate": "0.0002", "takerCommissionRate": "0.0004"}
    return json_reply({"symbol": symbol, **rates})


def _leverage(call: Call, _market: Market) -> Reply:
    sent = account.arguments(call)
    leverage = int(sent["leverage"]) if sent.get("leverage", "").isdigit() else 20
    symbol = sent.get("symbol", "BTCUSDT")
    return json_reply({"leverage": leverage, "maxNotionalValue": "1000000", "symbol": symbol})


def _brackets(_call: Call, market: Market) -> Reply:
    bracket = {"bracket": 1, "initialLeverage": 75, "notionalCap": 10_000, "notionalFloor": 0,
               "maintMarginRatio": 0.0065, "cum": 0.0}  # fmt: skip
    rows = [{"symbol": symbol, "brackets": [bracket]} for symbol in exchange(market).pairs]
    return json_reply(rows)


def _done(_call: Call, _market: Market) -> Reply:
    return json_reply({"code": 200, "msg": "success"})


def _mode(member: str) -> Answer:
    return lambda call, market: (
        json_reply({member: False}) if call.method == "GET" else _done(call, market)
    )


def by_symbol(one: int, everything: int) -> Callable[[Call], int]:
    """Return a weight that depends on whether `symbol` is there."""
    return lambda call: one if "symbol" in account.arguments(call) else everything


def _signed(path: str, answer: Answer, cost: Cost, *groups: str) -> Route:
    return Route(f"/fapi/{path}", signed(answer), cost, groups, account.ORDERING)


ORDERS = "orders"
ROUTES = (
    Route("/fapi/v1/listenKey", account.listen_key, 1, (), account.ORDERING),
    _signed("v1/order", _order, 1, ORDERS),
    _signed("v1/batchOrders", account.nothing, 5, ORDERS),
    _signed("v1/openOrder", _order, 1),
    _signed("v1/openOrders", account.nothing, by_symbol(1, 40)),
    _signed("v1/allOpenOrders", _done, 1),
    _signed("v1/allOrders", account.nothing, 5),
    _signed("v1/userTrades", account.nothing, 5),
    _signed("v1/forceOrders", account.nothing, by_symbol(20, 50)),
    _signed("v1/income", account.nothing, 30),
    _signed("v1/commissionRate", _commission, 20),
    _signed("v1/leverage", _leverage, 1),
    _signed("v1/leverageBracket", _brackets, 1),
    _signed("v1/marginType", _done, 1),
    _signed("v1/positionMargin", _done, 1),
    _signed("v1/positionSide/dual", _mode("dualSidePosition"), 30),
    _signed("v1/multiAssetsMargin", _mode("multiAssetsMargin"), 30),
    *(_signed(f"{version}/account", _account, 5) for version in ("v2", "v3")),
    *(_signed(f"{version}/balance", _balances, 5) for version in ("v2", "v3")),
    *(_signed(f"{version}/positionRisk", account.nothing, 5) for version in ("v2", "v3")),
)
