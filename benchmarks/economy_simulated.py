"""The economy benchmark in simulated time: the same trace, an hour of it in a minute or two.

    python benchmarks/economy_simulated.py [--minutes 60] [--only NAME …] [--pause 2]

The proxy is the real one from the flow inwards (cache, queues, gatherings, ledger in memory), with
the shipped files; sockets and stores are left out, and nothing is compressed. nginx is modelled:
one entry for each target, one call at a time for each, TTLs alone, and whatever is stored where the
provider refuses. What a run says is the same each time, so it is what to compare changes by; the
figures to quote are those of `economy.py`.
"""

import argparse
import asyncio
import re
import sys
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeAlias
from urllib.parse import parse_qs, urlsplit

import yaml
from economy import Heard, Row, head, shown, told_by, verdict, weighed
from economy_provider import NAMES
from economy_settings import PROXY, floor, rules, shipped, steps, without
from economy_trace import HOUR, MINUTES, PAUSE, Question, trace

from proxy.accounts import Accounts
from proxy.cache import Cache
from proxy.calls import CallParts, Calls
from proxy.config.loading import load
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
from proxy.sandbox.limits import FixedWindow, Limit, SlidingWindow, Window
from proxy.sandbox.market import Market
from proxy.store.memory import Memory
from proxy.store.nowhere import Nowhere
from proxy.tasks import Tasks
from tests.clockwork import turned
from tests.house import Recorder, Response

BEGINS = 1_763_000_123.0
"""Unix time at which every run begins."""
JSON: Fields = (("Content-Type", "application/json"),)
FIELDS: Fields = (("Host", "127.0.0.1"), ("Accept-Encoding", "identity"))
PATIENCE = 12.0
"""Seconds after which a bot gives up."""
SYMBOLS = tuple(f"{asset.symbol}USDT" for asset in Market().assets)
RATE = 0.01
"""How much a price rises in a second: it tells when it was true."""

Ask: TypeAlias = Callable[[Question, str], Awaitable[bytes | None]]
"""A contender: what it answers to a question with its whole target; None: nothing of use."""


def now() -> float:
    """Return simulated Unix time."""
    return BEGINS + asyncio.get_running_loop().time()


# ── the providers ──


@dataclass
class Provider:
    """Both providers: they count as theirs do, and their prices are clocks."""

    latency: float
    calls: list[tuple[str, str, bool]] = field(default_factory=list)
    """Provider, target, and whether it was refused."""
    windows: dict[str, Window] = field(
        default_factory=lambda: {
            "coingecko": SlidingWindow(Limit("minute", 30, 60.0)),
            "binance": FixedWindow(Limit("weight", 6000, 60.0)),
        }
    )

    async def send(self, outbound: Outbound) -> Exchange | Failed:
        """Answer the proxy."""
        requested_at = now()
        status, body = await self.answer(outbound.upstream.name, outbound.target)
        return Response(status, (body,), JSON, requested_at=requested_at, received_at=now())

    async def answer(self, name: str, target: str) -> tuple[int, bytes]:
        """Count a call when half the latency is over, and answer it after the other half."""
        await asyncio.sleep(self.latency / 2)
        _, weight = weighed(name, target)
        window = self.windows[name]
        refused = window.wait(weight, now()) > 0
        self.calls.append((name, target, refused))
        if not refused:
            window.take(weight, now())
        body = b"{}" if refused else _body(target, now())
        await asyncio.sleep(self.latency / 2)
        return (429 if refused else 200), body


def _body(target: str, at: float) -> bytes:
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
    step = MINUTES[query["interval"]] * 60_000
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


# ── the contenders ──


