"""Store, ledger and fleet as configured: opened in the right order, closed in the other.

An unreachable one does not keep the proxy from starting: it says so, works on the first level
alone, and finds the store when it is back. Counts stand in a file of their own beside the cache:
a damaged cache is set aside and begun anew, counts never are.
"""

import hashlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog

from proxy.backends.address import RedisOptions, parse
from proxy.backends.credentials import Credentials
from proxy.backends.errors import BackendCorruptError, BackendError, BackendVersionError
from proxy.backends.redis import Redis
from proxy.config.settings import ClientSettings, Settings, StoreSettings
from proxy.core.spending import Level
from proxy.core.transfers import Carried
from proxy.core.upstreams import Limit, Upstream
from proxy.fleet.alone import Alone
from proxy.observation import Observer
from proxy.ports import Fleet, Ledger, Store
from proxy.store.nowhere import Nowhere
from proxy.store.operations import StoreFigures
from proxy.workers import Worker

_log = structlog.get_logger("persistence")

NOTES = Path("var")
"""Folder in which long counts are noted beside Redis, for when it comes back with less."""


class KeptStore(Store, Protocol):
    """A store with its life and its figures."""

    async def open(self) -> object:
        """Connect; False, or a BackendError, where it is not to be had now."""

    async def close(self) -> None:
        """Write what is left, and part."""

    def on_change(self, watcher: Callable[[bool, str], None]) -> None:
        """Tell `watcher` when the store is lost or found, and why."""

    async def health(self) -> tuple[bool, float]:
        """Return whether it answers, and in how many seconds."""
        ...

    async def figures(self) -> StoreFigures:
        """Return how it stands."""
        ...

    async def warnings(self) -> tuple[str, ...]:
        """Return what is wrong with it and does not stop the proxy."""
        ...


class KeptLedger(Ledger, Protocol):
    """A ledger with its life and its figures."""

    @property
    def reachable(self) -> bool:
        """Whether the counts could be reached when they were needed last."""
        ...

    @property
    def alone(self) -> frozenset[str]:
        """The upstreams that this process counts alone, on its share of their limits."""
        ...

    async def open(self) -> object:
        """Connect; a BackendError where it is not to be had now."""

    async def close(self) -> None:
        """Write what is left, and part."""

    def configure(self, upstreams: Mapping[str, tuple[Limit, ...]]) -> None:
        """Take the limits in force."""

    async def snapshot(self, upstream: str) -> tuple[Level, ...]:
        """Return how the upstream's counts stand now."""
        ...

    async def set_used(self, upstream: str, bucket: str, used: float) -> bool:
        """Set what is used of a limit; False: no such bucket. Raises BackendError."""
        ...

    async def carried(self) -> tuple[Carried, ...]:
        """Return all counts, as another ledger can take them. Raises BackendError."""
        ...

    async def take_over(self, carried: Iterable[Carried]) -> int:
        """Take counts where they are higher; return how many are known. Raises BackendError."""
        ...


class KeptFleet(Fleet, Protocol):
    """A fleet with its life."""

    async def open(self) -> None:
        """Be there for the others."""

    async def close(self) -> None:
        """Part from the others."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept outside this process, and who else keeps it."""

    store: KeptStore
    ledger: KeptLedger
    fleet: KeptFleet


@asynccontextmanager
async def opened(settings: Settings, observer: Observer, worker: Worker) -> AsyncIterator[Kept]:
    """Open store, ledger and fleet for as long as the context lasts."""
    async with AsyncExitStack() as stack:
        connections = _Connections(stack)
        store = await _store(settings.store, observer, connections)
        stack.push_async_callback(store.close)
        ledger = await _ledger(settings, connections)
        stack.push_async_callback(ledger.close)
        for name, each in (("store", store), ("ledger", ledger)):
            await _open(name, each)
        fleet = await _fleet(settings.store, worker, connections)
        stack.push_async_callback(fleet.close)
        await fleet.open()
        store.on_change(_say)
        yield Kept(store, ledger, fleet)


async def _open(name: str, kept: KeptStore | KeptLedger) -> None:
    """Open; counts that this version cannot read are no reason to count from 0: it is raised."""
    try:
        reached = await kept.open()
    except (BackendVersionError, BackendCorruptError) as error:
        raise OSError(f"{name}: {error}") from error
    except BackendError as error:
        _log.error("not_reached", what=name, reason=str(error))
        return
    if reached is False:
        _log.error("not_reached", what=name)


