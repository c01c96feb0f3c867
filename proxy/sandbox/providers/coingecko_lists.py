"""CoinGecko's lists and totals: global, trending, search, categories, exchanges, the key's use."""

from typing import Any

from proxy.sandbox.market import CRYPTO, FIAT, Asset, Market, significant
from proxy.sandbox.provider import Call, Reply, json_reply
from proxy.sandbox.providers.coingecko_forms import image, iso

EXCHANGES = ("binance", "gdax", "kraken", "okex", "bybit_spot", "bitstamp", "gate", "kucoin")
CATEGORIES = (("layer-1", "Layer 1 (L1)"), ("decentralized-finance-defi", "DeFi"),
              ("meme-token", "Meme"), ("stablecoins", "Stablecoins"))  # fmt: skip


def ping(_call: Call, _market: Market) -> Reply:
    """Answer that the service lives."""
    return json_reply({"gecko_says": "(V3) To the Moon!"})


def currencies(_call: Call, _market: Market) -> Reply:
    """List the currencies that prices can be asked in."""
    return json_reply([*CRYPTO, *FIAT])


def totals(call: Call, market: Market) -> Reply:
    """Sum the whole market up."""
    at = market.moment(call.now)
    caps = {asset.symbol: market.dollars(asset, at) * asset.supply for asset in market.assets}
    whole, volume = sum(caps.values()), sum(market.volume(asset, at) for asset in market.assets)
    rates = {name: market.rate(name, at) or 0.0 for name in ("btc", "eth", *FIAT)}
    shares = {name.lower(): caps[name] / whole * 100 for name in ("BTC", "ETH", "USDT")}
    return json_reply(
        {
            "data": {
                "active_cryptocurrencies": len(market.assets), "upcoming_icos": 0,
                "ongoing_icos": 49, "ended_icos": 3376, "markets": len(EXCHANGES),
                "total_market_cap": {name: whole * rate for name, rate in rates.items()},
                "total_volume": {name: volume * rate for name, rate in rates.items()},
                "market_cap_percentage": shares,
                "market_cap_change_percentage_24h_usd": market.change(market.assets[0], at),
                "volume_change_percentage_24h_usd": 33.06, "updated_at": int(at),
            }
        }
    )  # fmt: skip


def defi(call: Call, market: Market) -> Reply:
    """Sum decentralised finance up; figures are long decimal strings."""
    at = market.moment(call.now)
    coin = market.by_symbol["UNI"]
    cap = market.dollars(coin, at) * coin.supply
    ether = market.dollars(market.by_symbol["ETH"], at) * market.by_symbol["ETH"].supply
    return json_reply(
        {
            "data": {
                "defi_market_cap": f"{cap:.24f}", "eth_market_cap": f"{ether:.24f}",
                "defi_to_eth_ratio": f"{cap / ether * 100:.40f}",
                "trading_volume_24h": f"{market.volume(coin, at):.24f}",
                "defi_dominance": "3.8676503084614763642371703099", "top_coin_name": coin.name,
                "top_coin_defi_dominance": 30.589442518868,
            }
        }
    )  # fmt: skip


