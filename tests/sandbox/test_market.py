"""A market that moves by itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.sandbox.market import CRYPTO, FIAT, Market, decimals, significant, tick_places

NOW = 1_795_232_239.5


def test_equal_seeds_give_equal_prices_and_others_do_not() -> None:
    """A price depends on seed, asset and time alone."""
    one, same, other = Market(1), Market(1), Market(2)

    assert one.price("BTC", "USDT", NOW) == same.price("BTC", "USDT", NOW)
    assert one.price("BTC", "USDT", NOW) != other.price("BTC", "USDT", NOW)


def test_the_market_moves_in_ticks_and_stands_still_when_frozen() -> None:
    """Two moments of one tick are the same; a frozen market has one moment only."""
    market = Market(step=2.0)
    moved = market.moment(101.9), market.moment(103.0)
    market.frozen_at = 50.0

    assert moved == (100.0, 102.0)
    assert market.moment(1000.0) == 50.0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (53953.4, "53953.4"),
        (1441.93, "1441.93"),
        (0.1142031, "0.114203"),
        (0.00000302114, "0.00000302114"),
        (1.0, "1"),
        (123456789.0, "123456789"),
        (0.0, "0"),
    ],
)
def test_coingecko_figures_have_six_digits_and_no_exponent(value: float, text: str) -> None:
    """Short figures, never in scientific notation."""
    assert significant(value) == text


def test_binance_figures_have_a_fixed_number_of_decimals() -> None:
    """Zeros at the end stay."""
    assert decimals(1441.93, 8) == "1441.93000000"


@pytest.mark.parametrize(("dollars", "places"), [(97_000.0, 2), (3.0, 4), (0.00002, 8)])
def test_cheap_assets_are_quoted_finer(dollars: float, places: int) -> None:
    """The tick follows the price."""
    assert tick_places(dollars) == places


def test_names_are_unique_whatever_the_number_of_assets() -> None:
    """No two assets share a symbol, an id, a number or an address."""
    assets = Market(assets=1000).assets

    for names in (
        {asset.symbol for asset in assets},
        {asset.id for asset in assets},
        {asset.number for asset in assets},
        {asset.ethereum.lower() for asset in assets},
        {asset.solana for asset in assets},
    ):
        assert len(names) == 1000


def test_addresses_look_like_addresses() -> None:
    """Ethereum's have 40 digits in mixed case, Solana's at least 32 of Base58."""
    for asset in Market().assets:
        assert len(asset.ethereum) == 42
        assert asset.ethereum != asset.ethereum.lower()
        assert 32 <= len(asset.solana) <= 44


@given(st.floats(0, 4e9), st.integers(0, 299), st.floats(1, 1e6))
def test_candles_hold_their_prices(at: float, rank: int, length: float) -> None:
    """A candle's high and low enclose open and close, and all are above zero."""
    market = Market()
    candle = market.candle(market.assets[rank].symbol, "USD", at, at + length, at + length / 2)

    assert 0 < candle.low <= min(candle.open, candle.close)
    assert candle.high >= max(candle.open, candle.close)
    assert candle.trades > 0


def test_one_candle_opens_where_the_one_before_closed() -> None:
    """Candles are continuous."""
    market = Market()
    first = market.candle("ETH", "USDT", 0.0, 3600.0, 1e9)

    assert market.candle("ETH", "USDT", 3600.0, 7200.0, 1e9).open == first.close


def test_every_currency_has_a_rate_and_unknown_ones_none() -> None:
    """Fiat and coins are rated, anything else is not."""
    market = Market()

    assert all(market.rate(name, NOW) for name in (*FIAT, *CRYPTO))
    assert market.rate("xyz", NOW) is None
