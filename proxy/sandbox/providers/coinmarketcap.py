"""CoinMarketCap: key required, 30 a fixed UTC minute and 10,000 credits a calendar month.

Facts kept: the cost stands in `status.credit_count` (0 for errors) and is what is charged;
v1 and v2 give `data` as an object (v1 by id or symbol, v2 by id), v3 as an array; an unknown id
fails the whole call with 400 unless `skip_invalid=true`; `/v1/key/info` costs nothing.
"""

import math
from collections.abc import Callable
from typing import Any

from proxy.core.fields import Fields
from proxy.sandbox.limits import Limit, Refused
from proxy.sandbox.market import DAY, Asset, Market
from proxy.sandbox.provider import Call, Provider, Reply, Route, json_reply, whole, words
from proxy.sandbox.providers.coingecko_forms import iso

ERRORS = {"minute": 1008, "day": 1009, "month": 1010}
TEXTS = {
    1008: "You've exceeded your API Key's HTTP request rate limit. Rate limits reset every minute.",
    1009: "You've exceeded your API Key's daily rate limit.",
    1010: "You've exceeded your API Key's monthly rate limit.",
    1011: "You've hit an IP rate limit.",
}


def key(call: Call) -> str:
    """Return the key that a call brings, in the header or in the query."""
    return call.field("x-cmc_pro_api_key") or call.query.get("CMC_PRO_API_KEY", "")


def status(
    at: float, code: int = 0, text: str | None = None, credits_spent: int = 0
) -> dict[str, Any]:
    """Return the `status` member of every answer."""
    return {
        "timestamp": iso(at), "error_code": code, "error_message": text, "elapsed": 10,
        "credit_count": credits_spent, "notice": None,
    }  # fmt: skip


def error(at: float, http: int, code: int, text: str, fields: Fields = ()) -> Reply:
    """Return an error; it costs no credits."""
    return json_reply({"status": status(at, code, text)}, http, fields, cost=0)


def success(call: Call, market: Market, data: Any, cost: int, **more: Any) -> Reply:
    """Return data with its cost; each further `convert` costs one more."""
    cost += max(0, len(words(call.query.get("convert", "USD"))) - 1) if cost else 0
    head = {**status(market.moment(call.now), credits_spent=cost), **more}
    return json_reply({"status": head, "data": data}, cost=cost)


def keyed(answer: Callable[[Call, Market], Reply]) -> Callable[[Call, Market], Reply]:
    """Return an answer that wants a key."""

    def checked(call: Call, market: Market) -> Reply:
        return answer(call, market) if key(call) else error(call.now, 401, 1002, "API key missing.")

    return checked


def _quote(call: Call, market: Market, asset: Asset, at: float) -> dict[str, Any]:
    found = {}
    for name in words(call.query.get("convert", "USD").upper()):
        rate = market.rate(name.lower(), at)
        price = None if rate is None else market.dollars(asset, at) * rate
        found[name] = {
            "price": price, "volume_24h": market.volume(asset, at) * (rate or 0.0),
            "volume_change_24h": 0.0, "percent_change_1h": market.change(asset, at, 3600.0),
            "percent_change_24h": market.change(asset, at),
            **{f"percent_change_{days}d": market.change(asset, at, days * DAY)
               for days in (7, 30, 60, 90)},
            "market_cap": (price or 0.0) * asset.supply, "market_cap_dominance": 1.0,
            "fully_diluted_market_cap": (price or 0.0) * asset.supply, "last_updated": iso(at),
        }  # fmt: skip
    return found


def _row(call: Call, market: Market, asset: Asset, at: float) -> dict[str, Any]:
    return {
        "id": asset.number, "name": asset.name, "symbol": asset.symbol, "slug": asset.id,
        "num_market_pairs": 10_000 // asset.rank, "date_added": "2013-04-28T00:00:00.000Z",
        "tags": [], "max_supply": None, "circulating_supply": asset.supply,
        "total_supply": asset.supply, "is_active": 1, "infinite_supply": False, "platform": None,
        "cmc_rank": asset.rank, "is_fiat": 0, "last_updated": iso(at),
        "quote": _quote(call, market, asset, at),
    }  # fmt: skip


