"""What bots cost the provider behind each cache, and how old and how late their answers are.

    python benchmarks/economy.py [--minutes 6] [--only NAME …] [--latency 0.02] [--pause 2]

An hour of fifty bots (`economy_trace`), replayed ten times as fast against providers that enforce
their limits (`economy_provider`): with no proxy, through nginx, through Varnish, and through this
proxy with one feature after the other. All have the shipped TTLs; all TTLs and windows are ten
times as short. Contenders run one after the other on one core, everything else on another.

The table's seconds are the trace's, so ten times those on the clock; latencies are the clock's.
`weight` is what the provider granted, `refused` what it turned away beside that. An answer is as
old as its oldest price. A call for one symbol is counted under prices, for several under lists,
whoever asked: where calls are shared, read these two together.
"""

import argparse
import asyncio
import json
import os
import re
import statistics
import sys
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

import aiohttp
import uvloop
from economy_provider import NAMES, moment
from economy_settings import floor, ours, rules, steps
from economy_trace import COMPRESSION, HOUR, PAUSE, Kind, Question, trace
from peers import nginx, varnish
from stage import LOAD_CPU, ROOT, await_answer, free_port, running
from yarl import URL

PATIENCE = 12.0
"""Seconds after which a bot gives up: SDKs do after 10."""
HEADERS = {"Accept-Encoding": "identity", "x-cg-demo-api-key": "bench"}
_NUMBER = re.compile(rb'(?:"usd":|"price":")([0-9.]+)')
REFUSALS = frozenset({429, 418})

Start: TypeAlias = Callable[[str], AbstractContextManager[str | None]]
"""Starts a contender before an origin; its address, or None where it is not installed."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What a bot got: its age in seconds of the trace, its latency in milliseconds."""

    kind: Kind
    age: float | None
    """None: no answer, or none that could be used."""
    latency: float


@dataclass(slots=True)
class Row:
    """One contender's figures, in all or of one class."""

    heard: list[Heard] = field(default_factory=list)
    calls: int = 0
    weight: int = 0
    """What the providers granted."""
    sent: int = 0
    """What all calls would have weighed, those refused included."""
    refused: int = 0

    def count(self, weight: int, *, refused: bool) -> None:
        """Count a call that the providers saw."""
        self.calls += 1
        self.weight += 0 if refused else weight
        self.sent += weight
        self.refused += refused

    @property
    def ages(self) -> list[float]:
        """Ages of the answers, sorted."""
        return sorted(each.age for each in self.heard if each.age is not None)

    @property
    def answered(self) -> float:
        """Share of the questions that were answered, in percent."""
        return 100.0 * len(self.ages) / len(self.heard) if self.heard else 0.0

    @property
    def mean_age(self) -> float:
        """Mean age in seconds of the trace."""
        return statistics.fmean(self.ages or [0.0])


# ── the providers ──


@contextmanager
def providers(latency: float) -> Iterator[tuple[str, float]]:
    """Run the providers afresh; yield their origin, and the moment from which their prices tell."""
    port, epoch = free_port(), time.time()  # noqa: TID251 - the providers' clock, not the proxy's
    command = [sys.executable, str(ROOT / "benchmarks" / "economy_provider.py")]
    with running([*command, str(port), f"{epoch:.3f}", str(latency)]):
        origin = f"http://127.0.0.1:{port}"
        await_answer(f"{origin}/_sandbox/")
        yield origin, epoch


def billed(origin: str) -> Iterator[tuple[str, Kind, int, bool]]:
    """Yield each call that the providers saw: provider, class, weight, and whether refused."""
    for name in NAMES:
        with urllib.request.urlopen(f"{origin}/_sandbox/{name}") as answer:  # noqa: S310 - loopback
            spent = json.load(answer)["spent"]
        with urllib.request.urlopen(f"{origin}/_sandbox/{name}/received") as answer:  # noqa: S310
            received = json.load(answer)
        total = 0
        for call in received:
            kind, weight = weighed(name, call["target"])
            refused = call["status"] in REFUSALS
            total += 0 if refused else weight
            yield name, kind, weight, refused
        if total != spent:
            raise RuntimeError(f"{name} says that {spent} was spent; we count {total}")


def weighed(provider: str, target: str) -> tuple[Kind, int]:
    """Return the class of a call, and what it weighs."""
    if provider == "coingecko":
        several = re.search(r"ids=[^&]*(,|%2C)", target) is not None
        return (Kind.LISTS if several else Kind.PRICES), 1
    if "/klines" in target:
        return Kind.CANDLES, 2
    single = re.search(r"[?&]symbol=", target) is not None
    return (Kind.PRICES, 2) if single else (Kind.LISTS, 4)


# ── the bots ──


async def replayed(origin: str, questions: Iterable[Question], epoch: float) -> list[Heard]:
    """Put all questions at their time, whatever became of those before; return what was heard."""
    heard: list[Heard] = []
    loop = asyncio.get_running_loop()
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        aiohttp.ClientSession(timeout=timeout, connector=connector, headers=HEADERS) as session,
        asyncio.TaskGroup() as bots,
    ):
        began = loop.time()
        for question in questions:
            ahead = began + question.at / COMPRESSION - loop.time()
            if ahead > 0:
                await asyncio.sleep(ahead)
            bots.create_task(_put(session, origin, question, epoch, heard))
    return heard


