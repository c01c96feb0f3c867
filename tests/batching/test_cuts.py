"""Cuts: a shorter answer is cut from a longer one that is stored, or that is fetched instead."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator

import pytest

from proxy.asked import asked
from proxy.core.model import Failed, Failure, Request
from proxy.core.routing import Match, parse_template
from proxy.core.series import Contains, Span
from proxy.core.tables import UpTo
from proxy.core.upstreams import Cost
from tests.house import JSON, House, Response, endpoint, upstream
from tests.values import replace

KLINES = replace(
    endpoint("klines", "/klines"),
    align="interval", round=Span("startTime", "endTime"), settled=86_400.0,
    contains=Contains("limit", absent=500, first_from="startTime"),
)  # fmt: skip
ROWS = b'[[1,"0.10"],[2,"0.20"],[3,"0.30"]]'
ASKED = "/coingecko/klines?symbol=A&interval=1d"


@pytest.fixture
async def house() -> AsyncIterator[House]:
    built = House(upstream(KLINES, FETCHING))
    built.provider.answers = deque(Response(parts=(ROWS,)) for _ in range(9))
    yield built
    await built.close()
    assert built.errors == []


FETCHING = replace(
    KLINES, name="fetching", path="/fetching", segments=parse_template("/fetching"),
    contains=Contains("limit", absent=3, first_from="startTime", opens=0, fetch=(5, 3)),
    cost=Cost(UpTo("limit", ((4.0, 1.0), (9.0, 2.0)), 1.0)), headers=("X-Unit",),
    stale_while_revalidate=0.0, stale_if_error=300.0,
)  # fmt: skip
HOUR = 3_600_000
NOW = 1_000_000.0
LATEST = int(NOW) // 3600 * HOUR
"""When the present candle opened, in the house's time."""


def candles(count: int) -> bytes:
    """Return so many of the latest candles of an hour."""
    rows = (f'[{LATEST - back * HOUR},"0.{back}0"]' for back in reversed(range(count)))
    return f"[{','.join(rows)}]".encode()


async def test_a_shorter_one_costs_nothing(house: House) -> None:
    """The last elements of the longer answer, as old as it, and the call is saved."""
    await house.ask(f"{ASKED}&limit=1000")
    house.clock += 5
    answer = await house.ask(f"{ASKED}&limit=2")

    assert ("HIT", b'[[2,"0.20"],[3,"0.30"]]', 5) == (
        answer.account.verdict, answer.body, answer.account.age,
    )  # fmt: skip
    assert len(house.provider.sent) == 1


async def test_a_shorter_one_is_as_new_as_the_longer(house: House) -> None:
    """When a longer one is fetched anew, whatever was cut from the old one is cut again."""
    await house.ask(f"{ASKED}&limit=1000")
    await house.ask(f"{ASKED}&limit=2")
    house.provider.answers = deque([Response(parts=(b'[[3,"0.30"],[4,"0.40"],[5,"0.50"]]',))])
    house.clock += 5
    path, _, query = f"{ASKED}&limit=1000".partition("?")
    request = Request("GET", path, query, ())
    match = house.flow.routes.match(request)
    assert isinstance(match, Match)
    began = asyncio.get_running_loop().time()
    await house.flow.refresh(asked(request, match, began, b"secret"))
    await house.settle_down()
    answer = await house.ask(f"{ASKED}&limit=2")

    assert ("HIT", b'[[4,"0.40"],[5,"0.50"]]', 0) == (
        answer.account.verdict, answer.body, answer.account.age,
    )  # fmt: skip
    assert len(house.provider.sent) == 2


async def test_a_shorter_one_claims_nothing_of_the_longer(house: House) -> None:
    """Lengths, validators and digests are of the body that was cut."""
    whole = (*JSON, ("Content-Length", str(len(ROWS))), ("ETag", '"1"'), ("Content-MD5", "AA=="))
    house.provider.answers = deque([Response(200, (ROWS,), whole)])
    await house.ask(f"{ASKED}&limit=1000")

    kept = [name for name, _ in (await house.ask(f"{ASKED}&limit=2")).fields]

    assert ["Content-Type", "Date"] == kept


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


# ── A call for more, where it costs no more ──

WANTED = "/coingecko/fetching?symbol=A&interval=1h"


