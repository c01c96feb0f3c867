"""Many ask for the same at once."""

import asyncio

from proxy.sandbox import Latency, Sandbox
from tests.stories.stage import Stage, together, until

PRICE = "/coingecko/api/v3/simple/price?ids=bitcoin&vs_currencies=usd"


async def test_two_hundred_identical_requests_are_one_call(sandbox: Sandbox, stage: Stage) -> None:
    """One is the MISS, the others JOINED it (or came after it): all get the same body."""
    sandbox.set_latency("coingecko", Latency(mean=0.3))
    proxy = await stage.proxy()

    answers = await together(proxy.get(PRICE) for _ in range(200))

    assert 1 == sandbox.counts("coingecko").requests
    assert {200} == {answer.status for answer in answers}
    assert 1 == len({answer.body for answer in answers})
    verdicts = [answer.verdict for answer in answers]
    assert 1 == verdicts.count("MISS")
    assert {"MISS", "JOINED", "HIT"} >= set(verdicts)


async def test_a_flight_that_was_sent_lives_on_without_its_caller(
    sandbox: Sandbox, stage: Stage
) -> None:
    """A bot that hangs up has spent the call; the next bot gets what it bought."""
    sandbox.set_latency("coingecko", Latency(mean=0.5))
    proxy = await stage.proxy()

    asking = asyncio.create_task(proxy.get(PRICE))  # noqa: TID251 - a bot that hangs up
    await until(lambda: sandbox.counts("coingecko").requests == 1, "a call")
    asking.cancel()
    answer = await proxy.get(PRICE)

    assert answer.verdict in {"JOINED", "HIT"}
    assert 1 == sandbox.counts("coingecko").requests


async def test_a_failed_flight_fails_only_those_who_waited_for_it(
    sandbox: Sandbox, stage: Stage
) -> None:
    """Those who come later try anew."""
    sandbox.set_latency("coingecko", Latency(mean=1.5))
    sandbox.fault("coingecko", "drop")
    proxy = await stage.proxy()

    failed = await together(proxy.get(PRICE) for _ in range(20))
    asked = sandbox.counts("coingecko").requests
    sandbox.mend("coingecko")
    later = await proxy.get(PRICE)

    assert {502} == {answer.status for answer in failed}
    assert (200, "MISS") == (later.status, later.verdict)
    assert asked + 1 == sandbox.counts("coingecko").requests
    assert asked <= 2  # a retry is a call of its own, and there is at most one
