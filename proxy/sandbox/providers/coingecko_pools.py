"""CoinGecko's on-chain pools (`/onchain/…/pools`), GeckoTerminal's form.

Pools and their addresses are DexScreener's of this sandbox, in lower case on EVM chains.
"""

from collections.abc import Callable
from typing import Any

from proxy.sandbox.candles import spans
from proxy.sandbox.market import DAY, Asset, Market, significant
from proxy.sandbox.provider import Answer, Call, Reply, json_reply, whole, words
from proxy.sandbox.providers.coingecko_forms import iso
from proxy.sandbox.providers.coingecko_onchain import NETWORKS, row
from proxy.sandbox.providers.dexscreener import pool_address, token_address

PAGE = 20
TIMEFRAMES = {"day": "1d", "hour": "1h", "minute": "1m"}
SPANS = {"m5": 300.0, "m15": 900.0, "m30": 1800.0, "h1": 3600.0, "h6": 21_600.0, "h24": DAY}


def _chain(network: str) -> str:
    return "solana" if network == "solana" else "ethereum"


def _lower(network: str, address: str) -> str:
    return address if network == "solana" else address.lower()


def _address(asset: Asset, network: str) -> str:
    return _lower(network, pool_address(asset, _chain(network), 0))


def _by_address(market: Market, network: str) -> dict[str, Asset]:
    return {_address(asset, network): asset for asset in market.assets}


def _missing() -> Reply:
    return json_reply({"errors": [{"status": "404", "title": "Not Found"}]}, 404)


def _pool(call: Call, market: Market, asset: Asset, network: str) -> dict[str, Any]:
    at = market.moment(call.now)
    quote = market.by_symbol["USDC"]
    price, volume = market.dollars(asset, at), market.volume(asset, at) / 90
    address = _address(asset, network)
    counted = {
        name: {"buys": int(span / 40), "sells": int(span / 60), "buyers": int(span / 80),
               "sellers": int(span / 90)}
        for name, span in SPANS.items()
    }  # fmt: skip
    attributes = {
        "base_token_price_usd": significant(price, 15),
        "base_token_price_native_currency": "1.0",
        "quote_token_price_usd": significant(market.dollars(quote, at), 15),
        "quote_token_price_native_currency": "0.00048",
        "base_token_price_quote_token": significant(price, 13),
        "quote_token_price_base_token": significant(1 / price, 13),
        "address": address, "name": f"{asset.symbol} / USDC 0.05%",
        "pool_created_at": "2021-12-29T12:35:14Z",
        "fdv_usd": significant(price * asset.supply, 15),
        "market_cap_usd": significant(price * asset.supply, 15),
        "price_change_percentage": {
            name: f"{market.change(asset, at, span):.3f}" for name, span in SPANS.items()
        },
        "transactions": counted,
        "volume_usd": {name: f"{volume * span / DAY:.6f}" for name, span in SPANS.items()},
        "reserve_in_usd": f"{volume * 3:.3f}",
    }  # fmt: skip
    chain = _chain(network)
    tokens = {"base_token": (token_address(asset, chain), "token"),
              "quote_token": (token_address(quote, chain), "token")}  # fmt: skip
    related = {name: {"data": {"id": f"{network}_{_lower(network, token)}", "type": kind}}
               for name, (token, kind) in tokens.items()}  # fmt: skip
    related["dex"] = {"data": {"id": "uniswap_v3", "type": "dex"}}
    return {"id": f"{network}_{address}", "type": "pool", "attributes": attributes,
            "relationships": related}  # fmt: skip


def dexes(_call: Call, _market: Market) -> Reply:
    """List the exchanges of a network."""
    names = (("uniswap_v3", "Uniswap V3"), ("sushiswap", "SushiSwap"))
    rows = [{"id": name, "type": "dex", "attributes": {"name": text}} for name, text in names]
    return json_reply({"data": rows})


def pools(first: Callable[[Market, float], int]) -> Answer:
    """Return the answer that lists a page of pools, from a rank that moves with time."""

    def answer(call: Call, market: Market) -> Reply:
        page = whole(call.query.get("page"), 1, 1, 10)
        start = first(market, market.moment(call.now)) + (page - 1) * PAGE
        networks = [call.names["network"]] if "network" in call.names else list(NETWORKS)
        rows = [
            _pool(call, market, asset, networks[asset.rank % len(networks)])
            for asset in market.assets[start : start + PAGE]
        ]
        return json_reply({"data": rows})

    return answer