def trending(call: Call, market: Market) -> Reply:
    """List what people search for."""
    at = market.moment(call.now)
    first = int(at // 600) % 100
    items = [
        {"item": _trend(market, asset, at, score)}
        for score, asset in enumerate(market.assets[first : first + 15])
    ]
    return json_reply({"coins": items, "nfts": [], "categories": []})


def _trend(market: Market, asset: Asset, at: float, score: int) -> dict[str, Any]:
    price = market.dollars(asset, at)
    bitcoin = price * (market.rate("btc", at) or 0.0)
    data = {
        "price": price, "price_btc": f"{bitcoin:.20f}", "content": None,
        "price_change_percentage_24h": {"btc": 0.1, "usd": market.change(asset, at)},
        "market_cap": f"${price * asset.supply:,.0f}",
        "market_cap_btc": f"{bitcoin * asset.supply:.9f}",
        "total_volume": f"${market.volume(asset, at):,.0f}", "total_volume_btc": "417.5",
        "sparkline": image(asset),
    }  # fmt: skip
    return {
        "id": asset.id, "coin_id": asset.number, "name": asset.name, "symbol": asset.symbol,
        "market_cap_rank": asset.rank, "thumb": image(asset), "small": image(asset),
        "large": image(asset), "slug": asset.id, "price_btc": bitcoin, "score": score,
        "data": data,
    }  # fmt: skip


def search(call: Call, market: Market) -> Reply:
    """Find coins, exchanges and categories by name."""
    query = call.query.get("query", "").lower()
    coins = [
        {"id": asset.id, "name": asset.name, "api_symbol": asset.id, "symbol": asset.symbol,
         "market_cap_rank": asset.rank, "thumb": image(asset), "large": image(asset)}
        for asset in market.assets
        if query in asset.id or query in asset.symbol.lower()
    ]  # fmt: skip
    exchanges = [{"id": name, "name": name.title(), "market_type": "spot", "thumb": "", "large": ""}
                 for name in EXCHANGES if query in name]  # fmt: skip
    categories = [{"id": name, "name": text} for name, text in CATEGORIES if query in name]
    return json_reply({"coins": coins[:25], "exchanges": exchanges, "icos": [],
                       "categories": categories, "nfts": []})  # fmt: skip


def categories(call: Call, market: Market) -> Reply:
    """List categories with their figures."""
    at = market.moment(call.now)
    rows = [
        {"id": name, "name": text, "market_cap": 1e12 / (place + 1) * (1 + at % 97 / 9700),
         "market_cap_change_24h": market.change(market.assets[place], at), "content": "",
         "top_3_coins_id": [asset.id for asset in market.assets[place : place + 3]],
         "top_3_coins": [image(asset) for asset in market.assets[place : place + 3]],
         "volume_24h": market.volume(market.assets[place], at), "updated_at": iso(at)}
        for place, (name, text) in enumerate(CATEGORIES)
    ]  # fmt: skip
    return json_reply(rows)


def category_list(_call: Call, _market: Market) -> Reply:
    """List categories by name."""
    return json_reply([{"category_id": name, "name": text} for name, text in CATEGORIES])


def platforms(_call: Call, _market: Market) -> Reply:
    """List asset platforms."""
    rows = (("ethereum", 1, "Ethereum", "ethereum"), ("polygon-pos", 137, "Polygon POS",
            "matic-network"), ("solana", None, "Solana", "solana"))  # fmt: skip
    return json_reply([
        {"id": name, "chain_identifier": number, "name": text, "shortname": text,
         "native_coin_id": coin, "image": dict.fromkeys(("thumb", "small", "large"), "")}
        for name, number, text, coin in rows
    ])  # fmt: skip


def rates(call: Call, market: Market) -> Reply:
    """List what a bitcoin is worth in each currency."""
    at = market.moment(call.now)
    bitcoin = market.dollars(market.by_symbol["BTC"], at)
    found = {}
    for name in ("btc", "eth", "ltc", "bnb", *FIAT):
        value = bitcoin * (market.rate(name, at) or 0.0)
        figure = float(significant(value))
        kind = "fiat" if name in FIAT else "crypto"
        found[name] = {"name": name.upper(), "unit": name.upper(), "value": figure, "type": kind}
    return json_reply({"rates": found})


def exchanges(call: Call, market: Market) -> Reply:
    """List exchanges with their figures."""
    at = market.moment(call.now)
    rows = [
        {"id": name, "name": name.title(), "year_established": 2011 + rank, "country": None,
         "description": "", "url": f"https://{name}.sandbox.invalid/", "image": "",
         "has_trading_incentive": False, "trust_score": 10 - rank // 3, "trust_score_rank": rank,
         "trade_volume_24h_btc": market.volume(market.assets[rank], at) / 97_000}
        for rank, name in enumerate(EXCHANGES, 1)
    ]  # fmt: skip
    return json_reply(rows)


def exchange(call: Call, market: Market) -> Reply:
    """Describe one exchange."""
    name = call.names["id"]
    if name not in EXCHANGES:
        return json_reply({"error": "exchange not found"}, 404)
    volume = market.volume(market.assets[0], market.moment(call.now)) / 97_000
    links = ("url", "image", "facebook_url", "reddit_url", "telegram_url", "slack_url",
             "other_url_1", "other_url_2", "twitter_handle", "public_notice", "alert_notice",
             "country", "description")  # fmt: skip
    return json_reply(
        {
            "name": name.title(), "year_established": 2017, **dict.fromkeys(links, ""),
            "has_trading_incentive": False, "centralized": True, "trust_score": 10,
            "trust_score_rank": 1, "trade_volume_24h_btc": volume, "coins": len(market.assets),
            "pairs": len(market.assets), "status_updates": [], "tickers": [],
        }
    )  # fmt: skip


def exchange_list(_call: Call, _market: Market) -> Reply:
    """List exchanges by name."""
    return json_reply([{"id": name, "name": name.title()} for name in EXCHANGES])


def key_usage(call: Call, _market: Market) -> Reply:
    """Tell what the key's month has left."""
    used = call.standing().get("month", 0)
    return json_reply(
        {
            "plan": "Demo", "rate_limit_request_per_minute": 30, "monthly_call_credit": 10_000,
            "current_total_monthly_calls": used, "current_remaining_monthly_calls": 10_000 - used,
        }
    )  # fmt: skip
