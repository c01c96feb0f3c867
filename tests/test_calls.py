"""One paid exchange: spent once, settled once, whatever comes of it."""

import asyncio
import gzip
from collections import deque
from collections.abc import AsyncIterator

import pytest

from proxy.arrival import Arrival
from proxy.calls import Answered, Call
from proxy.core.model import Denied, Failed, Failure, Request
from proxy.core.routing import Match, Routes
from proxy.core.spending import Bill, Charge
from proxy.core.upstreams import BodyCheck, Hold, Upstream
from proxy.ports import Outbound
from proxy.queues import Patience
from tests.house import LIMIT, House, Response, upstream
from tests.values import replace

GZIP_JSON = (("Content-Type", "application/json"), ("Content-Encoding", "gzip"))


@pytest.fixture
async def house() -> AsyncIterator[House]:
    built = House()
    yield built
    await built.close()


def call(at: Upstream | None = None, **settings: object) -> Call:
    gecko = at or upstream()
    request = Request("GET", "/coingecko/price", "ids=bitcoin", ())
    match = Routes((gecko,)).match(request)
    assert isinstance(match, Match)
    given = Call(
        match=match,
        outbound=Outbound(gecko, "GET", "/price?ids=bitcoin", (), timeout=8.0),
        bill=Bill("coingecko", (Charge(LIMIT, "minute", 1.0),), 8.0),
        patience=Patience(request.client, 3, 0.0, 100),
        deadline=asyncio.get_running_loop().time() + 8.0,
        decode=True,
        buffer=1000,
        buffer_unknown=1000,
        keep=1000,
    )
    return replace(given, **settings)  # type: ignore[arg-type]  # a test's own keywords


async def test_sent_is_told_between_grant_and_request(house: House) -> None:
    """From that moment the call is paid for: nobody may take it back."""
    told: list[tuple[int, int]] = []
    await house.calls.make(
        call(), lambda: told.append((len(house.ledger.spent), len(house.provider.sent)))
    )

    assert [(1, 0)] == told


async def test_a_denial_sends_nothing(house: House) -> None:
    """Without quota the provider hears nothing, and nothing is said to have been sent."""
    house.ledger.tokens = 0

    assert isinstance(await house.calls.make(call(), lambda: pytest.fail("sent")), Denied)
    assert house.provider.sent == house.recorder.calls == []


async def test_no_time_left_is_refunded(house: House) -> None:
    """A grant that comes at the deadline is given back, and is no call."""
    house.ledger.tokens = 1
    late = call(deadline=asyncio.get_running_loop().time() - 1.0)
    result = await house.calls.make(late, lambda: None)
    await house.settle_down()

    assert isinstance(result, Failed)
    assert (Failure.TIMEOUT, False) == (result.failure, result.sent)
    assert house.ledger.tokens == 1
    assert house.provider.sent == []


async def test_an_exchange_is_cut_to_what_is_left(house: House) -> None:
    """Waiting and exchange share one deadline."""
    await house.calls.make(call(deadline=asyncio.get_running_loop().time() + 2.0), lambda: None)

    assert 1.5 < house.provider.sent[0].timeout <= 2.0


async def test_settled_once_whatever_comes(house: House) -> None:
    """An answer, a broken body and a lost connection are each settled exactly once."""
    for answer in (Response(), Response(broken=True), Failed(Failure.DISCONNECTED, sent=True)):
        house.provider.answers = deque([answer])
        await house.calls.make(call(), lambda: None)
        await house.settle_down()

    assert [True, True, False] == [settled.answered for settled in house.ledger.settled]
    assert [True, True, True] == [settled.sent for settled in house.ledger.settled]


async def test_compressed_answers_are_read_for_what_they_say(house: House) -> None:
    """An error hidden in a compressed 200 holds the upstream like a plain one."""
    strict = upstream(body_checks=(BodyCheck("code", ("-1003",)),))
    body = gzip.compress(b'{"code": -1003}')
    house.provider.answers = deque([Response(parts=(body,), fields=GZIP_JSON)])
    result = await house.calls.make(call(strict), lambda: None)

    assert isinstance(result, Answered)
    assert ("blocked", "gzip") == (result.rejected, result.encoding)
    assert house.ledger.held == Hold().first


async def test_what_is_no_gzip_is_no_answer(house: House) -> None:
    """A body that is not what it says it is has not come: it is neither stored nor passed on."""
    house.provider.answers = deque([Response(fields=GZIP_JSON)])
    result = await house.calls.make(call(), lambda: None)

    assert isinstance(result, Failed)
    assert Failure.PROTOCOL == result.failure


