"""The signed endpoints of Binance futures, simulated."""

from collections.abc import Callable
from typing import Any

import pytest

from proxy.sandbox.provider import Reply

SIGNED = "timestamp=1&signature=ab"
WEIGHTS = [
    ("/fapi/v2/account", 5),
    ("/fapi/v3/balance", 5),
    ("/fapi/v3/positionRisk", 5),
    ("/fapi/v1/order", 1),
    ("/fapi/v1/batchOrders", 5),
    ("/fapi/v1/openOrders", 40),
    ("/fapi/v1/openOrders?symbol=BTCUSDT", 1),
    ("/fapi/v1/forceOrders", 50),
    ("/fapi/v1/forceOrders?symbol=BTCUSDT", 20),
    ("/fapi/v1/income", 30),
    ("/fapi/v1/commissionRate", 20),
    ("/fapi/v1/listenKey", 1),
]


@pytest.mark.parametrize(("target", "weight"), WEIGHTS)
def test_weights_are_the_documented_ones(
    charge: Callable[..., int], target: str, weight: int
) -> None:
    """By parameter where there is one."""
    assert charge("binance-futures", target) == weight


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/fapi/v2/account", {"totalWalletBalance", "assets", "positions"}),
        ("/fapi/v3/balance", {"asset", "balance", "availableBalance"}),
        ("/fapi/v1/commissionRate", {"symbol", "makerCommissionRate"}),
        ("/fapi/v1/leverage", {"leverage", "symbol"}),
        ("/fapi/v1/leverageBracket", {"symbol", "brackets"}),
        ("/fapi/v1/marginType", {"code", "msg"}),
        ("/fapi/v1/positionSide/dual", {"dualSidePosition"}),
        ("/fapi/v1/multiAssetsMargin", {"multiAssetsMargin"}),
    ],
)
def test_answers_have_the_documented_members(
    answer: Callable[..., Any], path: str, names: set[str]
) -> None:
    """Balances, leverage and modes."""
    found = answer("binance-futures", f"{path}?{SIGNED}")

    assert names <= set(found[0] if isinstance(found, list) else found)


def test_nothing_is_remembered_and_no_key_is_no_answer(
    answer: Callable[..., Any], reply: Callable[..., Reply]
) -> None:
    """Lists are empty; without a key 401."""
    for path in ("allOrders", "userTrades", "openOrders"):
        assert answer("binance-futures", f"/fapi/v1/{path}?{SIGNED}") == []
        assert reply("binance-futures", f"/fapi/v1/{path}?{SIGNED}", fields=()).status == 401
    changed = answer("binance-futures", f"/fapi/v1/positionSide/dual?{SIGNED}", method="POST")
    assert changed["code"] == 200