def _say(up: bool, reason: str) -> None:  # noqa: FBT001 - the watcher's shape
    if up:
        _log.info("store_found")
    else:
        _log.error("store_lost", reason=reason)


def limits_of(
    upstreams: tuple[Upstream, ...], clients: ClientSettings | None = None
) -> dict[str, tuple[Limit, ...]]:
    """Return each upstream's limits, and what clients may spend there, as ledgers take them."""
    budgets = () if clients is None else tuple(one for rule in clients.rules for one in rule.limits)
    return {upstream.name: (*upstream.limits, *budgets) for upstream in upstreams}


def _options(settings: StoreSettings) -> RedisOptions:
    return RedisOptions(
        settings.url,
        settings.max_connections,
        settings.connect_timeout,
        settings.timeout,
        settings.username,
        settings.password_file,
        settings.tls_ca,
    )


def passwords(settings: StoreSettings) -> tuple[str, ...]:
    """Return Redis' passwords: the address's, and the file's where that can be read now."""
    if settings.kind != "redis":
        return ()
    options = _options(settings)
    address = parse(options.url)
    try:
        return (address.password, Credentials(address, options)()[1])
    except (BackendError, UnicodeDecodeError):  # whoever connects will say so
        return (address.password,)


class _Connections:
    """Redis connections by what they lead to: store and ledger on one server share theirs."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self._open: dict[RedisOptions, Redis] = {}

    async def redis(self, settings: StoreSettings) -> Redis:
        options = _options(settings)
        if options not in self._open:
            redis = Redis(options)
            self._open[options] = redis
            self._stack.push_async_callback(redis.close)
            await redis.open()
        return self._open[options]


async def _store(
    settings: StoreSettings, observer: Observer, connections: _Connections
) -> KeptStore:
    match settings.kind:
        case "redis":
            from proxy.store.redis import RedisStore  # noqa: PLC0415 - only where it is used

            redis = await connections.redis(settings)
            return RedisStore(redis, namespace=settings.namespace, observe=observer.observe_store)
        case "sqlite":
            from proxy.store.sqlite import SqliteStore  # noqa: PLC0415 - only where it is used

            return SqliteStore(
                settings.path, max_size=settings.max_size, observe=observer.observe_store
            )
        case _:
            return Nowhere()


async def _ledger(settings: Settings, connections: _Connections) -> KeptLedger:
    limits = limits_of(settings.upstreams, settings.clients)
    match settings.ledger.kind:
        case "redis":
            from proxy.ledger.redis import RedisLedger  # noqa: PLC0415 - only where it is used

            redis = await connections.redis(settings.ledger)
            return RedisLedger(
                redis,
                limits,
                namespace=settings.ledger.namespace,
                timeout=settings.ledger.timeout,
                fleet_size=settings.fleet_size,
                refusing=[
                    upstream.name
                    for upstream in settings.upstreams
                    if upstream.when_ledger_lost == "refuse"
                ],
                notes=_notes(settings.ledger),
            )
        case "sqlite":
            from proxy.ledger.sqlite import SqliteLedger  # noqa: PLC0415 - only where it is used

            return SqliteLedger(_ledger_file(settings), limits)
        case _:
            from proxy.ledger.memory import MemoryLedger  # noqa: PLC0415 - only where it is used

            return MemoryLedger(limits)


async def _fleet(settings: StoreSettings, worker: Worker, connections: _Connections) -> KeptFleet:
    """Return those with whom the store is shared."""
    match settings.kind:
        case "redis":
            from proxy.fleet.redis import RedisFleet  # noqa: PLC0415 - only where it is used

            redis = await connections.redis(settings)
            return RedisFleet(redis, namespace=settings.namespace)
        case "sqlite" if worker.count > 1 and worker.run_dir:
            from proxy.fleet.machine import MachineFleet  # noqa: PLC0415 - only where it is used

            return MachineFleet(Path(worker.run_dir), worker.index, worker.count)
        case _:
            return Alone()


def _notes(ledger: StoreSettings) -> Path:
    """Return the file for this Redis and namespace: another's counts are not ours."""
    whose = hashlib.blake2b(ledger.url.rpartition("@")[2].encode(), digest_size=6).hexdigest()
    return NOTES / f"{ledger.namespace}.{whose}.notes"


def _ledger_file(settings: Settings) -> Path:
    path = Path(settings.ledger.path)
    shared = settings.store.kind == "sqlite" and settings.store.path == settings.ledger.path
    return path.with_name(f"{path.stem}.ledger{path.suffix}") if shared else path
