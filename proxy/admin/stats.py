"""`/api/v1/stats`: what was asked, what was answered from the cache, what it cost the providers."""

from dataclasses import asdict
from typing import Any

from proxy.admin.house import House
from proxy.admin.observations import CALLS, CLIENT_COST, CLIENTS, MEMORY_BYTES, REQUESTS, SAVED
from proxy.admin.snapshot import Snapshot
from proxy.core.model import Verdict

BUSIEST = 20
"""Unmatched paths that are shown."""

_SPARED = (Verdict.HIT, Verdict.STALE, Verdict.RESCUED, Verdict.JOINED)
"""Answered without a call of its own."""


async def stats(house: House) -> dict[str, Any]:
    """Return what `/api/v1/stats` gives, for all workers of this instance."""
    snapshot = await house.gather()
    requests = snapshot.family(REQUESTS)
    names = sorted({*(upstream.name for upstream in house.upstreams()), *(k[0] for k in requests)})
    verdicts: dict[str, float] = {}
    for (_, _, verdict), count in requests.items():
        verdicts[verdict] = verdicts.get(verdict, 0) + count
    return {
        **_account(verdicts),
        "upstream_calls": int(sum(snapshot.family(CALLS).values())),
        "calls_saved": int(sum(snapshot.family(SAVED).values())),
        "upstreams": {name: _upstream(snapshot, name) for name in names if name},
        "clients": _clients(snapshot),
        "unmatched": _unmatched(snapshot),
        "memory_bytes": int(snapshot.gauges.get((MEMORY_BYTES,), 0)),
        "store": asdict(await house.store.figures()),
    }


def _account(verdicts: dict[str, float]) -> dict[str, Any]:
    """Return how many there were, what became of them, and the share answered without a call."""
    total = sum(verdicts.values())
    asked = total - verdicts.get(Verdict.REFUSED, 0)
    spared = sum(verdicts.get(verdict, 0) for verdict in _SPARED)
    return {
        "requests": int(total),
        "verdicts": {verdict.value: int(verdicts.get(verdict, 0)) for verdict in Verdict},
        "hit_ratio": round(spared / asked, 4) if asked else None,
    }


def _upstream(snapshot: Snapshot, upstream: str) -> dict[str, Any]:
    endpoints: dict[str, dict[str, float]] = {}
    total: dict[str, float] = {}
    for (name, endpoint, verdict), count in snapshot.family(REQUESTS).items():
        if name == upstream:
            endpoints.setdefault(endpoint, {})[verdict] = count
            total[verdict] = total.get(verdict, 0) + count
    calls: dict[str, float] = {}
    for (name, endpoint, _), count in snapshot.family(CALLS).items():
        if name == upstream:
            calls[endpoint] = calls.get(endpoint, 0) + count
    return {
        **_account(total),
        "upstream_calls": int(sum(calls.values())),
        "calls_saved": int(snapshot.family(SAVED).get((upstream,), 0)),
        "endpoints": {
            endpoint or "unmatched": {
                **_account(endpoints.get(endpoint, {})),
                "upstream_calls": int(calls.get(endpoint, 0)),
            }
            for endpoint in sorted({*endpoints, *calls})
        },
    }


def _clients(snapshot: Snapshot) -> dict[str, Any]:
    clients: dict[str, dict[str, float]] = {}
    for (client, _, verdict), count in snapshot.family(CLIENTS).items():
        verdicts = clients.setdefault(client, {})
        verdicts[verdict] = verdicts.get(verdict, 0) + count
    spent: dict[str, dict[str, float]] = {}
    for (client, upstream), cost in snapshot.family(CLIENT_COST).items():
        spent.setdefault(client, {})[upstream] = cost
    return {
        client: {**_account(clients.get(client, {})), "spent": spent.get(client, {})}
        for client in sorted({*clients, *spent})
    }


def _unmatched(snapshot: Snapshot) -> list[dict[str, Any]]:
    busiest = sorted(snapshot.unmatched.items(), key=lambda row: -row[1])[:BUSIEST]
    return [
        {"upstream": upstream, "path": path, "requests": count}
        for (upstream, path), count in busiest
    ]
