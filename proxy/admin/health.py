"""Health: alive, ready, and how the store is.

- `/healthz` says that the process answers; nothing that it leans on is asked.
- `/readyz` says that requests are served. A lost store does not change that: the first level and
  the providers are there still. What is wrong beside is said to whom may know it.
- `/health/redis` (whatever the store is) asks the store for a sign of life and times it.
"""

from dataclasses import dataclass
from typing import Any

from proxy.admin.house import House


@dataclass(frozen=True, slots=True)
class Health:
    """A state, and whether it is a good one."""

    good: bool
    state: dict[str, Any]


def alive() -> Health:
    """Return that we are."""
    return Health(good=True, state={"status": "ok"})


async def ready(house: House, *, trusted: bool) -> Health:
    """Return whether requests are served; to the trusted, also what is wrong beside."""
    good = house.ready()
    state: dict[str, Any] = {"status": "ready" if good else "not ready"}
    if trusted:
        state["warnings"] = [*house.warnings(), *await _store_warnings(house)]
    return Health(good, state)


async def store(house: House) -> Health:
    """Return whether the store answers, and how fast."""
    kind = (await house.store.figures()).kind
    up, seconds = await house.store.health()
    latency = {"latency_ms": round(seconds * 1000, 3)} if up else {}
    return Health(up, {"status": "up" if up else "down", "store": kind, **latency})


async def _store_warnings(house: House) -> tuple[str, ...]:
    up, _ = await house.store.health()
    lost = [] if up else ["the store cannot be reached: the first level serves alone"]
    if not house.ledger.reachable:
        lost.append(
            "the counts cannot be reached: calls go from shares of the limits, or not at all"
        )
    return (*lost, *await house.store.warnings())
