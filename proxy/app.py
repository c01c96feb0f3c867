"""The composition root: makes every resource of one worker, owns its life, wires it together."""

import asyncio
import gc
import importlib.util
import os
import signal
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import structlog
from aiohttp import web

from proxy import clock, log
from proxy.accounts import Accounts
from proxy.admin.app import make_admin
from proxy.admin.doors import Doors
from proxy.admin.forecasts import Forecasts
from proxy.admin.house import House
from proxy.admin.journal import Journal
from proxy.admin.observations import (
    MEMORY_BYTES,
    SHARE_MODE,
    STRETCH,
    STRETCHING,
    WAITING,
    Observations,
)
from proxy.admin.snapshot import Labels
from proxy.admin.workers import Workers
from proxy.answer import Answer
from proxy.arrears import caught_up
from proxy.cache import Cache
from proxy.calls import CallParts, Calls
from proxy.config.settings import Listener, Settings
from proxy.core.model import Request
from proxy.core.routing import Routes
from proxy.fetches import Fetches, Landing
from proxy.flights import Flights
from proxy.flow import Flow, FlowParts
from proxy.forwards import Forwards
from proxy.freshening.ahead import Ahead, AheadParts
from proxy.hits import Hits
from proxy.http.client import open_client
from proxy.http.front import Front
from proxy.http.known_clients import KnownClients
from proxy.http.listeners import serve_on, tls_context
from proxy.observation import Observer
from proxy.own_secret import own_secret
from proxy.persistence import Kept, opened, passwords
from proxy.planning.recording import Recording
from proxy.ports import UpstreamClient
from proxy.queues import Queues
from proxy.store.memory import Memory
from proxy.tasks import Tasks
from proxy.workers import Worker

GRACE = 10.0
"""Seconds that requests under way are given when the proxy ends."""
SETTLING = 2.0
"""Seconds after that for what runs behind answers: settling and storing."""

COLLECTED = (20_000, 20, 100)
"""The collector's thresholds: new objects that are kept, before each generation is gone through."""


def run(settings: Settings) -> int:
    """Serve until a signal ends it; return the exit status."""
    worker = Worker.from_environment(os.environ)
    log.configure(settings.log.level, settings.log.format, secrets=secrets_of(settings))
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        try:
            runner.run(_serve_until_told(settings, worker))
        except OSError as error:
            structlog.get_logger().error("cannot_start", reason=str(error))
            return 1
    return 0


async def _serve_until_told(settings: Settings, worker: Worker) -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, told.set)
    if worker.lifeline is not None:
        loop.add_reader(worker.lifeline, _orphaned, worker.lifeline, told)
    async with serving(settings, worker) as addresses:
        _spare_what_stays()
        structlog.get_logger().info("serving", **addresses)
        await told.wait()


def _orphaned(lifeline: int, told: asyncio.Event) -> None:
    """End as if told to: who starts the proxy anew would meet a port that is taken."""
    asyncio.get_running_loop().remove_reader(lifeline)
    structlog.get_logger().error("supervisor_gone")
    told.set()


def _spare_what_stays() -> None:
    """Have the garbage collector leave alone what lives as long as the process, and look seldom.

    Modules and configuration are some hundred thousand objects: to go through them again and again
    cost a fifth of a miss, and stopped the loop for ten milliseconds and more each time.
    """
    gc.collect()
    gc.freeze()
    gc.enable()
    gc.set_threshold(*COLLECTED)


DEMONSTRATION = {
    "QUOTA_PROXY_LISTEN": "127.0.0.1:0",
    "QUOTA_PROXY_ADMIN_LISTEN": "127.0.0.1:0",
    "KRAKEN_LISTEN": "127.0.0.1:0",
    "OKX_LISTEN": "127.0.0.1:0",
    "REDIS_URL": "memory:",
    "QUOTA_PROXY_LOG_LEVEL": "error",
}
"""What a demonstration sets: free ports, and nothing kept."""