@pytest.mark.parametrize(("known", "buffer"), [(True, 4), (False, 4)])
async def test_a_body_over_the_buffer_is_still_arriving(
    house: House, *, known: bool, buffer: int
) -> None:
    """What is too large to be waited for is handed on from its start."""
    house.provider.answers = deque([Response(parts=(b"abc", b"def"), length_known=known)])
    result = await house.calls.make(call(buffer=buffer, buffer_unknown=buffer), lambda: None)

    assert isinstance(result, Answered)
    assert isinstance(result.body, Arrival)
    assert b"abcdef" == b"".join([chunk async for chunk in result.body.read()])


async def test_each_call_is_observed_once(house: House) -> None:
    """Status, cost and failure of each call reach the observer, one record each."""
    house.provider.answers = deque([Response(404), Failed(Failure.CONNECT, sent=False)])
    await house.calls.make(call(), lambda: None)
    await house.calls.make(call(), lambda: None)

    assert [(404, "", True), (None, "connect", False)] == [
        (each.status, each.failure, each.sent) for each in house.recorder.calls
    ]


# ── Callers that go ──


async def test_a_caller_that_goes_leaves_no_connection_behind(house: House) -> None:
    """An endless body whose caller went before its head was told is dropped, not held for ever."""
    gate = asyncio.Event()
    endless = Response(parts=(b"x" * 600,) * 50_000, length_known=False, pause=gate)
    house.provider.answers = deque([endless])
    making = asyncio.get_running_loop().create_task(
        house.calls.make(call(keep=0, buffer_unknown=700), lambda: None)
    )
    await endless.reached.wait()
    making.cancel()
    await asyncio.gather(making, return_exceptions=True)
    gate.set()
    await asyncio.wait_for(house.settle_down(), 60)

    assert house.provider.exchanges[-1].aborted


async def test_a_caller_that_goes_within_a_short_body_drops_it(house: House) -> None:
    """What says that it is short is read by the call itself, and by nobody after it."""
    half = Response(parts=(b"ab", b"cd"), pause=asyncio.Event())
    house.provider.answers = deque([half])
    making = asyncio.get_running_loop().create_task(house.calls.make(call(), lambda: None))
    await half.reached.wait()
    making.cancel()
    await asyncio.gather(making, return_exceptions=True)
    await house.settle_down()

    assert house.provider.exchanges[-1].aborted
    assert [True] == [settled.answered for settled in house.ledger.settled]


async def test_a_call_that_lost_its_caller_is_observed(house: House) -> None:
    """It went to the provider and was paid for, so it counts."""
    gate = asyncio.Event()
    house.provider.answers = deque([Response(gate=gate)])
    making = asyncio.get_running_loop().create_task(house.calls.make(call(), lambda: None))
    while not house.provider.sent:  # noqa: ASYNC110 - a plain list, no event
        await asyncio.sleep(0)
    making.cancel()
    await asyncio.gather(making, return_exceptions=True)

    assert ["abandoned"] == [each.failure for each in house.recorder.calls]


async def test_a_settlement_that_fails_does_not_take_the_answer(house: House) -> None:
    """A hold that the ledger cannot take is an error in the log, and the answer still goes out."""

    async def settle(*_: object) -> None:
        raise RuntimeError("the ledger is gone")

    house.ledger.settle = settle  # type: ignore[method-assign]  # a ledger that raises
    house.provider.answers = deque([Response(429)])
    result = await house.calls.make(call(), lambda: None)
    await house.settle_down()

    assert isinstance(result, Answered)
    assert ["the ledger is gone"] == [str(error) for error in house.errors]


async def test_whose_key_went_out_is_observed(house: House) -> None:
    """A 401 says something of the proxy's own key only where that went out."""
    await house.calls.make(call(), lambda: None)
    await house.calls.make(call(own_credentials=True), lambda: None)

    assert [False, True] == [each.own_credentials for each in house.recorder.calls]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ((("Date", "Mon, 12 Jan 1970 13:46:40 GMT"),), 1_000_000.0),
        ((("Date", "Mon, 12 Jan 1970 13:46:40 GMT"), ("Age", "3")), None),
        ((("Date", "Mon, 12 Jan 1970 13:46:40 GMT"), ("CF-Ray", "8f1")), None),
        ((("Date", "yesterday"),), None),
        ((), None),
    ],
)
async def test_the_ledger_learns_the_providers_clock(
    house: House, fields: tuple[tuple[str, str], ...], told: float | None
) -> None:
    """Its own Date says where its windows begin; that of a cache or CDN on the way says nothing."""
    house.provider.answers = deque([Response(fields=fields)])
    await house.calls.make(call(), lambda: None)
    await house.settle_down()

    assert [told] == [settled.date for settled in house.ledger.settled]
