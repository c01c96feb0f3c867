"""Health: alive, ready, and how the store is.

- `/healthz` says that the process answers; nothing that it leans on is asked.
- `/readyz` says that requests are served. A lost store does not change that: the first level and
  the providers are there still. What is wrong beside is said to whom may know it.
- `/health/redis` (whatever the store is) asks the store for a sign of life and times it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from proxy.admin.house import House

PATIENCE = 2.0
"""Seconds within which the store gives a sign of life."""


@dataclass(frozen=True, slots=True)
class Health:
    """A state, and whether it is a good one."""

    good: bool
    state: dict[str, Any]


def alive() -> Health:
    """Return that we are."""
    return Health(good=True, state={"status": "ok"})


def ready(house: House, *, trusted: bool) -> Health:
    """Return whether requests are served; to the trusted, also what is wrong beside."""
    good = house.ready()
    state: dict[str, Any] = {"status": "ready" if good else "not ready"}
    if trusted:
        state["warnings"] = list(house.warnings())
    return Health(good, state)


async def store(house: House, time: Callable[[], float] | None = None) -> Health:
    """Return whether the store answers, and how fast."""
    time = time or asyncio.get_running_loop().time
    began = time()
    try:
        async with asyncio.timeout(PATIENCE):
            await house.store.ping()
    except Exception as error:  # noqa: BLE001 - whatever it is, the store did not answer
        return Health(
            good=False,
            state={"status": "down", "store": house.store.kind, "error": type(error).__name__},
        )
    latency = round((time() - began) * 1000, 3)
    return Health(
        good=True, state={"status": "up", "store": house.store.kind, "latency_ms": latency}
    )