async def _put(
    session: aiohttp.ClientSession,
    origin: str,
    question: Question,
    epoch: float,
    heard: list[Heard],
) -> None:
    began = time.time()  # noqa: TID251 - ages are told on the providers' clock
    since = f"&startTime={int(began * 1000) - question.since}" if question.since else ""
    status, body = 0, b""
    try:
        async with session.get(URL(origin + question.target + since, encoded=True)) as answer:
            body = await answer.read()
            status = answer.status
    except (aiohttp.ClientError, TimeoutError):
        pass
    ended = time.time()  # noqa: TID251 - likewise
    told = told_by(question.kind, body) if status == 200 else None
    age = None if told is None else max(0.0, ended - moment(told, epoch)) * COMPRESSION
    heard.append(Heard(question.kind, age, (ended - began) * 1000))


def told_by(kind: Kind, body: bytes) -> float | None:
    """Return the oldest price of an answer, or the last candle's close; None: there is none."""
    if kind is Kind.CANDLES:
        last = body[body.rfind(b"[") + 1 :].split(b",", 5)
        return float(last[4].strip(b'"')) if len(last) > 5 else None
    return min(map(float, _NUMBER.findall(body)), default=None)


# ── the contenders ──


def contenders(only: list[str]) -> Iterator[tuple[str, Start]]:
    """Yield each contender's name, and what starts it before the providers at an origin."""
    named: dict[str, Start] = {
        "no proxy": nullcontext,
        "nginx": partial(nginx, rules=rules()),
        "varnish": partial(varnish, rules=rules()),
        **{name: partial(ours, features=features) for name, features in steps()},
    }
    yield from ((name, start) for name, start in named.items() if not only or name in only)


def measured(start: Start, questions: list[Question], latency: float) -> dict[str, Row] | None:
    """Replay the trace through one contender; None: it is not installed."""
    rows: dict[str, Row] = defaultdict(Row)
    with providers(latency) as (origin, epoch):
        with start(origin) as address:
            if address is None:
                return None
            heard = uvloop.run(replayed(address, questions, epoch))
        for each in heard:
            rows["all"].heard.append(each)
            rows[each.kind].heard.append(each)
        for name, kind, weight, refused in billed(origin):
            for row in (rows["all"], rows[kind], rows[name]):
                row.count(weight, refused=refused)
    return dict(rows)


# ── the table ──


def percentile(values: list[float], share: float) -> float:
    """Return the value below which so large a share of sorted values lies."""
    return values[min(len(values) - 1, int(len(values) * share))] if values else 0.0


def head() -> str:
    """Return the table's first line."""
    return (
        f"{'':24}{'':9}{'asked':>8}{'calls':>8}{'weight':>8}{'refused':>8}{'answ. %':>9}"
        f"{'age s':>9}{'p99 s':>8}{'p50 ms':>8}{'p99 ms':>8}"
    )


def shown(name: str, rows: dict[str, Row]) -> Iterator[str]:
    """Yield a contender's lines."""
    for kind in ("all", *Kind):
        row = rows.get(kind, Row())
        late = sorted(each.latency for each in row.heard)
        yield (
            f"{name if kind == 'all' else '':24}{kind:9}{len(row.heard):8}{row.calls:8}"
            f"{row.weight:8}{row.refused:8}{row.answered:9.2f}{row.mean_age:9.1f}"
            f"{percentile(row.ages, 0.99):8.1f}{percentile(late, 0.5):8.1f}"
            f"{percentile(late, 0.99):8.1f}"
        )
    parts = ((name, rows.get(name, Row())) for name in NAMES)
    yield f"{'':24}" + ", ".join(f"{name} {row.weight} of {row.sent} sent" for name, row in parts)


def verdict(nginx_rows: dict[str, Row], own: dict[str, Row]) -> Iterator[str]:
    """Yield each goal, and whether it was reached."""
    theirs, mine = nginx_rows["all"], own["all"]
    share = mine.weight / theirs.weight if theirs.weight else 0.0
    sent = mine.sent / theirs.sent if theirs.sent else 0.0
    for goal, reached, figure in (
        (
            "at most one tenth of nginx's weight",
            share <= 0.1,
            f"{share:.3f} ({sent:.3f} with what was sent and refused)",
        ),
        ("no refusals", mine.refused == 0, str(mine.refused)),
        ("100 % answered", mine.answered == 100.0, f"{mine.answered:.2f} %"),
        (
            "mean age no worse than nginx's",
            mine.mean_age <= theirs.mean_age,
            f"{mine.mean_age:.1f} s beside {theirs.mean_age:.1f} s",
        ),
    ):
        yield f"{'reached' if reached else 'MISSED':8} {goal}: {figure}"


def main() -> int:
    """Print the table, and what it says of the goals."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=HOUR / COMPRESSION / 60)
    parser.add_argument("--only", nargs="*", default=[], help="contenders, by name")
    parser.add_argument("--latency", type=float, default=0.02, help="of the providers, in seconds")
    parser.add_argument("--pause", type=float, default=PAUSE, help="between a bot's questions")
    options = parser.parse_args()
    questions = trace(options.minutes * 60 * COMPRESSION, options.pause)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {LOAD_CPU})
    print(head())
    results = {}
    for name, start in contenders(options.only):
        rows = measured(start, questions, options.latency)
        if rows is None:
            print(f"{name:24}not installed")
            continue
        results[name] = rows
        print("\n".join(shown(name, rows)), flush=True)
    last = next(reversed(results), "")
    if "nginx" in results and last not in {"nginx", "varnish", "no proxy"}:
        print("\n".join(verdict(results["nginx"], results[last])))
    print(f"candles cannot weigh less than {floor(questions)}: see `economy_settings.floor`")
    return 0


if __name__ == "__main__":
    sys.exit(main())