def _configured(features: Collection[str]) -> Settings:
    """Return the shipped settings without some features."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "upstreams").mkdir()
        Path(folder, "proxy.yaml").write_text(PROXY)
        for name in NAMES:
            text = yaml.safe_dump(without(shipped(name), features), sort_keys=False, width=1000)
            Path(folder, "upstreams", f"{name}.yaml").write_text(text)
        environ = {
            "QUOTA_PROXY_LISTEN": "127.0.0.1:0", "QUOTA_PROXY_ADMIN_LISTEN": "127.0.0.1:0",
            "REDIS_URL": "memory:", "COINGECKO_API_KEY": "bench",
        }  # fmt: skip
        return load(f"{folder}/proxy.yaml", environ)


@asynccontextmanager
async def ours(provider: Provider, features: Collection[str]) -> AsyncIterator[Ask]:
    """This proxy without some features."""
    loop = asyncio.get_running_loop()
    settings = _configured(features)
    tasks = Tasks(lambda name, error: print(name, repr(error), file=sys.stderr))
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

    async def ask(_: Question, target: str) -> bytes | None:
        path, _, query = target.partition("?")
        request = Request("GET", path, query, FIELDS, "127.0.0.1", 8080)
        answer = flow.at_once(request) or await flow.serve(request, None)
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


class Silent(Recorder):
    """Keeps nothing."""

    def observe(self, _: object) -> None:
        """Do nothing."""


@asynccontextmanager
async def nginx(provider: Provider) -> AsyncIterator[Ask]:
    """A model of nginx: `proxy_cache_lock`, `proxy_cache_use_stale`, and no background update."""
    stored: dict[str, tuple[float, bytes]] = {}
    locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
    chosen = [
        (re.compile(pattern), ttl) for rule in rules(1.0) for pattern, ttl in rule.lifetimes()
    ]

    def fresh(target: str) -> bytes | None:
        found = stored.get(target)
        return found[1] if found is not None and now() < found[0] else None

    async def ask(_: Question, target: str) -> bytes | None:
        body = fresh(target)
        if body is not None:
            return body
        if target in stored and locks[target].locked():
            return stored[target][1]  # stale, while it is updated
        async with locks[target]:
            body = fresh(target)
            if body is not None:
                return body
            _, name, path = target.split("/", 2)
            status, body = await provider.answer(name, f"/{path}")
            if status == 200:
                ttl = next(ttl for pattern, ttl in chosen if pattern.search(target))
                stored[target] = (now() + ttl, body)
                return body
            return stored[target][1] if target in stored else None

    yield ask


# ── the run ──


async def replayed(ask: Ask, questions: list[Question]) -> list[Heard]:
    """Put all questions at their time; return what was heard."""
    heard: list[Heard] = []
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def put(question: Question) -> None:
        asked_at, body = loop.time(), None
        since = f"&startTime={int(now() * 1000) - question.since * 10}" if question.since else ""
        try:
            async with asyncio.timeout(PATIENCE):
                body = await ask(question, question.target + since)
        except TimeoutError:
            pass
        told = told_by(question.kind, body) if body is not None else None
        age = None if told is None else max(0.0, now() - BEGINS - (told - 1) / RATE)
        heard.append(Heard(question.kind, age, (loop.time() - asked_at) * 1000))

    async with asyncio.TaskGroup() as bots:
        for question in questions:
            ahead = began + question.at - loop.time()
            if ahead > 0:
                await asyncio.sleep(ahead)
            bots.create_task(put(question))
    return heard


async def measured(
    contender: Callable[[Provider], object], questions: list[Question], latency: float
) -> dict[str, Row]:
    """Replay the trace through one contender."""
    provider = Provider(latency)
    rows: dict[str, Row] = defaultdict(Row)
    async with contender(provider) as ask:  # type: ignore[attr-defined]  # a context of each kind
        heard = await replayed(ask, questions)
    for each in heard:
        for row in (rows["all"], rows[each.kind]):
            row.heard.append(each)
    for name, target, refused in provider.calls:
        kind, weight = weighed(name, target)
        for row in (rows["all"], rows[kind], rows[name]):
            row.count(weight, refused=refused)
    return dict(rows)


def main() -> int:
    """Print the table, and what it says of the goals."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=HOUR / 60)
    parser.add_argument("--only", nargs="*", default=[], help="contenders, by name")
    parser.add_argument("--latency", type=float, default=0.2, help="of the providers, in seconds")
    parser.add_argument("--pause", type=float, default=PAUSE, help="between a bot's questions")
    options = parser.parse_args()
    questions = trace(options.minutes * 60, options.pause)
    contenders = {
        "nginx": nginx,
        **{name: partial(ours, features=features) for name, features in steps()},
    }
    print(head())
    results = {}
    for name, contender in contenders.items():
        if options.only and name not in options.only:
            continue
        results[name] = turned(measured(contender, questions, options.latency))
        print("\n".join(shown(name, results[name])), flush=True)
    last = next(reversed(results), "")
    if "nginx" in results and last != "nginx":
        print("\n".join(verdict(results["nginx"], results[last])))
    print(f"candles cannot weigh less than {floor(questions)}: see `economy_settings.floor`")
    return 0


if __name__ == "__main__":
    sys.exit(main())
