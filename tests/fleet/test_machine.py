"""The workers of one machine, over real unix sockets."""

import asyncio
import multiprocessing
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.core.landings import NONE, Ending, Landed
from proxy.fleet import machine
from proxy.fleet.machine import MachineFleet, MachineLead

SOON = 60.0
"""Seconds within which what must come comes."""


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No home hangs only because this machine is busy; one that hangs is away for long."""
    monkeypatch.setattr(machine, "PATIENCE", SOON)
    monkeypatch.setattr(machine, "AWAY", 600.0)


@pytest.fixture
async def workers(tmp_path: Path) -> AsyncIterator[list[MachineFleet]]:
    """Three workers of one machine."""
    fleets = [MachineFleet(tmp_path / "run", index, 3) for index in range(3)]
    for fleet in fleets:
        await fleet.open()
    yield fleets
    for fleet in fleets:
        await fleet.close()


def home_at(fleet: MachineFleet, *order: int) -> str:
    """Return a key whose homes are these, in this order."""
    keys = (f"key-{number}" for number in range(1000))
    return next(key for key in keys if fleet._ranked(key)[: len(order)] == list(order))


def ask(fleet: MachineFleet, key: str) -> "asyncio.Task[MachineLead | Landed | None]":
    return asyncio.get_running_loop().create_task(fleet.lead(key, NONE))


async def leading(fleet: MachineFleet, key: str) -> MachineLead:
    said = await asyncio.wait_for(fleet.lead(key, NONE), SOON)
    assert isinstance(said, MachineLead)
    return said


async def asked(home: MachineFleet, key: str, followers: int) -> None:
    """Return when so many follow at a key's home."""

    def following() -> int:
        flight = home._arbiter._flights.get(key)
        return -1 if flight is None else len(flight.followers)

    async with asyncio.timeout(SOON):
        while following() != followers:  # noqa: ASYNC110 - a plain figure, no event
            await asyncio.sleep(0)


@pytest.mark.parametrize("home", [0, 1, 2])
async def test_one_leads_and_its_landing_wakes_the_others(
    workers: list[MachineFleet], home: int
) -> None:
    """Wherever the key is at home: with the leader, with a follower, or elsewhere."""
    key = home_at(workers[0], home)
    lead = await leading(workers[0], key)
    waiting = [ask(workers[1], key), ask(workers[2], key), ask(workers[2], key)]
    await asked(workers[home], key, 3)
    await lead.land(Ending.STORED, 7.0)

    said = await asyncio.wait_for(asyncio.gather(*waiting), SOON)
    assert [Landed(Ending.STORED, 7.0)] * 3 == said


async def test_who_looked_before_a_landing_is_told_of_it_afterwards(
    workers: list[MachineFleet],
) -> None:
    """It finds it in the store; who has it already, and finds it too old, leads."""
    key = home_at(workers[0], 0)
    await (await leading(workers[0], key)).land(Ending.STORED, 7.25)

    assert Landed(Ending.STORED, 7.25, awaited=False) == await workers[1].lead(key, NONE)
    assert isinstance(await workers[2].lead(key, 7.25), MachineLead)


async def test_a_lead_that_nobody_uses_passes_on(workers: list[MachineFleet]) -> None:
    """Who is called off while it follows, or leads without landing, stands in nobody's way."""
    key = home_at(workers[0], 0)
    await leading(workers[1], key)
    gone, heir = ask(workers[1], key), ask(workers[2], key)
    await asked(workers[0], key, 2)
    gone.cancel()
    await asked(workers[0], key, 1)
    await workers[1].close()

    said = await asyncio.wait_for(heir, SOON)
    assert isinstance(said, MachineLead)
    assert said.inherited


