"""One flight for a fleet, as flows see it: houses that share a store and an arbiter."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest

from proxy.answer import Answer
from proxy.core.landings import Ending, Landed
from proxy.core.model import Denied, Entry, Policy
from proxy.fleet.arbiter import Arbiter
from proxy.fleet.machine import _Own
from proxy.leads import LATE, MOST_ROUNDS
from tests.house import DictStore, House, Response, endpoint, upstream

TARGET = "/coingecko/price"
PRICE = endpoint("price", "/price", stale_if_error=600.0)
OBEDIENT = endpoint("price", "/price", policy=Policy.OBEY, ttl=None)


@dataclass
class Fleet:
    """Houses on one store and one arbiter."""

    houses: list[House] = field(default_factory=list)

    @property
    def sent(self) -> int:
        """How many calls all of them made."""
        return sum(len(house.provider.sent) for house in self.houses)

    def answers(self, *answers: Response) -> None:
        """Have every house's provider give these answers."""
        for house in self.houses:
            house.provider.answers = deque(answers)

    async def flying(self, count: int) -> None:
        """Return when so many calls were made."""
        async with asyncio.timeout(60):
            while self.sent < count:  # noqa: ASYNC110 - a plain figure, no event
                await asyncio.sleep(0)


class SlowStore(DictStore):
    """A store that takes its time to write."""

    async def put(self, entry: Entry, keep: float) -> None:
        for _ in range(20):
            await asyncio.sleep(0)
        await super().put(entry, keep)


async def made(stack: AsyncExitStack, count: int, rule: object = PRICE) -> Fleet:
    store = SlowStore()
    fleet = _Own(Arbiter(asyncio.get_running_loop().time))
    houses = [House(upstream(rule), fleet=fleet, store=store) for _ in range(count)]
    for house in houses:
        stack.push_async_callback(house.close)
    return Fleet(houses)


@pytest.fixture
async def fleet() -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as stack:
        built = await made(stack, 4)
        yield built
    assert [] == [error for house in built.houses for error in house.errors]


@pytest.fixture
async def obedient() -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as stack:
        yield await made(stack, 4, OBEDIENT)


def verdicts(answers: list[Answer]) -> list[str]:
    return sorted(answer.account.verdict.value for answer in answers)


def ask(house: House, *fields: tuple[str, str]) -> "asyncio.Task[Answer]":
    return asyncio.get_running_loop().create_task(house.ask(TARGET, fields))


async def test_a_crowd_at_every_door_costs_one_call(fleet: Fleet) -> None:
    """One is charged and fetches; all others are told that they joined, and that it was stored."""
    asking = [ask(house) for house in fleet.houses for _ in range(10)]
    answers = await asyncio.gather(*asking)

    assert ["JOINED"] * 39 + ["MISS"] == verdicts(answers)
    assert {b'{"price":1}'} == {answer.body for answer in answers}
    assert 1 == fleet.sent == sum(len(house.ledger.spent) for house in fleet.houses)
    assert 39 == sum(answer.account.collapsed for answer in answers)


async def test_what_followers_got_is_in_their_own_memory(fleet: Fleet) -> None:
    """The next request is a hit of the first level."""
    await asyncio.gather(*(ask(house) for house in fleet.houses))
    answers = await asyncio.gather(*(ask(house) for house in fleet.houses))

    assert ["HIT"] * 4 == verdicts(answers)


async def test_who_looked_before_the_landing_does_not_fetch_again(fleet: Fleet) -> None:
    """Between its look into the store and its ask another has landed: it looks once more."""
    first, second, *_ = fleet.houses
    looked, gate = asyncio.Event(), asyncio.Event()
    get = second.store.get

    async def late(key: str) -> Entry | None:
        found = await get(key)
        looked.set()
        await gate.wait()
        return found

    second.flow._parts.cache._store.get = late  # type: ignore[method-assign]
    asking = ask(second)
    await looked.wait()
    second.flow._parts.cache._store.get = get  # type: ignore[method-assign]
    await first.ask(TARGET)
    await first.settle_down()
    gate.set()

    assert "JOINED" == (await asking).account.verdict
    assert 1 == fleet.sent


async def test_an_end_of_freshness_costs_one_call_each_time(fleet: Fleet) -> None:
    """Landings that are known of keep nobody from fetching what has become old."""
    for rounds in range(1, 4):
        await asyncio.gather(*(ask(house) for house in fleet.houses))
        assert rounds == fleet.sent
        for house in fleet.houses:
            house.clock += 61.0


async def test_a_failed_flight_is_tried_again_by_one(fleet: Fleet) -> None:
    """One after the other leads, not all at once; what the second brings is everybody's."""
    fleet.houses[0].provider.answers = deque([Response(500)])
    answers = await asyncio.gather(*(ask(house) for house in fleet.houses))

    assert [200, 200, 200, 500] == sorted(answer.status for answer in answers)
    assert 2 == fleet.sent


