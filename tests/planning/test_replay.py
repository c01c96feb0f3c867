"""Replay: what recorded traffic would cost, and what a change would change."""

import asyncio
import json
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
from click.testing import CliRunner

from proxy.cli import main
from proxy.config.loading import load
from proxy.config.settings import Settings
from proxy.core.shapes import Batch
from proxy.core.upstreams import Algorithm, Endpoint, Limit, Upstream
from proxy.planning.replay import Line, changed, read, replayed
from proxy.planning.reports import as_text
from proxy.ports import Outbound
from tests.clockwork import turned
from tests.house import JSON, LIMIT, PRICE, Response, endpoint, upstream
from tests.simulated import BEGINS, Answered, body, now, serving
from tests.values import replace

BEGAN = 1_763_000_000.0


def asked(*targets: str, every: float = 1.0) -> list[Line]:
    return [Line(BEGAN + index * every, f"/coingecko{each}") for index, each in enumerate(targets)]


def endpoint_of(made: dict[str, Any], name: str = "price") -> dict[str, Any]:
    return next(each for each in made["endpoints"] if each["endpoint"] == name)


def test_hits_and_ages() -> None:
    """A request each second for three minutes: a call at the start and at each end of the TTL."""
    rule = replace(PRICE, stale_while_revalidate=0.0)
    made = replayed((upstream(rule),), asked(*["/price?ids=a"] * 180))
    found = endpoint_of(made)

    assert (180, 3, 59.0) == (found["requests"], found["calls"], found["worst_age"])
    assert found["verdicts"] == {"HIT": 177, "MISS": 3}
    assert pytest.approx(29.5) == found["mean_age"]


def test_when_a_limit_runs_out() -> None:
    """Thirty a minute, and forty different answers in forty seconds: ten are refused."""
    made = replayed((upstream(),), asked(*[f"/price?ids={index}" for index in range(40)]))
    [limit] = made["limits"]

    assert (30, 1.0, 30.0) == (limit["spent"], limit["peak"], limit["ran_out_after"])
    assert endpoint_of(made)["refused"] == 10


def test_who_waits_for_quota_is_served_in_time() -> None:
    """A token that comes back within `max_wait` serves all who wait for the same answer."""
    rule = replace(PRICE, max_wait=5.0)
    limit = Limit("minute", 1, 4.0, Algorithm.SLIDING_WINDOW)
    gecko = upstream(rule, limits=(limit,))
    made = replayed((gecko,), asked("/price?ids=a", "/price?ids=b", "/price?ids=b"))

    assert {"JOINED": 1, "MISS": 2} == endpoint_of(made)["verdicts"]


def test_members_of_a_list_share_calls() -> None:
    """Two are stored, two are missing: one call."""
    rule = replace(PRICE, batch=Batch("ids"))
    made = replayed((upstream(rule),), asked("/price?ids=a,b", "/price?ids=a,b,c,d"))

    assert (2, {"MISS": 2}) == (endpoint_of(made)["calls"], endpoint_of(made)["verdicts"])


def test_what_meets_nothing_is_refused() -> None:
    """It is counted, under no upstream."""
    made = replayed((upstream(),), [Line(BEGAN, "/nowhere")])

    assert [("(none)", 1)] == [(each["upstream"], each["refused"]) for each in made["endpoints"]]


def test_another_ttl() -> None:
    """Twice the TTL is half the calls; an endpoint that is not there is an error."""
    rule = replace(PRICE, stale_while_revalidate=0.0)
    lines = asked(*["/price?ids=a"] * 240)
    longer = changed((upstream(rule),), {"coingecko.price": 120.0})

    assert (4, 2) == (replayed((upstream(rule),), lines)["calls"], replayed(longer, lines)["calls"])
    with pytest.raises(ValueError, match=r"coingecko\.prize"):
        changed((upstream(),), {"coingecko.prize": 1.0})


def test_lines_that_are_none_are_said_by_number() -> None:
    """A trace that was cut short, or is something else."""
    with pytest.raises(ValueError, match="line 2"):
        list(read([b'{"at":1,"target":"/a"}\n', b'{"at":']))


