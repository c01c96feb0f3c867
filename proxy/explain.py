"""What the configuration makes of a request, without sending anything."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from proxy.core import costs, keys, plans, privacy
from proxy.core.fields import Fields
from proxy.core.model import Forward, Policy, Request
from proxy.core.routing import Match, Routes
from proxy.core.upstreams import Endpoint


def asking(url: str, method: str, fields: Fields) -> Request:
    """Return the request that a client sends for `url`: a path, or a whole URL with the host.

    Raises:
        ValueError: its host or port is none.

    """
    parts = urlsplit(url)
    port = parts.port or 0
    return Request(
        method=method,
        path=parts.path or "/",
        query=parts.query,
        fields=fields,
        host=parts.hostname or "",
        port=port,
    )


def explain(routes: Routes, request: Request) -> Mapping[str, Any]:
    """Return which rule a request meets, why, and what follows from it; plain JSON values."""
    route = routes.match(request)
    if not isinstance(route, Match):
        return {"met": False, "why": [route.reason]}
    endpoint, upstream = route.endpoint, route.upstream
    private = privacy.is_private(route, request)
    plan = plans.plan(endpoint, request, (), 0.0, private=private)
    lifetimes = costs.lifetimes(endpoint, costs.arguments(route))
    obey = endpoint.policy is Policy.OBEY
    return {
        "met": True,
        "upstream": upstream.name,
        "endpoint": endpoint.name,
        "why": list(routes.explain(request)),
        "plan": upstream.plan,
        "disabled": upstream.disabled,
        "treatment": _treatment(plan) if isinstance(plan, Forward) else "cached",
        "key": None if private else keys.key(route, request),
        "upstream_cache_control": endpoint.policy.value,
        "ttl": None if obey else lifetimes.ttl,
        "stale_while_revalidate": lifetimes.stale_while_revalidate,
        "stale_if_error": lifetimes.stale_if_error,
        "cost": {
            charge.bucket: charge.cost
            for charge in costs.bill(route, request, urgent=private).charges
        },
        "limits": {
            limit.name: {"limit": limit.limit, "per": limit.per, "algorithm": limit.algorithm.value}
            for limit in upstream.limits
        },
        "shares": [] if isinstance(plan, Forward) or obey else list(_shares(endpoint)),
        "forwards_to": upstream.base_url.rstrip("/") + route.path,
    }


def _treatment(plan: Forward) -> str:
    if plan.private:
        return "private: forwarded, never stored"
    return f"forwarded, never stored ({plan.detail or plan.forward_reason})"


def _shares(endpoint: Endpoint) -> Iterator[str]:
    """Yield how requests of an endpoint share what is fetched."""
    batch, contains = endpoint.batch, endpoint.contains
    if batch is not None:
        yield f"a call with others of its list, up to {batch.most}"
        if batch.riders:
            yield "and with those used lately, where that costs no more"
    if contains is not None:
        yield f"answers that differ in `{contains.parameter}`: a longer one holds a shorter"
        if contains.fetch:
            sizes = " or ".join(map(str, reversed(contains.fetch)))
            yield f"{sizes} are asked for where that costs no more"


def as_text(explained: Mapping[str, Any]) -> str:
    """Return an explanation as lines for a terminal."""
    if not explained["met"]:
        return "meets nothing: " + "; ".join(explained["why"])
    lines = [
        ("upstream", explained["upstream"] + (f" ({explained['plan']})" * bool(explained["plan"]))),
        ("endpoint", explained["endpoint"]),
        *(("because", reason) for reason in explained["why"]),
        ("treatment", explained["treatment"]),
        ("key", explained["key"] or "none: private"),
        ("lifetimes", _lifetimes(explained)),
        ("cost", ", ".join(f"{name} {cost:g}" for name, cost in explained["cost"].items()) or "0"),
        *(
            ("limit", f"{name}: {each['limit']:g} per {_per(each['per'])}, {each['algorithm']}")
            for name, each in explained["limits"].items()
        ),
        *(("shares", said) for said in explained["shares"]),
        ("goes to", explained["forwards_to"]),
    ]
    if explained["disabled"]:
        lines.append(("disabled", explained["disabled"]))
    return "\n".join(f"{name:<10} {value}" for name, value in lines)


def _lifetimes(explained: Mapping[str, Any]) -> str:
    ttl = explained["ttl"]
    own = "as the upstream says" if ttl is None else f"ttl {ttl:g} s"
    return (
        f"{own}, stale_while_revalidate {explained['stale_while_revalidate']:g} s, "
        f"stale_if_error {explained['stale_if_error']:g} s"
    )


def _per(per: object) -> str:
    return f"{per:g} s" if isinstance(per, float) else str(per)
