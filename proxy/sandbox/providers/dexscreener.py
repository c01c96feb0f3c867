"""DexScreener: two groups of endpoints, 60 and 300 a minute, no key.

Facts kept: up to 30 addresses in the path; `tokens/v1` and `token-pairs/v1` are bare arrays,
`/latest/dex/*` an object whose `pairs` may be null; EVM addresses are met in any case and come
back checksummed, Solana ones are exact. Pairs come most liquid first, whatever order the caller
wrote the addresses in; every third token has two.
"""

from typing import Any

from proxy.core.fields import Fields
from proxy.sandbox.limits import Limit, Refused
from proxy.sandbox.market import DAY, Asset, Market, significant
from proxy.sandbox.provider import Call, Provider, Reply, Route, json_reply, words

MOST = 30
EVM = ("ethereum", "base", "bsc", "arbitrum", "polygon", "injective")
DEXES = ("uniswap", "raydium", "pancakeswap", "orca")


def _asset_pairs(market: Market, asset: Asset, chain: str, at: float) -> list[dict[str, Any]]:
    return [_pair(market, asset, chain, at, pool) for pool in range(1 + (asset.rank % 3 == 0))]


def _pair(market: Market, asset: Asset, chain: str, at: float, pool: int) -> dict[str, Any]:
    dollars = market.dollars(asset, at) * (1 + pool * 0.0011)
    quote = market.by_symbol["SOL" if chain == "solana" else "ETH"]
    address = pool_address(asset, chain, pool)
    liquidity = round(market.volume(asset, asset.rank) / 40 / (1 + 3 * pool), 2)
    volume = round(market.volume(asset, at) / 90 / (1 + 2 * pool), 2)
    native = dollars / market.dollars(quote, at)
    spans = {"m5": 300.0, "h1": 3600.0, "h6": 21_600.0, "h24": DAY}
    return {
        "chainId": chain,
        "dexId": DEXES[(asset.rank + pool) % len(DEXES)],
        "url": f"https://dexscreener.com/{chain}/{address.lower()}",
        "pairAddress": address,
        "baseToken": {"address": token_address(asset, chain), "name": asset.name,
                      "symbol": asset.symbol},
        "quoteToken": {"address": token_address(quote, chain), "name": quote.name,
                       "symbol": quote.symbol},
        "priceNative": significant(native),
        "priceUsd": significant(dollars),
        "txns": {name: {"buys": int(span / 40), "sells": int(span / 60)}
                 for name, span in spans.items()},
        "volume": {name: round(volume * span / DAY, 2) for name, span in reversed(spans.items())},
        "priceChange": {name: round(market.change(asset, at, span), 2)
                        for name, span in spans.items()},
        "liquidity": {"usd": liquidity, "base": round(liquidity / 2 / dollars, 2),
                      "quote": round(liquidity / 2 / market.dollars(quote, at), 4)},
        "fdv": int(dollars * asset.supply),
        "marketCap": int(dollars * asset.supply),
        "pairCreatedAt": 1_710_000_000_000 + asset.rank * 1_000,
        "info": {"imageUrl": f"https://images.sandbox.invalid/{asset.id}.png",
                 "websites": [{"label": "Website", "url": f"https://{asset.id}.sandbox.invalid/"}],
                 "socials": []},
    }  # fmt: skip


def token_address(asset: Asset, chain: str) -> str:
    """Return a token's address as the provider writes it."""
    return asset.solana if chain == "solana" else asset.ethereum


def pool_address(asset: Asset, chain: str, pool: int) -> str:
    """Return the address of one of a token's pools: the token's own, turned around."""
    address = token_address(asset, chain)
    if chain == "solana":
        return address[:: -1 if pool == 0 else 1][:43] + str(pool + 1)
    return "0x" + address[:1:-1][:39] + str(pool)


def _matching(market: Market, chain: str, addresses: list[str]) -> list[Asset]:
    if chain == "solana":
        exact = set(addresses)
        return [asset for asset in market.assets if asset.solana in exact]
    lower = {address.lower() for address in addresses}
    return [asset for asset in market.assets if asset.ethereum.lower() in lower]


