"""A body on its way: whole, shared, broken, too large, unread."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from proxy.arrival import Arrival
from proxy.body_memory import BodyMemory
from proxy.core.fields import Fields
from proxy.core.model import Failure
from proxy.ports import BrokenExchangeError

PUMPS: list[asyncio.Task[None]] = []
"""Held, so that no pump is collected while it runs."""


class Parts:
    """An exchange whose body comes in the given parts, then breaks or ends."""

    status, reason = 200, "OK"
    fields: Fields = ()
    content_length: int | None = None
    requested_at = received_at = 0.0

    def __init__(
        self, *parts: bytes, broken: bool = False, gate: asyncio.Event | None = None
    ) -> None:
        self.parts, self.broken, self.gate = parts, broken, gate
        self.given = 0
        self.aborted = False
        self.whole: bytes | None = None

    async def body(self) -> AsyncIterator[bytes]:
        for part in self.parts:
            self.given += 1
            yield part
            if self.gate is not None:
                await self.gate.wait()
        if self.broken:
            raise BrokenExchangeError(Failure.PROTOCOL, "cut short")

    def arrived(self) -> bytes | None:
        return self.whole

    def abort(self) -> None:
        self.aborted = True


def arriving(
    parts: Parts, keep: float = 100, ahead: int = 100, memory: BodyMemory | None = None
) -> Arrival:
    arrival = Arrival(parts, keep, memory or BodyMemory(), ahead)
    PUMPS.append(asyncio.get_running_loop().create_task(arrival.pump()))
    return arrival


async def collected(reader: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in reader])


async def test_whole() -> None:
    """A body that ends within the bound is given whole."""
    assert await arriving(Parts(b"ab", b"cd")).whole(4) == b"abcd"


async def test_larger_than_asked_for() -> None:
    """A body over the bound is not given whole, but can be read from its start."""
    arrival = arriving(Parts(b"ab", b"cd", b"ef"))

    assert await arrival.whole(3) is None
    assert await collected(arrival.read()) == b"abcdef"


async def test_broken() -> None:
    """Half a body is never given as a whole one; a reader sees the break after what came."""
    arrival = arriving(Parts(b"ab", broken=True))
    reader = arrival.read()
    with pytest.raises(BrokenExchangeError):
        await arrival.whole(100)

    assert await anext(reader) == b"ab"
    with pytest.raises(BrokenExchangeError):
        await anext(reader)


async def test_many_readers_each_from_the_start() -> None:
    """Who joins while the body comes gets all of it."""
    gate = asyncio.Event()
    arrival = arriving(Parts(b"ab", b"cd", gate=gate))
    early = asyncio.get_running_loop().create_task(collected(arrival.read()))
    await asyncio.sleep(0)
    late = asyncio.get_running_loop().create_task(collected(arrival.read()))
    gate.set()

    assert [b"abcd", b"abcd"] == await asyncio.gather(early, late)


async def test_memory_is_bounded_by_the_slowest_reader() -> None:
    """A body too large to keep waits for its reader, a bound ahead of it, and lets go the rest."""
    parts = Parts(*[b"x" * 10] * 50)
    arrival = arriving(parts, keep=20, ahead=30)
    reader = arrival.read()
    arrival.release()
    first = await anext(reader)
    for _ in range(100):
        await asyncio.sleep(0)

    assert parts.given < 10
    assert len(first) + len(await collected(reader)) == 500
    assert not arrival.joinable


async def test_dropped_when_nobody_reads() -> None:
    """A body too large to keep that nobody reads does not hold the connection."""
    parts = Parts(*[b"x" * 10] * 50)
    arrival = arriving(parts, keep=20)
    arrival.release()
    with pytest.raises(BrokenExchangeError):
        await arrival.whole(1000)

    assert parts.aborted


async def test_a_reader_that_never_reads_does_not_hold_it() -> None:
    """A HEAD of a large body, or a client that has gone: its reader is dropped unread."""
    for leaves in (True, False):
        parts = Parts(*[b"x" * 10] * 50)
        arrival = arriving(parts, keep=20, ahead=30)
        idle, reader = arrival.read(), arrival.read()
        arrival.release()
        if leaves:
            await idle.aclose()
        else:
            del idle
        read = await asyncio.wait_for(collected(reader), 60)

        assert len(read) == 500


async def test_a_reader_that_leaves_midway_does_not_hold_it() -> None:
    """Who stops reading is not waited for."""
    parts = Parts(*[b"x" * 10] * 50)
    arrival = arriving(parts, keep=20, ahead=30)
    leaving, reader = arrival.read(), arrival.read()
    arrival.release()
    await anext(leaving)
    await leaving.aclose()

    assert len(await asyncio.wait_for(collected(reader), 60)) == 500


async def test_a_body_that_came_with_its_head_is_taken_at_once() -> None:
    """No task is needed for it; it is whole, and can be read."""
    arrival = Arrival(Parts(), 100, BodyMemory())
    arrival.take(b"all")
    assert await arrival.whole(100) == b"all"
    assert await arrival.whole(2) is None
    assert await collected(arrival.read()) == b"all"


async def turns(number: int = 100) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def test_all_bodies_together_are_bounded() -> None:
    """However many there are, and though each could be kept: the rest waits at the upstream."""
    memory = BodyMemory(most=100, floor=20)
    sent = [Parts(*[b"x" * 10] * 50) for _ in range(10)]
    arrivals = [arriving(parts, keep=1000, ahead=1000, memory=memory) for parts in sent]
    readers = [arrival.read() for arrival in arrivals]
    for arrival in arrivals:
        arrival.release()
    await turns()

    assert 100 <= memory.held <= 100 + 10 * 30
    read = await asyncio.wait_for(asyncio.gather(*map(collected, readers)), 60)

    assert [500] * 10 == [len(each) for each in read]


async def test_one_who_reads_slowly_holds_nobody_else() -> None:
    """Whoever waits for more gets it, as far as the process has room for what the slowest lacks."""
    parts = Parts(*[b"x" * 10] * 50)
    arrival = arriving(parts, keep=20, ahead=30)
    slow, fast = arrival.read(), arrival.read()
    arrival.release()
    await anext(slow)

    assert 500 == len(await asyncio.wait_for(collected(fast), 60))
    assert 490 == len(await collected(slow))


async def test_the_slowest_is_given_up_where_there_is_no_room_for_it() -> None:
    """Its body breaks, which is no end; the others' goes on."""
    memory = BodyMemory(most=100, floor=20)
    parts = Parts(*[b"x" * 10] * 50)
    arrival = arriving(parts, keep=20, ahead=30, memory=memory)
    slow, fast = arrival.read(), arrival.read()
    arrival.release()
    await anext(slow)

    assert 500 == len(await asyncio.wait_for(collected(fast), 60))
    with pytest.raises(BrokenExchangeError):
        await collected(slow)
    assert memory.held <= 120


