"""Flights and their landings: who may share one, what is stored of it, and who is left behind."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

import pytest

from proxy.answer import Answer
from proxy.core.fields import Fields, first
from proxy.core.model import Client, Denied, Failed, Failure, Policy
from proxy.core.spending import Bill, Granted
from proxy.core.upstreams import Algorithm, Limit
from tests.house import House, Response, content, endpoint, upstream, verdict
from tests.values import replace

OBEDIENT = endpoint("price", "/price", policy=Policy.OBEY, ttl=None)
LARGE = (b"[" + b"1," * 200_000, b"2," * 100_000, b"3]")
TARGET = "/coingecko/price"


@pytest.fixture
async def obedient() -> AsyncIterator[House]:
    built = House(upstream(OBEDIENT))
    yield built
    await built.close()
    assert built.errors == []


def begin(house: House, fields: Fields = (), method: str = "GET") -> asyncio.Task[Answer]:
    return asyncio.get_running_loop().create_task(house.ask(TARGET, fields, method))


async def sent(house: House, number: int) -> None:
    while len(house.provider.sent) < number:  # noqa: ASYNC110 - a plain list, no event
        await asyncio.sleep(0)


def language(name: str, gate: asyncio.Event, body: bytes | None = None) -> Response:
    fields = (("Vary", "Accept-Language"), ("Cache-Control", "max-age=60"))
    return Response(parts=(body or name.encode(),), fields=fields, gate=gate)


# ── Who may share a landing ──


async def test_nobody_gets_anothers_variant(obedient: House) -> None:
    """Two who ask at once in two languages are each answered in their own."""
    gate = asyncio.Event()
    gate.set()
    obedient.provider.answers = deque([language("de", gate), language("en", gate)])
    german, english = await asyncio.gather(
        begin(obedient, (("Accept-Language", "de"),)), begin(obedient, (("Accept-Language", "en"),))
    )

    assert [b"de", b"en"] == [german.body, english.body]


async def test_each_variant_is_fetched_once(obedient: House) -> None:
    """A crowd in two languages costs two calls, once it is known what the answer varies by."""
    gate = asyncio.Event()
    gate.set()
    obedient.provider.answers = deque([language("de", gate), language("en", gate)])
    asking = [
        begin(obedient, (("Accept-Language", name),)) for name in ("de", "en") for _ in range(20)
    ]
    answers = await asyncio.gather(*asking)

    assert {b"de", b"en"} == {answer.body for answer in answers}
    assert len(obedient.provider.sent) == 2


@pytest.mark.parametrize("body", [b"{}", b"x" * 300_000])
async def test_a_private_answer_goes_to_one(obedient: House, body: bytes) -> None:
    """What the origin calls private, small or large, is given to whoever asked, and to no other."""
    fields = (("Cache-Control", "private"), ("Set-Cookie", "session=1"))
    obedient.provider.answers = deque(
        [Response(parts=(body + str(n).encode(),), fields=fields) for n in range(3)]
    )
    answers = await asyncio.gather(*(begin(obedient) for _ in range(3)))

    assert len({await content(answer) for answer in answers}) == 3
    assert ["MISS"] * 3 == [verdict(answer) for answer in answers]


async def test_who_cannot_share_does_not_stand_in_line(obedient: House) -> None:
    """Twenty who wait for what proves to be unshareable then ask all at once, not one by one."""
    gate = asyncio.Event()
    unshareable = Response(fields=(("Cache-Control", "no-store"),), gate=gate)
    obedient.provider.answers = deque([unshareable])
    asking = [begin(obedient) for _ in range(20)]
    await sent(obedient, 1)
    again = asyncio.Event()
    obedient.provider.answers = deque([replace(unshareable, gate=again)])
    gate.set()
    await asyncio.wait_for(sent(obedient, 20), 60)
    again.set()

    assert {200} == {answer.status for answer in await asyncio.gather(*asking)}


async def test_a_request_of_ones_own_is_joined_by_nobody(obedient: House) -> None:
    """A fetch with a client's own credentials stands in nobody's way: others begin theirs."""
    gate = asyncio.Event()
    obedient.provider.answers = deque([Response(gate=gate)])
    own = begin(obedient, (("Authorization", "Bearer a"),))
    await sent(obedient, 1)
    other = begin(obedient)
    await asyncio.wait_for(sent(obedient, 2), 60)
    gate.set()

    assert ["MISS", "MISS"] == [verdict(answer) for answer in await asyncio.gather(own, other)]


async def test_each_is_rescued_by_its_own_plan() -> None:
    """Who asked for nothing old gets the provider's error; who joined it, what is stored."""
    house = House()
    await house.ask(TARGET)
    house.clock += 300
    gate = asyncio.Event()
    house.provider.answers = deque([Response(500, gate=gate)])
    strict = begin(house, (("Cache-Control", "max-age=10"),))
    await sent(house, 2)
    lenient = begin(house)
    await asyncio.sleep(0)
    gate.set()
    answers = await asyncio.gather(strict, lenient)

    assert [(500, "MISS"), (200, "RESCUED")] == [(each.status, verdict(each)) for each in answers]
    await house.close()


