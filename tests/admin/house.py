"""A house for the admin side's tests: figures that the test writes."""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from proxy.admin.house import House
from proxy.admin.observations import Observations
from proxy.backends.errors import BackendLostError
from proxy.core.spending import Level
from proxy.core.upstreams import Algorithm, Limit, Upstream
from proxy.store.operations import StoreFigures

NOW = 1_795_000_000.0  # 2026-11-18T11:06:40Z

MINUTE = Limit("minute", 30.0, 60.0, Algorithm.SLIDING_WINDOW)
MONTH = Limit("month", 10_000.0, 30 * 86400.0, Algorithm.FIXED_WINDOW)


def level(limit: Limit, used: float, resets_in: float, bucket: str = "") -> Level:
    """Return how a limit stands."""
    window = limit.per if isinstance(limit.per, float) else 0.0
    return Level(
        limit.name,
        bucket or limit.name,
        limit.limit,
        used,
        resets_in,
        limit.algorithm.value,
        window,
    )


@dataclass
class WrittenLedger:
    """Stands as the test says."""

    levels: tuple[Level, ...] = ()
    held: float = 0.0
    lost: bool = False

    @property
    def reachable(self) -> bool:
        return not self.lost

    async def snapshot(self, upstream: str) -> tuple[Level, ...]:
        return self.levels if upstream == "coingecko" else ()

    async def set_used(self, upstream: str, bucket: str, used: float) -> bool:
        if self.lost:
            raise BackendLostError("gone")
        if upstream != "coingecko" or bucket not in {each.bucket for each in self.levels}:
            return False
        self.levels = tuple(
            msgspec.structs.replace(each, used=used) if each.bucket == bucket else each
            for each in self.levels
        )
        return True

    def held_for(self, upstream: str) -> float:
        return self.held if upstream == "coingecko" else 0.0


@dataclass
class WrittenStore:
    """Is up, or down."""

    up: bool = True
    said: tuple[str, ...] = ()

    async def health(self) -> tuple[bool, float]:
        return self.up, 0.0005

    async def figures(self) -> StoreFigures:
        return StoreFigures("redis", up=self.up, keys=3 if self.up else None, memory=1024)

    async def warnings(self) -> tuple[str, ...]:
        return self.said


@dataclass
class WrittenHouse:
    """All of it."""

    ledger: WrittenLedger = field(default_factory=WrittenLedger)
    store: WrittenStore = field(default_factory=WrittenStore)
    observations: Observations = field(default_factory=Observations)
    ready: bool = True
    limits: tuple[Limit, ...] = (MINUTE, MONTH)

    @property
    def house(self) -> House:
        """Return what the admin side is given."""

        async def gather() -> Any:
            return self.observations.snapshot()

        coingecko = Upstream("coingecko", "http://x", "/coingecko", (), None, limits=self.limits)
        return House(
            upstreams=lambda: (coingecko,),
            ledger=self.ledger,
            store=self.store,
            gather=gather,
            ready=lambda: self.ready,
            warnings=lambda: ("fleet_size is unset",),
            wall=lambda: NOW,
            version="0.1.0",
        )