def test_live_ones_cost_each_time() -> None:
    """A clock is forwarded, whoever asked before."""
    clock = endpoint("time", "/time", live=True)
    made = replayed((upstream(clock, limits=(LIMIT,)),), asked("/time", "/time"))

    assert {"BYPASS": 2} == endpoint_of(made, "time")["verdicts"]


def test_from_the_command_line(tmp_path: Path) -> None:
    """A table for people, JSON for programs, and an error in one line."""
    (tmp_path / "u.yaml").write_text(
        "name: u\nbase_url: http://u\nlimits: {minute: {limit: 2, per: 60s}}\n"
        "endpoints: {price: {path: /price, ttl: 10s}}\n"
    )
    (tmp_path / "proxy.yaml").write_text("upstreams: [u.yaml]\n")
    trace = tmp_path / "trace.jsonl"
    trace.write_text("".join(f'{{"at":{at},"target":"/u/price"}}\n' for at in range(30)))
    command = ["plan", str(trace), "--config", str(tmp_path / "proxy.yaml")]
    run = CliRunner().invoke

    table = run(main, [*command, "--ttl", "u.price=1m"])
    parsed = json.loads(run(main, [*command, "--json", "--ttl", "u.price=60"]).stdout)
    wrong = [run(main, [*command, "--ttl", each]) for each in ("u.x=1m", "u.price", "u.price=x")]

    assert "changed" in table.output
    assert (2, 1) == (parsed["configured"]["calls"], parsed["changed"]["calls"])
    assert "runs out" in as_text(parsed["configured"])
    wrong.append(run(main, [*command, "--takes", "long"]))

    assert all(each.exit_code and "Traceback" not in each.output for each in wrong)


@pytest.mark.parametrize("at", ["1e300", "-1", "1e13"])
def test_a_time_that_is_none_is_said_with_its_line(at: str) -> None:
    """A trace in milliseconds, say, is no trace of the year 318857."""
    with pytest.raises(ValueError, match=r"line 1: .*\$\.at"):
        list(read([b'{"at": %b, "target": "/x"}' % at.encode()]))


# ── Beside what really happens ──


def trading(seconds: int, rate: int = 4) -> list[Line]:
    """Return what bots ask: a price, a list or candles of few coins, `rate` times a second."""
    random = Random(5)
    lines = []
    for number in range(seconds * rate):
        at = BEGINS + number / rate
        coins = random.choices(["BTC", "ETH", "SOL", "XRP", "ADA"], (8, 4, 3, 2, 1), k=3)
        pairs = json.dumps([f"{each}USDT" for each in sorted(set(coins))], separators=(",", ":"))
        interval, limit = random.choice(("1m", "5m", "1h")), random.choice((50, 100, 500))
        start = f"&startTime={int(at - 5400) * 1000}" if random.random() < 0.2 else ""
        target = random.choice(
            (
                f"/binance/api/v3/ticker/price?symbol={coins[0]}USDT",
                f"/binance/api/v3/ticker/price?symbols={pairs}",
                f"/coingecko/api/v3/simple/price?ids={','.join(coins).lower()}&vs_currencies=usd",
                f"/binance/api/v3/klines?symbol={coins[0]}USDT&interval={interval}&limit={limit}{start}",
            )
        )
        lines.append(Line(at, target))
    return lines


TAKES = 0.2
"""Seconds of a call."""


