"""Store and ledger as configured: opened, told apart, and not to be had."""

import os
from pathlib import Path

import pytest

from proxy.config.loading import load
from proxy.config.settings import Settings
from proxy.core.spending import Bill, Charge, Granted
from proxy.persistence import limits_of, opened
from proxy.workers import Worker
from tests.house import Recorder
from tests.values import replace

ROOT = Path(__file__).parents[1]


def settings(store: str) -> Settings:
    return load(ROOT / "config" / "proxy.yaml", {"REDIS_URL": store})


def bill(loaded: Settings) -> Bill:
    binance = next(each for each in loaded.upstreams if each.name == "binance")
    return Bill("binance", (Charge(binance.limits[0], binance.limits[0].name, 2.0),), 8.0)


async def test_sqlite_keeps_counts_beside_the_cache(tmp_path: Path) -> None:
    """A damaged cache may be thrown away; counts stand in a file of their own."""
    loaded = settings(f"sqlite:{tmp_path}/proxy.db")
    async with opened(loaded, Recorder(), Worker()) as kept:
        assert isinstance(await kept.ledger.spend(bill(loaded)), Granted)

    assert {"proxy.db", "proxy.ledger.db"} <= set(os.listdir(tmp_path))  # noqa: PTH208 - names alone, in one call


async def test_counts_survive(tmp_path: Path) -> None:
    """What was spent before a restart is spent after it."""
    loaded = settings(f"sqlite:{tmp_path}/proxy.db")
    for spent in (2.0, 4.0):
        async with opened(loaded, Recorder(), Worker()) as kept:
            await kept.ledger.spend(bill(loaded))
            [weight] = [
                level
                for level in await kept.ledger.snapshot("binance")
                if level.bucket == bill(loaded).charges[0].bucket
            ]

            assert spent == weight.used


async def test_memory_keeps_nothing() -> None:
    """`memory:` serves without any file."""
    loaded = settings("memory:")
    async with opened(loaded, Recorder(), Worker()) as kept:
        assert isinstance(await kept.ledger.spend(bill(loaded)), Granted)
        assert await kept.store.get("anything") is None


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0"])
async def test_a_store_that_is_not_to_be_had_does_not_keep_from_starting(url: str) -> None:
    """The proxy starts without its store, and finds nothing in it."""
    loaded = settings(url)
    loaded = replace(loaded, store=replace(loaded.store, connect_timeout=0.1, timeout=0.1))
    async with opened(loaded, Recorder(), Worker()) as kept:
        assert await kept.store.get("anything") is None


async def test_a_cache_that_cannot_be_opened_is_a_miss(tmp_path: Path) -> None:
    """A path that cannot be a file loses the cache, not the proxy."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    loaded = settings("memory:")
    store = replace(loaded.store, kind="sqlite", path=str(blocked / "proxy.db"))
    async with opened(replace(loaded, store=store), Recorder(), Worker()) as kept:
        assert await kept.store.get("anything") is None


def test_limits_by_upstream() -> None:
    """A ledger is told every limit there is."""
    loaded = settings("memory:")

    assert {each.name for each in loaded.upstreams} == set(limits_of(loaded.upstreams))
