"""The whole of one worker, in this process: it serves, counts, and ends."""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
import structlog

from proxy.app import DEMONSTRATION, demonstrated, secrets_of, serving
from proxy.config.loading import load
from proxy.http.private_names import OpenHandler
from proxy.sandbox import Sandbox
from proxy.workers import Worker

CONFIG = Path(__file__).parents[1] / "config" / "proxy.yaml"
PRICE = "/coingecko/api/v3/simple/price?ids=bitcoin&vs_currencies=usd"


@pytest.fixture(autouse=True)
def log_of_its_own() -> Iterator[None]:
    """What a proxy in this process set for its log ends with the test."""
    yield
    structlog.reset_defaults()


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as running:
        yield running


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


async def test_serves_counts_and_ends(sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
    """Two questions, one call; the admin side knows both; afterwards nobody listens."""
    environ = {**os.environ, **DEMONSTRATION, **sandbox.environment()}
    async with serving(load(CONFIG, environ), Worker()) as addresses:
        traffic, admin = (f"http://{addresses[name]}" for name in ("traffic", "admin"))
        words = []
        for _ in range(2):
            async with session.get(traffic + PRICE) as response:
                words.append(response.headers["X-Cache"])
        async with session.get(f"{admin}/api/v1/stats") as response:
            stats = await response.json()
        async with session.get(f"{admin}/metrics") as response:
            metrics = await response.text()

    assert words == ["MISS", "HIT"]
    assert sandbox.counts("coingecko").requests == 1
    assert (stats["requests"], stats["upstream_calls"]) == (2, 1)
    assert "quota_proxy_requests_total" in metrics
    with pytest.raises(aiohttp.ClientConnectorError):
        await session.get(traffic)


async def test_nothing_of_the_admin_side_is_on_the_traffic_side(
    sandbox: Sandbox, session: aiohttp.ClientSession
) -> None:
    """Bots cannot read metrics, nor change anything."""
    start = demonstrated(lambda environ: load(CONFIG, environ))
    async with start(sandbox.environment()) as address:
        for path in ("/metrics", "/healthz", "/readyz", "/api/v1/stats", "/api/v1/quota"):
            async with session.get(address + path) as response:
                assert response.status == 404, path


@pytest.mark.parametrize(("accelerator", "unparsed"), [("true", 2), ("false", 0)])
async def test_the_accelerator_is_a_setting(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, accelerator: str, unparsed: int
) -> None:
    """A head that was met often enough is parsed no more; without it each one is.

    Miss, first hit, noted, learnt: of six two go unparsed.
    """
    parsed = []
    parse = OpenHandler.parse
    monkeypatch.setattr(
        OpenHandler, "parse", lambda self, data: (parsed.append(data), parse(self, data))[1]
    )
    start = demonstrated(lambda environ: load(CONFIG, environ))
    environ = {**sandbox.environment(), "QUOTA_PROXY_ACCELERATOR": accelerator}
    async with start(environ) as address:
        reader, writer = await asyncio.open_connection(*address.removeprefix("http://").split(":"))
        for _ in range(6):
            writer.write(f"GET {PRICE} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"Content-Length: (\d+)", head)
            assert length is not None
            await reader.readexactly(int(length[1]))
        writer.close()

    assert (b"X-Cache: HIT" in head, len(parsed)) == (True, 6 - unparsed)


def test_every_secret_of_the_configuration_is_known_to_the_log(tmp_path: Path) -> None:
    """Providers' keys, the admin token, and Redis' passwords, be they in its address or a file."""
    (tmp_path / "password").write_text("of-the-ledger\n")
    (tmp_path / "proxy.yaml").write_text(
        "listen: 127.0.0.1:0\n"
        "admin: {listen: 127.0.0.1:0, token: of-the-admin}\n"
        "store: {url: 'redis://user:of-the%40store@127.0.0.1:6379'}\n"
        "ledger: {url: 'redis://127.0.0.1:6380', password_file: password}\n"
        "upstreams: []\n"
    )
    settings = load(tmp_path / "proxy.yaml", {})

    assert set(secrets_of(settings)) == {"of-the-admin", "of-the@store", "of-the-ledger"}


def test_a_password_file_that_cannot_be_read_stops_nobody(tmp_path: Path) -> None:
    """The store is found when it can be; the address's own password is hidden all the same."""
    file = tmp_path / "password"
    file.write_text("gone\n")
    (tmp_path / "proxy.yaml").write_text(
        "store: {url: 'redis://:of-the-store@127.0.0.1:6379', password_file: password}\n"
        "upstreams: []\n"
    )
    settings = load(tmp_path / "proxy.yaml", {})
    file.unlink()

    assert set(secrets_of(settings)) == {"of-the-store"}
