"""The flow: a request's way from the door to its answer."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

import pytest

from proxy.core.model import Client, Denied, Failed, Failure, Verdict
from proxy.core.spending import LOST
from tests.house import PRICE, House, Response, endpoint, upstream, verdict

DOWN = Failed(Failure.TIMEOUT, sent=True)


async def test_miss_then_hit(house: House) -> None:
    """The second identical request costs the provider nothing, whatever order it is written in."""
    first = await house.ask("/coingecko/price?ids=bitcoin&vs_currencies=usd")
    second = await house.ask("/coingecko/price/?vs_currencies=usd&ids=bitcoin")

    assert ["MISS", "HIT"] == [verdict(first), verdict(second)]
    assert first.body == second.body
    assert len(house.provider.sent) == len(house.ledger.spent) == 1
    assert second.account.age == 0


async def test_own_key_is_sent_and_the_clients_is_not(house: House) -> None:
    """A client's key is cut off, the proxy's own goes out, and the answer is shared."""
    await house.ask(fields=(("X-CG-Demo-API-Key", "theirs"), ("User-Agent", "bot")))
    await house.ask(fields=(("X-CG-Demo-API-Key", "another"),))

    [sent] = house.provider.sent
    assert ("x-cg-demo-api-key", "own-key") in sent.fields
    assert "theirs" not in str(sent)


async def test_many_at_once_cost_one_call(house: House) -> None:
    """Two hundred identical requests are one flight: one MISS, the others JOINED."""
    gate = asyncio.Event()
    house.provider.answers = deque([Response(gate=gate)])
    asking = [asyncio.get_running_loop().create_task(house.ask()) for _ in range(200)]
    await asyncio.sleep(0)
    gate.set()
    answers = await asyncio.gather(*asking)

    assert len(house.provider.sent) == len(house.ledger.spent) == 1
    assert [1, 199] == [sum(verdict(a) == word for a in answers) for word in ("MISS", "JOINED")]


async def test_stale_while_revalidate_refreshes_once(house: House) -> None:
    """Within the window all get the stale entry at once, and one refresh runs behind them."""
    await house.ask()
    house.clock += 70
    answers = [await house.ask() for _ in range(3)]
    await house.settle_down()

    assert ["STALE"] * 3 == [verdict(answer) for answer in answers]
    assert len(house.provider.sent) == 2
    assert verdict(await house.ask()) == "HIT"


async def test_dead_upstream_is_rescued(house: House) -> None:
    """An entry young enough stands in for no answer, and says how old it is."""
    await house.ask()
    house.clock += 300
    house.provider.answers = deque([DOWN])
    answer = await house.ask()

    assert verdict(answer) == "RESCUED"
    assert answer.account.age == 300
    assert "timeout" in answer.account.detail


async def test_what_a_rescue_did_not_obey_is_said(house: House) -> None:
    """`no-cache` spends quota, and is not granted here: the detail tells both that and why."""
    await house.ask()
    house.clock += 300
    house.provider.answers = deque([DOWN])
    answer = await house.ask(fields=(("Cache-Control", "no-cache, no-store"),))

    assert verdict(answer) == "RESCUED"
    assert "timeout" in answer.account.detail
    assert answer.account.detail.endswith(", no-cache not obeyed, no-store not obeyed")


async def test_dead_upstream_without_fallback(house: House) -> None:
    """Nothing to fall back on: 504 too late, 502 for no connection; never a made-up answer."""
    house.provider.answers = deque([DOWN])

    assert (await house.ask()).status == 504

    house.provider.answers = deque([Failed(Failure.CONNECT, sent=False)])

    assert (await house.ask()).status == 502


async def test_failed_flight_is_not_remembered(house: House) -> None:
    """The next request tries anew."""
    house.provider.answers = deque([DOWN])
    await house.ask()
    house.provider.answers = deque([Response()])

    assert verdict(await house.ask()) == "MISS"


async def test_nothing_sent_is_refunded(house: House) -> None:
    """No connection, no spend: both tries are given back."""
    house.ledger.tokens = 1
    house.provider.answers = deque([Failed(Failure.CONNECT, sent=False)])
    await house.ask()
    await house.settle_down()

    assert house.ledger.tokens == 1


async def test_lost_connection_spends_anew(house: House) -> None:
    """A retry is a second call and a second spend."""
    house.provider.answers = deque([Failed(Failure.DISCONNECTED, sent=True), Response()])
    answer = await house.ask()

    assert verdict(answer) == "MISS"
    assert len(house.provider.sent) == len(house.ledger.spent) == 2


async def test_quota_out(house: House) -> None:
    """With nothing stale to give: 429 with the limit and when to come back; nothing is sent."""
    house.ledger.tokens = 0
    answer = await house.ask()

    assert verdict(answer) == "REFUSED"
    assert answer.problem is not None
    assert (429, "minute", 30.0) == (
        answer.status,
        answer.problem.limit,
        pytest.approx(answer.problem.retry_after, abs=1),
    )
    assert house.provider.sent == []


async def test_quota_out_with_a_fallback(house: House) -> None:
    """With an entry young enough the empty quota rescues, and no call is made."""
    await house.ask()
    house.clock += 300
    house.ledger.tokens = 0
    answer = await house.ask()

    assert verdict(answer) == "RESCUED"
    assert "minute" in answer.account.detail
    assert len(house.provider.sent) == 1


async def test_waiting_for_quota_is_cut_by_rescue_after() -> None:
    """Who has a fallback waits for `rescue_after` at most; the fetch goes on behind it."""
    price = endpoint("price", "/price", stale_if_error=600.0, rescue_after=0.01)
    house = House(upstream(price))
    await house.ask()
    house.clock += 300
    house.ledger.tokens = 0
    house.ledger.denial = Denied("minute", 1.0, 60.0, soonest=0.001)
    answer = await house.ask()

    assert verdict(answer) == "RESCUED"

    house.ledger.tokens = 1
    house.queues.changed("coingecko")
    await house.settle_down()

    assert verdict(await house.ask()) == "HIT"
    await house.close()


async def test_a_waiting_flight_ends_with_its_last_caller(house: House) -> None:
    """Who goes while the quota is out leaves nothing behind: no call, no place in the queue."""
    house.ledger.tokens = 0
    house.ledger.denial = Denied("minute", 2.0, 60.0, soonest=0.001)
    asking = asyncio.get_running_loop().create_task(house.ask())
    while house.queues.length("coingecko") == 0:  # noqa: ASYNC110 - a plain figure, no event
        await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await house.settle_down()

    assert house.queues.length("coingecko") == 0
    assert house.provider.sent == []


async def test_a_hold_is_in_force_before_the_answer(house: House) -> None:
    """A 429 is passed on as it came, with until when the upstream holds us off."""
    house.provider.answers = deque([Response(429, (b'{"status":{}}',), (("Retry-After", "7"),))])
    answer = await house.ask()

    assert (429, "MISS") == (answer.status, verdict(answer))
    assert house.ledger.held == 7
    assert [7.0] == [hold.seconds for hold in house.recorder.holds]


async def test_private_requests_pass_untouched(house: House) -> None:
    """A signed order goes out once, byte for byte, with the client's own key; never stored."""

    async def body() -> AsyncIterator[bytes]:
        yield b"symbol=BTCUSDT"

    fields = (("X-CG-Demo-API-Key", "theirs"), ("Content-Type", "text/plain"))
    target = "/coingecko/price?b=2&a=1&signature=abc"
    answers = [await house.ask(target, fields, "POST", body()) for _ in range(2)]

    assert ["BYPASS"] * 2 == [verdict(answer) for answer in answers]
    assert "/price?b=2&a=1&signature=abc" == house.provider.sent[0].target
    assert ("X-CG-Demo-API-Key", "theirs") in house.provider.sent[0].fields
    assert house.first_level.entries == {}


