"""Riders: a call for others takes along who will be asked for again, for nothing."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

import pytest

from proxy.core.model import Denied, Failed, Failure
from proxy.core.spending import Level
from tests.house import OpenLedger, Response, verdict
from tests.shop import BAD, Shop, prices, tickers


class Weighing(OpenLedger):
    """A ledger whose limit is as full as the test says."""

    used = 0.0

    def levels(self, _upstream: str) -> tuple[Level, ...]:
        return (Level("minute", "minute", 30, self.used, 60.0, "sliding_window", 60.0),)


@pytest.fixture
async def house() -> AsyncIterator[Shop]:
    built = Shop(Weighing())
    yield built
    await built.close()
    assert built.errors == []


def ticker(name: str) -> str:
    return f"/coingecko/ticker?symbol={name}"


async def test_it_rides_along(house: Shop) -> None:
    """It costs no more than the call that leaves, and is as young as what that brings."""
    await house.ask(prices("a"))
    house.clock += 31
    await house.ask(prices("b"))
    house.clock += 40
    answer = await house.ask(prices("a"))

    assert [["a"], ["b", "a"]] == house.shop.asked
    assert ("HIT", 40, b'{"a":{"usd":1.50}}') == (verdict(answer), answer.account.age, answer.body)


async def test_what_is_young_stays(house: Shop) -> None:
    """Less than a tenth of its TTL has passed: it would gain next to nothing."""
    await house.ask(prices("a"))
    house.clock += 5
    await house.ask(prices("b"))

    assert [["a"], ["b"]] == house.shop.asked


async def test_what_went_cold_stays(house: Shop) -> None:
    """Nobody has used it for ten TTLs, though it rode along: from there on it is let end."""
    await house.ask(prices("a"))
    for _ in range(12):
        house.clock += 61
        await house.ask(prices("b"))

    assert [["b", "a"]] * 9 + [["b"]] * 3 == house.shop.asked[1:]


async def test_a_use_keeps_it_warm(house: Shop) -> None:
    """A hit counts as well as a fetch, also one that goes the shortest way."""
    await house.ask(prices("a"))
    for _ in range(12):
        house.clock += 31
        await house.ask(prices("a"))
        house.clock += 30
        await house.ask(prices("b"))

    assert [["b", "a"]] * 12 == house.shop.asked[1:]


async def test_no_more_than_a_call_takes(house: Shop) -> None:
    """Who is due goes first, of those who was used last; who has no room stays."""
    for name in "abcde":
        await house.ask(prices(name))
        house.clock += 1
    house.clock += 28
    await house.ask(prices("z"))

    assert house.shop.asked[-1] == ["z", "d", "c", "b"]


async def test_who_is_to_be_asked_for_takes_the_place(house: Shop) -> None:
    """Those for whom somebody waits go before those for whom nobody does."""
    for name in "abc":
        await house.ask(prices(name))
    house.clock += 31
    await house.ask(prices("w", "x", "y", "z"))

    assert house.shop.asked[-1] == ["w", "x", "y", "z"]


@pytest.mark.parametrize(("used", "rides"), [(0.0, True), (20.0, False)])
async def test_a_dearer_list_goes_from_surplus_alone(
    house: Shop,
    used: float,
    rides: bool,  # noqa: FBT001 - a parameter of the table
) -> None:
    """One symbol costs 2 and a list 4: two riders make it worth it, where there is room."""
    house.ledger.used = used  # type: ignore[attr-defined]  # Weighing
    for name in "AB":
        await house.ask(f"/coingecko/weighed?symbol={name}")
    house.clock += 31
    await house.ask("/coingecko/weighed?symbol=C")

    assert ["C", *["A", "B"] * rides] == sorted(house.shop.asked[-1], key="CAB".index)


async def test_a_dearer_list_is_not_sent_for_the_young(house: Shop) -> None:
    """Riders that are not half way through would not cost a call of their own for long."""
    for name in "AB":
        await house.ask(f"/coingecko/weighed?symbol={name}")
    house.clock += 29
    await house.ask("/coingecko/weighed?symbol=C")

    assert house.shop.asked[-1] == ["C"]


async def test_a_dearer_list_is_not_sent_for_one(house: Shop) -> None:
    """Its own call would cost no more than what the list costs beyond the one that leaves."""
    await house.ask("/coingecko/weighed?symbol=A")
    house.clock += 31
    await house.ask("/coingecko/weighed?symbol=C")

    assert house.shop.asked[-1] == ["C"]


async def test_everything_where_a_list_is_too_short(house: Shop) -> None:
    """More ride than a list takes, and all there are cost the same."""
    house.shop.everything = [f"S{number}" for number in range(9)]
    for name in house.shop.everything[:8]:
        await house.ask(f"/coingecko/weighed?symbol={name}")
    house.clock += 31
    await house.ask("/coingecko/weighed?symbol=S8")
    calls = len(house.shop.asked)
    house.clock += 31
    found = [await house.ask(f"/coingecko/weighed?symbol=S{number}") for number in range(9)]

    assert house.shop.sent[-1].target == "/weighed"
    assert [("HIT", 31.0)] * 9 == [(verdict(each), each.account.age) for each in found]
    assert calls == len(house.shop.asked)


async def test_a_rider_that_spoils_the_call(house: Shop) -> None:
    """It has become a bad symbol: who was asked for is asked for alone, and nobody rides."""
    await house.ask(ticker("A"))
    house.clock += 31
    house.shop.next = deque([BAD])
    answer = await house.ask(ticker("C"))

    assert (200, b'{"symbol":"C","price":"1.50"}') == (answer.status, answer.body)
    assert [["A"], ["C", "A"], ["C"]] == house.shop.asked
    assert "HIT" == verdict(await house.ask(ticker("A")))

    house.clock += 31
    await house.ask(ticker("D"))

    assert "A" not in house.shop.asked[-1]


async def test_a_rider_that_is_left_out_keeps_its_answer(house: Shop) -> None:
    """What the provider does not say changes nothing, and says nothing."""
    await house.ask(prices("a"))
    house.clock += 31
    house.shop.leaves_out = {"a"}
    await house.ask(prices("b"))
    answer = await house.ask(prices("a"))

    assert ("HIT", 31, b'{"a":{"usd":1.50}}') == (verdict(answer), answer.account.age, answer.body)


@pytest.mark.parametrize(
    "failure", [Failed(Failure.TIMEOUT, sent=True), Response(429, (b"{}",)), Response(500, (b"x",))]
)
async def test_a_call_that_fails_takes_nothing_from_riders(
    house: Shop, failure: Failed | Response
) -> None:
    """What they have stays, and no second call is made for them."""
    await house.ask(prices("a"))
    house.clock += 31
    house.shop.next = deque([failure])
    await house.ask(prices("b"))

    assert [["a"], ["b", "a"]] == house.shop.asked
    assert "HIT" == verdict(await house.ask(prices("a")))


async def test_who_is_asked_for_while_it_rides_waits_for_that(house: Shop) -> None:
    """Its answer ends while the call is under way: it is not fetched twice."""
    await house.ask(prices("a"))
    house.clock += 59
    house.shop.gate = asyncio.Event()
    loop = asyncio.get_running_loop()
    asking = [loop.create_task(house.ask(prices("b")))]
    while len(house.shop.asked) < 2:  # noqa: ASYNC110 - a plain list, no event
        await asyncio.sleep(0)
    house.clock += 2
    asking.append(loop.create_task(house.ask(prices("a"))))
    for _ in range(20):
        await asyncio.sleep(0)
    house.shop.gate.set()
    answers = await asyncio.gather(*asking)

    assert [["a"], ["b", "a"]] == house.shop.asked
    assert [b'{"b":{"usd":1.50}}', b'{"a":{"usd":1.50}}'] == [each.body for each in answers]


async def test_who_is_asked_for_before_its_call_leaves_goes_with_it(house: Shop) -> None:
    """It was to ride while quota is awaited; now somebody waits for it too: one call for both."""
    await house.ask(prices("a"))
    house.clock += 59
    house.ledger.tokens = 0
    house.ledger.denial = Denied("minute", 2.0, 60.0, soonest=0.001)
    loop = asyncio.get_running_loop()
    asking = [loop.create_task(house.ask(prices("b")))]
    while house.queues.length("coingecko") == 0:  # noqa: ASYNC110 - a plain figure, no event
        await asyncio.sleep(0)
    house.clock += 700
    asking.append(loop.create_task(house.ask(prices("a"))))
    for _ in range(10):
        await asyncio.sleep(0)
    house.ledger.tokens = 1
    house.queues.changed("coingecko")
    answers = await asyncio.gather(*asking)

    assert [["a"], ["b", "a"]] == house.shop.asked
    assert ["MISS", "MISS"] == list(map(verdict, answers))


async def test_a_list_answered_later_is_the_providers_own(house: Shop) -> None:
    """What rode along is composed as what was asked for."""
    await house.ask(tickers("A", "B"))
    house.clock += 31
    await house.ask(tickers("C", "D"))
    house.clock += 31
    answer = await house.ask(tickers("A", "C"))

    assert b'[{"symbol":"A","price":"1.50"},{"symbol":"C","price":"1.50"}]' == answer.body
    assert ("HIT", 31) == (verdict(answer), answer.account.age)


async def test_a_new_configuration_forgets_them(house: Shop) -> None:
    """What was noted under other routes rides no more."""
    await house.ask(prices("a"))
    house.clock += 31
    house.flow.configure(house.flow.routes)
    await house.ask(prices("b"))

    assert house.shop.asked[-1] == ["b"]