top = pools(lambda _market, _at: 0)
trending = pools(lambda _market, at: int(at // 600) % 50)
new = pools(lambda market, at: len(market.assets) - 60 - int(at // 60) % 40)


def found(call: Call, market: Market) -> Reply:
    """Find pools by a token's name, symbol or address."""
    query = call.query.get("query", "").lower()
    rows = [
        _pool(call, market, asset, network)
        for asset in market.assets
        for network in NETWORKS
        if query in asset.name.lower() or query in _address(asset, network).lower()
    ]
    return json_reply({"data": rows[:PAGE]})


def pool(call: Call, market: Market) -> Reply:
    """Describe one pool."""
    network = call.names["network"]
    asset = _by_address(market, network).get(_lower(network, call.names["address"]))
    return json_reply({"data": _pool(call, market, asset, network)}) if asset else _missing()


def several(call: Call, market: Market) -> Reply:
    """Describe several pools, in the order asked for."""
    network = call.names["network"]
    known = _by_address(market, network)
    asked = [_lower(network, address) for address in words(call.names["addresses"])]
    rows = [_pool(call, market, known[name], network) for name in asked if name in known]
    return json_reply({"data": rows})


def candles(call: Call, market: Market) -> Reply:
    """Give candles, newest first: six members, volume in dollars."""
    network = call.names["network"]
    asset = _by_address(market, network).get(_lower(network, call.names["address"]))
    interval = TIMEFRAMES.get(call.names["timeframe"])
    if asset is None or interval is None:
        return _missing()
    at = market.moment(call.now)
    before = call.query.get("before_timestamp", "")
    end = float(before) if before.isdigit() else None
    rows = []
    limit = whole(call.query.get("limit"), 100, 1, 1000)
    for opened, closes in spans(interval, limit, None, end, at):
        candle = market.candle(asset.symbol, "USD", opened, closes, at)
        prices = (candle.open, candle.high, candle.low, candle.close)
        rows.append([opened, *prices, candle.volume * candle.close])
    chain = _chain(network)
    meta = {
        side: {"name": each.name, "symbol": each.symbol, "coingecko_coin_id": each.id,
               "address": _lower(network, token_address(each, chain))}
        for side, each in (("base", asset), ("quote", market.by_symbol["USDC"]))
    }  # fmt: skip
    data = {"id": f"{int(at):08x}-0000-4000-8000-000000000000", "type": "ohlcv_request_response",
            "attributes": {"ohlcv_list": rows[::-1]}}  # fmt: skip
    return json_reply({"data": data, "meta": meta})


def trades(call: Call, market: Market) -> Reply:
    """List the last trades, newest first."""
    network = call.names["network"]
    asset = _by_address(market, network).get(_lower(network, call.names["address"]))
    if asset is None:
        return _missing()
    last = int(market.moment(call.now) // 12)
    rows = []
    for block in range(last, last - 50, -1):
        price = market.dollars(asset, block * 12)
        attributes = {
            "block_number": block, "tx_hash": f"0x{block:064x}",
            "tx_from_address": f"0x{block:040x}",
            "from_token_amount": "1.0", "to_token_amount": significant(price, 12),
            "price_from_in_usd": significant(price, 15), "price_to_in_usd": "1.0",
            "block_timestamp": iso(block * 12), "kind": ("buy", "sell")[block % 2],
            "volume_in_usd": significant(price, 12),
        }  # fmt: skip
        rows.append({"id": f"{network}_{block}", "type": "trade", "attributes": attributes})
    return json_reply({"data": rows})


def token_pools(call: Call, market: Market) -> Reply:
    """List the pools of a token."""
    network = call.names["network"]
    asked, chain = _lower(network, call.names["address"]), _chain(network)
    rows = [
        _pool(call, market, asset, network)
        for asset in market.assets
        if _lower(network, token_address(asset, chain)) == asked
    ]
    return json_reply({"data": rows})


def pool_info(call: Call, market: Market) -> Reply:
    """Describe the tokens of a pool."""
    network = call.names["network"]
    asset = _by_address(market, network).get(_lower(network, call.names["address"]))
    if asset is None:
        return _missing()
    rows = [_info(call, market, each, network) for each in (asset, market.by_symbol["USDC"])]
    return json_reply({"data": rows})


def token_info(call: Call, market: Market) -> Reply:
    """Describe a token beyond its figures."""
    network = call.names["network"]
    asked, chain = _lower(network, call.names["address"]), _chain(network)
    for asset in market.assets:
        if _lower(network, token_address(asset, chain)) == asked:
            return json_reply({"data": _info(call, market, asset, network)})
    return _missing()


def recent_info(call: Call, market: Market) -> Reply:
    """List tokens whose description changed last."""
    first = int(market.moment(call.now) // 60) % 100
    rows = [
        _info(call, market, asset, ("eth", "solana")[asset.rank % 2])
        for asset in market.assets[first : first + PAGE]
    ]
    return json_reply({"data": rows})


def _info(call: Call, market: Market, asset: Asset, network: str) -> dict[str, Any]:
    address = _lower(network, token_address(asset, _chain(network)))
    described = row(call, market, network, address, asset)
    kept = ("address", "name", "symbol", "decimals", "image_url", "coingecko_coin_id")
    attributes = {name: described["attributes"][name] for name in kept}
    more = {"websites": [f"https://{asset.id}.sandbox.invalid"], "discord_url": None,
            "telegram_handle": None, "twitter_handle": None, "gt_score": 88.9,
            "description": f"{asset.name}, a token of this sandbox", "is_honeypot": "unknown",
            "metadata_updated_at": iso(market.moment(call.now) // 60 * 60)}  # fmt: skip
    return {"id": described["id"], "type": "token", "attributes": {**attributes, **more}}
