"""The proxy from the flow inwards in simulated time, before providers whose prices are clocks.

Sockets and stores are left out. What is asked of a provider is answered as far as `body` knows it:
CoinGecko's prices, Binance's prices and candles.
"""

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Protocol, TypeAlias
from urllib.parse import parse_qs, urlsplit

from proxy.accounts import Accounts
from proxy.cache import Cache
from proxy.calls import CallParts, Calls
from proxy.config.settings import Settings
from proxy.core.fields import Fields
from proxy.core.model import Failed, Request
from proxy.core.routing import Routes
from proxy.fetches import Fetches, Landing
from proxy.fleet.alone import Alone
from proxy.flights import Flights
from proxy.flow import Flow, FlowParts
from proxy.forwards import Forwards
from proxy.freshening.ahead import Ahead, AheadParts
from proxy.hits import Hits
from proxy.ledger.memory import MemoryLedger
from proxy.persistence import limits_of
from proxy.ports import Exchange, Outbound
from proxy.queues import Queues
from proxy.sandbox import candles
from proxy.sandbox.market import Market
from proxy.store.memory import Memory
from proxy.store.nowhere import Nowhere
from proxy.tasks import Tasks
from tests.house import Recorder, at_once

BEGINS = 1_763_000_123.0
"""Unix time at which every run begins."""
FIELDS: Fields = (("Host", "127.0.0.1"), ("Accept-Encoding", "identity"))
SYMBOLS = tuple(f"{asset.symbol}USDT" for asset in Market().assets)
RATE = 0.01
"""How much a price rises in a second: it tells when it was true."""

Answered: TypeAlias = Callable[[str], Awaitable[bytes | None]]
"""What is answered to a GET of a path and query; None: nothing of use."""


class Sends(Protocol):
    """What answers the proxy's calls."""

    async def send(self, outbound: Outbound) -> Exchange | Failed:
        """Answer a call."""
        ...


def now() -> float:
    """Return simulated Unix time."""
    return BEGINS + asyncio.get_running_loop().time()


def body(target: str, at: float) -> bytes:
    """Return what a provider answers to a target at a moment."""
    parts = urlsplit(target)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    price = f"{1 + (at - BEGINS) * RATE:.4f}"
    if "klines" in parts.path:
        return _candles(query, price, at)
    if "ids" in query:
        rows = (f'"{name}":{{"usd":{price}}}' for name in sorted(query["ids"].split(",")))
        return f"{{{','.join(rows)}}}".encode()
    if "symbol" in query:
        return f'{{"symbol":"{query["symbol"]}","price":"{price}"}}'.encode()
    listed = query.get("symbols")
    symbols = SYMBOLS if listed is None else re.findall(r"[A-Z0-9]+", listed)
    return (
        "[" + ",".join(f'{{"symbol":"{each}","price":"{price}"}}' for each in symbols) + "]"
    ).encode()


def _candles(query: dict[str, str], price: str, at: float) -> bytes:
    step = candles.SECONDS[query["interval"]] * 1000
    last = int(at * 1000) // step * step
    limit = int(query.get("limit", "500"))
    start = int(query["startTime"]) if "startTime" in query else last - (limit - 1) * step
    first = -(-start // step) * step
    opened = range(first, min(last, first + (limit - 1) * step) + 1, step)
    return (
        "["
        + ",".join(f'[{each},"1","1","1","{price}","1",{each + step - 1}]' for each in opened)
        + "]"
    ).encode()


class Silent(Recorder):
    """Keeps nothing."""

    def observe(self, _: object) -> None:
        """Do nothing."""


@asynccontextmanager
async def serving(settings: Settings, provider: Sends) -> AsyncIterator[Answered]:
    """Serve by some settings, refreshing ahead where they say so."""
    loop = asyncio.get_running_loop()
    tasks = Tasks(lambda name, error: sys.stderr.write(f"{name}: {error!r}\n"))
    ledger = MemoryLedger(limits_of(settings.upstreams), boottime=loop.time, wall=now)
    queues = Queues(ledger, tasks, loop.time)
    first_level = Memory(settings.memory)
    cache = Cache(first_level, Nowhere(), tasks)
    calls = Calls(CallParts(queues, ledger, provider, Recorder(), tasks, loop.time, now))
    flights: Flights[Landing] = Flights(tasks)
    accounts = Accounts(ledger)
    flow = Flow(
        FlowParts(
            cache=cache, flights=flights,
            fetches=Fetches(calls, cache, tasks, loop.time, now, Alone()),
            forwards=Forwards(calls, cache, tasks, now),
            accounts=accounts, hits=Hits(first_level, accounts, Recorder()), observer=Silent(),
            time=loop.time, now=now, secret=b"",
        ),
        Routes(settings.upstreams),
    )  # fmt: skip
    ahead = Ahead(AheadParts(flow, cache, ledger, queues.length, loop.time, now))
    running = tasks.start(ahead.run(), "ahead")

    async def ask(target: str) -> bytes | None:
        path, _, query = target.partition("?")
        request = Request("GET", path, query, FIELDS, "127.0.0.1", 8080)
        answer = at_once(flow, request) or await flow.serve(request, None)
        if answer.status != 200:
            return None
        if isinstance(answer.body, bytes):
            return answer.body
        return b"".join([chunk async for chunk in answer.body])

    try:
        yield ask
    finally:
        running.cancel()
        await tasks.close()
