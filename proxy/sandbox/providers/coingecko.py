"""CoinGecko: `/api/v3`, 30 a minute with a key and 5 without, 10,000 a month with a key.

Facts kept: no limit headers; a weak ETag on every answer, and 304 for `If-None-Match`;
`/simple/price` leaves unknown ids out. Its reply is ordered by id, whatever the caller's order
was: so every recorded sample stands. `/simple/token_price` is ordered by address likewise.
Doubtful in providers.md and set here so: each 200 takes a credit of the month, and every request
counts toward the minute.
"""

import hashlib
from collections.abc import Callable
from typing import Any

from proxy.core.fields import Fields
from proxy.sandbox.limits import Limit, Refused
from proxy.sandbox.market import DAY, Asset, Market, significant
from proxy.sandbox.provider import (
    Answer,
    Call,
    Provider,
    Reply,
    Route,
    json_reply,
    raw,
    whole,
    words,
)
from proxy.sandbox.providers import coingecko_coins as coins
from proxy.sandbox.providers import coingecko_lists as lists
from proxy.sandbox.providers import coingecko_onchain as onchain
from proxy.sandbox.providers import coingecko_pools as pools
from proxy.sandbox.providers import coingecko_rarities as rarities
from proxy.sandbox.providers.coingecko_forms import (
    PLATFORMS,
    asked,
    bad,
    image,
    iso,
    not_found,
)

KEYS = ("x-cg-demo-api-key", "x-cg-pro-api-key")


SPANS = {"1h": 3600.0, "24h": DAY, "7d": 7 * DAY, "14d": 14 * DAY, "30d": 30 * DAY,
         "200d": 200 * DAY, "1y": 365 * DAY}  # fmt: skip


def _cap(market: Market, asset: Asset, at: float) -> float:
    return market.dollars(asset, at) * asset.supply


ORDERS: dict[str, Callable[[Market, Asset, float], Any]] = {
    "market_cap_desc": (lambda market, asset, at: -_cap(market, asset, at)),
    "market_cap_asc": _cap,
    "volume_desc": (lambda market, asset, at: -market.volume(asset, at)),
    "volume_asc": (lambda market, asset, at: market.volume(asset, at)),
    "id_asc": (lambda _market, asset, _at: asset.id),
}


def key(call: Call) -> str:
    """Return the key that a call brings, in a header or in the query."""
    brought = [call.field(name) for name in KEYS]
    brought += [call.query.get(name.replace("-", "_"), "") for name in KEYS]
    return next((value for value in brought if value), "")


def refusal(_call: Call, refused: Refused) -> Reply:
    """Return 429 with `retry-after` (not for the month, whose end nobody waits for)."""
    text = (
        "You've exceeded the Rate Limit. Please visit https://www.coingecko.com/en/api/pricing to"
        " subscribe to our API plans for higher rate limits."
    )
    wait = (
        ()
        if refused.limit.per == "month"
        else (("retry-after", str(int(refused.retry_after) + 1)),)
    )
    return json_reply({"status": {"error_code": 429, "error_message": text}}, 429, wait)


def _missing(call: Call) -> Reply:
    path = call.path
    return json_reply({"status": 404, "error": f"Incorrect path. Please check {path}"}, 404)


# --- prices ---------------------------------------------------------------------------------


def _figures(call: Call, market: Market, asset: Asset, at: float) -> dict[str, Any]:
    """Return the members that both price endpoints give for an asset."""
    found: dict[str, Any] = {}
    for currency in words(call.query.get("vs_currencies", "").lower()):
        if (rate := market.rate(currency, at)) is None:
            continue
        price = market.dollars(asset, at) * rate
        found[currency] = raw(significant(price))
        if asked(call, "include_market_cap"):
            found[f"{currency}_market_cap"] = price * asset.supply
        if asked(call, "include_24hr_vol"):
            found[f"{currency}_24h_vol"] = market.volume(asset, at) * rate
        if asked(call, "include_24hr_change"):
            found[f"{currency}_24h_change"] = market.change(asset, at)
    if asked(call, "include_last_updated_at"):
        found["last_updated_at"] = int(at)
    return found


def _price(call: Call, market: Market) -> Reply:
    if not call.query.get("vs_currencies"):
        return bad("Missing parameter vs_currencies")
    at = market.moment(call.now)
    ids = set(words(call.query.get("ids", "").lower()))
    symbols = set(words(call.query.get("symbols", "").upper()))
    if not ids and not symbols:
        return bad("Missing parameter ids")
    chosen = [asset for asset in market.assets if asset.id in ids or asset.symbol in symbols]
    named = {asset.id if asset.id in ids else asset.symbol.lower(): asset for asset in chosen}
    return json_reply({name: _figures(call, market, named[name], at) for name in sorted(named)})