async def test_what_is_let_go_lets_another_on() -> None:
    """A body that waits for room gets on when another has been read, or is wanted no more."""
    memory = BodyMemory(most=100, floor=20)
    first = arriving(Parts(*[b"x" * 10] * 9), keep=1000, memory=memory)
    await turns()
    parts = Parts(*[b"y" * 10] * 8)
    second = arriving(parts, keep=1000, memory=memory)
    waiting = asyncio.get_running_loop().create_task(second.whole(1000))
    reader = second.read()
    second.release()
    await turns()

    assert (90 + 30, 3) == (memory.held, parts.given)
    assert await waiting is None
    del first
    await turns()
    assert (80, 8) == (memory.held, parts.given)
    assert b"y" * 80 == await collected(reader)


async def test_nothing_is_held_once_nobody_refers_to_it() -> None:
    """Read or not, kept or too large: in the end all room is given back."""
    memory = BodyMemory()
    for keep, leaves in ((1000, False), (20, False), (1000, True), (20, True)):
        arrival = arriving(Parts(*[b"x" * 10] * 50), keep=keep, ahead=30, memory=memory)
        reader = arrival.read()
        arrival.release()
        if leaves:
            await reader.aclose()
        else:
            await collected(reader)
        await turns()
        del arrival, reader
    await turns()

    assert 0 == memory.held


async def test_a_whole_that_cannot_be_had_is_not_waited_for() -> None:
    """Larger than may run ahead, smaller than asked for, and nobody reads: it would never come."""
    arrival = arriving(Parts(*[b"x" * 10] * 50), keep=20, ahead=30)

    assert await asyncio.wait_for(arrival.whole(1000), 60) is None
    assert b"x" * 500 == await _released(arrival)


async def _released(arrival: Arrival) -> bytes:
    reader = arrival.read()
    arrival.release()
    return await collected(reader)
