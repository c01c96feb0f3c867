"""Waiting for a client that does not read."""

import asyncio

from proxy.http.patience import Watch
from tests.http.conftest import until


class Transport(asyncio.Transport):
    """Holds what nobody reads."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting = 100
        self.aborted = False

    def get_write_buffer_size(self) -> int:
        """Return what waits."""
        return self.waiting

    def abort(self) -> None:
        """Note it."""
        self.aborted = True


async def test_who_reads_nothing_is_cut_off() -> None:
    """After the patience, if nothing at all went out meanwhile."""
    transport = Transport()
    Watch(transport, 0.01, asyncio.get_running_loop())
    await until(lambda: transport.aborted)


async def test_who_reads_slowly_is_not() -> None:
    """As long as something goes out in each such time."""
    transport, loop = Transport(), asyncio.get_running_loop()
    watch = Watch(transport, 0.05, loop)
    for _ in range(10):
        transport.waiting -= 1
        await asyncio.sleep(0.01)
    assert not transport.aborted
    watch.end()


async def test_a_watch_that_has_ended_cuts_nothing() -> None:
    """The client has read what it was given."""
    transport = Transport()
    Watch(transport, 0.005, asyncio.get_running_loop()).end()
    await asyncio.sleep(0.02)
    assert not transport.aborted
