"""Members gather into one call: who goes together, and what one bad member costs."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable

import pytest

from proxy.core.model import Denied, Failed, Failure
from proxy.core.spending import Bill, Granted
from proxy.queues import Overloaded, Patience
from tests.house import JSON, Response, verdict
from tests.shop import Shop, prices, tickers


@pytest.fixture
async def house() -> AsyncIterator[Shop]:
    built = Shop()
    yield built
    await built.close()
    assert built.errors == []


async def test_a_list_is_one_call(house: Shop) -> None:
    """Members that nobody has asked for go in one call, and the answer is the provider's own."""
    answer = await house.ask(prices("b", "a"))

    assert [["b", "a"]] == house.shop.asked
    assert answer.body == b'{"a":{"usd":1.50},"b":{"usd":1.50}}'
    assert verdict(answer) == "MISS"


async def test_a_part_claims_nothing_of_the_whole(house: Shop) -> None:
    """Validators and digests of the shared reply are not those of its members."""
    whole = (*JSON, ("ETag", '"1"'), ("Repr-Digest", "sha-256=:AA==:"), ("Content-MD5", "AA=="))
    house.shop.next = deque([Response(200, (b'{"a":{"usd":1},"b":{"usd":2}}',), whole)])
    answers = [await house.ask(prices(*each)) for each in ("ab", "a")]

    assert ["MISS", "HIT"] == [verdict(each) for each in answers]
    assert {"Content-Type", "Date"} == {name for each in answers for name, _ in each.fields}


async def test_only_what_is_missing_is_asked_for(house: Shop) -> None:
    """Members that another list has brought are not asked for again, alone or in a list."""
    await house.ask(prices("a", "b"))
    answer = await house.ask(prices("c", "a", "d"))

    assert [["a", "b"], ["c", "d"]] == house.shop.asked
    assert json.loads(answer.body).keys() == {"a", "c", "d"}  # type: ignore[arg-type]  # bytes
    assert ["HIT", "HIT"] == [verdict(await house.ask(prices(*which))) for which in ("d", "ba")]


async def test_what_comes_while_a_call_is_under_way_goes_together(house: Shop) -> None:
    """The first leaves at once; those who come meanwhile share the next call."""
    house.shop.gate = asyncio.Event()
    asking = [asyncio.get_running_loop().create_task(house.ask(prices("a")))]
    while not house.shop.asked:  # noqa: ASYNC110 - a plain list, no event
        await asyncio.sleep(0)
    asking += [
        asyncio.get_running_loop().create_task(house.ask(prices(name))) for name in ("b", "c", "b")
    ]
    for _ in range(20):
        await asyncio.sleep(0)
    house.shop.gate.set()
    answers = await asyncio.gather(*asking)

    assert [["a"], ["b", "c"]] == house.shop.asked
    assert ["JOINED", "MISS", "MISS", "MISS"] == sorted(map(verdict, answers))


async def test_more_than_a_call_takes(house: Shop) -> None:
    """Members over the maximum go in the next call; a list over it is left alone."""
    await asyncio.gather(*(house.ask(prices(name)) for name in "abcdef"))

    assert [4, 2] == [len(names) for names in house.shop.asked]

    await house.ask(prices(*"uvwxyz"))

    assert house.shop.asked[-1] == list("uvwxyz")


async def test_a_member_alone_is_asked_bare(house: Shop) -> None:
    """One symbol goes by `symbol=`, and a list of it is made from that answer."""
    bare = await house.ask("/coingecko/ticker?symbol=A")
    listed = await house.ask(tickers("A"))

    assert bare.body == b'{"symbol":"A","price":"1.50"}'
    assert listed.body == b'[{"symbol":"A","price":"1.50"}]'
    assert verdict(listed) == "HIT"


async def test_one_bad_member_is_found(house: Shop) -> None:
    """It gets its own error, the others their answers, and it is remembered."""
    good = [
        asyncio.get_running_loop().create_task(house.ask(f"/coingecko/ticker?symbol={name}"))
        for name in ("A", "BAD", "C")
    ]
    answers = await asyncio.gather(*good)

    assert [200, 400, 200] == [answer.status for answer in answers]

    calls = len(house.shop.asked)
    again = await house.ask("/coingecko/ticker?symbol=BAD")

    assert (400, calls) == (again.status, len(house.shop.asked))


async def test_a_list_with_a_bad_member_fails_as_the_providers_would(house: Shop) -> None:
    """The client that asked for it gets the provider's error, and no invented list."""
    answer = await house.ask(tickers("A", "BAD"))

    assert answer.status == 400
    assert (await house.ask(tickers("A", "C"))).status == 200


