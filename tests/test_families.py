"""Families: a shorter answer is cut from a longer one that is stored."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from proxy.asked import asked
from proxy.core.model import Request
from proxy.core.routing import Match
from proxy.core.series import Contains, Span
from tests.house import House, Response, endpoint, upstream

KLINES = replace(
    endpoint("klines", "/klines"),
    align="interval", round=Span("startTime", "endTime"), settled=86_400.0,
    contains=Contains("limit", absent=500, first_from="startTime"),
)  # fmt: skip
ROWS = b'[[1,"0.10"],[2,"0.20"],[3,"0.30"]]'
ASKED = "/coingecko/klines?symbol=A&interval=1d"


@pytest.fixture
async def house() -> AsyncIterator[House]:
    built = House(upstream(KLINES))
    built.provider.answers = deque(Response(parts=(ROWS,)) for _ in range(9))
    yield built
    await built.close()
    assert built.errors == []


async def test_a_shorter_one_costs_nothing(house: House) -> None:
    """The last elements of the longer answer, as old as it, and the call is saved."""
    await house.ask(f"{ASKED}&limit=1000")
    house.clock += 5
    answer = await house.ask(f"{ASKED}&limit=2")

    assert ("HIT", b'[[2,"0.20"],[3,"0.30"]]', 5) == (
        answer.account.verdict, answer.body, answer.account.age,
    )  # fmt: skip
    assert len(house.provider.sent) == 1


async def test_the_default_counts_as_a_limit(house: House) -> None:
    """Without `limit` 500 come: they hold 100, and a thousand hold them."""
    await house.ask(f"{ASKED}&limit=1000")

    assert "HIT" == (await house.ask(ASKED)).account.verdict
    assert "MISS" == (await house.ask(f"{ASKED}&limit=1500")).account.verdict


async def test_from_a_start_it_is_the_first_ones(house: House) -> None:
    """With `startTime` the provider counts from there."""
    await house.ask(f"{ASKED}&startTime=86400000&limit=3")
    answer = await house.ask(f"{ASKED}&startTime=86399999&limit=1")

    assert b'[[1,"0.10"]]' == answer.body


async def test_another_range_is_another_family(house: House) -> None:
    """Whatever else differs, the longer answer says nothing of it."""
    await house.ask(f"{ASKED}&limit=1000")

    assert "MISS" == (await house.ask(f"{ASKED}&limit=2&endTime=86400000")).account.verdict
    assert "MISS" == (await house.ask("/coingecko/klines?symbol=B&limit=2")).account.verdict


async def test_a_stale_one_holds_nothing(house: House) -> None:
    """Only a fresh answer stands in for a shorter one."""
    await house.ask(f"{ASKED}&limit=1000")
    house.clock += 61

    assert "MISS" == (await house.ask(f"{ASKED}&limit=2")).account.verdict
    assert len(house.provider.sent) == 2


async def test_an_error_is_not_cut(house: House) -> None:
    """What is no array is asked for by itself."""
    house.provider.answers = deque([Response(parts=(b'{"error":1}',)), Response(parts=(ROWS,))])
    await house.ask(f"{ASKED}&limit=1000")

    assert "MISS" == (await house.ask(f"{ASKED}&limit=2")).account.verdict


async def test_a_moving_start_is_one_key_and_one_call(house: House) -> None:
    """What the provider is asked is what the key says: the start at which a candle opens."""
    hour = ASKED.replace("1d", "1h")
    first = await house.ask(f"{hour}&startTime=913600001")
    second = await house.ask(f"{hour}&startTime=913700002")

    assert ["MISS", "HIT"] == [first.account.verdict, second.account.verdict]
    assert ["/klines?symbol=A&interval=1h&startTime=914400000"] == [
        each.target for each in house.provider.sent
    ]


async def test_the_default_spelt_out_is_the_same_answer(house: House) -> None:
    """`limit=500` and none at all are two keys, and one call."""
    await house.ask(f"{ASKED}&limit=500")

    assert "HIT" == (await house.ask(ASKED)).account.verdict


async def test_what_is_kept_warm_holds_shorter_ones_too(house: House) -> None:
    """A longer answer that was fetched for nobody is known as well."""
    route = house.flow.routes.match(Request("GET", "/coingecko/klines", "symbol=A&interval=1d", ()))
    assert isinstance(route, Match)
    request = Request("GET", "/coingecko/klines", "symbol=A&interval=1d", ())
    await house.flow.refresh(asked(request, route, asyncio.get_running_loop().time(), b"secret"))
    await house.settle_down()

    assert "HIT" == (await house.ask(f"{ASKED}&limit=2")).account.verdict
