"""CoinGecko's on-chain data, simulated."""

from collections.abc import Callable
from typing import Any

from proxy.sandbox.provider import Reply

ONCHAIN = "/api/v3/onchain"
WBTC = "0x2260FAC5E5542a773Aa44fBCfeDf7C193bc2C599"


def test_prices_are_decimal_strings_by_address(
    answer: Callable[..., Any], shape: Callable[[Any], Any]
) -> None:
    """Unknown addresses are absent, EVM ones in lower case."""
    target = f"{ONCHAIN}/simple/networks/eth/token_price/{WBTC},0xnope"
    prices = answer("coingecko", target)["data"]["attributes"]["token_prices"]

    assert shape(prices) == {WBTC.lower(): "decimal"}


def test_tokens_come_alone_or_in_a_list(
    answer: Callable[..., Any], reply: Callable[..., Reply]
) -> None:
    """One is an object, several an array, none 404."""
    one = answer("coingecko", f"{ONCHAIN}/networks/eth/tokens/{WBTC}")
    several = answer("coingecko", f"{ONCHAIN}/networks/eth/tokens/multi/{WBTC},0xnope")

    assert several["data"] == [one["data"]]
    assert one["data"]["attributes"]["symbol"] == "WBTC"
    assert reply("coingecko", f"{ONCHAIN}/networks/eth/tokens/0xnope").status == 404
    assert [each["id"] for each in answer("coingecko", f"{ONCHAIN}/networks")["data"]] == [
        "eth", "solana",
    ]  # fmt: skip
