"""CryptoPanic: news by `auth_token`; the month used up is 429 without `Retry-After`.

Facts kept: `next` and `previous` are absolute URLs of the provider's that contain the token.
Doubtful in providers.md and set here so: 100 a month for the developer plan, 600 a week for the
others.
"""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from proxy.core.fields import Fields
from proxy.sandbox.limits import Limit, Refused
from proxy.sandbox.market import Asset, Market
from proxy.sandbox.provider import Call, Provider, Reply, Route, json_reply, whole, words

PAGE = 20
PAGES = 10
INTERVAL = 180.0
"""Seconds between two pieces of news."""
PHRASES = (
    "{name} climbs as sandbox traders wake up", "{name} developers ship an update nobody asked for",
    "Why {name} moved today, and why it did not", "Analysts disagree about {name}",
)  # fmt: skip


def token(call: Call) -> str:
    """Return the token that a call brings."""
    return call.query.get("auth_token", "")


def _posts(call: Call, market: Market) -> Reply:
    if not token(call):
        return json_reply({"status": "Incomplete", "info": "Token not found"}, 403, cost=0)
    newest = int(market.moment(call.now) // INTERVAL)
    codes = set(words(call.query.get("currencies", "").upper()))
    assets = [asset for asset in market.assets[:60] if not codes or asset.symbol in codes]
    page = whole(call.query.get("page"), 1, 1, PAGES)
    numbers = range(newest - (page - 1) * PAGE, newest - page * PAGE, -1) if assets else ()
    return json_reply(
        {
            "count": PAGE * PAGES,
            "next": _link(call, page + 1) if page < PAGES else None,
            "previous": _link(call, page - 1) if page > 1 else None,
            "results": [_post(number, assets[number % len(assets)]) for number in numbers],
        }
    )


def _link(call: Call, page: int) -> str:
    query = {**call.query, "page": str(page)}
    return f"{call.origin}{call.path}?{urlencode(query)}"


def _post(number: int, asset: Asset) -> dict[str, Any]:
    title = PHRASES[number % len(PHRASES)].format(name=asset.name)
    slug = title.replace(" ", "-").replace(",", "")
    at = datetime.fromtimestamp(number * INTERVAL, UTC).isoformat().replace("+00:00", "Z")
    site = "news.sandbox.invalid"
    return {
        "id": number, "kind": "news", "domain": site, "title": title, "published_at": at,
        "created_at": at, "slug": slug, "url": f"https://cryptopanic.com/news/{number}/{slug}",
        "source": {"title": "Sandbox News", "region": "en", "domain": site, "path": None,
                   "type": "feed"},
        "currencies": [{"code": asset.symbol, "title": asset.name, "slug": asset.id,
                        "url": f"https://cryptopanic.com/news/{asset.id}/"}],
        "votes": dict.fromkeys(("negative", "positive", "important", "liked", "disliked", "lol",
                                "toxic", "saved", "comments"), number % 5),
    }  # fmt: skip


def _refusal(_call: Call, refused: Refused) -> Reply:
    if isinstance(refused.limit.per, str) or refused.limit.per > 3600:  # noqa: PLR2004 - an hour: quotas, not throttles
        text = "API monthly quota exceeded - Upgrade your API plan: /developers/api/plans/"
        return json_reply({"status": "api_error", "info": text}, 429)
    wait = int(refused.retry_after) + 1
    text = f"Request was throttled. Expected available in {wait} seconds."
    return json_reply({"detail": text}, 429, (("Retry-After", str(wait)),))


def _missing(_call: Call) -> Reply:
    return Reply(b"<h1>Not Found</h1>", 404, content_type="text/html; charset=utf-8")


def _head(_call: Call, _reply: Reply) -> Fields:
    return (
        ("Vary", "Accept, Cookie, origin"),
        ("Allow", "GET, HEAD, OPTIONS"),
        ("X-Frame-Options", "DENY"),
        ("Server", "cloudflare"),
        ("Set-Cookie", "__cf_bm=sandbox; path=/; HttpOnly; Secure"),
    )


PROVIDER = Provider(
    name="cryptopanic",
    variable="CRYPTOPANIC_BASE_URL",
    limits=(
        Limit("month", 100, "month", of="credential", counts="requests", group="developer"),
        Limit("week", 600, 604_800.0, of="credential", counts="requests", group="other"),
        Limit("second", 5, 1.0, of="credential", counts="requests"),
    ),
    routes=(
        Route("/api/developer/{version}/posts/", _posts, groups=("developer",)),
        Route("/api/v1/posts/", _posts, groups=("other",)),
        Route("/api/{plan}/v1/posts/", _posts, groups=("other",)),
        Route("/api/{plan}/v2/posts/", _posts, groups=("other",)),
    ),
    refusal=_refusal,
    missing=_missing,
    credential=token,
    head=_head,
    keeps_slash=True,
)
