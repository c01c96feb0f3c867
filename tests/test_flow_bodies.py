"""The flow: bodies that are broken, large, or too large."""

import asyncio
import gzip
from collections import deque

import pytest

from proxy.ports import BrokenExchangeError
from tests.house import House, Response, content, endpoint, upstream, verdict


async def test_broken_bodies_are_not_stored(house: House) -> None:
    """Half a body is no answer: 502, and the next request asks again."""
    house.provider.answers = deque([Response(broken=True), Response()])

    assert (await house.ask()).status == 502
    assert verdict(await house.ask()) == "MISS"


async def test_half_a_gzip_body_is_not_stored(house: House) -> None:
    """A compressed body that ends too early is half a body too."""
    half = gzip.compress(b'{"price":1}' * 100)[:-5]
    fields = (("Content-Type", "application/json"), ("Content-Encoding", "gzip"))
    house.provider.answers = deque([Response(parts=(half,), fields=fields)])

    assert (await house.ask()).status == 502
    assert house.first_level.entries == {}


async def test_large_bodies_are_handed_through_and_stored(house: House) -> None:
    """A large body goes on while it arrives, to all who wait, and is stored when it is whole."""
    parts = (b"[" + b"1," * 100_000, b"2," * 100_000, b"3]")
    house.provider.answers = deque([Response(parts=parts)])
    first, second = await asyncio.gather(house.ask(), house.ask())

    assert not isinstance(first.body, bytes)
    assert b"".join(parts) == await content(first) == await content(second)

    await house.settle_down()

    assert verdict(third := await house.ask()) == "HIT"
    assert b"".join(parts) == await content(third)


async def test_a_large_body_that_breaks_is_not_stored(house: House) -> None:
    """Its readers see it break; nobody after them is given the half."""
    house.provider.answers = deque([Response(parts=(b"x" * 300_000,), broken=True), Response()])
    answer = await house.ask()
    with pytest.raises(BrokenExchangeError):
        await content(answer)
    await house.settle_down()

    assert house.first_level.entries == {}


async def test_larger_than_may_be_stored() -> None:
    """A body over `max_size` passes whole and is not stored."""
    house = House(upstream(endpoint("price", "/price", max_size=1000)))
    house.provider.answers = deque([Response(parts=(b"x" * 700, b"y" * 700))])
    answer = await house.ask()

    assert b"x" * 700 + b"y" * 700 == await content(answer)

    await house.settle_down()

    assert house.first_level.entries == {}
    await house.close()