def demonstrated(
    load: Callable[[Mapping[str, str]], Settings],
) -> Callable[[Mapping[str, str]], AbstractAsyncContextManager[str]]:
    """Return what starts a proxy for a demonstration, and yields where its traffic listens."""

    @asynccontextmanager
    async def start(environ: Mapping[str, str]) -> AsyncIterator[str]:
        settings = load({**os.environ, **DEMONSTRATION, **environ})
        log.configure(settings.log.level, settings.log.format, secrets=secrets_of(settings))
        async with serving(settings, Worker()) as addresses:
            yield f"http://{addresses['traffic']}"

    return start


class _State:
    """Whether requests are being served."""

    serving = True

    def stop(self) -> None:
        """Say that they are not any more."""
        self.serving = False


@asynccontextmanager
async def serving(settings: Settings, worker: Worker) -> AsyncIterator[dict[str, str]]:
    """Serve; yields where, once requests are accepted."""
    journal = structlog.get_logger()

    def on_error(name: str, error: BaseException) -> None:
        journal.error("task_failed", task=name, exc_info=error)

    async with AsyncExitStack() as stack:
        observations = Observations()
        observer = Journal(observations)
        tasks = Tasks(on_error)
        kept = await stack.enter_async_context(opened(settings, observer, worker))
        client = open_client()
        stack.push_async_callback(client.close)
        stack.push_async_callback(tasks.close, SETTLING)
        level = Memory(settings.memory)
        flow, observations.gauges = _flow(settings, kept, level, client, observer, tasks, stack)
        front = Front(
            flow,
            None if settings.clients is None else KnownClients(settings.clients),
            on_error=lambda error: on_error("front", error),
            on_refused=lambda reason: observer.observe_refusal("", reason),
            accelerate=settings.accelerator,
            forms=level,
        )
        observations.gather = front.gather
        if settings.record is not None:
            flow.recording = Recording(settings.record, clock.wall)
            stack.callback(tasks.start(flow.recording.run(), "record").cancel)
        state = _State()
        workers = Workers(observations.snapshot, Path(worker.run_dir) if worker.run_dir else None)
        await workers.start()
        stack.push_async_callback(workers.close)
        addresses = await _listen(settings, worker, front, stack)
        if worker.index == 0:
            house = _house(settings, kept, workers, state)
            addresses["admin"] = await _listen_admin(settings, worker, house, stack)
            stack.callback(tasks.start(Forecasts(house).run(), "forecasts").cancel)
            _catch_up(settings, flow, kept, tasks)
        stack.callback(state.stop)
        yield addresses


def _catch_up(settings: Settings, flow: Flow, kept: Kept, tasks: Tasks) -> None:
    """Ask every provider that can tell what was spent before we came."""

    async def ask(request: Request) -> Answer:
        return await flow.serve(request, None)

    for upstream in settings.upstreams:
        if upstream.usage_from is not None and not upstream.disabled:
            tasks.start(caught_up(upstream, ask, kept.ledger), f"usage of {upstream.name}")


def _flow(
    settings: Settings,
    kept: Kept,
    first_level: Memory,
    client: UpstreamClient,
    observer: Observer,
    tasks: Tasks,
    stack: AsyncExitStack,
) -> tuple[Flow, Callable[[], dict[Labels, float]]]:
    """Return the flow, and what says how much it holds at the moment."""
    time = asyncio.get_running_loop().time
    queues = Queues(kept.ledger, tasks, time)
    cache = Cache(first_level, kept.store, tasks)
    accounts = Accounts(kept.ledger)
    calls = Calls(CallParts(queues, kept.ledger, client, observer, tasks, time, clock.wall))
    flights: Flights[Landing] = Flights(tasks)
    parts = FlowParts(
        cache=cache,
        flights=flights,
        fetches=Fetches(calls, cache, tasks, time, clock.steady_wall, kept.fleet),
        forwards=Forwards(calls, cache, tasks, clock.steady_wall),
        accounts=accounts,
        hits=Hits(first_level, accounts, observer, first_level),
        observer=observer,
        time=time,
        now=clock.steady_wall,
        secret=own_secret(settings),
    )
    held = _held(settings, kept, queues, first_level, accounts)
    flow = Flow(parts, Routes(settings.upstreams))
    ahead = AheadParts(flow, cache, kept.ledger, queues.length, time, clock.steady_wall)
    stack.callback(tasks.start(Ahead(ahead).run(), "ahead").cancel)
    return flow, held


