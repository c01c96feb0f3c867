"""Waiting for a client that does not read."""

import asyncio

from proxy.http.patience import Watch
from tests.clockwork import turned


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


def test_who_reads_nothing_is_cut_off() -> None:
    """After the patience, if nothing at all went out meanwhile."""
    transport = Transport()

    async def told() -> None:
        Watch(transport, 30.0, asyncio.get_running_loop())
        await asyncio.sleep(29.0)
        assert not transport.aborted
        await asyncio.sleep(2.0)

    turned(told())
    assert transport.aborted


def test_who_reads_slowly_is_not() -> None:
    """As long as something goes out in each such time."""
    transport = Transport()

    async def told() -> None:
        watch = Watch(transport, 30.0, asyncio.get_running_loop())
        for _ in range(10):
            transport.waiting -= 1
            await asyncio.sleep(20.0)
        watch.end()

    turned(told())
    assert not transport.aborted


def test_a_watch_that_has_ended_cuts_nothing() -> None:
    """The client has read what it was given."""
    transport = Transport()

    async def told() -> None:
        Watch(transport, 30.0, asyncio.get_running_loop()).end()
        await asyncio.sleep(60.0)

    turned(told())
    assert not transport.aborted
