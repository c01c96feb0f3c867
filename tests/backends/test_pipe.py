"""One connection, its order and its end, without a server: the transport is a list of writes."""

import asyncio
from typing import cast

import pytest

from proxy.backends.errors import BackendError, BackendLostError, BackendReplyError
from proxy.backends.pipe import Pipe, packed

PING = packed(("PING",))


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.aborted = False

    def write(self, data: object) -> None:
        self.written.append(cast("bytes", data))

    def abort(self) -> None:
        self.aborted = True


class Wire:
    """A pipe and both its ends."""

    def __init__(self, timeout: float = 5.0) -> None:
        self.lost: list[str] = []
        self.pipe = Pipe(timeout, lambda _pipe, reason: self.lost.append(reason))
        self.transport = Transport()
        self.pipe.connection_made(self.transport)


async def test_commands_of_one_tick_leave_in_one_write() -> None:
    """Three commands, one write, in their order; what comes later goes with its own tick."""
    wire = Wire()
    for name in ("A", "B", "C"):
        wire.pipe.submit(packed((name,)))
    await asyncio.sleep(0)
    wire.pipe.submit(PING)
    await asyncio.sleep(0)

    assert wire.transport.written == [packed(("A",)) + packed(("B",)) + packed(("C",)), PING]


async def test_replies_come_in_the_order_of_the_commands_however_they_are_cut() -> None:
    """Bytes that arrive one by one make the same replies."""
    wire = Wire()
    first, second = wire.pipe.submit(PING), wire.pipe.submit(PING)
    for byte in b"$3\r\none\r\n*2\r\n:1\r\n$-1\r\n":
        wire.pipe.data_received(bytes([byte]))

    assert (await first, await second) == (b"one", [1, None])
    assert wire.pipe.backlog == 0


async def test_an_error_reply_fails_its_own_command_only() -> None:
    """The commands before and after get their replies."""
    wire = Wire()
    first, second = wire.pipe.submit(PING), wire.pipe.submit(PING)
    wire.pipe.data_received(b"-WRONGTYPE no\r\n+OK\r\n")

    with pytest.raises(BackendReplyError):
        await first
    assert await second == b"OK"


@pytest.mark.parametrize("code", ["LOADING", "MASTERDOWN", "CLUSTERDOWN"])
async def test_a_server_that_cannot_serve_now_is_lost_and_did_nothing(code: str) -> None:
    """Such a refusal means that the command was not carried out."""
    wire = Wire()
    future = wire.pipe.submit(PING)
    wire.pipe.data_received(f"-{code} not now\r\n".encode())

    with pytest.raises(BackendLostError) as lost:
        await future
    assert not lost.value.sent


async def test_a_master_that_became_a_replica_is_left() -> None:
    """READONLY ends the connection, so that the master is sought anew."""
    wire = Wire()
    future = wire.pipe.submit(PING)
    wire.pipe.data_received(b"-READONLY You can't write against a read only replica.\r\n")
    with pytest.raises(BackendLostError):
        await future
    await asyncio.sleep(0)

    assert wire.transport.aborted
    assert len(wire.lost) == 1


async def test_a_lost_connection_fails_all_that_waits_once() -> None:
    """Every command under way fails, the owner is told once, and nothing more is taken."""
    wire = Wire()
    waiting = [wire.pipe.submit(PING) for _ in range(3)]
    wire.pipe.connection_lost(None)
    wire.pipe.connection_lost(None)

    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(result, BackendLostError) for result in results)
    assert len(wire.lost) == 1
    with pytest.raises(BackendLostError):
        wire.pipe.submit(PING)


@pytest.mark.parametrize("garbage", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"+OK\r\n+OK\r\n"])
async def test_what_is_no_redis_is_dropped(garbage: bytes) -> None:
    """Bytes that are no reply, or replies that nobody asked for, end the connection."""
    wire = Wire()
    wire.pipe.submit(PING)
    wire.pipe.data_received(garbage)

    assert wire.transport.aborted


async def test_the_oldest_command_has_a_deadline() -> None:
    """When no reply comes in time, all that waits fails and the connection is dropped."""
    wire = Wire(timeout=0.01)
    oldest, next_one = wire.pipe.submit(PING), wire.pipe.submit(PING)

    with pytest.raises(BackendLostError):
        await oldest
    with pytest.raises(BackendLostError):
        await next_one
    assert wire.transport.aborted


