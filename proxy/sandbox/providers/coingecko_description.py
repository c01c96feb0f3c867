"""CoinGecko's description of a coin, in full: a small call's large answer."""

from collections.abc import Callable
from typing import Any

from proxy.sandbox.market import DAY, FIAT, Asset, Market, significant
from proxy.sandbox.provider import Call, Reply, json_reply, raw
from proxy.sandbox.providers.coingecko_forms import image, iso, platforms

CURRENCIES = (*FIAT, "btc", "eth", "bnb", "sol")
SPANS = {"1h": 3600.0, "24h": DAY, **{f"{days}d": days * DAY for days in (7, 14, 30, 60, 200)},
         "1y": 365 * DAY}  # fmt: skip
COMMUNITY = {"facebook_likes": None, "reddit_average_posts_48h": 0.0, "reddit_subscribers": 0,
             "reddit_average_comments_48h": 0.0, "reddit_accounts_active_48h": 0,
             "telegram_channel_user_count": None}  # fmt: skip
DEVELOPERS = {"forks": 36_426, "stars": 73_168, "subscribers": 3967, "total_issues": 7743,
              "closed_issues": 7380, "pull_requests_merged": 11_215,
              "pull_request_contributors": 846, "commit_count_4_weeks": 108,
              "code_additions_deletions_4_weeks": {"additions": 1570, "deletions": -1948},
              "last_4_weeks_commit_activity_series": []}  # fmt: skip


def pictures(asset: Asset) -> dict[str, str]:
    """Return a coin's pictures, by size."""
    return dict.fromkeys(("thumb", "small", "large"), image(asset))


def described(call: Call, market: Market, asset: Asset) -> Reply:
    """Describe a coin, less the parts that are declined: all stand unless `false` is said."""
    at = market.moment(call.now)
    body: dict[str, Any] = {
        "id": asset.id, "symbol": asset.symbol.lower(), "name": asset.name,
        "web_slug": asset.id, "asset_platform_id": None, "platforms": platforms(asset),
        "detail_platforms": {name: {"decimal_place": 18, "contract_address": address}
                             for name, address in platforms(asset).items()},
        "block_time_in_minutes": 10, "hashing_algorithm": None, "categories": ["Cryptocurrency"],
        "preview_listing": False, "public_notice": None, "additional_notices": [],
        "description": {"en": f"{asset.name} exists in this sandbox only. " * 20},
        "links": _links(asset), "image": pictures(asset), "country_origin": "",
        "genesis_date": None, "sentiment_votes_up_percentage": 80.0,
        "sentiment_votes_down_percentage": 20.0, "watchlist_portfolio_users": 1_500_000,
        "market_cap_rank": asset.rank, "status_updates": [],
    }  # fmt: skip
    parts: dict[str, Callable[[], Any]] = {
        "localization": lambda: {"en": asset.name, "de": asset.name},
        "market_data": lambda: market_data(market, asset, at),
        "community_data": lambda: COMMUNITY,
        "developer_data": lambda: DEVELOPERS,
        "tickers": lambda: [ticker(market, asset, at)],
    }
    wanted = {name: part() for name, part in parts.items() if not _declined(call, name)}
    return json_reply({**body, **wanted, "last_updated": iso(at)})


def _declined(call: Call, name: str) -> bool:
    return call.query.get(name, "true").lower() == "false"


def _links(asset: Asset) -> dict[str, Any]:
    home = f"https://{asset.id}.sandbox.invalid"
    lists = ("blockchain_site", "official_forum_url", "chat_url", "announcement_url")
    names = ("twitter_screen_name", "facebook_username", "telegram_channel_identifier",
             "subreddit_url", "whitepaper")  # fmt: skip
    return {
        "homepage": [home], **dict.fromkeys(lists, ("",)), **dict.fromkeys(names, ""),
        "bitcointalk_thread_identifier": None, "snapshot_url": None,
        "repos_url": {"github": [f"{home}/code"], "bitbucket": []},
    }  # fmt: skip


def market_data(market: Market, asset: Asset, at: float) -> dict[str, Any]:
    """Return a coin's figures in every currency."""
    rates = {name: market.rate(name, at) or 0.0 for name in CURRENCIES}
    dollars = market.dollars(asset, at)
    day = market.candle(asset.symbol, "USD", at - DAY, at, at)

    def priced(value: float) -> dict[str, Any]:
        return {name: raw(significant(value * rate)) for name, rate in rates.items()}

    changes = {span: round(market.change(asset, at, over), 5) for span, over in SPANS.items()}
    caps = {name: int(dollars * rate * asset.supply) for name, rate in rates.items()}
    volume = market.volume(asset, at)
    return {
        "current_price": priced(dollars), "total_value_locked": None, "mcap_to_tvl_ratio": None,
        "fdv_to_tvl_ratio": None, "roi": None, "ath": priced(asset.dollars * 1.4),
        "ath_change_percentage": dict.fromkeys(rates, -30.0),
        "ath_date": dict.fromkeys(rates, "2024-11-22T10:00:00.000Z"),
        "atl": priced(asset.dollars * 0.01), "atl_change_percentage": dict.fromkeys(rates, 9900.0),
        "atl_date": dict.fromkeys(rates, "2015-10-20T00:00:00.000Z"), "market_cap": caps,
        "market_cap_rank": asset.rank, "fully_diluted_valuation": caps,
        "market_cap_fdv_ratio": 1.0,
        "total_volume": {name: int(volume * rate) for name, rate in rates.items()},
        "high_24h": priced(day.high), "low_24h": priced(day.low),
        "price_change_24h": day.close - day.open,
        **{f"price_change_percentage_{span}": change for span, change in changes.items()},
        **{f"price_change_percentage_{span}_in_currency": dict.fromkeys(rates, change)
           for span, change in changes.items()},
        "market_cap_change_24h": (day.close - day.open) * asset.supply,
        "market_cap_change_percentage_24h": changes["24h"],
        "total_supply": float(asset.supply), "max_supply": None,
        "circulating_supply": float(asset.supply), "last_updated": iso(at),
    }  # fmt: skip


def ticker(market: Market, asset: Asset, at: float) -> dict[str, Any]:
    """Return where a coin is traded, and at what price."""
    price, volume = market.dollars(asset, at), market.volume(asset, at)
    rates = {name: market.rate(name, at) or 0.0 for name in ("btc", "eth", "usd")}
    return {
        "base": asset.symbol, "target": "USDT",
        "market": {"name": "Binance", "identifier": "binance", "has_trading_incentive": False},
        "last": raw(significant(price)), "volume": volume / price,
        "converted_last": {name: raw(significant(price * rate)) for name, rate in rates.items()},
        "converted_volume": {name: int(volume * rate) for name, rate in rates.items()},
        "trust_score": "green", "bid_ask_spread_percentage": 0.010014, "timestamp": iso(at),
        "last_traded_at": iso(at), "last_fetch_at": iso(at), "is_anomaly": False,
        "is_stale": False, "trade_url": None, "token_info_url": None, "coin_id": asset.id,
        "target_coin_id": "tether", "cost_to_move_up_usd": 19_320_706.39,
        "cost_to_move_down_usd": 16_360_235.36, "coin_mcap_usd": price * asset.supply,
    }  # fmt: skip
