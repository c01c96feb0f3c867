"""Counts between stores: their age, and what is no export."""

from pathlib import Path

import pytest

from proxy import clock
from proxy.config.loading import load
from proxy.config.settings import Settings
from proxy.core.transfers import Carried
from proxy.persistence import opened
from proxy.transfer import VERSION, Page, TransferError, exported, imported, read
from proxy.workers import Worker
from tests.house import Recorder
from tests.values import replace

ROOT = Path(__file__).parents[1]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(ROOT / "config" / "proxy.yaml", {"REDIS_URL": f"sqlite:{tmp_path}/proxy.db"})


async def used(settings: Settings, limit: str) -> float:
    async with opened(settings, Recorder(), Worker()) as kept:
        levels = await kept.ledger.snapshot("coingecko")
    return next(level.used for level in levels if level.bucket == limit)


async def test_what_has_gone_by_on_the_way_is_not_counted_again(settings: Settings) -> None:
    """A minute's calls, carried for an hour, are nobody's; fresh ones are."""
    calls = (Carried("coingecko", "minute", ((1.0, 7.0),)),)

    assert () == await imported(settings, Page(VERSION, clock.wall() - 3600, calls))
    assert 0.0 == await used(settings, "minute")
    assert () == await imported(settings, Page(VERSION, clock.wall(), calls))
    assert 7.0 == await used(settings, "minute")


async def test_what_is_not_configured_is_told(settings: Settings) -> None:
    """A count without its limit is left out, and the others are taken."""
    gone = Carried("gone", "minute", ((1.0, 7.0),))
    known = Carried("coingecko", "minute", ((1.0, 7.0),))

    assert (gone,) == await imported(settings, Page(VERSION, clock.wall(), (gone, known)))
    assert (known.bucket,) == tuple(each.bucket for each in read(await exported(settings)).counts)


async def test_a_ledger_in_memory_has_nothing_to_move(settings: Settings) -> None:
    """Its counts are in another process."""
    memory = replace(settings, ledger=replace(settings.ledger, kind="memory"))
    with pytest.raises(TransferError, match="nowhere"):
        await exported(memory)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"version": 1, "written": "x", "counts": []}',
        b'{"version": 1, "written": 1, "counts": [{"upstream": "a", "bucket": "b"}]}',
        b'{"version": 1, "written": -1, "counts": []}',
        b'{"version":1,"written":1,"counts":[{"upstream":"a","bucket":"b","log":[[-1,2]]}]}',
        b'{"version": 0, "written": 1, "counts": []}',
        b"\xff",
    ],
)
def test_what_is_no_export_is_refused(content: bytes) -> None:
    """Before anything is counted."""
    with pytest.raises(TransferError):
        read(content)
