"""Alive, ready, and the store."""

from proxy.admin import health
from tests.admin.house import WrittenHouse, WrittenLedger, WrittenStore


def test_alive_asks_nothing() -> None:
    """Whatever is lost, a process that answers is alive."""
    assert health.Health(good=True, state={"status": "ok"}) == health.alive()


async def test_ready_follows_the_proxy_and_not_the_store() -> None:
    """Without a store it serves on the first level alone."""
    lost = WrittenHouse(store=WrittenStore(up=False))

    assert (await health.ready(lost.house, trusted=False)).good
    assert not (await health.ready(WrittenHouse(ready=False).house, trusted=False)).good


async def test_warnings_are_for_the_trusted() -> None:
    """Who has no token learns only whether it is ready."""
    house = WrittenHouse(store=WrittenStore(up=False, said=("Redis evicts by allkeys-lru",))).house

    assert {"status": "ready"} == (await health.ready(house, trusted=False)).state
    warnings = (await health.ready(house, trusted=True)).state["warnings"]
    assert ["fleet_size is unset", "Redis evicts by allkeys-lru"] == [warnings[0], warnings[-1]]
    assert "cannot be reached" in warnings[1]


async def test_lost_counts_are_a_warning() -> None:
    """Hits go on, so it is ready; but somebody should look."""
    house = WrittenHouse(ledger=WrittenLedger(lost=True)).house
    ready = await health.ready(house, trusted=True)

    assert ready.good
    assert any("counts cannot be reached" in warning for warning in ready.state["warnings"])


async def test_the_stores_state_and_latency() -> None:
    """Down has no latency."""
    up = await health.store(WrittenHouse().house)
    down = await health.store(WrittenHouse(store=WrittenStore(up=False)).house)

    assert {"status": "up", "store": "redis", "latency_ms": 0.5} == up.state
    assert (False, {"status": "down", "store": "redis"}) == (down.good, down.state)