async def test_private_requests_never_wait(house: House) -> None:
    """With the quota out an order is told at once that it was not sent."""
    house.ledger.tokens = 0
    house.ledger.denial = Denied("minute", 1.0, 60.0, soonest=0.001)
    answer = await house.ask("/coingecko/price?signature=abc")

    assert answer.status == 429
    assert answer.problem is not None
    assert ("sent", False) in answer.problem.members


async def test_private_outcome_unknown(house: House) -> None:
    """An order that left and got no answer says so, and is not sent again."""
    house.provider.answers = deque([Failed(Failure.DISCONNECTED, sent=True)])
    answer = await house.ask("/coingecko/price?signature=abc", method="POST")

    assert answer.problem is not None
    assert {("sent", True), ("outcome", "unknown")} <= set(answer.problem.members)
    assert len(house.provider.sent) == 1


async def test_a_private_request_survives_its_client(house: House) -> None:
    """A client that goes does not cancel what it has ordered."""
    gate = asyncio.Event()
    house.provider.answers = deque([Response(gate=gate)])
    asking = asyncio.get_running_loop().create_task(house.ask("/coingecko/price?signature=abc"))
    while not house.provider.sent:  # noqa: ASYNC110 - a plain list, no event
        await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    gate.set()
    await house.settle_down()

    assert [True] == [settled.answered for settled in house.ledger.settled]


