"""What bots seldom ask CoinGecko for: derivatives, NFTs, treasuries, token lists, long charts."""

from typing import Any

from proxy.sandbox.market import DAY, Asset, Market, significant
from proxy.sandbox.provider import Call, Reply, json_reply, raw, whole
from proxy.sandbox.providers.coingecko_description import ticker
from proxy.sandbox.providers.coingecko_forms import image, iso, not_found
from proxy.sandbox.providers.coingecko_lists import EXCHANGES

VENUES = {"binance_futures": "Binance (Futures)", "bybit": "Bybit (Futures)"}
COLLECTIONS = {
    "penguins": ("Penguins", "PNG", "0xBd3531dA5CF5857e7CfAA92426877b022e612cf8", 4.67),
    "punks": ("Punks", "PNK", "0xb47e3cd837dDF8e4c57F05d70Ab865de6e193BBB", 41.2),
}
"""NFT collections: name, symbol, contract, floor in ether."""
TREASURIES = {
    "strategy": ("Strategy", "MSTR.US", 843_738),
    "digipowerx": ("DigiPowerX", "DGX.V", 94),
}
BITCOINS = 21_000_000


def new_coins(call: Call, market: Market) -> Reply:
    """List the coins that were added last."""
    rows = [
        {"id": asset.id, "symbol": asset.symbol.lower(), "name": asset.name,
         "activated_at": int(market.moment(call.now) // DAY * DAY) - asset.rank}
        for asset in market.assets[:-21:-1]
    ]  # fmt: skip
    return json_reply(rows)


def supply_chart(call: Call, market: Market) -> Reply:
    """Draw a coin's circulating supply, by days."""
    if (asset := market.by_id.get(call.names["id"])) is None:
        return not_found()
    today = int(market.moment(call.now) // DAY)
    days = whole(call.query.get("days"), 30, 1, 365)
    rows = [[day * 86_400_000, f"{asset.supply}.0"] for day in range(today - days + 1, today + 1)]
    return json_reply({"circulating_supply": rows})


def cap_chart(call: Call, market: Market) -> Reply:
    """Draw the whole market's capitalisation, by days."""
    today = int(market.moment(call.now) // DAY)
    days = range(today - whole(call.query.get("days"), 30, 1, 365) + 1, today + 1)
    leaders = market.assets[:10]
    caps = [
        [day * 86_400_000, sum(market.dollars(each, day * DAY) * each.supply for each in leaders)]
        for day in days
    ]
    volumes = [
        [day * 86_400_000, sum(market.volume(each, day * DAY) for each in leaders)] for day in days
    ]
    return json_reply({"market_cap_chart": {"market_cap": caps, "volume": volumes}})


def exchange_tickers(call: Call, market: Market) -> Reply:
    """List what an exchange trades."""
    if (name := call.names["id"]) not in EXCHANGES:
        return not_found()
    at = market.moment(call.now)
    rows = [ticker(market, asset, at) for asset in market.assets[:100] if asset.symbol != "USDT"]
    return json_reply({"name": name.title(), "tickers": rows})


def volume_chart(call: Call, market: Market) -> Reply:
    """Draw an exchange's volume in bitcoins, by hours; figures are long decimal strings."""
    if call.names["id"] not in EXCHANGES:
        return not_found()
    hour = int(market.moment(call.now) // 3600)
    hours = 24 * whole(call.query.get("days"), 1, 1, 31)
    rows = [
        [slot * 3_600_000, f"{market.volume(market.assets[0], slot * 3600.0) / 97_000:.16f}"]
        for slot in range(hour - hours + 1, hour + 1)
    ]
    return json_reply(rows)


def derivatives(call: Call, market: Market) -> Reply:
    """List perpetual contracts of all venues; the price is a string."""
    at = market.moment(call.now)
    rows = [
        {"market": venue, "symbol": f"{asset.symbol}USDT", "index_id": asset.symbol,
         "price": significant(market.dollars(asset, at)),
         "price_percentage_change_24h": market.change(asset, at), "contract_type": "perpetual",
         "index": market.dollars(asset, at - 1), "basis": -0.13, "spread": 0.01,
         "funding_rate": 0.0043, "open_interest": market.volume(asset, at) / 3,
         "volume_24h": market.volume(asset, at), "last_traded_at": int(at), "expired_at": None}
        for asset in market.assets[:50] for venue in VENUES.values()
    ]  # fmt: skip
    return json_reply(rows)


def _venue(market: Market, name: str, at: float) -> dict[str, Any]:
    return {
        "name": VENUES[name], "id": name, "open_interest_btc": 332_790.5,
        "trade_volume_24h_btc": f"{market.volume(market.assets[0], at) / 97_000:.2f}",
        "number_of_perpetual_pairs": 592, "number_of_futures_pairs": 72, "image": "",
        "year_established": 2019, "country": None, "description": "", "url": "",
    }  # fmt: skip


def venues(call: Call, market: Market) -> Reply:
    """List the venues of derivatives with their figures."""
    at = market.moment(call.now)
    return json_reply([_venue(market, name, at) for name in VENUES])


def venue_list(_call: Call, _market: Market) -> Reply:
    """List the venues of derivatives by name."""
    return json_reply([{"id": name, "name": text} for name, text in VENUES.items()])


def venue(call: Call, market: Market) -> Reply:
    """Describe one venue."""
    if (name := call.names["id"]) not in VENUES:
        return not_found()
    found = _venue(market, name, market.moment(call.now))
    del found["id"]
    return json_reply({**found, "tickers": []})


def collections(_call: Call, _market: Market) -> Reply:
    """List NFT collections."""
    rows = [
        {"id": name, "contract_address": address, "name": text, "asset_platform_id": "ethereum",
         "symbol": symbol}
        for name, (text, symbol, address, _) in COLLECTIONS.items()
    ]  # fmt: skip
    return json_reply(rows)


def collection(call: Call, market: Market) -> Reply:
    """Describe an NFT collection, by id or by contract."""
    contract = call.names.get("address", "").lower()
    named = {each[2].lower(): name for name, each in COLLECTIONS.items()}
    name = named.get(contract) if contract else call.names["id"]
    if name not in COLLECTIONS:
        return json_reply({"error": "nft not found"}, 404)
    text, symbol, address, floor = COLLECTIONS[name]
    at = market.moment(call.now)
    ether = market.dollars(market.by_symbol["ETH"], at)

    def priced(amount: float) -> dict[str, float]:
        return {"native_currency": amount, "usd": round(amount * ether, 2)}

    changed = {"usd": -1.78, "native_currency": -0.63}
    return json_reply(
        {
            "id": name, "web_slug": name, "contract_address": address,
            "asset_platform_id": "ethereum", "name": text, "symbol": symbol,
            "image": {"small": ""}, "description": "", "native_currency": "ethereum",
            "native_currency_symbol": "ETH", "market_cap_rank": 3, "floor_price": priced(floor),
            "market_cap": priced(floor * 8888), "volume_24h": priced(28.01),
            "floor_price_in_usd_24h_percentage_change": -1.78,
            "floor_price_24h_percentage_change": changed, "number_of_unique_addresses": 5174.0,
            "total_supply": 8888.0, "one_day_sales": 6.0, "links": {}, "explorers": [],
            "user_favorites_count": 10_135,
        }
    )  # fmt: skip


def token_list(call: Call, market: Market) -> Reply:
    """List a platform's tokens in the form of tokenlists.org."""
    tokens = [
        {"chainId": 1, "address": asset.ethereum.lower(), "name": asset.name,
         "symbol": asset.symbol, "decimals": 18, "logoURI": image(asset)}
        for asset in market.assets
    ]  # fmt: skip
    at = market.moment(call.now) // 1800 * 1800
    version = {"major": 1, "minor": 0, "patch": 0}
    return json_reply({"name": "CoinGecko", "logoURI": "", "keywords": ["defi"],
                       "timestamp": iso(at), "tokens": tokens, "version": version})  # fmt: skip


def _holding(asset: Asset, amount: float, price: float) -> dict[str, Any]:
    return {
        "coin_id": asset.id, "amount": amount,
        "percentage_of_total_supply": round(amount / BITCOINS * 100, 3),
        "current_value_usd": amount * price, "total_entry_value_usd": amount * 75_698.0,
        "average_entry_value_usd": 75_698.0, "unrealized_pnl": amount * (price - 75_698.0),
    }  # fmt: skip


def treasuries(call: Call, market: Market) -> Reply:
    """List who holds a coin."""
    if (asset := market.by_id.get(call.names["coin"])) is None:
        return not_found()
    price = market.dollars(asset, market.moment(call.now))
    rows = [
        {"name": name, "symbol": symbol, "country": "US", "total_holdings": float(amount),
         "total_entry_value_usd": amount * 75_698.0, "total_current_value_usd": amount * price,
         "percentage_of_total_supply": round(amount / BITCOINS * 100, 3)}
        for name, symbol, amount in TREASURIES.values()
    ]  # fmt: skip
    held = sum(amount for _, _, amount in TREASURIES.values())
    return json_reply({"total_holdings": float(held), "total_value_usd": held * price,
                       "market_cap_dominance": 6.06, "companies": rows})  # fmt: skip


def entities(_call: Call, _market: Market) -> Reply:
    """List those who hold coins."""
    rows = [
        {"id": name, "symbol": symbol, "name": text, "country": "US"}
        for name, (text, symbol, _) in TREASURIES.items()
    ]
    return json_reply(rows)


def entity(call: Call, market: Market) -> Reply:
    """Describe what one entity holds."""
    if (known := TREASURIES.get(call.names["entity"])) is None:
        return not_found("entity not found")
    name, symbol, amount = known
    asset = market.by_symbol["BTC"]
    price = market.dollars(asset, market.moment(call.now))
    return json_reply(
        {
            "name": name, "id": call.names["entity"], "type": "company", "symbol": symbol,
            "country": "US", "website_url": "", "twitter_screen_name": "",
            "total_treasury_value_usd": raw(significant(amount * price, 12)),
            "unrealized_pnl": amount * (price - 75_698.0), "m_nav": 1.03,
            "holdings": [_holding(asset, float(amount), price)],
        }
    )  # fmt: skip


def holding_chart(call: Call, market: Market) -> Reply:
    """Draw what an entity held, by weeks."""
    asset, known = market.by_id.get(call.names["coin"]), TREASURIES.get(call.names["entity"])
    if asset is None or known is None:
        return not_found("entity not found")
    week, amount = 7 * DAY, known[2]
    last = int(market.moment(call.now) // week)
    weeks = [(slot, amount - 1000.0 * (last - slot)) for slot in range(last - 51, last + 1)]
    return json_reply(
        {
            "holdings": [[int(slot * week * 1000), held] for slot, held in weeks],
            "holding_value_in_usd": [
                [int(slot * week * 1000), held * market.dollars(asset, slot * week)]
                for slot, held in weeks
            ],
        }
    )


def transactions(call: Call, market: Market) -> Reply:
    """List what an entity bought, newest first."""
    if (known := TREASURIES.get(call.names["entity"])) is None:
        return not_found("entity not found")
    week = 7 * DAY
    last = int(market.moment(call.now) // week)
    rows = [
        {"date": int(slot * week * 1000), "source_url": None, "coin_id": "bitcoin", "type": "buy",
         "holding_net_change": 1000.0, "transaction_value_usd": 75_698_000.0,
         "holding_balance": known[2] - 1000.0 * (last - slot), "average_entry_value_usd": 75_698.0}
        for slot in range(last, last - 10, -1)
    ]  # fmt: skip
    return json_reply({"transactions": rows})