async def test_a_provider_that_fails_answers_everybody(fleet: Fleet) -> None:
    """After two flights that came to nothing each goes for itself, and gets its own answer."""
    fleet.answers(Response(500))
    answers = await asyncio.gather(*(ask(house) for house in fleet.houses))

    assert [500] * 4 == [answer.status for answer in answers]


async def test_who_is_denied_speaks_for_itself(fleet: Fleet) -> None:
    """An instance without quota stands in nobody's way."""
    fleet.houses[0].ledger.tokens = 0
    fleet.houses[0].ledger.denial = Denied("minute", 30.0, 60.0)
    answers = await asyncio.gather(*(ask(house) for house in fleet.houses))

    assert [200, 200, 200, 429] == sorted(answer.status for answer in answers)
    assert 1 == fleet.sent


async def test_a_leader_whose_clients_have_gone_is_succeeded(fleet: Fleet) -> None:
    """Its flight, not sent yet, ends with its last client; another's begins at once."""
    first, second, *_ = fleet.houses
    waits = asyncio.Event()

    async def spend(_bill: object) -> Denied:
        await waits.wait()
        raise AssertionError

    first.ledger.spend = spend  # type: ignore[method-assign,assignment]
    gone, waiting = ask(first), ask(second)
    for _ in range(10):
        await asyncio.sleep(0)
    assert 0 == fleet.sent
    gone.cancel()

    assert 200 == (await asyncio.wait_for(waiting, 60)).status


async def test_a_private_answer_goes_to_one(obedient: Fleet) -> None:
    """What the origin calls private is given to whoever asked; the others fetch for themselves."""
    obedient.answers(Response(fields=(("Cache-Control", "private"),)))
    answers = await asyncio.gather(*(ask(house) for house in obedient.houses))

    assert ["MISS"] * 4 == verdicts(answers)
    assert 4 == obedient.sent


async def test_nobody_gets_anothers_variant(obedient: Fleet) -> None:
    """A follower that asked in another language is answered in its own."""
    first, second, *_ = obedient.houses
    for house, body in ((first, b"de"), (second, b"en")):
        fields = (("Vary", "Accept-Language"), ("Cache-Control", "max-age=60"))
        house.provider.answers = deque([Response(parts=(body,), fields=fields)])
    german, english = await asyncio.gather(
        ask(first, ("Accept-Language", "de")), ask(second, ("Accept-Language", "en"))
    )

    assert [b"de", b"en"] == [german.body, english.body]


async def test_a_large_body_is_everybodys_once_it_is_whole(fleet: Fleet) -> None:
    """It is handed on to the leader's clients while it comes, and read by others from the store."""
    pause = asyncio.Event()
    fleet.answers(Response(parts=(b"1" * 300_000, b"2" * 300_000), pause=pause))
    first, second, *_ = fleet.houses
    leading = await ask(first)
    following = ask(second)
    await first.provider.exchanges[0].reached.wait()
    assert not following.done()
    pause.set()
    assert not isinstance(leading.body, bytes)
    whole = b"".join([chunk async for chunk in leading.body])

    assert whole == (await asyncio.wait_for(following, 60)).body
    assert 1 == fleet.sent


async def test_who_waits_too_long_is_told_so(fleet: Fleet) -> None:
    """A flight elsewhere that does not land within the deadline is an answer that came too late."""
    first, second, *_ = fleet.houses
    gate = asyncio.Event()
    fleet.answers(Response(gate=gate))
    leading = ask(first)
    await fleet.flying(1)
    leads = second.flow._parts.fetches._leads
    leads._time = lambda: asyncio.get_running_loop().time() + 3600.0
    answer = await ask(second)

    assert (504, 1) == (answer.status, fleet.sent)
    assert not LATE.sent
    gate.set()
    await leading


async def test_a_hit_asks_nobody(fleet: Fleet) -> None:
    """Neither what the first level has nor what the store has needs a leader."""
    first, second, *_ = fleet.houses
    await first.ask(TARGET)
    await first.settle_down()

    async def lead(_key: str, _known: float, _until: float) -> None:
        raise AssertionError

    second.flow._parts.fetches._leads._fleet.lead = lead  # type: ignore[method-assign]
    for _ in range(2):
        assert "HIT" == (await second.ask(TARGET)).account.verdict


async def test_a_fleet_that_speaks_otherwise_keeps_nobody() -> None:
    """Whoever is told again and again of what is not in the store fetches for itself."""
    asked = 0

    class Stranger:
        async def lead(self, _key: str, _known: float, _until: float) -> Landed:
            nonlocal asked
            asked += 1
            return Landed(Ending.STORED, stamp=float(asked), awaited=False)

    house = House(upstream(PRICE), fleet=Stranger())  # type: ignore[arg-type]  # all that is asked
    answer = await house.ask(TARGET)
    await house.close()

    assert (answer.status, asked, len(house.provider.sent)) == (200, MOST_ROUNDS, 1)