def _liquid_first(pairs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(pairs, key=lambda pair: (-pair["liquidity"]["usd"],
                                           pair["pairAddress"]))  # fmt: skip


def _tokens(call: Call, market: Market) -> Reply:
    addresses = words(call.names["addresses"])
    if len(addresses) > MOST:
        return json_reply({"error": f"Too many token addresses, at most {MOST}"}, 400)
    chain, at = call.names["chain"], market.moment(call.now)
    if chain != "solana" and chain not in EVM:
        return json_reply([])
    pairs = [
        pair
        for asset in _matching(market, chain, addresses)
        for pair in _asset_pairs(market, asset, chain, at)
    ]
    return json_reply(_liquid_first(pairs))


def _legacy_tokens(call: Call, market: Market) -> Reply:
    addresses, at = words(call.names["addresses"])[:MOST], market.moment(call.now)
    pairs = [
        pair
        for chain in ("ethereum", "solana")
        for asset in _matching(market, chain, addresses)
        for pair in _asset_pairs(market, asset, chain, at)
    ]
    return json_reply({"schemaVersion": "1.0.0", "pairs": _liquid_first(pairs) or None})


def _pair_of(call: Call, market: Market) -> Reply:
    chain, at = call.names["chain"], market.moment(call.now)
    asked = set(words(call.names["pair"].lower()))
    pairs = [
        _pair(market, asset, chain, at, pool)
        for asset in market.assets
        for pool in range(1 + (asset.rank % 3 == 0))
        if pool_address(asset, chain, pool).lower() in asked
    ]
    body = {"schemaVersion": "1.0.0", "pairs": pairs or None}
    return json_reply({**body, "pair": pairs[0] if pairs else None})


def _search(call: Call, market: Market) -> Reply:
    query = call.query.get("q", "").lower()
    if not query:
        return json_reply({"error": "q is required"}, 400)
    at = market.moment(call.now)
    found = [a for a in market.assets if query in a.symbol.lower() or query in a.name.lower()]
    pairs = [
        pair
        for asset in found[:15]
        for chain in ("ethereum", "solana")
        for pair in _asset_pairs(market, asset, chain, at)
    ]
    return json_reply({"schemaVersion": "1.0.0", "pairs": _liquid_first(pairs)[:MOST]})


def _profiles(call: Call, market: Market) -> Reply:
    first = int(market.moment(call.now) // 60) % 200
    rows = [
        {"url": f"https://dexscreener.com/solana/{asset.solana.lower()}", "chainId": "solana",
         "tokenAddress": asset.solana, "icon": f"https://images.sandbox.invalid/{asset.id}.png",
         "header": f"https://images.sandbox.invalid/{asset.id}-header.png",
         "description": f"{asset.name}, a token of this sandbox", "amount": 10, "totalAmount": 500,
         "links": [{"type": "twitter", "label": "Twitter", "url": "https://sandbox.invalid/"}]}
        for asset in market.assets[first : first + 30]
    ]  # fmt: skip
    return json_reply(rows)


def _orders(_call: Call, _market: Market) -> Reply:
    return json_reply([{"type": "tokenProfile", "status": "approved", "paymentTimestamp": 0}])


def _refusal(_call: Call, refused: Refused) -> Reply:
    wait = (("Retry-After", str(int(refused.retry_after) + 1)),)
    return json_reply({"error": "Too many requests"}, 429, wait)


def _missing(_call: Call) -> Reply:
    return Reply(b"404 Not Found", 404, content_type="text/plain; charset=UTF-8")


def _head(_call: Call, _reply: Reply) -> Fields:
    return (
        ("Cache-Control", "public, max-age=1"),
        ("Vary", "Accept-Encoding"),
        ("Server", "cloudflare"),
        ("CF-Cache-Status", "DYNAMIC"),
        ("Set-Cookie", "__cf_bm=sandbox; path=/; HttpOnly; Secure"),
    )


SLOW, FAST = ("slow",), ("fast",)
PROVIDER = Provider(
    name="dexscreener",
    variable="DEXSCREENER_BASE_URL",
    limits=(
        Limit("slow", 60, 60.0, "sliding_window", group="slow"),
        Limit("fast", 300, 60.0, "sliding_window", group="fast"),
    ),
    routes=(
        Route("/token-profiles/latest/v1", _profiles, groups=SLOW),
        Route("/token-boosts/latest/v1", _profiles, groups=SLOW),
        Route("/token-boosts/top/v1", _profiles, groups=SLOW),
        Route("/orders/v1/{chain}/{address}", _orders, groups=SLOW),
        Route("/tokens/v1/{chain}/{addresses}", _tokens, groups=FAST),
        Route("/token-pairs/v1/{chain}/{addresses}", _tokens, groups=FAST),
        Route("/latest/dex/pairs/{chain}/{pair}", _pair_of, groups=FAST),
        Route("/latest/dex/search", _search, groups=FAST),
        Route("/latest/dex/tokens/{addresses}", _legacy_tokens, groups=FAST),
    ),
    refusal=_refusal,
    missing=_missing,
    credential=lambda _call: "",
    head=_head,
)
