"""What is passed through: once, as it came, and to its end."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

import pytest

from proxy.core.fields import first
from proxy.core.model import Denied, Failed, Failure, Policy
from tests.house import PRICE, House, Response, content, endpoint, upstream

ORDER = "/coingecko/price?symbol=BTCUSDT&signature=abc"


async def uploaded() -> AsyncIterator[bytes]:
    yield b"symbol="
    yield b"BTCUSDT"


async def test_a_streamed_body_is_never_sent_twice(house: House) -> None:
    """A body that comes once is sent once, also where nothing of it reached the provider."""
    for failure, was_sent in ((Failure.CONNECT, False), (Failure.DISCONNECTED, True)):
        house.provider.sent.clear()
        house.provider.answers = deque([Failed(failure, sent=was_sent)])
        answer = await house.ask("/coingecko/other", method="POST", body=uploaded())

        assert 502 == answer.status
        assert len(house.provider.sent) == 1


async def test_the_bytes_of_an_unknown_length_go_on_as_they_come(house: House) -> None:
    """An endless answer reaches its client from its first byte, and is nowhere collected."""
    pause = asyncio.Event()
    house.provider.answers = deque([Response(parts=(b"a", b"b"), length_known=False, pause=pause)])
    answer = await asyncio.wait_for(house.ask("/coingecko/other"), 60)
    assert not isinstance(answer.body, bytes)
    reader = aiter(answer.body)

    assert b"a" == await anext(reader)

    pause.set()

    assert b"b" == await anext(reader)


async def test_an_order_that_lost_its_client_lets_its_answer_go(house: House) -> None:
    """The order went out; its endless answer, which nobody reads, holds no connection."""
    gate = asyncio.Event()
    parts = (b"x" * 1_000_000,) * 12
    house.provider.answers = deque([Response(parts=parts, length_known=False, gate=gate)])
    asking = asyncio.get_running_loop().create_task(house.ask(ORDER))
    while not house.provider.sent:  # noqa: ASYNC110 - a plain list, no event
        await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    gate.set()
    await asyncio.wait_for(house.settle_down(), 60)

    assert house.provider.exchanges[0].aborted


async def test_a_change_that_lost_its_client_invalidates_all_the_same(house: House) -> None:
    """What a PUT made untrue is not served because the one who put it has gone."""
    await house.ask("/coingecko/price")
    gate = asyncio.Event()
    house.provider.answers = deque([Response(gate=gate), Response()])
    putting = asyncio.get_running_loop().create_task(house.ask("/coingecko/price", method="PUT"))
    while len(house.provider.sent) < 2:  # noqa: ASYNC110 - a plain list, no event
        await asyncio.sleep(0)
    putting.cancel()
    await asyncio.gather(putting, return_exceptions=True)
    gate.set()
    await house.settle_down()

    assert "MISS" == (await house.ask("/coingecko/price")).account.verdict.value


async def test_a_change_is_seen_by_whoever_asks_next(house: House) -> None:
    """Right behind the answer to a PUT, before any store has forgotten, a GET is a miss."""
    await house.ask("/coingecko/price")
    await house.settle_down()
    await house.ask("/coingecko/price", method="PUT")

    assert "MISS" == (await house.ask("/coingecko/price")).account.verdict.value


async def test_a_streamed_answer_brings_no_cookie(house: House) -> None:
    """Set-Cookie is taken out of what is passed through too, but under `obey`."""
    fields = (("Set-Cookie", "session=1"),)
    for policy, expected in ((Policy.IGNORE, None), (Policy.OBEY, "session=1")):
        passing = House(upstream(endpoint("price", "/price", live=True, policy=policy)))
        passing.provider.answers = deque([Response(fields=fields, length_known=False)])
        answer = await passing.ask("/coingecko/price")

        assert not isinstance(answer.body, bytes)
        assert expected == first(answer.fields, "set-cookie")
        await passing.close()


async def test_live_requests_are_charged_and_never_queued() -> None:
    """A clock that comes late is wrong: with the quota out it is refused at once."""
    house = House(upstream(PRICE, endpoint("clock", "/time", live=True)))
    await house.ask("/coingecko/time")
    house.ledger.tokens = 0
    house.ledger.denial = Denied("minute", 0.001, 60.0, soonest=0.001)
    answer = await house.ask("/coingecko/time")

    assert (1, 429) == (len(house.ledger.spent), answer.status)
    assert {} == house.first_level.entries
    await house.close()


async def test_what_waits_for_quota_ends_with_its_client(house: House) -> None:
    """A request that is only passed through waits for its own client, and for nobody else."""
    house.ledger.tokens = 0
    house.ledger.denial = Denied("minute", 2.0, 60.0, soonest=0.001)
    asking = asyncio.get_running_loop().create_task(house.ask("/coingecko/other"))
    while house.queues.length("coingecko") == 0:  # noqa: ASYNC110 - a plain figure, no event
        await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await house.settle_down()

    assert (0, []) == (house.queues.length("coingecko"), house.provider.sent)


async def test_an_order_goes_ahead_of_those_who_wait(house: House) -> None:
    """Readers in line for the quota do not keep an order from the reserve that is kept for it."""
    house.ledger.tokens = 0
    house.ledger.denial = Denied("minute", 2.0, 60.0, soonest=1.5)
    reading = asyncio.get_running_loop().create_task(house.ask("/coingecko/other"))
    while house.queues.length("coingecko") == 0:  # noqa: ASYNC110 - a plain figure, no event
        await asyncio.sleep(0)
    house.ledger.tokens = 1  # which the ledger would only give to an urgent bill

    assert 200 == (await house.ask(ORDER)).status

    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)


async def test_a_post_that_may_be_stored_is_read_whole() -> None:
    """Under `obey` the answer to a POST that names its own target serves later GETs."""
    house = House(upstream(endpoint("price", "/price", policy=Policy.OBEY, ttl=None)))
    fields = (("Cache-Control", "max-age=60"), ("Content-Location", "http://provider/price"))
    house.provider.answers = deque([Response(fields=fields)])
    posted = await house.ask("/coingecko/price", method="POST", body=uploaded())
    await house.settle_down()
    got = await house.ask("/coingecko/price")

    assert ["BYPASS", "HIT"] == [each.account.verdict.value for each in (posted, got)]
    assert await content(posted) == await content(got)
    await house.close()


@pytest.mark.parametrize("status", [429, 418])
async def test_who_is_held_off_hears_for_how_long(house: House, status: int) -> None:
    """The provider names no time: its answer passes with that of the hold it caused."""
    house.provider.answers = deque([Response(status)])
    for target in ("/coingecko/other", "/coingecko/price"):
        answer = await house.ask(target)

        assert (status, 10.0) == (answer.status, answer.retry_after)
