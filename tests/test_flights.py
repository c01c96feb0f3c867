"""Single-flight in one process: who shares a landing, and what ends a flight."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from proxy.flights import Flight, Flights
from proxy.tasks import Tasks


class Fetch:
    """A fetch whose stages the test releases by hand."""

    def __init__(self) -> None:
        self.begun = 0
        self.granted = asyncio.Event()
        self.answered = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.landed = asyncio.Event()
        self.error: Exception | None = None

    def __call__(self, flight: Flight[str]) -> Coroutine[Any, Any, str]:
        self.begun += 1
        return self._fly(flight)

    async def _fly(self, flight: Flight[str]) -> str:
        try:
            await self.granted.wait()
            flight.sent = True
            await self.answered.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        if self.error is not None:
            raise self.error
        self.landed.set()
        return "landed"


@pytest.fixture
async def flights() -> Flights[str]:
    return Flights(Tasks(lambda *_: None))


def join(flights: Flights[str], fetch: Fetch) -> asyncio.Task[str | None]:
    flight = flights.find("key") or flights.begin("key", fetch)
    return asyncio.get_running_loop().create_task(flights.wait(flight, 5.0))


async def test_many_callers_share_one_fetch(flights: Flights[str]) -> None:
    """Two hundred who ask at once cost one fetch, and all get its landing."""
    fetch = Fetch()
    callers = [join(flights, fetch) for _ in range(200)]
    fetch.granted.set()
    fetch.answered.set()

    assert ["landed"] * 200 == await asyncio.gather(*callers)
    assert fetch.begun == 1
    assert len(flights) == 0


async def test_unsent_flight_ends_with_its_last_caller(flights: Flights[str]) -> None:
    """What still waits for quota is called off when nobody wants it any more, and not before."""
    fetch = Fetch()
    first, last = join(flights, fetch), join(flights, fetch)
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)

    assert not fetch.cancelled.is_set()

    last.cancel()
    await asyncio.wait_for(fetch.cancelled.wait(), 60)

    assert flights.find("key") is None


async def test_sent_flight_outlives_its_callers(flights: Flights[str]) -> None:
    """A call that was paid for lands, whoever has gone."""
    fetch = Fetch()
    caller = join(flights, fetch)
    fetch.granted.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    fetch.answered.set()

    await asyncio.wait_for(fetch.landed.wait(), 60)


async def test_failure_is_not_remembered(flights: Flights[str]) -> None:
    """A failed flight fails those who waited for it; the next caller tries anew."""
    failing, working = Fetch(), Fetch()
    failing.error = ValueError("upstream")
    callers = [join(flights, failing), join(flights, failing)]
    failing.granted.set()
    failing.answered.set()
    results = await asyncio.gather(*callers, return_exceptions=True)

    assert [ValueError, ValueError] == [type(result) for result in results]

    later = join(flights, working)
    working.granted.set()
    working.answered.set()

    assert await later == "landed"


async def test_nobody_joins_what_has_landed(flights: Flights[str]) -> None:
    """1. a flight lands; 2. in the same turn, before it is told, another asks for the key."""
    fetch, fresh = Fetch(), Fetch()
    caller = join(flights, fetch)
    fetch.granted.set()
    fetch.answered.set()
    flight = flights.find("key")
    assert flight is not None
    while flight.task is None or not flight.task.done():  # noqa: ASYNC110 - to the very turn
        await asyncio.sleep(0)
    later = join(flights, fresh)
    fresh.granted.set()
    fresh.answered.set()

    assert ["landed", "landed"] == await asyncio.gather(caller, later)
    assert fresh.begun == 1
    assert len(flights) == 0


async def test_a_flight_that_never_began_leaves_nobody_waiting() -> None:
    """1. who begins it waits for it; 2. it is cancelled before its first turn."""
    tasks = Tasks(lambda *_: None)
    flights: Flights[str] = Flights(tasks)
    asyncio.get_running_loop().call_soon(lambda: [each.cancel() for each in tasks._running])
    flight = flights.begin("key", Fetch())

    with pytest.raises(asyncio.CancelledError):
        await flights.wait(flight, 60.0)

    assert len(flights) == 0


async def test_lost_patience_can_leave_it_running(flights: Flights[str]) -> None:
    """Who is served something stale instead may leave the fetch to go on behind it."""
    fetch = Fetch()
    flight = flights.begin("key", fetch)

    assert await flights.wait(flight, 0.0, leave_running=True) is None

    fetch.granted.set()
    fetch.answered.set()
    await asyncio.wait_for(fetch.landed.wait(), 60)


async def test_who_comes_after_the_last_left_begins_anew(flights: Flights[str]) -> None:
    """A flight that is being called off is never joined."""
    ending, fresh = Fetch(), Fetch()
    caller = join(flights, ending)
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    later = join(flights, fresh)
    fresh.granted.set()
    fresh.answered.set()

    assert await later == "landed"
