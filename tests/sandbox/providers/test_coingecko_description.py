"""CoinGecko's description of a coin, simulated."""

from collections.abc import Callable
from typing import Any

import pytest

COIN = "/api/v3/coins/bitcoin"


def test_everything_stands_unless_it_is_declined(answer: Callable[..., Any]) -> None:
    """The whole is large; each part can be left out by its flag."""
    whole = answer("coingecko", COIN)

    for part in ("localization", "market_data", "community_data", "developer_data", "tickers"):
        assert part in whole
        assert part not in answer("coingecko", f"{COIN}?{part}=false")


@pytest.mark.parametrize(
    "name",
    ["current_price", "market_cap", "ath", "high_24h", "price_change_percentage_24h_in_currency"],
)
def test_market_data_is_given_in_every_currency(answer: Callable[..., Any], name: str) -> None:
    """Fiat and coins alike."""
    figures = answer("coingecko", COIN)["market_data"][name]

    assert {"usd", "eur", "btc", "eth"} <= set(figures)
    assert all(isinstance(figure, int | float) for figure in figures.values())


def test_tickers_say_where_a_coin_is_traded(
    answer: Callable[..., Any], shape: Callable[[Any], Any]
) -> None:
    """With prices in dollars, bitcoin and ether."""
    row = answer("coingecko", f"{COIN}/tickers")["tickers"][0]

    expected = dict.fromkeys(("btc", "eth", "usd"), "number")
    assert shape(row["converted_last"]) == shape(row["converted_volume"]) == expected
    assert (row["base"], row["coin_id"]) == ("BTC", "bitcoin")