def _token_price(call: Call, market: Market) -> Reply:
    if (kind := PLATFORMS.get(call.names["platform"])) is None:
        return not_found("Could not find asset platform with the given id")
    wanted = {
        address.lower() if kind == "ethereum" else address
        for address in words(call.query.get("contract_addresses", ""))
    }
    found = {}
    for asset in market.assets:
        address = asset.ethereum.lower() if kind == "ethereum" else asset.solana
        if address in wanted:
            found[address] = asset
    at = market.moment(call.now)
    return json_reply({name: _figures(call, market, found[name], at) for name in sorted(found)})


def _markets(call: Call, market: Market) -> Reply:
    currency = call.query.get("vs_currency", "").lower()
    at = market.moment(call.now)
    if (rate := market.rate(currency, at)) is None:
        return bad("Invalid vs_currency") if currency else bad("Missing parameter vs_currency")
    ids = words(call.query.get("ids", "").lower())
    chosen = [asset for asset in market.assets if not ids or asset.id in ids]
    order = ORDERS.get(call.query.get("order", ""), ORDERS["market_cap_desc"])
    chosen.sort(key=lambda asset: order(market, asset, at))
    size = whole(call.query.get("per_page"), 100, 1, 250)
    first = (whole(call.query.get("page"), 1, 1) - 1) * size
    spans = [span for span in words(call.query.get("price_change_percentage", ""))
             if span in SPANS]  # fmt: skip
    rows = []
    for asset in chosen[first : first + size]:
        row = _market_row(market, asset, at, rate)
        if asked(call, "sparkline"):
            hours = range(int(at // 3600) - 167, int(at // 3600) + 1)
            row["sparkline_in_7d"] = {"price": [market.dollars(asset, h * 3600) for h in hours]}
        for span in spans:
            change = market.change(asset, at, SPANS[span])
            row[f"price_change_percentage_{span}_in_currency"] = change
        rows.append(row)
    return json_reply(rows)


def _market_row(market: Market, asset: Asset, at: float, rate: float) -> dict[str, Any]:
    price = market.dollars(asset, at) * rate
    change = market.change(asset, at)
    cap = int(price * asset.supply)
    return {
        "id": asset.id, "symbol": asset.symbol.lower(), "name": asset.name, "image": image(asset),
        "current_price": raw(significant(price)), "market_cap": cap, "market_cap_rank": asset.rank,
        "fully_diluted_valuation": cap, "total_volume": int(market.volume(asset, at) * rate),
        "high_24h": raw(significant(price * 1.02)), "low_24h": raw(significant(price * 0.97)),
        "price_change_24h": price * change / 100, "price_change_percentage_24h": round(change, 5),
        "market_cap_change_24h": cap * change / 100,
        "market_cap_change_percentage_24h": round(change, 5),
        "circulating_supply": float(asset.supply), "total_supply": float(asset.supply),
        "max_supply": None, "ath": raw(significant(asset.dollars * rate * 1.4)),
        "ath_change_percentage": -30.0, "ath_date": "2024-11-22T10:00:00.000Z",
        "atl": raw(significant(asset.dollars * rate * 0.01)), "atl_change_percentage": 9900.0,
        "atl_date": "2015-10-20T00:00:00.000Z", "roi": None, "last_updated": iso(at),
    }  # fmt: skip


def _etag(reply: Reply) -> str:
    return f'W/"{hashlib.md5(reply.body, usedforsecurity=False).hexdigest()}"'


def _head(call: Call, reply: Reply) -> Fields:
    identity = hashlib.md5(call.target.encode(), usedforsecurity=False).hexdigest()
    cache = "max-age=30, public, must-revalidate, s-maxage=60" if reply.status < 400 else "no-cache"  # noqa: PLR2004 - errors
    return (
        ("Cache-Control", cache),
        ("Vary", "Accept-Encoding, Origin"),
        ("ETag", _etag(reply)),
        ("x-request-id", identity),
        ("x-runtime", "0.006292"),
        ("CF-Cache-Status", "MISS"),
        ("Server", "cloudflare"),
        ("Set-Cookie", f"__cf_bm={identity}; path=/; HttpOnly; Secure; SameSite=None"),
        ("Alt-Svc", 'h3=":443"; ma=86400'),
    )


V3 = "/api/v3"
NETWORK = f"{V3}/onchain/networks/{{network}}"
POOL = f"{NETWORK}/pools/{{address}}"
TABLE: tuple[tuple[str, Answer], ...] = (
    (f"{V3}/ping", lists.ping),
    (f"{V3}/key", lists.key_usage),
    (f"{V3}/simple/price", _price),
    (f"{V3}/simple/token_price/{{platform}}", _token_price),
    (f"{V3}/simple/supported_vs_currencies", lists.currencies),
    (f"{V3}/coins/list", coins.coin_list),
    (f"{V3}/coins/list/new", rarities.new_coins),
    (f"{V3}/coins/markets", _markets),
    (f"{V3}/coins/categories", lists.categories),
    (f"{V3}/coins/categories/list", lists.category_list),
    (f"{V3}/coins/{{platform}}/contract/{{address}}", coins.contract),
    (f"{V3}/coins/{{platform}}/contract/{{address}}/market_chart", coins.contract_chart),
    (f"{V3}/coins/{{platform}}/contract/{{address}}/market_chart/range", coins.contract_chart),
    (f"{V3}/coins/{{id}}/market_chart", coins.chart),
    (f"{V3}/coins/{{id}}/market_chart/range", coins.chart),
    (f"{V3}/coins/{{id}}/ohlc", coins.ohlc),
    (f"{V3}/coins/{{id}}/ohlc/range", coins.ohlc),
    (f"{V3}/coins/{{id}}/tickers", coins.tickers),
    (f"{V3}/coins/{{id}}/history", coins.history),
    (f"{V3}/coins/{{id}}/circulating_supply_chart", rarities.supply_chart),
    (f"{V3}/coins/{{id}}", coins.coin),
    (f"{V3}/asset_platforms", lists.platforms),
    (f"{V3}/exchange_rates", lists.rates),
    (f"{V3}/exchanges", lists.exchanges),
    (f"{V3}/exchanges/list", lists.exchange_list),
    (f"{V3}/exchanges/{{id}}", lists.exchange),
    (f"{V3}/exchanges/{{id}}/tickers", rarities.exchange_tickers),
    (f"{V3}/exchanges/{{id}}/volume_chart", rarities.volume_chart),
    (f"{V3}/exchanges/{{id}}/volume_chart/range", rarities.volume_chart),
    (f"{V3}/global", lists.totals),
    (f"{V3}/global/decentralized_finance_defi", lists.defi),
    (f"{V3}/global/market_cap_chart", rarities.cap_chart),
    (f"{V3}/search", lists.search),
    (f"{V3}/search/trending", lists.trending),
    (f"{V3}/derivatives", rarities.derivatives),
    (f"{V3}/derivatives/exchanges", rarities.venues),
    (f"{V3}/derivatives/exchanges/list", rarities.venue_list),
    (f"{V3}/derivatives/exchanges/{{id}}", rarities.venue),
    (f"{V3}/nfts/list", rarities.collections),
    (f"{V3}/nfts/{{id}}", rarities.collection),
    (f"{V3}/nfts/{{platform}}/contract/{{address}}", rarities.collection),
    (f"{V3}/token_lists/{{platform}}/all.json", rarities.token_list),
    (f"{V3}/entities/list", rarities.entities),
    (f"{V3}/public_treasury/{{entity}}", rarities.entity),
    (f"{V3}/public_treasury/{{entity}}/transaction_history", rarities.transactions),
    (f"{V3}/public_treasury/{{entity}}/{{coin}}/holding_chart", rarities.holding_chart),
    (f"{V3}/{{kind}}/public_treasury/{{coin}}", rarities.treasuries),
    (f"{V3}/onchain/simple/networks/{{network}}/token_price/{{addresses}}", onchain.prices),
    (f"{V3}/onchain/networks", onchain.networks),
    (f"{V3}/onchain/networks/trending_pools", pools.trending),
    (f"{V3}/onchain/networks/new_pools", pools.new),
    (f"{V3}/onchain/search/pools", pools.found),
    (f"{V3}/onchain/tokens/info_recently_updated", pools.recent_info),
    (f"{NETWORK}/dexes", pools.dexes),
    (f"{NETWORK}/dexes/{{dex}}/pools", pools.top),
    (f"{NETWORK}/pools", pools.top),
    (f"{NETWORK}/trending_pools", pools.trending),
    (f"{NETWORK}/new_pools", pools.new),
    (f"{NETWORK}/pools/multi/{{addresses}}", pools.several),
    (POOL, pools.pool),
    (f"{POOL}/info", pools.pool_info),
    (f"{POOL}/ohlcv/{{timeframe}}", pools.candles),
    (f"{POOL}/trades", pools.trades),
    (f"{NETWORK}/tokens/multi/{{addresses}}", onchain.tokens),
    (f"{NETWORK}/tokens/{{address}}", onchain.token),
    (f"{NETWORK}/tokens/{{address}}/info", pools.token_info),
    (f"{NETWORK}/tokens/{{address}}/pools", pools.token_pools),
)
PROVIDER = Provider(
    name="coingecko",
    variable="COINGECKO_BASE_URL",
    limits=(
        Limit("minute", 30, 60.0, "sliding_window", "requests", "credential", "keyed"),
        Limit("keyless_minute", 5, 60.0, "sliding_window", "requests", when="keyless"),
        Limit("month", 10_000, "month", of="credential", when="keyed"),
    ),
    routes=tuple(Route(path, answer) for path, answer in TABLE),
    refusal=refusal,
    missing=_missing,
    credential=key,
    head=_head,
    charge_errors=False,
)
