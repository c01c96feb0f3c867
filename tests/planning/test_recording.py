"""Recording: what was asked, without secrets, bounded, and never in anyone's way."""

import asyncio
import json
from pathlib import Path

import pytest

from proxy.asked import Asked, asked
from proxy.core.model import Client, Request
from proxy.core.routing import Match, Routes
from proxy.planning import recording
from proxy.planning.recording import Recording
from proxy.planning.replay import read
from tests.house import House, at_once, endpoint, upstream

PRICE = endpoint("price", "/price")
ROUTES = Routes((upstream(PRICE, secret_parameters=frozenset({"api_key"})),))


def asking(query: str, *fields: tuple[str, str]) -> Asked:
    request = Request("GET", "/coingecko//price/", query, fields, client=Client("grid-1"))
    route = ROUTES.match(request)
    assert isinstance(route, Match)
    return asked(request, route, 0.0, b"s")


def written(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_holds_no_secret(tmp_path: Path) -> None:
    """Time, method, target and client's label; the key in the target is hidden."""
    trace = tmp_path / "deep" / "trace.jsonl"
    made = Recording(trace, lambda: 1_763_000_000.12345)
    made.record(asking("ids=a&api_key=s3cr3t", ("x-cg-demo-api-key", "s3cr3t")))
    made.write()

    assert written(trace) == [
        {
            "at": 1_763_000_000.123,
            "method": "GET",
            "target": "/coingecko/price?ids=a&api_key=***",
            "client": "grid-1",
        }
    ]
    assert [line.client for line in read(trace.read_bytes().splitlines())] == ["grid-1"]


def test_private_requests_are_not_recorded(tmp_path: Path) -> None:
    """Whatever they carry."""
    made = Recording(tmp_path / "trace.jsonl", lambda: 0.0)
    made.record(asking("ids=a", ("Authorization", "Bearer s3cr3t")))
    made.write()

    assert not (tmp_path / "trace.jsonl").exists()


def test_it_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In memory and on disk: what is beyond is left out, and counted."""
    monkeypatch.setattr(recording, "MOST_WAITING", 2)
    made = Recording(tmp_path / "trace.jsonl", lambda: 0.0, most=200)
    for _ in range(3):
        made.record(asking("ids=a"))
    made.write()
    made.record(asking("ids=b"))
    made.write()

    assert len(written(tmp_path / "trace.jsonl")) == 2
    assert made.left_out == 2


async def test_what_was_noted_is_written_at_the_end(tmp_path: Path) -> None:
    """Whoever ends the proxy loses no line."""
    made = Recording(tmp_path / "trace.jsonl", lambda: 0.0)
    running = asyncio.get_running_loop().create_task(made.run())
    await asyncio.sleep(0)
    made.record(asking("ids=a"))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert len(written(tmp_path / "trace.jsonl")) == 1


async def test_every_way_is_recorded(tmp_path: Path) -> None:
    """The ordinary way, and the shortest one."""
    house = House(upstream(PRICE))
    house.flow.recording = Recording(tmp_path / "trace.jsonl", lambda: house.clock)
    await house.ask("/coingecko/price?ids=a")
    await house.ask("/coingecko/price?ids=a")
    request = Request("GET", "/coingecko/price", "ids=a", (), "proxy", 8080)

    assert at_once(house.flow, request) is not None
    house.flow.recording.write()

    assert len(written(tmp_path / "trace.jsonl")) == 3
    await house.close()
