"""What is kept, with whom: chosen by the configuration, and there for as long as it lasts."""

from pathlib import Path

import pytest

from proxy.config.settings import AdminSettings, Listener, Settings, StoreSettings
from proxy.fleet.alone import Alone
from proxy.fleet.machine import MachineFleet
from proxy.fleet.redis import RedisFleet
from proxy.ledger.memory import MemoryLedger
from proxy.ledger.redis import RedisLedger
from proxy.ledger.sqlite import SqliteLedger
from proxy.persistence import opened
from proxy.store.nowhere import Nowhere
from proxy.store.redis import RedisStore
from proxy.store.sqlite import SqliteStore
from proxy.workers import Worker
from tests.fixtures.redis import RedisServer
from tests.house import Recorder
from tests.store.entries import ENTRY


def settings(store: StoreSettings) -> Settings:
    listener = Listener("127.0.0.1", 0)
    return Settings(Path("proxy.yaml"), (), (listener,), AdminSettings(listener), store, store, ())


def file(tmp_path: Path) -> StoreSettings:
    return StoreSettings("sqlite", "sqlite:", str(tmp_path / "quota-proxy.db"))


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*.db")}


async def test_memory_is_shared_with_nobody(tmp_path: Path) -> None:
    """Nothing is kept beneath the first level, though there are several workers."""
    worker = Worker(0, 2, str(tmp_path))
    async with opened(settings(StoreSettings("memory", "memory:")), Recorder(), worker) as kept:
        kinds = [type(each) for each in (kept.store, kept.ledger, kept.fleet)]

    assert [Nowhere, MemoryLedger, Alone] == kinds


@pytest.mark.parametrize(("count", "fleet"), [(1, Alone), (2, MachineFleet)])
async def test_a_file_is_shared_by_the_workers_of_a_machine(
    tmp_path: Path, count: int, fleet: type
) -> None:
    """Counts lie in a file of their own, beside the cache's; a worker alone has no fleet."""
    worker = Worker(0, count, str(tmp_path / "run"))
    async with opened(settings(file(tmp_path)), Recorder(), worker) as kept:
        await kept.store.put(ENTRY, 60.0)
        kinds = [type(each) for each in (kept.store, kept.ledger, kept.fleet)]

    assert [SqliteStore, SqliteLedger, fleet] == kinds
    assert {"quota-proxy.db", "quota-proxy.ledger.db"} == files(tmp_path)


async def test_redis_is_shared_by_all(redis_server: RedisServer) -> None:
    """Store, ledger and fleet use it over one connection; a second one listens."""
    configured = settings(StoreSettings("redis", redis_server.url))
    async with opened(configured, Recorder(), Worker()) as kept:
        kinds = [type(each) for each in (kept.store, kept.ledger, kept.fleet)]
        with redis_server.client() as client:
            names = [each["cmd"] for each in client.client_list()]

    assert [RedisStore, RedisLedger, RedisFleet] == kinds
    assert 3 == len(names), names  # one of them is the test's own


async def test_a_redis_that_is_away_keeps_nobody_from_starting() -> None:
    """It is sought behind the answers; until then nothing is kept, and nobody led."""
    away = StoreSettings("redis", "redis://127.0.0.1:1", connect_timeout=0.2)
    async with opened(settings(away), Recorder(), Worker()) as kept:
        assert await kept.store.get("a") is None
        assert await kept.fleet.lead("a", 0.0) is None


async def test_a_file_that_cannot_be_opened_keeps_nobody_from_starting(tmp_path: Path) -> None:
    """A directory stands where the file should: the cache misses."""
    (tmp_path / "quota-proxy.db").mkdir()
    async with opened(settings(file(tmp_path)), Recorder(), Worker()) as kept:
        assert await kept.store.get("a") is None