async def test_an_impatient_leader_does_not_speak_for_others(house: House) -> None:
    """Who would wait for quota waits, though it joined one who would not."""
    house.ledger.tokens = 0
    house.ledger.denial = Denied("minute", 0.01, 60.0, returns=((0.01, 1.0),))
    hasty, patient = begin(house, (("Prefer", "wait=0"),)), begin(house)
    while house.queues.length("coingecko") == 0:  # noqa: ASYNC110 - a plain figure, no event
        await asyncio.sleep(0)
    house.ledger.tokens = 1
    house.queues.changed("coingecko")

    assert [429, 200] == [answer.status for answer in await asyncio.gather(hasty, patient)]


# ── Large bodies ──


async def test_who_comes_while_a_large_body_arrives_joins_it(house: House) -> None:
    """A body that takes its time is fetched once, also for those who come after its head."""
    pause = asyncio.Event()
    house.provider.answers = deque([Response(parts=LARGE, pause=pause)])
    first_one = await begin(house)
    late = await begin(house)
    pause.set()

    assert b"".join(LARGE) == await content(first_one) == await content(late)
    assert ["MISS", "JOINED"] == [verdict(first_one), verdict(late)]
    assert len(house.provider.sent) == 1


async def test_a_large_body_brings_no_cookie(house: House) -> None:
    """Set-Cookie is taken out of an answer that is handed through, as of any other."""
    fields = (("Content-Type", "application/json"), ("Set-Cookie", "session=1"))
    house.provider.answers = deque([Response(parts=LARGE, fields=fields)])
    answer = await begin(house)

    assert first(answer.fields, "set-cookie") is None
    assert b"".join(LARGE) == await content(answer)


async def test_a_caller_that_goes_as_a_large_body_lands_does_not_hold_it() -> None:
    """One of two goes in the tick in which the head lands: the other still gets all of the body."""
    house = House(upstream(endpoint("price", "/price", max_size=1000)))
    gate = asyncio.Event()
    parts = tuple(b"x" * 1_000_000 for _ in range(12))
    house.provider.answers = deque([Response(parts=parts, gate=gate)])
    staying, going = begin(house), begin(house)
    await sent(house, 1)
    flights = house.flow._parts.flights
    [flight] = flights._flights.values()
    assert flight.task is not None
    flight.task.add_done_callback(lambda _: going.cancel())
    gate.set()
    answer = await staying
    await asyncio.gather(going, return_exceptions=True)

    assert 12_000_000 == len(await asyncio.wait_for(content(answer), 60))
    await house.close()


async def test_the_head_of_a_large_body_holds_no_connection() -> None:
    """A HEAD is fetched as a GET; its body, which nobody reads, is let go where it is too large."""
    house = House(upstream(endpoint("price", "/price", max_size=1000)))
    parts = tuple(b"x" * 1_000_000 for _ in range(12))
    house.provider.answers = deque([Response(parts=parts)])
    answer = await begin(house, method="HEAD")
    del answer
    await asyncio.wait_for(house.settle_down(), 60)

    assert house.provider.exchanges[0].aborted
    await house.close()


