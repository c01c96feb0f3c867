"""Known heads whose entries only the store has: asked for without being parsed, answered alike."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxy.answer import Answer
from proxy.core.model import Request
from proxy.http.front import Bounds
from tests.http.conftest import ACCELERATE, KnownHit, Standing, standing, until, whole
from tests.http.known_hits import GET, entry, hit

HEAD = GET % (b"/a", b"")


class Looked:
    """Counts which requests were parsed, and holds back what the store says."""

    def __init__(self, house: Standing, known: KnownHit) -> None:
        self.parsed = 0
        self.asked = 0
        self.going = asyncio.Event()
        self.going.set()
        self.known = known
        house.flow.hit = self.hit
        house.flow.again_from_store = self.again  # type: ignore[method-assign]

    def hit(self, request: Request) -> KnownHit | None:
        self.parsed += 1
        return self.known if request.path == "/a" else None

    async def again(self, hit: KnownHit) -> Answer | None:
        self.asked += 1
        await self.going.wait()
        return hit.again()


@pytest.fixture
async def looked(house: Standing) -> Looked:
    return Looked(house, hit(entry(), passing=True))


async def heard(house: Standing, number: int, head: bytes = HEAD) -> list[Any]:
    async with house.raw() as client:
        return [await client.ask(head) for _ in range(number)]


async def test_a_head_that_is_known_is_parsed_no_more(house: Standing, looked: Looked) -> None:
    """The store is asked each time; the answer is the same to the byte."""
    answers = await heard(house, 6)

    assert {answer.body for answer in answers} == {b"hello"}
    assert len({tuple(answer.fields) for answer in answers}) == 1
    assert looked.asked == 6
    assert looked.known.times == 6
    assert (looked.parsed < 6) is ACCELERATE, "it was learnt, if anything is"
    assert house.flow.asked == []


async def test_what_the_store_has_no_more_goes_the_ordinary_way(
    house: Standing, looked: Looked
) -> None:
    """It is answered once, and its row is gone."""
    await heard(house, 4)
    looked.known.answer, parsed = None, looked.parsed

    [answer] = await heard(house, 1)

    assert answer.status == 200
    assert [asked.path for asked in house.flow.asked] == ["/a"]
    assert looked.parsed == parsed + 1


async def test_a_new_answer_is_given_as_it_is(house: Standing, looked: Looked) -> None:
    """The bytes that were written last are not given for another answer."""
    await heard(house, 4)
    other = hit(entry(body=b"newer"))
    looked.known.answer = other.answer

    [answer] = await heard(house, 1)

    assert answer.body == b"newer"


async def test_answers_keep_their_order(house: Standing, looked: Looked) -> None:
    """What comes while the store is asked waits, be it known or not."""
    await heard(house, 4)
    looked.going.clear()
    before = looked.asked

    async def named(request: Request, body: AsyncIterator[bytes] | None) -> Answer:
        return whole(request.path.encode())

    house.flow.answer = named
    async with house.raw() as client:
        client.writer.write(HEAD)
        await until(lambda: looked.asked > before)
        client.writer.write(GET % (b"/other", b"") + HEAD)
        await client.writer.drain()
        looked.going.set()
        bodies = [(await client.hear()).body for _ in range(3)]
    assert bodies == [b"hello", b"/other", b"hello"]


async def test_a_client_that_goes_takes_its_look_up_along(house: Standing, looked: Looked) -> None:
    """Nothing is left under way, and nothing is written to who has gone."""
    await heard(house, 4)
    looked.going.clear()
    before = looked.asked
    async with house.raw() as client:
        client.writer.write(HEAD)
        await until(lambda: looked.asked > before)
    await until(lambda: not house.front.connections and not house.front.under_way)
    looked.going.set()
    assert (await heard(house, 1))[0].body == b"hello"


async def test_one_more_than_there_may_be_is_refused() -> None:
    """A known head is no way around the bound of requests under way."""
    async with standing(Bounds(max_requests=1)) as house:
        looked = Looked(house, hit(entry(), passing=True))
        await heard(house, 4)
        looked.going.clear()
        async with house.raw() as one, house.raw() as two:
            one.writer.write(HEAD)
            await until(lambda: house.front.under_way)
            assert (await two.ask(HEAD)).status == 503
            looked.going.set()
            assert (await one.hear()).status == 200


async def test_a_bug_in_a_look_up_ends_its_request(house: Standing, looked: Looked) -> None:
    """It is told, and the client is answered, as where the head was parsed."""
    await heard(house, 4)

    async def bug(known: KnownHit) -> Answer | None:
        raise ValueError

    house.flow.again_from_store = bug  # type: ignore[method-assign]
    [answer] = await heard(house, 1)
    assert answer.status == 500
    assert {type(error) for error in house.errors} == {ValueError}
