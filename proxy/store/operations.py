"""Operations on a store that may be away: timed, counted, and never raising into the flow."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import TypeVar

import structlog

from proxy.backends.errors import BackendError, BackendLostError
from proxy.observation import StoreObservation

_log = structlog.get_logger("store")

T = TypeVar("T")
U = TypeVar("U")

Observe = Callable[[StoreObservation], None]
Watcher = Callable[[bool, str], None]


@dataclass(frozen=True, slots=True)
class StoreFigures:
    """How a store stands. None: it does not say, or cannot be asked."""

    kind: str
    """`sqlite`, `redis` or `memory`."""
    up: bool
    keys: int | None = None
    memory: int | None = None
    """Bytes that it takes: in memory for Redis, in its file for SQLite."""
    clients: int | None = None
    operations: int | None = None
    keyspace_hits: int | None = None
    keyspace_misses: int | None = None
    errors: Mapping[str, int] = field(default_factory=dict)
    """Failed operations of this process, by operation."""


class Operations:
    """The operations of one store, and whether it was last known to be up."""

    def __init__(self, observe: Observe) -> None:
        """Take whom to tell of each operation."""
        self.done = 0
        self.hits = 0
        self.misses = 0
        self.errors: Counter[str] = Counter()
        self._observe = observe
        self._watchers: list[Watcher] = []
        self._told = True
        self._said: dict[str, str] = {}

    async def attempt(
        self, operation: str, work: Callable[[], Awaitable[T]], otherwise: U
    ) -> T | U:
        """Return what `work` gives, or `otherwise` where the backend cannot do it."""
        started = perf_counter()
        error: BackendError | None = None
        try:
            return await work()
        except BackendError as lost:
            error = lost
            return otherwise
        finally:
            self.ended(operation, started, error)

    def ended(self, operation: str, started: float, error: BaseException | None) -> None:
        """Count an operation that has ended; `error` is what the backend could not do."""
        if error is not None:
            self._failed(operation, error)
        self.done += 1
        self._observe(StoreObservation(operation, perf_counter() - started, error is not None))

    def looked_up(self, *, found: bool) -> None:
        """Count a look-up that met an entry, or did not."""
        if found:
            self.hits += 1
        else:
            self.misses += 1

    def watch(self, watcher: Watcher) -> None:
        """Have `watcher(up, reason)` told of each loss once, and once when it is found again."""
        self._watchers.append(watcher)

    def note(self, up: bool, reason: str) -> None:  # noqa: FBT001 - the watcher's shape
        """Tell the watchers, unless that is what they know. At first they take it to be up."""
        if up is not self._told:
            self._told = up
            for watcher in self._watchers:
                watcher(up, reason)

    def stumbled(self, task: str, error: BaseException) -> None:
        """Log that a task of the store ended with an error that is a bug."""
        _log.error("store_task_failed", task=task, error=repr(error))

    def _failed(self, operation: str, error: BaseException) -> None:
        """Count it. A loss is told by `note`; another reason is logged when it is a new one."""
        self.errors[operation] += 1
        reason = str(error)
        if not isinstance(error, BackendLostError) and self._said.get(operation) != reason:
            self._said[operation] = reason
            _log.warning("store_operation_failed", operation=operation, reason=reason)