def _asked(call: Call, market: Market) -> dict[str, Asset] | Reply:
    """Return the assets that `id`, `slug` or `symbol` names, by what named them."""
    ways: tuple[tuple[str, Callable[[str], Asset | None]], ...] = (
        ("id", lambda text: market.by_number.get(whole(text, -1))),
        ("slug", market.by_id.get),
        ("symbol", lambda text: market.by_symbol.get(text.upper())),
    )
    at = market.moment(call.now)
    given = next(((name, find) for name, find in ways if call.query.get(name)), None)
    if given is None:
        return error(at, 400, 400, '"value" must contain at least one of [id, symbol, slug]')
    name, find = given
    found, bad = {}, []
    for text in words(call.query[name]):
        asset = find(text)
        if asset is None:
            bad.append(text)
        else:
            found[text] = asset
    if bad and call.query.get("skip_invalid", "false") != "true":
        return error(at, 400, 400, f'Invalid value for "{name}": "{",".join(bad)}"')
    return found


def _quotes(version: int) -> Callable[[Call, Market], Reply]:
    """Return the answer of one version of quotes/latest."""

    def answer(call: Call, market: Market) -> Reply:
        found = _asked(call, market)
        if isinstance(found, Reply):
            return found
        at = market.moment(call.now)
        cost = max(1, math.ceil(len(found) / 100))
        rows = {text: _row(call, market, asset, at) for text, asset in found.items()}
        by_symbol = "symbol" in call.query and not call.query.get("id")
        data: Any = {text.upper() if by_symbol else str(row["id"]): row
                     for text, row in rows.items()}  # fmt: skip
        if version > 2:  # noqa: PLR2004 - the API's version
            data = [{**row, "quote": [{"symbol": name, **quote} for name, quote in
                     row["quote"].items()]} for row in rows.values()]  # fmt: skip
        elif version > 1 and by_symbol:
            data = {name: [row] for name, row in data.items()}
        return success(call, market, data, cost)

    return answer


def _listings(call: Call, market: Market) -> Reply:
    at = market.moment(call.now)
    first = whole(call.query.get("start"), 1, 1) - 1
    rows = market.assets[first : first + whole(call.query.get("limit"), 100, 1, 5000)]
    data = [_row(call, market, asset, at) for asset in rows]
    cost = max(1, math.ceil(len(rows) / 200))
    return success(call, market, data, cost, total_count=len(market.assets))


def _simple(call: Call, market: Market) -> Reply:
    found = _asked(call, market)
    if isinstance(found, Reply):
        return found
    at = market.moment(call.now)
    data = [{"id": asset.number, "symbol": asset.symbol, "price": market.dollars(asset, at)}
            for asset in found.values()]  # fmt: skip
    return success(call, market, data, max(1, math.ceil(len(found) / 250)))


def _info(call: Call, market: Market) -> Reply:
    found = _asked(call, market)
    if isinstance(found, Reply):
        return found
    data = {
        str(asset.number): {
            "id": asset.number, "name": asset.name, "symbol": asset.symbol, "category": "coin",
            "description": f"{asset.name} of this sandbox", "slug": asset.id, "urls": {},
            "logo": f"https://images.sandbox.invalid/{asset.number}.png", "tags": [],
        }
        for asset in found.values()
    }  # fmt: skip
    return success(call, market, data, max(1, math.ceil(len(found) / 100)))


def _map(call: Call, market: Market) -> Reply:
    data = [
        {"id": asset.number, "rank": asset.rank, "name": asset.name, "symbol": asset.symbol,
         "slug": asset.id, "is_active": 1, "platform": None}
        for asset in market.assets
    ]  # fmt: skip
    return success(call, market, data, 1)


def _global(call: Call, market: Market) -> Reply:
    at = market.moment(call.now)
    total = sum(market.dollars(asset, at) * asset.supply for asset in market.assets)
    volume = sum(market.volume(asset, at) for asset in market.assets)
    quote = {"total_market_cap": total, "total_volume_24h": volume, "last_updated": iso(at)}
    data = {
        "active_cryptocurrencies": len(market.assets), "total_cryptocurrencies": 30_000,
        "active_market_pairs": 90_000, "active_exchanges": 8, "eth_dominance": 11.5,
        "btc_dominance": 56.2, "quote": {"USD": quote}, "last_updated": iso(at),
    }  # fmt: skip
    return success(call, market, data, 1)


