"""Binance's signed endpoints, simulated."""

from collections.abc import Callable
from typing import Any

import pytest

from proxy.sandbox.provider import Reply

ORDER = "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=2&timestamp=1&signature=ab"


@pytest.mark.parametrize(
    ("fields", "query", "status"),
    [
        ((), f"?{ORDER}", 401),
        ((("X-MBX-APIKEY", ""),), f"?{ORDER}", 401),
        ((("X-MBX-APIKEY", "k"),), "?symbol=BTCUSDT", 400),
        ((("x-mbx-apikey", "k"),), f"?{ORDER}", 200),
    ],
)
def test_signed_endpoints_want_a_key_and_any_signature(
    reply: Callable[..., Reply], fields: Any, query: str, status: int
) -> None:
    """Without a key 401, without a signature 400."""
    assert reply("binance", f"/api/v3/order{query}", fields=fields).status == status


def test_an_order_is_acknowledged_with_what_was_sent(answer: Callable[..., Any]) -> None:
    """Query and body are read alike; equal bytes get equal numbers, others do not."""
    target = "/api/v3/order"
    sent = answer("binance", target, method="POST", body=ORDER.encode())
    again = answer("binance", target, method="POST", body=ORDER.encode())
    other = answer("binance", f"{target}?{ORDER}", method="DELETE")

    assert (sent["symbol"], sent["price"], sent["status"]) == ("BTCUSDT", "2", "NEW")
    assert sent["orderId"] == again["orderId"] != other["orderId"]
    assert other["status"] == "CANCELED"


def test_balances_orders_and_listen_keys_are_there(
    answer: Callable[..., Any], reply: Callable[..., Reply]
) -> None:
    """What clients ask before they trade is answered."""
    assert answer("binance", f"/api/v3/account?{ORDER}")["balances"][0]["asset"] == "BTC"
    assert answer("binance", f"/api/v3/openOrders?{ORDER}") == []
    assert "listenKey" in answer("binance", "/api/v3/userDataStream", method="POST")
    assert reply("binance", "/api/v3/userDataStream", method="POST", fields=()).status == 401
    assert answer("binance", f"/sapi/v1/capital/config/getall?{ORDER}")[0]["coin"] == "BTC"
    assert answer("binance", f"/sapi/v1/margin/allPairs?{ORDER}")[0]["symbol"] == "BTCUSDT"
    assert answer("binance-futures", f"/fapi/v1/order?{ORDER}", method="POST")["orderId"] > 0
