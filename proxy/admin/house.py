"""What the admin side asks of the house: small protocols that ledger, store and queues fulfil."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from proxy.admin.snapshot import Snapshot
from proxy.core.spending import Level
from proxy.core.upstreams import Upstream


class Counts(Protocol):
    """Where limits are counted."""

    async def snapshot(self, upstream: str) -> tuple[Level, ...]:
        """Return how the upstream's counts stand now, for all processes; asks the ledger."""
        ...

    def held_for(self, upstream: str) -> float:
        """Return for how many more seconds the upstream is held; else 0."""
        ...


class StoreState(Protocol):
    """The store, as an operator sees it."""

    @property
    def kind(self) -> str:
        """`sqlite`, `redis` or `memory`."""
        ...

    async def ping(self) -> None:
        """Ask the store for a sign of life.

        Raises:
            Exception: it gave none.

        """
        ...

    async def figures(self) -> Mapping[str, float]:
        """Return what is known: `memory_bytes`, `keys`, `clients`, `operations`, `hits`, `misses`."""
        ...


@dataclass(frozen=True, slots=True)
class House:
    """What the admin side looks at. Callables, because a reload may exchange what they return."""

    upstreams: Callable[[], tuple[Upstream, ...]]
    ledger: Counts
    store: StoreState
    gather: Callable[[], Awaitable[Snapshot]]
    """Counts of all workers of this instance."""
    ready: Callable[[], bool]
    """Whether requests are being served: not before start, nor while shutting down."""
    warnings: Callable[[], tuple[str, ...]]
    """What is wrong and does not stop the proxy."""
    wall: Callable[[], float]
    """Unix time."""
    version: str