async def test_a_member_that_is_left_out_is_asked_for_alone(house: Shop) -> None:
    """An array that lacks a member says nothing of it: its own answer does."""
    house.shop.leaves_out = {"B"}
    answers = asyncio.gather(
        *(house.ask(f"/coingecko/ticker?symbol={name}") for name in ("A", "B"))
    )
    while not house.shop.asked:  # noqa: ASYNC110 - a plain list, no event
        await asyncio.sleep(0)
    house.shop.leaves_out = set()
    found = await answers

    assert [200, 200] == [answer.status for answer in found]
    assert house.shop.asked[0] == ["A", "B"]


async def test_unknown_keys_have_an_empty_answer_of_their_own(house: Shop) -> None:
    """An object without a key says that there is none: it is not asked for again."""
    house.shop.leaves_out = {"zz"}
    answer = await house.ask(prices("a", "zz"))

    assert answer.body == b'{"a":{"usd":1.50}}'
    assert (await house.ask(prices("zz"))).body == b"{}"
    assert len(house.shop.asked) == 1


@pytest.mark.parametrize(
    ("path", "named", "calls"),
    [
        ("price?ids=", lambda names: [*names, *names], 1),
        ("price?ids=", lambda names: names[::-1], 1),
        ("price?ids=", lambda names: [name.lower() for name in names], 2),
        ("markets?ids=", lambda names: [*names, *names], 1),
        ("markets?ids=", lambda names: names[::-1], 1),
        ("markets?ids=", lambda names: [name.lower() for name in names], 2),
        ("ticker?symbol=", lambda names: [*names, *names], 1),
        ("ticker?symbol=", lambda names: names[::-1], 1),
        ("ticker?symbol=", lambda names: [name.lower() for name in names], 2),
        ("markets?ids=", lambda names: ["zz", *names], 1),
    ],
)
async def test_however_members_are_named_each_gets_its_own(
    house: Shop, path: str, named: Callable[[list[str]], list[str]], calls: int
) -> None:
    """Twice, in another order, in another case, or beside others: never nothing, never another's.

    What is named in another case than it was asked for is asked for alone.
    """
    house.shop.named = named
    answers = await asyncio.gather(*(house.ask(f"/coingecko/{path}{name}") for name in ("a", "B")))
    bodies = [str(each.body).lower() for each in answers]

    assert [200, 200] == [each.status for each in answers]
    assert ['"a"' in bodies[0], '"b"' in bodies[1]] == [True, True]
    assert ['"b"' in bodies[0], '"a"' in bodies[1]] == [False, False]
    assert calls == len(house.shop.asked)


async def test_two_spellings_of_which_one_is_named(house: Shop) -> None:
    """A provider that reads both as one names one: the other is asked for alone, and has it."""
    house.shop.named = lambda names: sorted({name.lower() for name in names})
    answers = await asyncio.gather(*(house.ask(prices(name)) for name in ("a", "A")))

    assert [b'{"a":{"usd":1.50}}'] * 2 == [each.body for each in answers]
    assert [["a", "A"], ["A"]] == house.shop.asked
    assert b'{"a":{"usd":1.50},"b":{"usd":1.50}}' == (await house.ask(prices("B", "A", "a"))).body


@pytest.mark.parametrize(
    "body", [b'"maintenance"', b'{"a":', b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}"]
)
async def test_a_reply_that_cannot_be_cut(house: Shop, body: bytes) -> None:
    """It is asked for again in halves, until each has an answer."""
    house.shop.next = deque([Response(parts=(body,))])
    answers = await asyncio.gather(*(house.ask(prices(name)) for name in "ab"))

    assert [200, 200] == [answer.status for answer in answers]
    assert [["a", "b"], ["a"], ["b"]] == house.shop.asked


async def test_what_concerns_everybody_is_not_tried_again(house: Shop) -> None:
    """A 429 is everybody's answer: one call."""
    house.shop.next = deque([Response(429, (b"{}",), (("Retry-After", "5"),))])
    answers = await asyncio.gather(*(house.ask(prices(name)) for name in "abc"))

    assert [429] * 3 == [answer.status for answer in answers]
    assert len(house.shop.asked) == 1


async def test_a_failure_is_everybodys(house: Shop) -> None:
    """No answer for the call, none for its members: 504 each, one call."""
    house.shop.next = deque([Failed(Failure.TIMEOUT, sent=True)])
    answers = await asyncio.gather(*(house.ask(prices(name)) for name in "ab"))

    assert [504, 504] == [answer.status for answer in answers]
    assert len(house.shop.asked) == 1


