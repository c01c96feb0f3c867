"""CoinGecko's coins: list, metadata, charts, candles, history (365 days back at most)."""

from datetime import UTC, datetime
from typing import Any

from proxy.sandbox.candles import SECONDS
from proxy.sandbox.market import DAY, Asset, Market, significant
from proxy.sandbox.provider import Call, Reply, json_reply, raw, whole
from proxy.sandbox.providers.coingecko_description import (
    COMMUNITY,
    DEVELOPERS,
    described,
    market_data,
    pictures,
    ticker,
)
from proxy.sandbox.providers.coingecko_forms import (
    PLATFORMS,
    asked,
    not_found,
    platforms,
)


def coin_list(call: Call, market: Market) -> Reply:
    """List all coins by id."""
    with_platforms = asked(call, "include_platform")
    rows = []
    for asset in sorted(market.assets, key=lambda asset: asset.id):
        row: dict[str, Any] = {"id": asset.id, "symbol": asset.symbol.lower(), "name": asset.name}
        rows.append(row | ({"platforms": platforms(asset)} if with_platforms else {}))
    return json_reply(rows)


def coin(call: Call, market: Market) -> Reply:
    """Describe a coin; the market data only where it is not declined."""
    asset = market.by_id.get(call.names["id"])
    return described(call, market, asset) if asset else not_found()


def _of_contract(call: Call, market: Market) -> Asset | None:
    solana, address = call.names["platform"] == "solana", call.names["address"]
    if call.names["platform"] not in PLATFORMS:
        return None
    for asset in market.assets:
        if address == asset.solana if solana else address.lower() == asset.ethereum.lower():
            return asset
    return None


def contract(call: Call, market: Market) -> Reply:
    """Describe the coin of a contract address."""
    asset = _of_contract(call, market)
    return described(call, market, asset) if asset else not_found()


def contract_chart(call: Call, market: Market) -> Reply:
    """Draw the prices of the coin of a contract address."""
    asset = _of_contract(call, market)
    return _drawn(call, market, asset) if asset else not_found()


def tickers(call: Call, market: Market) -> Reply:
    """List where a coin is traded."""
    if (asset := market.by_id.get(call.names["id"])) is None:
        return not_found()
    rows = [ticker(market, asset, market.moment(call.now))]
    return json_reply({"name": asset.name, "tickers": rows})


def chart(call: Call, market: Market) -> Reply:
    """Draw prices: by 5 minutes up to a day, by hours up to 90 days, else by days."""
    asset = market.by_id.get(call.names["id"])
    return _drawn(call, market, asset) if asset else not_found()


def _drawn(call: Call, market: Market, asset: Asset) -> Reply:
    at = market.moment(call.now)
    end = float(whole(call.query.get("to"), int(at), 0, int(at)))
    start = float(whole(call.query.get("from"), 0)) or end - _days(call) * DAY
    step = 300 if end - start <= DAY else 3600 if end - start <= 90 * DAY else DAY
    if at - start > 366 * DAY:
        text = "Your request exceeds the allowed time range of 365 days."
        return json_reply({"error": {"status": {"error_code": 10012, "error_message": text}}}, 401)
    moments = [slot * step for slot in range(int(start // step) + 1, int(end // step) + 1)]
    prices = [(int(moment * 1000), market.dollars(asset, moment)) for moment in moments]
    return json_reply(
        {
            "prices": prices,
            "market_caps": [(moment, price * asset.supply) for moment, price in prices],
            "total_volumes": [(m, market.volume(asset, m / 1000)) for m, _ in prices],
        }
    )


def _days(call: Call) -> float:
    return float(whole(call.query.get("days"), 365, 1, 365))


def ohlc(call: Call, market: Market) -> Reply:
    """Give candles, dated by their close."""
    if (asset := market.by_id.get(call.names["id"])) is None:
        return not_found()
    days, at = _days(call), market.moment(call.now)
    steps = ((1, "30m"), (30, "4h"))
    step = next((SECONDS[name] for most, name in steps if days <= most), 4 * SECONDS["1d"])
    rows = []
    for slot in range(int((at - days * DAY) // step) + 1, int(at // step) + 1):
        candle = market.candle(asset.symbol, "USD", slot * step - step, slot * step, at)
        prices = (candle.open, candle.high, candle.low, candle.close)
        rows.append([slot * step * 1000, *(raw(significant(price)) for price in prices)])
    return json_reply(rows)


def history(call: Call, market: Market) -> Reply:
    """Give a past day's figures."""
    if (asset := market.by_id.get(call.names["id"])) is None:
        return not_found()
    try:
        day = datetime.strptime(call.query.get("date", ""), "%d-%m-%Y").replace(tzinfo=UTC)
    except ValueError:
        return json_reply({"error": "invalid date"}, 400)
    data = market_data(market, asset, day.timestamp())
    figures = {name: data[name] for name in ("current_price", "market_cap", "total_volume")}
    return json_reply(
        {
            "id": asset.id, "symbol": asset.symbol.lower(), "name": asset.name,
            "localization": {"en": asset.name}, "image": pictures(asset), "market_data": figures,
            "community_data": COMMUNITY, "developer_data": DEVELOPERS,
            "public_interest_stats": {"alexa_rank": None, "bing_matches": None},
        }
    )  # fmt: skip
