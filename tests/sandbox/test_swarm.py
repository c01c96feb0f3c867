"""The swarm of bots."""

from random import Random

import aiohttp
import pytest

from proxy.sandbox import Sandbox
from proxy.sandbox.demo import SEVEN
from proxy.sandbox.market import Market
from proxy.sandbox.provider import query_of
from proxy.sandbox.providers.catalogue import PROVIDERS
from proxy.sandbox.swarm import FAILED, Ask, Bot, Questions, Swarm, hatch, tempers


def test_equal_seeds_hatch_bots_that_ask_alike() -> None:
    """And every bot asks differently from the next of its kind."""
    market = Market()

    def asked(seed: int) -> list[list[Ask]]:
        return [[bot.ask() for _ in range(20)] for bot in hatch(12, market, SEVEN, seed)]

    assert asked(1) == asked(1) != asked(2)
    assert asked(1)[0] != asked(1)[5]


def test_bots_ask_only_who_is_there() -> None:
    """A swarm without news providers asks them nothing."""
    bots = hatch(10, Market(), ["binance", "coingecko"])
    asked = {bot.ask().provider for bot in bots for _ in range(50)}

    assert asked == {"binance", "coingecko"}


def test_every_question_meets_an_endpoint() -> None:
    """All seven are asked, by paths that they have."""
    random, providers = Random(3), set()
    for _, likes in tempers(Questions(Market())):
        for question in likes:
            for _ in range(10):
                ask = question(random)
                providers.add(ask.provider)
                assert PROVIDERS[ask.provider].route("GET", ask.target.partition("?")[0])

    assert providers == set(SEVEN)


def test_interest_follows_zipf() -> None:
    """The first coin is asked for far more often than the hundredth."""
    random, questions = Random(0), Questions(Market())
    asked = [query_of(questions.price(random).target)["ids"] for _ in range(3000)]

    assert asked.count("bitcoin") > 10 * asked.count(Market().assets[99].id)


async def test_answers_are_tallied_by_provider_and_verdict() -> None:
    """Without X-Cache the answer came straight from the provider: BYPASS."""
    async with Sandbox(["okx"]) as sandbox, aiohttp.ClientSession() as session:
        swarm = Swarm(sandbox.origin, [])
        await swarm.put(Ask("okx", "/api/v5/public/time"), session)
        await swarm.put(Ask("okx", "/nothing"), session)
        sandbox.fault("okx", "garbage")
        await swarm.put(Ask("okx", "/api/v5/public/time"), session)
        tally = swarm.tallies["okx"]

        assert (tally.asked, tally.answered) == (3, 1)
        assert dict(tally.verdicts) == {"BYPASS": 2, FAILED: 1}
        assert tally.seconds > 0


async def test_a_swarm_works_until_its_time_is_over() -> None:
    """What the bots asked is what the providers saw, but for a bot or two cut short."""
    async with Sandbox(SEVEN) as sandbox:
        bots = hatch(10, sandbox.market, SEVEN, pause=0.01)
        swarm = Swarm(sandbox.origin, bots)
        await swarm.run(0.2)

        asked = sum(tally.asked for tally in swarm.tallies.values())
        seen = sum(sandbox.counts(name).requests for name in SEVEN)
        assert 0 < seen <= asked <= seen + len(bots)


async def test_a_bot_that_stumbles_is_not_passed_over() -> None:
    """A mistake of the swarm's own is raised at the end."""

    def stumble(_random: Random) -> Ask:
        raise LookupError

    swarm = Swarm("http://127.0.0.1:9", [Bot("clumsy", {stumble: 1}, Random(0), 0.0001)])

    with pytest.raises(ExceptionGroup, match="bots stumbled"):
        await swarm.run(0.1)
