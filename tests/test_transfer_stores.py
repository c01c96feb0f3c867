"""Counts between stores of different kinds: the limits', clients' own, and those of credentials."""

from pathlib import Path
from typing import Any

import yaml

from proxy.config.loading import load
from proxy.config.settings import Settings
from proxy.core.costs import bucket
from proxy.core.spending import Bill, Charge, Granted, Level, Settled
from proxy.core.upstreams import Limit
from proxy.persistence import opened
from proxy.transfer import exported, imported, read
from proxy.workers import Worker
from tests.fixtures.redis import RedisServer
from tests.house import Recorder

UPSTREAM: dict[str, Any] = {
    "name": "up",
    "base_url": "http://127.0.0.1:1",
    "limits": {
        "day": {"limit": 100, "per": "day"},
        "own": {"limit": 50, "per": "600s", "of": "credential"},
        "second": {"limit": 60, "per": "900s", "each": "endpoint"},
        "pot": {"limit": 40, "per": "1h", "algorithm": "token_bucket", "burst": 40},
    },
    "endpoints": {"book": {"path": "/book", "ttl": "1s"}},
}
CLIENTS = {
    "named": {"grid-1": {"limits": {"hour": {"limit": 9, "per": "3600s", "counts": "requests"}}}}
}
ANSWERED = Settled(sent=True, answered=True, status=200)


def configured(folder: Path, store: str) -> Settings:
    """Load an upstream with a limit of each kind, and a client with a budget."""
    folder.mkdir(exist_ok=True)
    (folder / "up.yaml").write_text(yaml.safe_dump(UPSTREAM))
    main = {"store": store, "upstreams": ["up.yaml"], "clients": CLIENTS}
    (folder / "proxy.yaml").write_text(yaml.safe_dump(main))
    return load(folder / "proxy.yaml", {})


def bill(settings: Settings) -> Bill:
    """Spend 3 of each limit, 2 of them of the client's own."""
    [upstream] = settings.upstreams
    assert settings.clients is not None
    [budget] = settings.clients.rules[0].limits
    charges = [Charge(each, _named(settings, each), 3.0) for each in upstream.limits]
    return Bill("up", (*charges, Charge(budget, budget.name, 2.0)), 8.0)


def _named(settings: Settings, limit: Limit) -> str:
    book = next(each for each in settings.upstreams[0].endpoints if each.name == "book")
    return bucket(limit, book, "0123456789abcdef")


async def spent(settings: Settings) -> None:
    """Spend once, and hear the answer."""
    async with opened(settings, Recorder(), Worker()) as kept:
        granted = await kept.ledger.spend(bill(settings))
        assert isinstance(granted, Granted)
        await kept.ledger.settle(granted.receipt, ANSWERED)


async def used(settings: Settings) -> dict[str, float]:
    """Return what is used by a process that has spent nothing itself."""
    page = read(await exported(settings))
    return {each.bucket: sum(tokens for _, tokens in each.log) for each in page.counts}


async def test_every_kind_of_count_goes_there_and_back(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    """From SQLite to Redis to another SQLite, by processes that spent nothing themselves."""
    first = configured(tmp_path / "one", f"sqlite:{tmp_path}/one.db")
    middle = configured(tmp_path / "two", redis_server.url)
    last = configured(tmp_path / "three", f"sqlite:{tmp_path}/three.db")
    await spent(first)
    before = await used(first)
    for source, target in ((first, middle), (middle, last)):
        assert () == await imported(target, read(await exported(source)))
    after = await used(last)

    assert {
        "day": 3.0,
        "own@0123456789abcdef": 3.0,
        "second/book": 3.0,
        "~grid-1/hour": 2.0,
    }.items() <= before.items()
    assert before.keys() == after.keys()
    for name, tokens in before.items():
        assert 0.0 <= tokens - after[name] < 0.5  # the pot fills on the way
    for settings in (middle, last):
        await _binds(settings)


async def _binds(settings: Settings) -> None:
    """Of the client's nine an hour, seven are left: the eighth is denied."""
    assert settings.clients is not None
    [budget] = settings.clients.rules[0].limits
    ask = Bill("up", (Charge(budget, budget.name, 8.0),), 8.0)
    async with opened(settings, Recorder(), Worker()) as kept:
        assert not isinstance(await kept.ledger.spend(ask), Granted)


async def test_a_budget_that_nobody_spent_is_not_shown(tmp_path: Path) -> None:
    """An upstream's figures are its own limits' until a client spends of its budget."""
    settings = configured(tmp_path / "one", f"sqlite:{tmp_path}/one.db")
    async with opened(settings, Recorder(), Worker()) as kept:
        levels: tuple[Level, ...] = await kept.ledger.snapshot("up")

    assert {"day", "pot"} == {level.bucket for level in levels}
