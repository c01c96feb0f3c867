"""The sandbox as one object, over real sockets."""

import asyncio
import ssl

import aiohttp
import pytest
import trustme

from proxy.sandbox import Latency, Limit, Sandbox, run_sandbox
from proxy.sandbox.providers.catalogue import PROVIDERS


async def _status(session: aiohttp.ClientSession, url: str) -> int:
    async with session.get(url) as response:
        await response.read()
        return response.status


async def test_all_providers_share_a_port_and_each_may_have_its_own() -> None:
    """The first path segment names the provider; on its own port there is none."""
    async with Sandbox(own_ports={"okx": 0}) as sandbox, aiohttp.ClientSession() as session:
        shared = await _status(session, f"{sandbox.base_url('okx')}/api/v5/public/time")
        own = await _status(session, f"{sandbox.base_url('okx', own_port=True)}/api/v5/public/time")
        nobody = await _status(session, f"{sandbox.origin}/nobody/x")

        assert (shared, own, nobody) == (200, 200, 404)
        assert sandbox.base_url("okx") == f"http://127.0.0.1:{sandbox.port}/okx"
        assert sandbox.counts("okx").requests == 2


async def test_the_environment_points_the_shipped_configuration_at_it() -> None:
    """A variable for each provider served; its own port where it has one."""
    async with Sandbox(own_ports=True) as sandbox:
        environment = sandbox.environment()

        assert list(environment) == [provider.variable for provider in PROVIDERS.values()]
        assert environment["KRAKEN_BASE_URL"] == sandbox.base_url("kraken", own_port=True)
    async with Sandbox(["binance"]) as sandbox:
        assert sandbox.environment() == {"BINANCE_BASE_URL": sandbox.base_url("binance")}


async def test_limits_given_are_enforced_in_place_of_the_providers_own() -> None:
    """The fourth of three is refused; reset lets it in again."""
    limits = {"binance": [Limit("weight", 3, 3600.0, "sliding_window")]}
    async with Sandbox(limits=limits) as sandbox, aiohttp.ClientSession() as session:
        url = f"{sandbox.base_url('binance')}/api/v3/ping"
        before = [await _status(session, url) for _ in range(4)]
        counts = sandbox.counts("binance")
        sandbox.reset("binance")

        assert before == [200, 200, 200, 429]
        assert (counts.requests, counts.granted, counts.refused, counts.spent) == (4, 3, 1, 3)
        assert await _status(session, url) == 200
        assert sandbox.counts("binance").requests == 1


async def test_a_foreign_program_leaves_less() -> None:
    """What is spent behind our back is seen in the used weight."""
    async with Sandbox(["binance"]) as sandbox, aiohttp.ClientSession() as session:
        sandbox.spend("binance", "weight", 4321)
        async with session.get(f"{sandbox.base_url('binance')}/api/v3/ping") as response:
            assert response.headers["X-MBX-USED-WEIGHT-1M"] == "4322"
        assert sandbox.used("binance")["weight"] == {"127.0.0.1": 4322}


async def test_faults_come_and_go() -> None:
    """Until they are mended, or used up."""
    async with Sandbox(["binance"]) as sandbox, aiohttp.ClientSession() as session:
        url = f"{sandbox.base_url('binance')}/api/v3/ping"
        sandbox.fault("binance", "error")
        broken = await _status(session, url)
        sandbox.mend("binance")

        assert (broken, await _status(session, url)) == (500, 200)


async def test_the_market_can_be_frozen() -> None:
    """Then equal questions have equal answers."""
    async with Sandbox(["binance"], step=0.001) as sandbox, aiohttp.ClientSession() as session:
        sandbox.freeze(1_795_232_239.0)
        sandbox.set_latency("binance", Latency(mean=0.01))
        url = f"{sandbox.base_url('binance')}/api/v3/ticker/24hr"
        bodies = set()
        for _ in range(3):
            async with session.get(url) as response:
                bodies.add(await response.read())

        assert len(bodies) == 1


async def test_it_serves_https_where_it_is_given_a_certificate() -> None:
    """For tests of CA bundles."""
    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)

    async with Sandbox(["okx"], tls=server) as sandbox, aiohttp.ClientSession() as session:
        url = f"{sandbox.base_url('okx')}/api/v5/public/time"
        async with session.get(url, ssl=client) as response:
            assert (response.status, url.split(":", maxsplit=1)[0]) == (200, "https")


async def test_the_command_says_every_base_url_and_serves_until_it_is_cancelled() -> None:
    """`VARIABLE=URL` lines, ready for a shell."""
    said: list[str] = []
    told = asyncio.Event()

    def say(text: str) -> None:
        said.append(text)
        if text.startswith("#"):
            told.set()

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        serving = group.create_task(run_sandbox(port=0, say=say))
        await told.wait()
        lines = dict(text.split("=", 1) for text in said if not text.startswith("#"))
        async with aiohttp.ClientSession() as session:
            assert await _status(session, f"{lines['OKX_BASE_URL']}/api/v5/public/time") == 200
        serving.cancel()

    assert len(lines) == len(PROVIDERS)


async def test_a_port_that_is_taken_is_an_error() -> None:
    """And what was opened before is closed again."""
    async with Sandbox(["okx"]) as first:
        with pytest.raises(OSError, match="address already in use"):
            await Sandbox(["okx"], port=first.port).__aenter__()
