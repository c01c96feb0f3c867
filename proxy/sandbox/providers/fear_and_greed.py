"""Fear & Greed (alternative.me): one value a UTC day, newest first, figures as strings.

`time_until_update` stands in the first element only.
"""

from proxy.core.fields import Fields
from proxy.sandbox.limits import Limit, Refused
from proxy.sandbox.market import DAY, Market
from proxy.sandbox.provider import Call, Provider, Reply, Route, json_reply, whole

NAMES = ((25, "Extreme Fear"), (46, "Fear"), (55, "Neutral"), (76, "Greed"))


def _value(market: Market, day: int) -> int:
    return max(1, min(99, 50 + int(market.change(market.assets[0], day * DAY) * 12)))


def _index(call: Call, market: Market) -> Reply:
    at = market.moment(call.now)
    today = int(at // DAY)
    limit = whole(call.query.get("limit"), 1, 0)
    data = []
    for day in range(today, today - (limit or 2000), -1):
        value = _value(market, day)
        name = next((name for most, name in NAMES if value < most), "Extreme Greed")
        row = {"value": str(value), "value_classification": name, "timestamp": str(day * 86_400)}
        data.append(row)
    data[0]["time_until_update"] = str(int((today + 1) * DAY - at))
    return json_reply({"name": "Fear and Greed Index", "data": data, "metadata": {"error": None}})


def _refusal(_call: Call, refused: Refused) -> Reply:
    wait = (("Retry-After", str(int(refused.retry_after) + 1)),)
    return Reply(b"Too Many Requests", 429, wait, "text/plain")


def _missing(_call: Call) -> Reply:
    return Reply(b"Not Found", 404, content_type="text/plain")


def _head(_call: Call, _reply: Reply) -> Fields:
    return (("Cache-Control", "public, max-age=300"), ("Vary", "Accept-Encoding"))


PROVIDER = Provider(
    name="fear-and-greed",
    variable="FEAR_AND_GREED_BASE_URL",
    limits=(Limit("minute", 60, 60.0),),
    routes=(Route("/fng", _index),),
    refusal=_refusal,
    missing=_missing,
    credential=lambda _call: "",
    head=_head,
)
