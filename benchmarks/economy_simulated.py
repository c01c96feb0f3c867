"""The economy benchmark in simulated time: the same trace, an hour of it in a minute or two.

    python benchmarks/economy_simulated.py [--minutes 60] [--only NAME …] [--pause 0.5 1 2]
                                           [--brief]

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
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeAlias

import yaml
from economy_driver import told_by
from economy_provider import NAMES
from economy_settings import PROXY, Step, as_shipped, floor, rules, steps
from economy_table import Heard, Row, head, said, shown, weighed
from economy_trace import HOUR, OTHER_PAUSES, PAUSE, Question, trace

from proxy.config.loading import load
from proxy.config.settings import Settings
from proxy.core.fields import Fields
from proxy.core.model import Failed
from proxy.ports import Exchange, Outbound
from proxy.sandbox.limits import Algorithm, Ban, Enforcer, Limit, Refused, Spending
from tests.clockwork import turned
from tests.house import Response
from tests.simulated import BEGINS, RATE, body, now, serving

JSON: Fields = (("Content-Type", "application/json"),)
PATIENCE = 12.0
"""Seconds after which a bot gives up."""

Ask: TypeAlias = Callable[[Question, str], Awaitable[bytes | None]]
"""A contender: what it answers to a question with its whole target; None: nothing of use."""


# ── the providers ──


@dataclass
class Provider:
    """Both providers: they count as theirs do, and their prices are clocks."""

    latency: float
    calls: list[tuple[str, str, bool]] = field(default_factory=list)
    """Provider, target, and whether it was refused."""
    enforcers: dict[str, Enforcer] = field(
        default_factory=lambda: {
            "coingecko": Enforcer([Limit("minute", 30, 60.0, Algorithm.SLIDING_WINDOW)]),
            "binance": Enforcer([Limit("weight", 6000, 60.0)], Ban()),
        }
    )
    """Whoever goes on after refusals by Binance is banned, as there."""

    async def send(self, outbound: Outbound) -> Exchange | Failed:
        """Answer the proxy."""
        requested_at = now()
        status, told = await self.answer(outbound.upstream.name, outbound.target)
        return Response(status, (told,), JSON, requested_at=requested_at, received_at=now())

    async def answer(self, name: str, target: str) -> tuple[int, bytes]:
        """Count a call when half the latency is over, and answer it after the other half."""
        await asyncio.sleep(self.latency / 2)
        _, weight = weighed(name, target)
        spending = Spending("127.0.0.1", "", target.partition("?")[0], (), weight)
        refused = isinstance(self.enforcers[name].enter(spending, now()), Refused)
        self.calls.append((name, target, refused))
        told = b"{}" if refused else body(target, now())
        await asyncio.sleep(self.latency / 2)
        return (429 if refused else 200), told


# ── the contenders ──


def configured(step: Step) -> Settings:
    """Return a contender's settings, as long as they are shipped."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "upstreams").mkdir()
        Path(folder, "proxy.yaml").write_text(PROXY)
        for name in NAMES:
            text = yaml.safe_dump(step.upstream(name), sort_keys=False, width=1000)
            Path(folder, "upstreams", f"{name}.yaml").write_text(text)
        environ = {
            "QUOTA_PROXY_LISTEN": "127.0.0.1:0", "QUOTA_PROXY_ADMIN_LISTEN": "127.0.0.1:0",
            "REDIS_URL": "memory:", "COINGECKO_API_KEY": "bench",
        }  # fmt: skip
        return load(f"{folder}/proxy.yaml", environ)


@asynccontextmanager
async def ours(provider: Provider, step: Step) -> AsyncIterator[Ask]:
    """This proxy."""
    async with serving(configured(step), provider) as answered:

        async def ask(_: Question, target: str) -> bytes | None:
            return await answered(target)

        yield ask


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


def run(options: argparse.Namespace, pause: float) -> None:
    """Replay one rate through all contenders, and print what comes of it."""
    questions = trace(options.minutes * 60, pause)
    contenders = {
        "nginx": nginx,
        **{step.name: partial(ours, step=step) for step in steps()},
    }
    if not options.brief:
        print(f"\na question of each bot every {pause:g} s\n{head()}")
    results = {}
    for name, contender in contenders.items():
        if options.only and name not in options.only:
            continue
        results[name] = turned(measured(contender, questions, options.latency))
        if not options.brief:
            print("\n".join(shown(name, results[name])), flush=True)
    own = as_shipped().name
    if "nginx" in results and own in results:
        print("\n".join(said(pause, results["nginx"], results[own])))
    least = floor(questions, BEGINS)
    print(f"  candles cannot weigh less than {least}: see `economy_settings.floor`")


def main() -> int:
    """Print the tables, and what they say of the goals."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=HOUR / 60)
    parser.add_argument("--only", nargs="*", default=[], help="contenders, by name")
    parser.add_argument("--latency", type=float, default=0.2, help="of the providers, in seconds")
    parser.add_argument("--pause", type=float, nargs="+", default=[PAUSE, *OTHER_PAUSES])
    parser.add_argument("--brief", action="store_true", help="what is said of the goals, alone")
    options = parser.parse_args()
    for pause in options.pause:
        run(options, pause)
    return 0


if __name__ == "__main__":
    sys.exit(main())