async def test_a_home_that_goes_is_replaced_by_the_next(workers: list[MachineFleet]) -> None:
    """Those who followed there follow one of their own, which looks first at what was left."""
    key = home_at(workers[0], 0, 1, 2)
    await leading(workers[0], key)
    waiting = {ask(workers[1], key), ask(workers[2], key)}
    await asked(workers[0], key, 2)
    await workers[0].close()
    done, pending = await asyncio.wait(waiting, timeout=SOON, return_when="FIRST_COMPLETED")
    (successor,) = (each.result() for each in done)

    assert isinstance(successor, MachineLead)
    assert successor.inherited
    await asked(workers[1], key, 1)
    await successor.land(Ending.STORED, 8.0)
    assert [Landed(Ending.STORED, 8.0)] == [await asyncio.wait_for(each, SOON) for each in pending]


async def test_a_successor_takes_the_place_of_one_that_died(tmp_path: Path) -> None:
    """A socket that a dead worker left behind keeps its successor from nothing."""
    (tmp_path / "fleet-0.sock").touch()
    first, second = MachineFleet(tmp_path, 0, 2), MachineFleet(tmp_path, 1, 2)
    await first.open()
    await second.open()
    key = home_at(first, 0)
    lead = await leading(second, key)

    assert not lead.inherited
    await first.close()
    await second.close()


async def test_a_home_that_hangs_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that takes connections and says nothing costs one patience, not every ask."""
    monkeypatch.setattr(machine, "PATIENCE", 0.05)
    connections: list[asyncio.StreamWriter] = []
    server = await asyncio.start_unix_server(
        lambda _reader, writer: connections.append(writer), tmp_path / "fleet-1.sock"
    )
    fleet = MachineFleet(tmp_path, 0, 2)
    await fleet.open()
    for _ in range(3):
        lead = await leading(fleet, home_at(fleet, 1))
        await lead.land(Ending.FAILED)

    assert 1 == len(connections)
    await fleet.close()
    for each in connections:
        each.close()
    server.close()


async def test_what_is_no_message_ends_the_connection_only(workers: list[MachineFleet]) -> None:
    """A worker that speaks nonsense is parted from; the others are served on."""
    reader, writer = await asyncio.open_unix_connection(workers[0]._place(0))
    writer.write(b"nonsense\n")

    assert b"" == await asyncio.wait_for(reader.read(), SOON)
    writer.close()
    await leading(workers[1], home_at(workers[0], 0))


def _lead_for_ever(directory: Path, key: str) -> None:
    async def run() -> None:
        fleet = MachineFleet(directory, 1, 2)
        await fleet.open()
        await fleet.lead(key, NONE)
        (directory / "leads").touch()
        await asyncio.Event().wait()

    asyncio.run(run())


async def test_a_worker_that_is_killed_loses_its_lead_at_once(tmp_path: Path) -> None:
    """Kill -9: the kernel ends its connections, and who waited longest leads."""
    fleet = MachineFleet(tmp_path, 0, 2)
    await fleet.open()
    key = home_at(fleet, 0)
    process = multiprocessing.get_context("spawn").Process(
        target=_lead_for_ever, args=(tmp_path, key)
    )
    process.start()
    async with asyncio.timeout(SOON):
        while not (tmp_path / "leads").exists():  # noqa: ASYNC110 - another process's word
            await asyncio.sleep(0.01)
    heir = ask(fleet, key)
    await asked(fleet, key, 1)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    said = await asyncio.wait_for(heir, SOON)

    assert isinstance(said, MachineLead)
    assert said.inherited
    await fleet.close()
    await asyncio.to_thread(process.join)


@pytest.mark.parametrize("home", [0, 1])
async def test_who_follows_waits_no_longer_than_it_may(
    workers: list[MachineFleet], home: int
) -> None:
    """Its time over, it is told so, and follows no more; the flight goes on."""
    key = home_at(workers[0], home)
    lead = await leading(workers[0], key)
    over = asyncio.get_running_loop().time() + 0.01
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(workers[1].lead(key, NONE, over), SOON)
    await asked(workers[home], key, 0)
    waiting = ask(workers[1], key)
    await asked(workers[home], key, 1)
    await lead.land(Ending.STORED, 7.0)

    assert Landed(Ending.STORED, 7.0) == await asyncio.wait_for(waiting, SOON)