# ── Flights that go on, or end ──


async def test_a_retry_is_not_made_for_nobody(house: House) -> None:
    """A second try costs a second call: where an entry can stand in, there is none."""
    await house.ask(TARGET)
    house.clock += 300
    house.provider.answers = deque([Failed(Failure.DISCONNECTED, sent=True)])

    assert "RESCUED" == verdict(await house.ask(TARGET))
    assert len(house.provider.sent) == 2


async def test_a_body_that_keys_is_sent_whole_again() -> None:
    """A POST that only reads is retried with the body that it is keyed by, not with half of it."""
    house = House(upstream(endpoint("search", "/price", cache_body=True)))

    async def body() -> AsyncIterator[bytes]:
        yield b'{"ids":'
        yield b"[1]}"

    house.provider.answers = deque([Failed(Failure.DISCONNECTED, sent=True), Response()])
    answer = await house.ask(TARGET, method="POST", body=body())

    assert "MISS" == verdict(answer)
    assert [b'{"ids":[1]}'] * 2 == [each.body for each in house.provider.sent]
    await house.close()


async def test_a_refresh_that_fails_leaves_the_entry(house: House) -> None:
    """The stale answer goes on being given while the provider is down."""
    await house.ask(TARGET)
    house.clock += 70
    house.provider.answers = deque([Response(500)])
    first_one = await house.ask(TARGET)
    await house.settle_down()

    assert ["STALE", "STALE"] == [verdict(first_one), verdict(await house.ask(TARGET))]


# ── Clients with a budget of their own ──

SMALL = Limit("~grid-1/minute", 1, 60.0, Algorithm.SLIDING_WINDOW, of="client")
GRID = Client("grid-1", "grid-1", limits=(SMALL,))


async def test_a_spent_budget_is_its_clients_alone(house: House) -> None:
    """Who joined a fetch that another's budget denied makes one on its own account."""
    spending = house.ledger.spend
    asked = asyncio.Event()

    async def spend(bill: Bill) -> Granted | Denied:
        if any(charge.limit is SMALL for charge in bill.charges):
            asked.set()
            await asyncio.sleep(0)
            return Denied(SMALL.name, 30.0, 60.0)
        return await spending(bill)

    house.ledger.spend = spend  # type: ignore[method-assign]  # one that knows budgets
    poor = asyncio.get_running_loop().create_task(house.ask(TARGET, client=GRID))
    await asked.wait()
    rich = begin(house)
    answers = await asyncio.gather(poor, rich)

    assert [429, 200] == [answer.status for answer in answers]
    assert answers[0].problem is not None
    assert SMALL.name == answers[0].problem.limit


async def test_a_hit_costs_no_budget(house: House) -> None:
    """What is in the cache is everybody's: only calls are charged to who caused them."""
    await house.ask(TARGET, client=GRID)
    again = await house.ask(TARGET, client=GRID)

    assert "HIT" == verdict(again)
    assert [{"minute": 1.0, SMALL.name: 1.0}] == [
        {charge.bucket: charge.cost for charge in bill.charges} for bill in house.ledger.spent
    ]
    assert ["grid-1"] == [call.client for call in house.recorder.calls]


async def test_an_urgent_joiner_lends_its_urgency(house: House) -> None:
    """Who joins a fetch of low priority is not served behind those of a middle one."""
    house.ledger.tokens = 0
    house.ledger.denial = Denied("minute", 2.0, 60.0, soonest=1.5)
    asking = [begin(house, (("Priority", "u=7"),))]
    asking.append(asyncio.get_running_loop().create_task(house.ask("/coingecko/price?ids=b")))
    while house.queues.length("coingecko") < 2:  # noqa: ASYNC110 - a plain figure, no event
        await asyncio.sleep(0)
    asking.append(begin(house, (("Priority", "u=0"),)))
    await asyncio.sleep(0)
    house.ledger.tokens = 2
    house.queues.changed("coingecko")
    await asyncio.gather(*asking)

    assert ["/price", "/price?ids=b"] == [sent.target for sent in house.provider.sent]
