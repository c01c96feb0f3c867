"""The counts of all workers, whichever is asked."""

import asyncio
from pathlib import Path

import pytest

from proxy.admin.snapshot import Snapshot
from proxy.admin.workers import Workers


def counting(number: int) -> Snapshot:
    return Snapshot({("requests", "x"): number}, {("bytes",): 100}, {}, {})


def named(workers: Workers, name: str) -> Workers:
    """Give a worker a name of its own: in one process all have one pid."""
    workers._name = name
    return workers


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker is left out only because this machine is busy."""
    monkeypatch.setattr("proxy.admin.workers.PATIENCE", 60.0)


@pytest.fixture
async def pair(tmp_path: Path) -> list[Workers]:
    workers = [
        named(Workers(lambda each=number: counting(each), tmp_path), f"worker-{number}")
        for number in (1, 10)
    ]
    for each in workers:
        await each.start()
    return workers


async def test_each_gathers_all(pair: list[Workers]) -> None:
    """Counters and gauges of both are added."""
    for asked in pair:
        whole = await asked.gather()

        assert {("x",): 11} == whole.family("requests")
        assert {("bytes",): 200} == whole.gauges


async def test_a_worker_alone_gathers_itself() -> None:
    """Without a directory there are no sockets."""
    alone = Workers(lambda: counting(7))
    await alone.start()

    assert {("x",): 7} == (await alone.gather()).family("requests")
    await alone.close()


async def test_what_a_worker_counted_outlives_it(pair: list[Workers]) -> None:
    """After a rolling restart no count has fallen; what it held is given back."""
    await pair[1].close()

    whole = await pair[0].gather()

    assert {("x",): 11} == whole.family("requests")
    assert {("bytes",): 100} == whole.gauges


async def test_a_killed_worker_is_forgotten(pair: list[Workers], tmp_path: Path) -> None:
    """Its socket is there and nobody answers: it is left out, and its socket removed."""
    dead = tmp_path / "worker-dead.sock"
    server = await asyncio.start_unix_server(lambda _reader, _writer: None, dead)
    server.close()
    await server.wait_closed()
    if not dead.exists():  # 3.13 removes it when it closes
        import socket  # noqa: PLC0415 - only there

        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(dead))

    assert {("x",): 11} == (await pair[0].gather()).family("requests")
    assert not dead.exists()


async def test_nonsense_is_left_out(pair: list[Workers], tmp_path: Path) -> None:
    """What another version left behind is not understood, and no error."""
    (tmp_path / "worker-9.abcd.left").write_bytes(b"\xc1 not ours")

    assert {("x",): 11} == (await pair[0].gather()).family("requests")


async def test_the_directory_is_its_owners_alone(tmp_path: Path) -> None:
    """Nobody else on the machine reads the counts."""
    folder = tmp_path / "run"
    workers = Workers(lambda: counting(1), folder)
    await workers.start()

    assert 0o700 == folder.stat().st_mode & 0o777
    await workers.close()
