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
from proxy.sandbox.provider import Call, Provider, Reply, Route, json_reply, raw, whole, words
from proxy.sandbox.providers import coingecko_coins as coins
from proxy.sandbox.providers import coingecko_lists as lists
from proxy.sandbox.providers import coingecko_onchain as onchain
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
ROUTES = (
    Route(f"{V3}/ping", lists.ping),
    Route(f"{V3}/key", lists.key_usage),
    Route(f"{V3}/simple/price", _price),
    Route(f"{V3}/simple/token_price/{{platform}}", _token_price),
    Route(f"{V3}/simple/supported_vs_currencies", lists.currencies),
    Route(f"{V3}/coins/list", coins.coin_list),
    Route(f"{V3}/coins/markets", _markets),
    Route(f"{V3}/coins/categories", lists.categories),
    Route(f"{V3}/coins/categories/list", lists.category_list),
    Route(f"{V3}/coins/{{platform}}/contract/{{address}}", coins.contract),
    Route(f"{V3}/coins/{{id}}/market_chart", coins.chart),
    Route(f"{V3}/coins/{{id}}/market_chart/range", coins.chart),
    Route(f"{V3}/coins/{{id}}/ohlc", coins.ohlc),
    Route(f"{V3}/coins/{{id}}/tickers", coins.tickers),
    Route(f"{V3}/coins/{{id}}/history", coins.history),
    Route(f"{V3}/coins/{{id}}", coins.coin),
    Route(f"{V3}/asset_platforms", lists.platforms),
    Route(f"{V3}/exchange_rates", lists.rates),
    Route(f"{V3}/exchanges", lists.exchanges),
    Route(f"{V3}/exchanges/list", lists.exchange_list),
    Route(f"{V3}/exchanges/{{id}}", lists.exchange),
    Route(f"{V3}/global", lists.totals),
    Route(f"{V3}/global/decentralized_finance_defi", lists.defi),
    Route(f"{V3}/search", lists.search),
    Route(f"{V3}/search/trending", lists.trending),
    Route(f"{V3}/onchain/simple/networks/{{network}}/token_price/{{addresses}}", onchain.prices),
    Route(f"{V3}/onchain/networks/{{network}}/tokens/multi/{{addresses}}", onchain.tokens),
    Route(f"{V3}/onchain/networks/{{network}}/tokens/{{address}}", onchain.token),
    Route(f"{V3}/onchain/networks", onchain.networks),
)
PROVIDER = Provider(
    name="coingecko",
    variable="COINGECKO_BASE_URL",
    limits=(
        Limit("minute", 30, 60.0, "sliding_window", "requests", "credential", "keyed"),
        Limit("keyless_minute", 5, 60.0, "sliding_window", "requests", when="keyless"),
        Limit("month", 10_000, "month", of="credential", when="keyed"),
    ),
    routes=ROUTES,
    refusal=refusal,
    missing=_missing,
    credential=key,
    head=_head,
    charge_errors=False,
)