async def test_quota_out_rescues_what_can_be(house: Shop) -> None:
    """A list whose members have something to fall back on is rescued, whole."""
    await house.ask(prices("a", "b"))
    house.clock += 300
    house.ledger.tokens = 0
    answer = await house.ask(prices("a", "b"))

    assert verdict(answer) == "RESCUED"
    assert answer.account.age == 300


async def test_who_comes_while_quota_is_awaited_is_taken_along(house: Shop) -> None:
    """The call that waited takes everybody who has come until it leaves."""
    house.ledger.tokens = 0
    house.ledger.denial = Denied("minute", 2.0, 60.0, soonest=0.001)
    asking = [asyncio.get_running_loop().create_task(house.ask(prices("a")))]
    while house.queues.length("coingecko") == 0:  # noqa: ASYNC110 - a plain figure, no event
        await asyncio.sleep(0)
    asking.append(asyncio.get_running_loop().create_task(house.ask(prices("b"))))
    for _ in range(10):
        await asyncio.sleep(0)
    house.ledger.tokens = 1
    house.queues.changed("coingecko")
    await asyncio.gather(*asking)

    assert [["a", "b"]] == house.shop.asked


async def test_the_last_to_leave_ends_the_wait(house: Shop) -> None:
    """Nobody wants it any more: nothing is sent, and nobody stands in the queue."""
    house.ledger.tokens = 0
    house.ledger.denial = Denied("minute", 2.0, 60.0, soonest=0.001)
    asking = asyncio.get_running_loop().create_task(house.ask(prices("a", "b")))
    while house.queues.length("coingecko") == 0:  # noqa: ASYNC110 - a plain figure, no event
        await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await house.settle_down()

    assert house.shop.asked == []
    assert house.queues.length("coingecko") == 0


async def test_all_there_are_where_no_list_can_be_asked(house: Shop) -> None:
    """Without a list parameter several members share the call for everything."""
    answers = await asyncio.gather(
        *(house.ask(f"/coingecko/book?symbol={name}") for name in ("A", "C"))
    )

    assert [b'{"symbol":"A","price":"1.50"}', b'{"symbol":"C","price":"1.50"}'] == [
        answer.body for answer in answers
    ]
    assert [["A", "B", "C"]] == house.shop.asked


async def test_a_lost_connection_is_tried_again(house: Shop) -> None:
    """Members are no worse off than others: where nothing is at hand, they are asked for anew."""
    house.shop.next = deque([Failed(Failure.DISCONNECTED, sent=True)])
    answers = await asyncio.gather(*(house.ask(f"/coingecko/price?ids={name}") for name in "ab"))

    assert [200, 200] == [answer.status for answer in answers]


async def test_a_call_is_as_urgent_and_as_patient_as_any_of_its_members(house: Shop) -> None:
    """Who is in no hurry, or would not wait, does not decide for those who go along."""
    house.shop.gate = asyncio.Event()
    leading = asyncio.get_running_loop().create_task(house.ask("/coingecko/price?ids=a"))
    while not house.shop.sent:  # noqa: ASYNC110 - a plain list, no event
        await asyncio.sleep(0)
    asking = [
        asyncio.get_running_loop().create_task(house.ask(f"/coingecko/price?ids={name}", fields))
        for name, fields in (
            ("b", (("Prefer", "wait=0"), ("Priority", "u=6"))),
            ("c", (("Prefer", "wait=3"), ("Priority", "u=1"))),
        )
    ]
    await asyncio.sleep(0)
    seen: list[Patience] = []
    spending = house.queues.spend

    async def spend(bill: Bill, patience: Patience) -> Granted | Denied | Overloaded:
        seen.append(patience)
        return await spending(bill, patience)

    house.queues.spend = spend  # type: ignore[method-assign]  # looks at what is asked
    house.shop.gate.set()
    await asyncio.gather(leading, *asking)

    assert [(1, 3.0)] == [(each.priority, each.max_wait) for each in seen]


@pytest.mark.parametrize(("status", "expected"), [(500, [502, 502]), (400, [200, 200])])
async def test_an_answer_too_large_to_be_shared(
    house: Shop, status: int, expected: list[int]
) -> None:
    """It is nobody's, and nothing holds its connection; one member may be to blame for a 400."""
    house.shop.next = deque([Response(status, (b"x" * 5_000_000, b"x" * 5_000_000))])
    answers = await asyncio.gather(*(house.ask(f"/coingecko/price?ids={name}") for name in "ab"))
    await asyncio.wait_for(house.settle_down(), 60)

    assert expected == [answer.status for answer in answers]