async def test_unmatched_is_forwarded_and_charged(house: House) -> None:
    """What meets no endpoint passes, is paid for, and is not stored."""
    answers = [await house.ask("/coingecko/other?apikey=undeclared") for _ in range(2)]

    assert all(answer.account.key == "" for answer in answers)  # it might hold a secret
    assert ["BYPASS"] * 2 == [verdict(answer) for answer in answers]
    assert len(house.ledger.spent) == 2


@pytest.mark.parametrize(
    ("settings", "method", "status"),
    [
        ({"disabled": "COINGECKO_API_KEY is not set"}, "GET", 503),
        ({"client_credentials": "refuse"}, "GET", 403),
        ({}, "DELETE", 405),
    ],
)
async def test_not_let_through(settings: dict[str, str], method: str, status: int) -> None:
    """A disabled upstream, a key where none is taken, a method that is not let through."""
    price = endpoint("price", "/price", methods=frozenset({"GET", "HEAD"}))
    house = House(upstream(price, **settings))
    answer = await house.ask(fields=(("x-cg-demo-api-key", "theirs"),), method=method)

    assert status == answer.status
    assert house.provider.sent == []
    await house.close()


async def test_no_such_upstream(house: House) -> None:
    """404 names the upstreams there are."""
    answer = await house.ask("/nowhere/price")

    assert answer.status == 404
    assert answer.problem is not None
    assert ("upstreams", ["coingecko"]) in answer.problem.members


async def test_survives_a_restart(house: House) -> None:
    """What the first level has lost is read from the store."""
    await house.ask()
    await house.settle_down()
    house.first_level.entries.clear()

    assert verdict(await house.ask()) == "HIT"


async def test_observed_once(house: House) -> None:
    """Each request is reported once with its word, each call once."""
    await house.ask()
    await house.ask()

    assert [Verdict.MISS, Verdict.HIT] == [each.verdict for each in house.recorder.observations]
    assert [200] == [each.status for each in house.recorder.calls]


async def test_unsafe_methods_invalidate() -> None:
    """A change that went through makes what is stored of the same target a miss."""
    house = House(upstream(endpoint("price", "/price")))
    await house.ask("/coingecko/price")
    await house.ask("/coingecko/price", method="PUT")
    await house.settle_down()

    assert verdict(await house.ask("/coingecko/price")) == "MISS"
    await house.close()


def test_price_is_declared() -> None:
    """The endpoint that most stories here use has all three lifetimes."""
    assert (60.0, 30.0, 600.0) == (
        PRICE.ttl,
        PRICE.stale_while_revalidate,
        PRICE.stale_if_error,
    )


async def test_a_client_uses_what_it_may(house: House) -> None:
    """An upstream that is not a client's own is refused to it, also where an entry is stored."""
    await house.ask()
    answers = [
        await house.ask(client=Client("grid", "grid", upstreams=frozenset(names)))
        for names in (["coingecko", "binance"], ["binance"], [])
    ]

    assert [200, 403, 403] == [answer.status for answer in answers]


async def test_counts_that_cannot_be_reached(house: House) -> None:
    """Nothing is known, so nothing is sent: 503 that says so, or what is stored."""
    house.ledger.tokens = 0
    house.ledger.denial = Denied(LOST, 1.0, 1.0, soonest=60.0)
    answer = await house.ask()

    assert answer.problem is not None
    assert (503, "ledger-lost", 1.0) == (
        answer.status,
        answer.problem.kind,
        pytest.approx(answer.problem.retry_after, abs=0.5),
    )

    house.ledger.tokens = 1
    await house.ask()
    house.clock += 300
    rescued = await house.ask()

    assert ("RESCUED", "ledger lost") == (verdict(rescued), rescued.account.detail)