async def test_a_call_for_as_many_as_cost_the_same(house: House) -> None:
    """Three cost what one does, five would cost twice: three come, and all are cut from them."""
    house.provider.answers = deque([Response(parts=(candles(3),))])
    first = await house.ask(f"{WANTED}&limit=1")
    second = await house.ask(f"{WANTED}&limit=2")
    third = await house.ask(WANTED)

    assert ["/fetching?symbol=A&interval=1h&limit=3"] == [
        each.target for each in house.provider.sent
    ]
    assert ["MISS", "HIT", "HIT"] == [each.account.verdict for each in (first, second, third)]
    assert [candles(1), candles(2), candles(3)] == [each.body for each in (first, second, third)]
    assert first.account.key.endswith("limit=1&symbol=A")


async def test_who_asks_for_more_pays_for_it(house: House) -> None:
    """Four cost as much as five: those are fetched."""
    house.provider.answers = deque([Response(parts=(candles(5),))])
    answer = await house.ask(f"{WANTED}&limit=5")

    assert (candles(5), 2.0) == (answer.body, house.ledger.spent[0].charges[0].cost)
    assert "HIT" == (await house.ask(f"{WANTED}&limit=4")).account.verdict


async def test_from_a_start_it_is_cut_from_the_latest(house: House) -> None:
    """The latest reach back to the start: what the provider would list from there is in them."""
    house.provider.answers = deque([Response(parts=(candles(3),))])
    answer = await house.ask(f"{WANTED}&startTime={LATEST - HOUR}")
    again = await house.ask(f"{WANTED}&startTime={LATEST - 2 * HOUR + 5}")

    assert ["/fetching?symbol=A&interval=1h&limit=3"] == [
        each.target for each in house.provider.sent
    ]
    assert [candles(2), candles(2)] == [answer.body, again.body]
    assert "HIT" == again.account.verdict


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        (f"startTime={LATEST - 9 * HOUR}", ()),
        (f"startTime={LATEST - HOUR}&endTime={LATEST}", ()),
        (f"startTime={LATEST + HOUR}", ()),
        (f"startTime={LATEST - HOUR}", (("X-Unit", "MICROSECOND"),)),
    ],
)
async def test_where_nothing_is_certain_it_is_asked_as_it_is(
    house: House, query: str, fields: tuple[tuple[str, str], ...]
) -> None:
    """Too far back, up to an end, in the future, or told in other units."""
    house.provider.answers = deque([Response(parts=(candles(3),)), Response(parts=(b"[[1]]",))])
    await house.ask(WANTED)
    answer = await house.ask(f"{WANTED}&{query}", fields)

    assert b"[[1]]" == answer.body
    assert f"/fetching?symbol=A&interval=1h&{query}" == house.provider.sent[-1].target


async def test_a_longer_one_that_does_not_reach_back(house: House) -> None:
    """Candles that nobody expected are in it: it is asked again, as it is."""
    wide = f"[[{LATEST - HOUR // 2}],[{LATEST - HOUR // 4}],[{LATEST}]]".encode()
    house.provider.answers = deque([Response(parts=(wide,)), Response(parts=(b"[[7]]",))])
    answer = await house.ask(f"{WANTED}&startTime={LATEST - HOUR}")

    assert b"[[7]]" == answer.body


async def test_an_error_of_the_longer_one_is_the_shorter_ones(house: House) -> None:
    """They differ in nothing that could bring it upon one alone; one call."""
    house.provider.answers = deque([Response(400, (b'{"code":-1121}',))])
    answer = await house.ask(f"{WANTED}&limit=1")

    assert (400, b'{"code":-1121}', 1) == (answer.status, answer.body, len(house.provider.sent))


async def test_a_failure_is_rescued_by_what_the_longer_one_left(house: House) -> None:
    """Stale as it may be, cut to what was asked for."""
    house.provider.answers = deque(
        [Response(parts=(candles(3),)), Failed(Failure.TIMEOUT, sent=True)]
    )
    await house.ask(f"{WANTED}&limit=1")
    house.clock += 61
    answer = await house.ask(f"{WANTED}&limit=2")

    assert ("RESCUED", candles(2), 61) == (
        answer.account.verdict, answer.body, answer.account.age,
    )  # fmt: skip


async def test_who_comes_meanwhile_shares_the_call(house: House) -> None:
    """Whatever their limits, they wait for one."""
    house.provider.answers = deque([Response(parts=(candles(3),))])
    answers = await asyncio.gather(
        *(house.ask(f"{WANTED}&limit={count}") for count in (1, 2, 1, 3))
    )

    assert [1, 2, 1, 3] == [len(json.loads(each.body)) for each in answers]  # type: ignore[arg-type]  # bytes
    assert len(house.provider.sent) == 1
