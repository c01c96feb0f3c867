"""Forms that OKX's endpoints share."""

from collections.abc import Callable

import msgspec
import pytest

from proxy.sandbox.market import Market
from proxy.sandbox.provider import Call, Reply
from proxy.sandbox.providers import okx_forms as forms
from proxy.sandbox.providers.binance_market import Pair


def test_envelopes_have_a_code_that_is_a_string() -> None:
    """`0` for success."""
    assert msgspec.json.decode(forms.success([1]).body) == {"code": "0", "msg": "", "data": [1]}
    assert msgspec.json.decode(forms.failure("1", "x").body) == {
        "code": "1", "msg": "x", "data": [],
    }  # fmt: skip


def test_swaps_have_a_tail_and_other_kinds_do_not_exist(market: Market) -> None:
    """A hundred assets against USDT, less USDT itself."""
    assert len(forms.pairs(market, "SPOT")) == len(forms.pairs(market, "SWAP")) == 99
    assert "BTC-USDT-SWAP" in forms.pairs(market, "SWAP")
    assert forms.pairs(market, "OPTION") == {}


@pytest.mark.parametrize(
    ("query", "known"), [("instId=BTC-USDT", True), ("instId=BTC-USDT-SWAP", True), ("", False),
                         ("instId=NO-PE", False)]
)  # fmt: skip
def test_an_instrument_is_found_by_its_id(
    call: Callable[..., Call], market: Market, query: str, *, known: bool
) -> None:
    """Or earns an error."""
    found = forms.asked_pair(call(f"/?{query}"), market)

    assert isinstance(found, Pair if known else Reply)


def test_prices_have_the_decimals_of_their_tick(market: Market) -> None:
    """Two for bitcoin."""
    pair = forms.pairs(market, "SPOT")["BTC-USDT"]

    assert len(forms.price(market, pair, 1.7e9).split(".")[1]) == pair.places == 2
