"""Refresh ahead: what is used does not end, as long as there is quota to spare."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.cache import Cache
from proxy.config.loading import load
from proxy.config.settings import Settings
from proxy.core.model import Request
from proxy.core.series import Contains
from proxy.core.shapes import Batch
from proxy.core.spending import Level
from proxy.core.upstreams import Endpoint
from proxy.freshening.ahead import Ahead, AheadParts, wanted
from proxy.ports import Outbound
from tests.clockwork import turned
from tests.house import JSON, House, OpenLedger, Response, at_once, endpoint, upstream
from tests.simulated import Answered, body, now, serving
from tests.values import replace

PRICE = endpoint("price", "/price", refresh_ahead=True)
PLAIN = endpoint("plain", "/plain")
LIVE = endpoint("live", "/live", live=True)
WARM = ("/plain?ids=warm",)


class Ledger(OpenLedger):
    used = 0.0
    held = 0.0

    def levels(self, _upstream: str) -> tuple[Level, ...]:
        return ()  # nothing was spent here

    async def snapshot(self, _upstream: str) -> tuple[Level, ...]:
        return (Level("minute", "minute", 30, self.used, 60, "sliding_window", 60),)

    def held_for(self, _upstream: str) -> float:
        return self.held


class Stage:
    """A house, and what refreshes ahead in it."""

    def __init__(self, *warm: str, endpoints: tuple[Endpoint, ...] = (PRICE, PLAIN, LIVE)) -> None:
        self.ledger = Ledger()
        self.house = House(upstream(*endpoints, warm=warm), ledger=self.ledger)
        self.waiting = 0
        cache = Cache(self.house.first_level, self.house.store, self.house.tasks)
        flow = self.house.flow
        self.ahead = Ahead(
            AheadParts(
                flow=flow, cache=cache, ledger=self.ledger,
                waiting=lambda _: self.waiting, time=asyncio.get_running_loop().time,
                now=lambda: self.house.clock,
            )
        )  # fmt: skip

    async def look(self) -> list[str]:
        """Let it look once; return what was asked of the provider by then."""
        before = len(self.house.provider.sent)
        await self.ahead.look()
        await self.house.settle_down()
        return [each.target for each in self.house.provider.sent[before:]]

    async def use(self, times: int, target: str = "/coingecko/price?ids=a") -> None:
        for _ in range(times):
            await self.house.ask(target)
        await self.house.settle_down()


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    built = Stage()
    await built.look()
    yield built
    await built.house.close()
    assert built.house.errors == []


async def test_what_is_hot_does_not_end(stage: Stage) -> None:
    """Used twice since it came, it is fetched anew in its last tenth: nobody meets a MISS."""
    await stage.use(3)
    stage.house.clock += 30

    assert await stage.look() == []
    stage.house.clock += 25

    assert await stage.look() == ["/price?ids=a"]
    assert await stage.look() == []
    stage.house.clock += 10
    answer = await stage.house.ask("/coingecko/price?ids=a")

    assert ("HIT", 10) == (answer.account.verdict, answer.account.age)


async def test_the_shortest_way_counts(stage: Stage) -> None:
    """Hits that nobody parses keep an answer hot too."""
    await stage.use(2)
    again = Request("GET", "/coingecko/price", "ids=a", (), "proxy", 8080)
    for _ in range(2):
        assert at_once(stage.house.flow, again) is not None
    stage.house.clock += 55

    assert await stage.look() == ["/price?ids=a"]


async def test_what_is_worn_is_fetched_long_before_its_end() -> None:
    """Once hits were given so much age, all together; and never at its end, for nobody."""
    stage = Stage(endpoints=(replace(PRICE, ttl=600.0, worn_after=3600.0),))
    await stage.look()
    await stage.use(1)
    stage.house.clock += 100
    await stage.use(71)

    assert await stage.look() == []
    await stage.use(1)

    assert await stage.look() == ["/price?ids=a"]
    stage.house.clock += 30
    await stage.use(100)

    assert await stage.look() == []
    stage.house.clock += 600

    assert await stage.look() == []
    assert list(stage.house.flow.heats) == []
    await stage.house.close()


async def test_what_is_used_little_ends(stage: Stage) -> None:
    """One hit is no reason; and once it has been refreshed, only new hits are."""
    await stage.use(2)
    stage.house.clock += 55

    assert await stage.look() == []
    await stage.use(2)

    assert await stage.look() == ["/price?ids=a"]
    stage.house.clock += 58

    assert await stage.look() == []
    stage.house.clock += 10

    assert await stage.look() == []
    assert list(stage.house.flow.heats) == []


async def test_other_endpoints_are_left_alone(stage: Stage) -> None:
    """Off, unless the endpoint says so."""
    await stage.use(5, "/coingecko/plain?ids=a")
    stage.house.clock += 58

    assert await stage.look() == []


@pytest.mark.parametrize("why", ["used", "held", "waiting"])
async def test_only_from_surplus(stage: Stage, why: str) -> None:
    """Not with half the limit used, not on hold, not while a client waits."""
    await stage.use(3)
    stage.house.clock += 55
    setattr(stage if why == "waiting" else stage.ledger, why, 15)

    assert await stage.look() == []
    setattr(stage if why == "waiting" else stage.ledger, why, 0)

    assert await stage.look() == ["/price?ids=a"]


async def test_what_others_spent_is_known() -> None:
    """A process that has just begun asks how counts stand, before it spends for nobody."""
    stage = Stage("/plain?ids=warm")
    stage.ledger.used = 15  # by another process

    assert await stage.look() == []
    await stage.house.close()


async def test_the_hottest_go_first(stage: Stage) -> None:
    """What can be afforded goes to what saves most."""
    for name, times in (("a", 3), ("b", 9), ("c", 6)):
        await stage.use(times, f"/coingecko/price?ids={name}")
    stage.house.clock += 55
    stage.ledger.used = 13

    assert await stage.look() == ["/price?ids=b", "/price?ids=c"]


async def test_members_that_share_a_call_go_together() -> None:
    """There is quota to spare for one call alone: it takes all of them along."""
    shared = replace(PRICE, name="shared", batch=Batch("ids"))
    stage = Stage(endpoints=(shared,))
    body = Response(parts=(b'{"a":1.50,"b":2.50,"c":3.50,"d":4.50}',))
    stage.house.provider.answers = deque([body])
    await stage.look()
    for name, times in (("d", 3), ("c", 4), ("a", 5), ("b", 6)):
        await stage.use(times, f"/coingecko/price?ids={name}")
    stage.house.clock += 55
    stage.ledger.used = 14

    assert [["a", "b", "c", "d"]] == [
        sorted(target.partition("ids=")[2].split(",")) for target in await stage.look()
    ]
    answers = [await stage.house.ask(f"/coingecko/price?ids={name}") for name in "abcd"]

    assert [0, 0, 0, 0] == [each.account.age for each in answers]
    await stage.house.close()


async def test_another_process_may_have_done_it(stage: Stage) -> None:
    """What is newer in the store is taken from there."""
    await stage.use(3)
    entry = next(iter(stage.house.store.level.entries.values()))
    stage.house.clock += 55
    stage.house.store.level.entries[entry.key] = replace(entry, received_at=stage.house.clock - 1)

    assert await stage.look() == []
    assert (await stage.house.ask("/coingecko/price?ids=a")).account.age == 1


async def test_warm_lists_are_filled_and_kept() -> None:
    """At the start, and whenever an answer is about to end, whoever asks for it."""
    stage = Stage(*WARM)

    assert await stage.look() == ["/plain?ids=warm"]
    assert (await stage.house.ask("/coingecko/plain?ids=warm")).account.verdict == "HIT"
    stage.house.clock += 55

    assert await stage.look() == ["/plain?ids=warm"]
    await stage.house.close()


async def test_a_longer_answer_is_kept_warm_in_a_shorter_ones_place() -> None:
    """What is fetched for it is what is looked at: it is not fetched again before it is due."""
    rows = replace(PLAIN, contains=Contains("limit", fetch=(5,)))
    stage = Stage("/plain?limit=2", endpoints=(rows,))
    stage.house.provider.answers = deque([Response(parts=(b"[1,2,3.0]",))])

    assert await stage.look() == ["/plain?limit=5"]
    stage.house.clock += 30

    assert await stage.look() == []
    answer = await stage.house.ask("/coingecko/plain?limit=2")

    assert ("HIT", b"[2,3.0]") == (answer.account.verdict, answer.body)
    await stage.house.close()


async def test_a_failure_is_not_repeated_at_once() -> None:
    """A warm path that brings nothing waits before it is tried again."""
    stage = Stage("/plain?ids=none")
    stage.house.provider.answers = deque([Response(status=500), Response()])

    assert await stage.look() == ["/plain?ids=none"]
    assert await stage.look() == []
    stage.house.clock += 16

    assert await stage.look() == ["/plain?ids=none"]
    await stage.house.close()


async def test_what_ended_while_it_could_not_be_had_is_left_to_whoever_asks() -> None:
    """A provider that is down is not asked for ever, for nobody."""
    stage = Stage()
    await stage.look()
    await stage.use(3)
    stage.house.provider.answers = deque([Response(status=500)] * 9)
    asked = []
    for _ in range(100):
        stage.house.clock += 10
        asked += await stage.look()

    assert len(asked) <= 3
    assert list(stage.house.flow.heats) == []
    await stage.house.close()


async def test_it_runs_until_it_is_cancelled() -> None:
    """It looks again and again."""
    stage = Stage(*WARM)
    running = asyncio.get_running_loop().create_task(stage.ahead.run())
    while not stage.house.provider.sent:  # noqa: ASYNC110 - a plain list, no event
        await asyncio.sleep(0)
    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running
    await stage.house.close()


async def test_what_cannot_be_kept_is_not_wanted() -> None:
    """Clocks, and what meets no endpoint."""
    stage = Stage()
    [gecko] = stage.house.flow.routes.upstreams.values()

    assert [] == [*wanted(stage.house.flow.routes, gecko, "/live")]
    assert [] == [*wanted(stage.house.flow.routes, gecko, "/nowhere/at/all")]
    await stage.house.close()


# ── A run, with limits that are counted ──


class Counted:
    """A provider that counts its calls."""

    calls = 0

    async def send(self, outbound: Outbound) -> Response:
        self.calls += 1
        told = body(outbound.target, now())
        return Response(200, (told,), JSON, requested_at=now(), received_at=now())


async def crowded(settings: Settings) -> tuple[int, float]:
    """Let eight prices be asked for all the time, and a new one each minute, for ten minutes.

    Return how many calls that took, and for how long anyone waited at most (seconds).
    """
    provider, loop, waits = Counted(), asyncio.get_running_loop(), [0.0]

    async def put(ask: Answered, name: str) -> None:
        began = loop.time()
        await ask(f"/coingecko/price?ids={name}")
        waits.append(loop.time() - began)

    async with serving(settings, provider) as ask, asyncio.TaskGroup() as bots:
        for second in range(600):
            for number in range(min(8, 1 + second // 2)):
                bots.create_task(put(ask, f"hot{number}"))
            if second % 60 == 59:
                bots.create_task(put(ask, f"new{second}"))
            await asyncio.sleep(1)
    return provider.calls, max(waits)


@pytest.mark.parametrize("unbounded", [False, True])
def test_a_run_in_which_nobody_waits_for_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    unbounded: bool,  # noqa: FBT001 - a table's column
) -> None:
    """Quota that is just enough for who asks stays so: what goes for nobody goes from surplus."""
    (tmp_path / "proxy.yaml").write_text("upstreams: [u.yaml]\n")
    (tmp_path / "u.yaml").write_text(
        "{name: coingecko, base_url: http://u, limits: {minute: {limit: 30, per: 60s}},"
        " endpoints: {price: {path: /price, ttl: 18s, refresh_ahead: true}}}"
    )
    if unbounded:  # what would be without the rule: else this shows nothing
        monkeypatch.setattr("proxy.core.surplus.spare", lambda *_: True)
    settings = load(str(tmp_path / "proxy.yaml"), {"REDIS_URL": "memory:"})
    calls, waited = turned(crowded(settings))

    assert (unbounded, unbounded) == (waited > 0, calls > 280)  # 277 with no refreshes at all
