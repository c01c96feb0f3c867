"""CoinGecko's on-chain data (`/onchain`), GeckoTerminal's form: figures are decimal strings."""

from typing import Any

from proxy.sandbox.market import Asset, Market, significant
from proxy.sandbox.provider import Call, Reply, json_reply, words

NETWORKS = {"eth": "ethereum", "solana": "solana"}


def _found(call: Call, market: Market, text: str) -> dict[str, Asset]:
    """Return the assets that the addresses name, in the order asked for."""
    solana = call.names["network"] == "solana"
    known = {asset.solana if solana else asset.ethereum.lower(): asset for asset in market.assets}
    asked = [address if solana else address.lower() for address in words(text)]
    return {address: known[address] for address in asked if address in known}


def prices(call: Call, market: Market) -> Reply:
    """Give the prices of tokens by address."""
    at = market.moment(call.now)
    found = _found(call, market, call.names["addresses"])
    shown = {name: significant(market.dollars(asset, at), 15) for name, asset in found.items()}
    caps = {
        name: significant(market.dollars(asset, at) * asset.supply, 14)
        for name, asset in found.items()
    }
    attributes = {"token_prices": shown, "market_cap_usd": caps}
    identity = f"{int(at):08x}-0000-4000-8000-000000000000"
    return json_reply(
        {"data": {"id": identity, "type": "simple_token_price", "attributes": attributes}}
    )


def tokens(call: Call, market: Market) -> Reply:
    """Describe several tokens."""
    found = _found(call, market, call.names["addresses"])
    return json_reply(
        {"data": [row(call, market, call.names["network"], *each) for each in found.items()]}
    )


def token(call: Call, market: Market) -> Reply:
    """Describe one token."""
    found = _found(call, market, call.names["address"])
    if not found:
        return json_reply({"errors": [{"status": "404", "title": "Not Found"}]}, 404)
    return json_reply(
        {"data": row(call, market, call.names["network"], *next(iter(found.items())))}
    )


def row(call: Call, market: Market, network: str, address: str, asset: Asset) -> dict[str, Any]:
    """Return a token's description."""
    price = market.dollars(asset, market.moment(call.now))
    return {
        "id": f"{network}_{address}",
        "type": "token",
        "attributes": {
            "address": address, "name": asset.name, "symbol": asset.symbol, "decimals": 18,
            "coingecko_coin_id": asset.id, "price_usd": significant(price, 12),
            "fdv_usd": significant(price * asset.supply, 14),
            "market_cap_usd": significant(price * asset.supply, 14),
            "total_supply": f"{asset.supply * 10**18}.0", "total_reserve_in_usd": "1015673.5",
            "normalized_total_supply": f"{asset.supply}.0", "volume_usd": {"h24": "2099707.5"},
            "image_url": "missing.png",
        },
        "relationships": {"top_pools": {"data": []}},
    }  # fmt: skip


def networks(_call: Call, _market: Market) -> Reply:
    """List the networks."""
    rows = [
        {"id": name, "type": "network",
         "attributes": {"name": coin.title(), "coingecko_asset_platform_id": coin}}
        for name, coin in NETWORKS.items()
    ]  # fmt: skip
    return json_reply({"data": rows})
