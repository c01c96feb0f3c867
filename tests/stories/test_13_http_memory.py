"""The HTTP cache over real sockets: what one process can be made to hold."""

import asyncio
import gzip
import re
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from proxy.body_memory import MOST
from proxy.core.codings import LARGEST
from tests.stories.origin import Client, Origin, Play, answer, hear_head, origin
from tests.stories.policies import MISS
from tests.stories.stage import PATIENCE, Proxy, Stage, until, written

MIB = 1024 * 1024
CLIENTS = 48
SIZE = 24 * MIB
EACH = 2 * MIB
"""Bytes of memory for a pair of connections: buffers of the loop, the parser, one floor."""
KEPT = 16 * MIB
"""Bytes that the first-level cache may hold."""
STILL = 30
"""Looks in a row that find nothing changed."""

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="the system must tell a process's memory"
)


class Pouring:
    """Answers with large bodies, and counts what the connections have taken of them."""

    def __init__(self) -> None:
        self.taken = 0
        self.poured = 0

    def body(self, size: int) -> Play:
        """Return an answer of this size, as fast as it is taken."""

        async def play(writer: asyncio.StreamWriter) -> None:
            head = answer("", "Cache-Control: max-age=60")
            writer.write(head.replace(b"Length: 0", b"Length: %d" % size))
            for _ in range(size // MIB):
                writer.write(bytes(MIB))
                await writer.drain()
                self.taken += MIB
            self.poured += 1

        return play


def peak(proxy: Proxy) -> int:
    """Return the most bytes that the process ever had in memory."""
    assert proxy.process is not None
    status = Path(f"/proc/{proxy.process.pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+([0-9]+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


async def standing_before(stage: Stage, asked: Origin, folder: Path, policy: str) -> Proxy:
    """Start a process before the origin, under a policy."""
    upstream = {
        "name": "origin",
        "base_url": f"http://127.0.0.1:{asked.port}",
        "prefix": "/",
        "limits": {},
        "defaults": {"upstream_cache_control": policy, "ttl": "60s", "content_type": "any"},
        "endpoints": {"all": {"path": "/{rest:path}"}},
    }
    return await stage.proxy(written(folder, upstream, store="memory:", memory=KEPT))


@pytest.mark.parametrize("size", [SIZE, 6 * MIB])
async def test_slow_clients_together_have_one_bound(
    stage: Stage, tmp_path: Path, size: int
) -> None:
    """Bodies too large to be kept, and bodies that could be: the rest waits at the origin.

    Nobody else waits, what is read comes whole, and what is let go serves the next.
    """
    async with origin() as asked, AsyncExitStack() as slow:
        proxy = await standing_before(stage, asked, tmp_path, "obey")
        client, pouring = Client(proxy.ports[0]), Pouring()
        before = peak(proxy)
        for number in range(CLIENTS):
            asked.line_up(f"/large/{number}", pouring.body(size))
        readers = [
            await slow.enter_async_context(client.asking(f"/large/{number}"))
            for number in range(CLIENTS)
        ]
        for reader in readers:
            assert 200 == (await hear_head(reader)).status
        await until(stands_still(pouring), "no more to be taken")

        asked.line_up("/small", answer("1"))
        assert b"1" == (await client.ask("/small")).body
        assert bytes(size) == await readers[0].readexactly(size)
        assert peak(proxy) - before < MOST + KEPT + CLIENTS * EACH

        await slow.aclose()
        await until(lambda: gone(asked, pouring, client), "room for another")


@pytest.mark.parametrize("policy", ["cap", "ignore"])
async def test_a_body_that_unpacks_without_end_is_no_answer(
    stage: Stage, tmp_path: Path, policy: str
) -> None:
    """A few kilobytes of gzip can say gigabytes: given up at a bound, and nothing is stored."""
    async with origin() as asked:
        proxy = await standing_before(stage, asked, tmp_path, policy)
        client, before = Client(proxy.ports[0]), peak(proxy)
        trap = gzip.compress(bytes(LARGEST) + b"1")
        head = answer("", "Content-Encoding: gzip").replace(b"Length: 0", b"Length: %d" % len(trap))
        asked.line_up("/trap", head + trap, answer("1", "Cache-Control: max-age=60"))

        heard = [await client.ask("/trap") for _ in range(2)]

        assert [(502, "REFUSED"), (200, MISS)] == [(each.status, each.verdict) for each in heard]
        assert peak(proxy) - before < LARGEST + KEPT


def stands_still(pouring: Pouring) -> Callable[[], bool]:
    """Return a condition: nothing has been taken between so many looks."""
    seen, times = -1, 0

    def still() -> bool:
        nonlocal seen, times
        times = times + 1 if pouring.taken == seen else 0
        seen = pouring.taken
        return times >= STILL

    return still


async def gone(asked: Origin, pouring: Pouring, client: Client) -> bool:
    """Return whether a body within the bounds is taken in at once again, read or not."""
    target, before = f"/next/{len(asked.asked)}", pouring.poured
    asked.line_up(target, pouring.body(6 * MIB))
    async with client.asking(target) as reader, asyncio.timeout(PATIENCE):
        await hear_head(reader)
        await until(lambda: pouring.poured > before, "the whole body to be taken")
    return True