def _held(
    settings: Settings, kept: Kept, queues: Queues, first_level: Memory, accounts: Accounts
) -> Callable[[], dict[Labels, float]]:
    """Return what says how much this process holds at the moment."""
    names = [upstream.name for upstream in settings.upstreams]

    def gauges() -> dict[Labels, float]:
        held: dict[Labels, float] = {(MEMORY_BYTES,): float(first_level.figures().bytes)}
        held.update({(SHARE_MODE, name): 1.0 for name in kept.ledger.alone})
        held.update({(WAITING, name): float(queues.length(name)) for name in names})
        for (upstream, endpoint), factor in accounts.stretches.factors.items():
            held[STRETCH, upstream, endpoint] = factor
            held[STRETCHING, upstream, endpoint] = 1.0
        return held

    return gauges


async def _listen(
    settings: Settings, worker: Worker, front: Front, stack: AsyncExitStack
) -> dict[str, str]:
    """Accept clients on every traffic listener; return where, by name."""
    addresses: dict[str, str] = {}
    servers = []
    for listener in settings.listeners:
        opened_socket = worker.socket(listener)
        tls = _tls(listener)
        servers.append(await serve_on(opened_socket, front.accept, tls))
        addresses[listener.upstream or "traffic"] = _written(opened_socket.getsockname())

    async def close() -> None:
        for server in servers:
            server.close()
        await front.close(GRACE)

    stack.push_async_callback(close)
    return addresses


async def _listen_admin(
    settings: Settings, worker: Worker, house: House, stack: AsyncExitStack
) -> str:
    admin = settings.admin
    doors = Doors(admin.token, (admin.listener.host, *admin.hosts))
    runner = web.AppRunner(make_admin(house, doors), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    opened_socket = worker.socket(admin.listener)
    await web.SockSite(runner, opened_socket).start()
    return _written(opened_socket.getsockname())


def _tls(listener: Listener) -> ssl.SSLContext | None:
    if listener.certificate is None:
        return None
    return tls_context(str(listener.certificate), str(listener.key) if listener.key else None)


def _written(name: tuple[str, int] | tuple[str, int, int, int]) -> str:
    host, port = name[0], name[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _house(settings: Settings, kept: Kept, workers: Workers, state: _State) -> House:
    return House(
        upstreams=lambda: settings.upstreams,
        ledger=kept.ledger,
        store=kept.store,
        gather=workers.gather,
        ready=lambda: state.serving,
        warnings=lambda: tuple(str(warning) for warning in settings.warnings),
        wall=clock.wall,
        version=_version(),
    )


def _version() -> str:
    try:
        return version("quota-proxy")
    except PackageNotFoundError:  # run from a checkout that nobody installed
        return "unknown"


def secrets_of(settings: Settings) -> tuple[str, ...]:
    """Return every secret of the configuration: what no log line may hold."""
    rules = settings.clients.rules if settings.clients is not None else ()
    own = [
        settings.admin.token,
        settings.secret,
        *(each.credentials.value for each in settings.upstreams),
    ]
    own += [*passwords(settings.store), *passwords(settings.ledger)]
    return tuple(secret for secret in (*own, *(rule.token for rule in rules)) if secret)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if importlib.util.find_spec("uvloop") is None:
        return None
    import uvloop  # noqa: PLC0415 - optional: not to be had everywhere

    return uvloop.new_event_loop
