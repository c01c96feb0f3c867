"""Both loops, for the adapters lean on what loops promise: order, ticks, timers."""

import asyncio
from collections.abc import Callable

import pytest
import uvloop


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run each test on asyncio's own loop and on uvloop; those with fleets of servers on one."""
    both = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    slow = {"redis_sentinel", "own_cluster"} & set(getattr(item, "fixturenames", ()))
    return {"uvloop": uvloop.new_event_loop} if slow else both
