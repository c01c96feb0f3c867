"""What the admin side asks of the house: small protocols that ledger, store and queues fulfil."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from proxy.admin.snapshot import Snapshot
from proxy.core.spending import Level
from proxy.core.upstreams import Upstream
from proxy.store.operations import StoreFigures


class Counts(Protocol):
    """Where limits are counted."""

    @property
    def reachable(self) -> bool:
        """Whether the counts could be reached when they were needed last."""
        ...

    async def snapshot(self, upstream: str) -> tuple[Level, ...]:
        """Return how the upstream's counts stand now, for all processes; asks the ledger."""
        ...

    def held_for(self, upstream: str) -> float:
        """Return for how many more seconds the upstream is held; else 0."""
        ...

    async def set_used(self, upstream: str, bucket: str, used: float) -> bool:
        """Set what is used of a limit; False: no such bucket.

        Raises:
            BackendError: the counts cannot be reached.

        """
        ...


class StoreState(Protocol):
    """The store, as an operator sees it."""

    async def health(self) -> tuple[bool, float]:
        """Return `(up, seconds of a round trip)`."""
        ...

    async def figures(self) -> StoreFigures:
        """Return how it stands."""
        ...

    async def warnings(self) -> tuple[str, ...]:
        """Return what an operator should know of its settings."""
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
    """What is wrong in the configuration and does not stop the proxy."""
    wall: Callable[[], float]
    """Unix time."""
    version: str
