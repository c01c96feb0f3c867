"""Spacing: where quota is scarce calls wait for each other, and for whoever comes meanwhile."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from proxy.answer import Answer
from proxy.batching import spacing
from proxy.batching.spacing import Spacing
from proxy.core.spending import Bill, Charge, Level
from tests.clockwork import turned
from tests.house import LIMIT, OpenLedger
from tests.shop import Shop, prices


class Scarce(OpenLedger):
    """A ledger of which two thirds are used, always."""

    def levels(self, _upstream: str) -> tuple[Level, ...]:
        return (Level("minute", "minute", 30, 20, 30.0, "sliding_window", 60.0),)


def told(story: "Coroutine[Any, Any, None]") -> None:
    turned(story)


async def at(shop: Shop, seconds: float, name: str, *fields: tuple[str, str]) -> Answer:
    """Ask for one price after so many seconds."""
    await asyncio.sleep(seconds)
    return await shop.ask(prices(name), fields)


def test_calls_wait_for_each_other_and_take_along_who_comes() -> None:
    """Ten are left for thirty seconds: one every three, each for all who have come."""

    async def story() -> None:
        shop, loop = Shop(Scarce()), asyncio.get_running_loop()
        left: list[float] = []
        send = shop.shop.send

        async def timed(outbound: Any) -> Any:
            left.append(loop.time())
            return await send(outbound)

        shop.provider.send = timed  # type: ignore[method-assign]  # notes when calls leave
        answers = await asyncio.gather(
            at(shop, 1, "a"), at(shop, 2, "b"), at(shop, 3, "c"), at(shop, 5, "d"), at(shop, 8, "e")
        )

        assert [200] * 5 == [each.status for each in answers]
        assert [["a"], ["b", "c"], ["d"], ["e"]] == shop.shop.asked
        assert [1, 4, 7, 10] == pytest.approx(left)
        await shop.close()

    told(story())


def test_a_full_call_leaves_at_once() -> None:
    """Nobody else could come along: what quota there is, is used."""

    async def story() -> None:
        shop, loop = Shop(Scarce()), asyncio.get_running_loop()
        await at(shop, 1, "a")
        await asyncio.gather(*(at(shop, 0, name) for name in "bcdefghi"))

        assert 1.0 == pytest.approx(loop.time())
        assert [["a"], [*"bcde"], [*"fghi"]] == shop.shop.asked
        await shop.close()

    told(story())


def test_nobody_waits_for_longer_than_it_would_for_quota() -> None:
    """Who would wait two seconds has its call leave after 1.6, and who would not wait, at once."""

    async def story() -> None:
        shop, loop = Shop(Scarce()), asyncio.get_running_loop()
        await at(shop, 1, "a")
        await at(shop, 0, "b", ("Prefer", "wait=2"))
        assert 2.6 == pytest.approx(loop.time())
        waiting = loop.create_task(at(shop, 0, "c"))
        await at(shop, 1, "d", ("Prefer", "wait=0"))
        await waiting

        assert 3.6 == pytest.approx(loop.time())
        assert ["c", "d"] == shop.shop.asked[-1]
        await shop.close()

    told(story())


def test_who_goes_meanwhile_leaves_nothing_behind() -> None:
    """Nobody wants the call any more: none is made, and what comes later is served."""

    async def story() -> None:
        shop, loop = Shop(Scarce()), asyncio.get_running_loop()
        await at(shop, 1, "a")
        going = loop.create_task(at(shop, 0, "b"))
        await asyncio.sleep(1)
        going.cancel()
        await asyncio.gather(going, return_exceptions=True)
        await shop.settle_down()
        answer = await at(shop, 10, "c")

        assert 200 == answer.status
        assert [["a"], ["c"]] == shop.shop.asked
        await shop.close()

    told(story())


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The count that was spent from longest ago is forgotten: its next call leaves at once."""
    monkeypatch.setattr(spacing, "MOST", 2)
    levels = tuple(Level(name, name, 30, 20, 30.0, "sliding_window", 60.0) for name in "abc")
    spaced = Spacing(lambda _: levels, lambda: 5.0)
    bills = [Bill("x", (Charge(LIMIT, name, 1.0),), 8.0) for name in "abc"]
    for each in bills:
        spaced.sent(each)

    assert [0.0, 3.0, 3.0] == [spaced.wait(each, ()) for each in bills]