async def test_a_reply_that_came_while_the_loop_was_busy_is_not_late() -> None:
    """The timer is late and the reply is already there: a second look finds it."""
    wire = Wire(timeout=0.01)
    future = wire.pipe.submit(PING)
    await asyncio.sleep(0)
    wire.pipe._look()
    wire.pipe.data_received(b"+PONG\r\n")
    wire.pipe._look_again(future)

    assert await future == b"PONG"
    assert not wire.transport.aborted


async def test_a_server_that_forgot_a_script_gets_its_text() -> None:
    """Whoever waits hears the reply to the text alone, and those behind it get their own."""
    wire = Wire()
    running = wire.pipe.submit(PING, lambda: b"the text")
    behind = wire.pipe.submit(PING)
    await asyncio.sleep(0)
    wire.pipe.data_received(b"-NOSCRIPT No matching script.\r\n+PONG\r\n")
    assert await behind == b"PONG"
    assert not running.done()
    await asyncio.sleep(0)
    assert wire.transport.written[-1] == b"the text"
    wire.pipe.data_received(b":7\r\n")

    assert await running == 7


async def test_it_is_drained_when_what_replies_bring_about_has_its_own() -> None:
    """A command that is sent because of a reply is waited for like the first."""
    wire = Wire()
    first = wire.pipe.submit(PING)
    first.add_done_callback(lambda _: wire.pipe.submit(PING))
    draining = asyncio.get_running_loop().create_task(wire.pipe.drained())
    await asyncio.sleep(0)
    wire.pipe.data_received(b"+PONG\r\n")
    for _ in range(10):
        await asyncio.sleep(0)
    assert not draining.done()
    wire.pipe.data_received(b"+PONG\r\n")

    await asyncio.wait_for(draining, 60)


async def test_a_command_whose_caller_went_is_drained_too() -> None:
    """Its reply is still to come, or its connection to end."""
    wire = Wire()
    wire.pipe.submit(PING).cancel()
    draining = asyncio.get_running_loop().create_task(wire.pipe.drained())
    for _ in range(10):
        await asyncio.sleep(0)
    assert not draining.done()
    wire.pipe.connection_lost(None)

    await asyncio.wait_for(draining, 60)


async def test_what_nobody_waits_for_goes_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """It makes no write of its own where a command that somebody waits for follows in time."""
    monkeypatch.setattr("proxy.backends.pipe.MOMENT", 60.0)  # a machine may stall for the real one
    wire = Wire()
    wire.pipe.tell(b"behind", lambda _reply, _error: None)
    await asyncio.sleep(0)
    assert [] == wire.transport.written
    wire.pipe.submit(PING)
    await asyncio.sleep(0)

    assert [b"behind" + PING] == wire.transport.written


async def test_what_nobody_waits_for_leaves_after_a_moment() -> None:
    """Two of them make one write, and have their replies."""
    wire = Wire()
    replies: list[object] = []
    for _ in range(2):
        wire.pipe.tell(PING, lambda reply, _error: replies.append(reply))
    async with asyncio.timeout(5):
        while not wire.transport.written:  # noqa: ASYNC110 - the transport is a list
            await asyncio.sleep(0)
    wire.pipe.data_received(b"+PONG\r\n+PONG\r\n")

    assert [PING * 2] == wire.transport.written
    assert [b"PONG"] * 2 == replies


async def test_what_nobody_waits_for_is_heard_once_whatever_comes() -> None:
    """A reply, a refusal, an unknown script and a lost connection: each says what became of it."""
    wire = Wire()
    heard: list[tuple[object, type[BackendError] | None]] = []

    def hear(reply: object, error: BackendError | None) -> None:
        heard.append((reply, None if error is None else type(error)))

    for text in (None, None, lambda: b"whole", None):
        wire.pipe.tell(PING, hear, text)
    wire.pipe.data_received(b"+PONG\r\n-ERR no\r\n-NOSCRIPT no\r\n")
    wire.pipe.connection_lost(None)

    lost = (None, BackendLostError)
    assert heard == [(b"PONG", None), (None, BackendReplyError), lost, lost]


async def test_who_stumbles_over_a_reply_takes_nobody_elses() -> None:
    """The error is the loop's to tell; the reply behind it is heard."""
    wire = Wire()
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, what: told.append(what))
    wire.pipe.tell(PING, lambda _reply, _error: [].pop())
    behind = wire.pipe.submit(PING)
    wire.pipe.data_received(b"+A\r\n+B\r\n")

    assert await behind == b"B"
    assert len(told) == 1