def _fear(call: Call, market: Market) -> Reply:
    at = market.moment(call.now)
    value = 50 + int(market.change(market.assets[0], at) * 4) % 40
    data = {"value": value, "value_classification": "Neutral", "update_time": iso(at)}
    return success(call, market, data, 1)


def _fears(call: Call, market: Market) -> Reply:
    today = int(market.moment(call.now) // DAY)
    rows = [
        {"timestamp": str(day * 86_400), "value": 50 + day % 30, "value_classification": "Neutral"}
        for day in range(today, today - whole(call.query.get("limit"), 50, 1, 500), -1)
    ]
    return success(call, market, rows, 1)


def _fiat(call: Call, market: Market) -> Reply:
    return success(call, market, [{"id": 2781, "name": "United States Dollar", "sign": "$",
                                   "symbol": "USD"}], 1)  # fmt: skip


def _exchanges(call: Call, market: Market) -> Reply:
    return success(call, market, [{"id": 270, "name": "Binance", "slug": "binance"}], 1)


def _key_info(call: Call, market: Market) -> Reply:
    used = call.standing()
    month, minute = used.get("month", 0), used.get("minute", 0)
    plan = {"credit_limit_monthly": 10_000, "rate_limit_minute": 30,
            "credit_limit_monthly_reset": "In 10 days",
            "credit_limit_monthly_reset_timestamp": iso(call.now + 864_000)}  # fmt: skip
    usage = {
        "current_minute": {"requests_made": minute, "requests_left": max(0, 30 - minute)},
        "current_day": {"credits_used": month},
        "current_month": {"credits_used": month, "credits_left": max(0, 10_000 - month)},
    }
    return success(call, market, {"plan": plan, "usage": usage}, 0)


def _refusal(call: Call, refused: Refused) -> Reply:
    code = ERRORS.get(refused.limit.name, 1008)
    wait = (("Retry-After", str(int(refused.retry_after) + 1)),) if code == ERRORS["minute"] else ()
    return error(call.now, 429, code, TEXTS[code], wait)


def _missing(call: Call) -> Reply:
    return json_reply(
        {"statusCode": 404, "error": "Not Found", "message": f"No such path: {call.path}"}, 404
    )


def _head(_call: Call, _reply: Reply) -> Fields:
    return (
        ("Cache-Control", "no-cache"),
        ("Vary", "origin,accept-encoding"),
        ("Server", "cloudflare"),
        ("CF-Cache-Status", "DYNAMIC"),
        ("Set-Cookie", "__cf_bm=sandbox; path=/; HttpOnly; Secure"),
    )


COIN = "cryptocurrency"
TABLE: tuple[tuple[str, Callable[[Call, Market], Reply]], ...] = (
    (f"/v1/{COIN}/quotes/latest", _quotes(1)),
    (f"/v2/{COIN}/quotes/latest", _quotes(2)),
    (f"/v3/{COIN}/quotes/latest", _quotes(3)),
    (f"/v1/{COIN}/listings/latest", _listings),
    (f"/v3/{COIN}/listings/latest", _listings),
    (f"/v1/{COIN}/map", _map),
    (f"/v1/{COIN}/info", _info),
    (f"/v2/{COIN}/info", _info),
    ("/v1/simple/price", _simple),
    ("/v1/global-metrics/quotes/latest", _global),
    ("/v3/fear-and-greed/latest", _fear),
    ("/v3/fear-and-greed/historical", _fears),
    ("/v1/fiat/map", _fiat),
    ("/v1/exchange/map", _exchanges),
    ("/v1/key/info", _key_info),
)
PROVIDER = Provider(
    name="coinmarketcap",
    variable="COINMARKETCAP_BASE_URL",
    limits=(
        Limit("minute", 30, 60.0, counts="requests", of="credential"),
        Limit("month", 10_000, "month", of="credential"),
    ),
    routes=tuple(Route(path, keyed(answer)) for path, answer in TABLE),
    refusal=_refusal,
    missing=_missing,
    credential=key,
    head=_head,
)
