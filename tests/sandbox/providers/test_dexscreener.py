"""DexScreener, simulated."""

from collections.abc import Callable
from typing import Any

import pytest

from proxy.sandbox.limits import Limit, Refused
from proxy.sandbox.market import Market
from proxy.sandbox.provider import Call, Reply
from proxy.sandbox.providers import dexscreener
from proxy.sandbox.providers.catalogue import PROVIDERS

WBTC = "0x2260FAC5E5542a773Aa44fBCfeDf7C193bc2C599"
TOKEN = {"address": "text", "name": "text", "symbol": "text"}
SPANS = ("m5", "h1", "h6", "h24")
PAIR = {
    "chainId": "text", "dexId": "text", "url": "text", "pairAddress": "text", "baseToken": TOKEN,
    "quoteToken": TOKEN, "priceNative": "decimal", "priceUsd": "decimal",
    "txns": {span: {"buys": "number", "sells": "number"} for span in SPANS},
    "volume": dict.fromkeys(SPANS, "number"), "priceChange": dict.fromkeys(SPANS, "number"),
    "liquidity": {"usd": "number", "base": "number", "quote": "number"}, "fdv": "number",
    "marketCap": "number", "pairCreatedAt": "number",
    "info": {"imageUrl": "text", "websites": [{"label": "text", "url": "text"}], "socials": []},
}  # fmt: skip


def test_tokens_are_a_bare_array_of_pairs(
    answer: Callable[..., Any], shape: Callable[[Any], Any]
) -> None:
    """Whatever the case of the address, it comes back checksummed."""
    found = answer("dexscreener", f"/tokens/v1/ethereum/{WBTC.lower()}")

    assert shape(found) == [PAIR]
    assert found[0]["baseToken"]["address"] == WBTC


def test_pairs_come_most_liquid_first_whatever_was_written(
    answer: Callable[..., Any], market: Market
) -> None:
    """Tokens may have several pairs; none appears twice; unknown ones are absent."""
    addresses = [asset.solana for asset in market.assets[:30]]
    found = answer("dexscreener", f"/tokens/v1/solana/{','.join(reversed(addresses))}")

    liquidity = [pair["liquidity"]["usd"] for pair in found]
    assert liquidity == sorted(liquidity, reverse=True)
    assert len(found) == 40
    assert len({pair["pairAddress"] for pair in found}) == 40
    assert {pair["baseToken"]["address"] for pair in found} == set(addresses)


def test_solana_addresses_are_exact(answer: Callable[..., Any]) -> None:
    """Another case is another token."""
    known = "So11111111111111111111111111111111111111112"

    assert answer("dexscreener", f"/tokens/v1/solana/{known}") != []
    assert answer("dexscreener", f"/tokens/v1/solana/{known.lower()}") == []
    assert answer("dexscreener", f"/tokens/v1/nowhere/{known}") == []


def test_more_than_thirty_addresses_are_refused(reply: Callable[..., Reply]) -> None:
    """400."""
    addresses = ",".join(f"0x{n}" for n in range(31))

    assert reply("dexscreener", f"/tokens/v1/ethereum/{addresses}").status == 400


def test_the_older_forms_have_a_schema_version(answer: Callable[..., Any]) -> None:
    """`pairs` is null where there is none."""
    pair = answer("dexscreener", f"/tokens/v1/ethereum/{WBTC}")[0]
    one = answer("dexscreener", f"/latest/dex/pairs/ethereum/{pair['pairAddress']}")

    assert one == {"schemaVersion": "1.0.0", "pairs": [pair], "pair": pair}
    assert answer("dexscreener", "/latest/dex/tokens/0x0")["pairs"] is None
    assert answer("dexscreener", f"/latest/dex/tokens/{WBTC}")["pairs"] == [pair]
    assert len(answer("dexscreener", "/latest/dex/search?q=btc")["pairs"]) > 1


@pytest.mark.parametrize(
    ("target", "group"),
    [
        ("/token-profiles/latest/v1", "slow"),
        ("/token-boosts/latest/v1", "slow"),
        ("/token-boosts/top/v1", "slow"),
        ("/orders/v1/solana/x", "slow"),
        ("/latest/dex/pairs/solana/x", "fast"),
        ("/latest/dex/search?q=x", "fast"),
        ("/token-pairs/v1/solana/x", "fast"),
        ("/tokens/v1/solana/x", "fast"),
        ("/latest/dex/tokens/x", "fast"),
    ],
)
def test_endpoints_are_counted_in_their_group(
    reply: Callable[..., Reply], target: str, group: str
) -> None:
    """60 a minute, or 300."""
    route, _ = PROVIDERS["dexscreener"].route("GET", target.partition("?")[0]) or pytest.fail(
        "no route"
    )

    assert route.groups == (group,)
    assert reply("dexscreener", target).status == 200


def test_refusals_say_when_to_come_back(call: Callable[..., Call]) -> None:
    """429 with Retry-After."""
    refused = Refused(Limit("slow", 60, 60.0), 3.5, {})

    assert dict(dexscreener.PROVIDER.refusal(call("/"), refused).fields) == {"Retry-After": "4"}