class Counting:
    """A provider that counts its calls."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    async def send(self, outbound: Outbound) -> Response:
        asked_at = now()
        self.calls[outbound.target.partition("?")[0].rpartition("/")[2]] += 1
        await asyncio.sleep(TAKES)
        told = body(outbound.target, now())
        return Response(200, (told,), JSON, requested_at=asked_at, received_at=now())


async def really(settings: Settings, lines: list[Line]) -> Counter[str]:
    """Return the calls of the proxy itself, in simulated time."""
    provider, loop = Counting(), asyncio.get_running_loop()
    async with serving(settings, provider) as ask, asyncio.TaskGroup() as bots:
        for line in lines:
            await asyncio.sleep(max(0.0, line.at - BEGINS - loop.time()))
            bots.create_task(answered(ask, line.target))
    return provider.calls


async def answered(ask: Answered, target: str) -> None:
    assert await ask(target) is not None


@pytest.mark.parametrize("without", ["", "riders", "contains", "fetch"])
def test_it_foretells_the_proxys_own_calls(tmp_path: Path, without: str) -> None:
    """By the shipped files, and without a feature: within 1 % of each one's calls, or one."""
    settings = shipped(tmp_path, without)
    lines = trading(600)
    real = turned(really(settings, lines))
    made = replayed(settings.upstreams, lines, TAKES)
    foretold = {each["endpoint"]: each["calls"] for each in made["endpoints"]}

    assert foretold["klines"] == pytest.approx(real["klines"], rel=0.01, abs=1)
    assert foretold["ticker_price"] + foretold["price"] == pytest.approx(
        real["price"], rel=0.01, abs=1
    )
    assert {"refused": 0} == {"refused": sum(each["refused"] for each in made["endpoints"])}


@pytest.mark.parametrize("feature", ["warm", "ahead", "worn"])
def test_it_foretells_refreshes_ahead(tmp_path: Path, feature: str) -> None:
    """By whichever rule: all of the proxy's own calls, or within 2 % of them."""
    settings = shipped(tmp_path, "")
    lines = trading(600)
    plain = replayed(settings.upstreams, lines, TAKES)["calls"]
    ahead = replace(settings, upstreams=tuple(_ahead(each, feature) for each in settings.upstreams))
    real = turned(really(ahead, lines)).total()

    assert pytest.approx(real, rel=0.02) == replayed(ahead.upstreams, lines, TAKES)["calls"]
    assert real > plain


def _ahead(each: Upstream, feature: str) -> Upstream:
    if feature == "warm":
        kept = (f"/api/v3/klines?symbol={coin}USDT&interval=1m" for coin in ("LTC", "DOT", "TRX"))
        return replace(each, warm=tuple(kept)) if each.name == "binance" else each
    worn_after = 600.0 if feature == "worn" else 0.0
    return replace(
        each,
        endpoints=tuple(
            replace(rule, refresh_ahead=True, worn_after=worn_after) for rule in each.endpoints
        ),
    )


def test_it_foretells_a_cold_start(tmp_path: Path) -> None:
    """All ask at once for what nobody has: what comes while a call is under way shares the next."""
    settings = shipped(tmp_path, "")
    lines = trading(20, rate=50)
    real = turned(really(settings, lines))
    calls = [replayed(settings.upstreams, lines, takes)["calls"] for takes in (0.0, TAKES)]

    assert pytest.approx(real.total(), abs=1) == calls[1]
    assert calls[1] < calls[0]


def shipped(folder: Path, without: str) -> Settings:
    """Return the shipped settings, less a feature."""
    (folder / "proxy.yaml").write_text("upstreams: [binance.yaml, coingecko.yaml]\n")
    for name in ("binance", "coingecko"):
        text = Path("config/upstreams", f"{name}.yaml").read_text(encoding="utf-8")
        (folder / f"{name}.yaml").write_text(text)
    settings = load(str(folder / "proxy.yaml"), {"COINGECKO_API_KEY": "k", "REDIS_URL": "memory:"})
    return replace(settings, upstreams=tuple(_less(each, without) for each in settings.upstreams))


def _less(each: Upstream, without: str) -> Upstream:
    def less(rule: Endpoint) -> Endpoint:
        if without == "riders" and rule.batch is not None:
            return replace(rule, batch=replace(rule.batch, riders=False))
        if without == "contains":
            return replace(rule, contains=None)
        if without == "fetch" and rule.contains is not None:
            return replace(rule, contains=replace(rule.contains, fetch=()))
        return rule

    return replace(each, endpoints=tuple(map(less, each.endpoints)))
