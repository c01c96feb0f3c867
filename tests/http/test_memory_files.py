"""Large answers sent from files in memory: the same bytes, whoever reads them, and however late."""

import asyncio
import errno
import math
import os
import socket
import ssl
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trustme
from hypothesis import given, settings

from proxy.answer import Answer
from proxy.core.model import Request
from proxy.http.accelerator import Accelerator
from proxy.http.connection import Connection
from proxy.http.listeners import Address, open_socket, serve_on, tls_context
from proxy.http.memory_files import LEAST, OFTEN, MemoryFiles
from proxy.http.rows import Alike, Row
from proxy.store.memory import Memory
from tests.http.conftest import KnownHit, Standing, standing, until
from tests.http.known_hits import GET, entry, hit
from tests.http.test_accelerator_exchanges import BURSTS, LONG, Pipe, played
from tests.shelf import Shelf

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="Linux's own")

LARGE = 30 * 1024
_GET = GET % (b"/a", b"")


class Sent:
    """What `os.sendfile` did."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[tuple[int, int]] = []
        """The file and how many of its bytes went."""
        sendfile = os.sendfile

        def heard(to: int, file: int, offset: int, count: int) -> int:
            went = sendfile(to, file, offset, count)
            self.asked.append((file, went))
            return went

        monkeypatch.setattr(os, "sendfile", heard)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    return Sent(monkeypatch)


@pytest.fixture
async def house() -> AsyncIterator[Standing]:
    """A front that has the accelerator, whichever way the suite runs."""
    async with standing(accelerate=True) as it:
        yield it


def accelerator_of(house: Standing) -> Accelerator:
    accelerator = house.front._accelerator
    assert accelerator is not None
    return accelerator


def knows(house: Standing, size: int = LARGE, number: int = 1) -> list[KnownHit]:
    """Let the flow know so many large hits: /a, /b, …."""
    names = "abcdefgh"[:number]
    hits = {name: hit(entry(name, os.urandom(size)), until=math.inf) for name in names}
    house.flow.hit = lambda request: hits.get(request.path.strip("/"))
    return list(hits.values())


def at_once(house: Standing) -> MemoryFiles:
    """Let a file be made for the first answer of a row already."""
    files = accelerator_of(house).files
    files._often = 0
    return files


def made(number: int = 1, **more: Any) -> tuple[MemoryFiles, Shelf, list[Row], "Ends"]:
    """Return files, what counts them, rows that are worth one, and a connection."""
    shelf = Shelf()
    known = [hit(entry(str(each), bytes(LEAST))) for each in range(number)]
    rows = [
        Row((Alike(0, wants_gzip=False), b""), each, each.answer, (b"H", each.entry.body), print)  # type: ignore[arg-type]  # each has an answer
        for each in known
    ]
    return MemoryFiles(shelf.hold, **{"often": 0} | more), shelf, rows, Ends()


def received(end: socket.socket) -> bytes:
    """Return what has come, without waiting."""
    parts = []
    while True:
        try:
            parts.append(end.recv(1 << 20, socket.MSG_DONTWAIT))
        except BlockingIOError:
            return b"".join(parts)


class Ends(asyncio.Transport):
    """A transport over one end of a pair of sockets."""

    def __init__(self) -> None:
        one, self.other = socket.socketpair()
        super().__init__({"socket": one})
        one.settimeout(0)
        self.written = b""
        self.waits = 0

    def get_write_buffer_size(self) -> int:
        """Say what the test said."""
        return self.waits

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep it."""
        self.written += data

    def heard(self) -> bytes:
        """Return what came out."""
        return received(self.other)

    def close(self) -> None:
        """Close both ends."""
        self.get_extra_info("socket").close()
        self.other.close()


async def asks(house: Standing, times: int, get: bytes = _GET) -> set[bytes]:
    """Return the different bodies of so many answers to the same question."""
    async with house.raw() as client:
        return {(await client.ask(get)).body for _ in range(times)}


async def test_a_large_answer_that_is_given_often_is_sent_from_its_file(
    house: Standing, sent: Sent
) -> None:
    """Not before it was given often: to make a file costs more than a few answers save."""
    [a] = knows(house)
    assert await asks(house, OFTEN) == {a.entry.body}
    assert sent.asked == []
    assert await asks(house, OFTEN) == {a.entry.body}
    assert len({file for file, _ in sent.asked}) == 1
    assert len(sent.asked) > OFTEN // 2


@pytest.mark.parametrize("size", [10, LEAST - 1])
async def test_a_small_answer_is_not(house: Standing, sent: Sent, size: int) -> None:
    """To copy it is cheaper."""
    [a] = knows(house, size)
    at_once(house)
    assert await asks(house, 10) == {a.entry.body}
    assert sent.asked == []


async def test_what_did_not_go_at_once_is_the_transports(house: Standing, sent: Sent) -> None:
    """A connection that takes little at a time: each answer arrives whole, one after the other."""
    [a] = knows(house, 400_000)
    at_once(house)
    async with house.raw() as client:
        await client.ask(_GET)
        [connection] = house.front._server.connections
        assert connection.transport is not None
        connection.transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_SNDBUF, 8192
        )
        for _ in range(12):
            assert (await client.ask(_GET)).body == a.entry.body
    assert sent.asked
    assert min(went for _, went in sent.asked) < len(a.entry.body)


async def test_a_client_that_reads_late_gets_all_of_it(house: Standing, sent: Sent) -> None:
    """Answers that pile up go out in their order, sent from the file or not."""
    [a] = knows(house, 400_000)
    at_once(house)

    async def ordinary(request: Request, body: AsyncIterator[bytes] | None) -> Answer:
        assert a.answer is not None
        return a.answer

    house.flow.answer = ordinary
    async with house.raw() as client:
        whole = [await client.ask(_GET) for _ in range(4)][-1]
        [connection] = house.front._server.connections
        assert isinstance(connection, Connection)
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        asked, [row] = 0, rows(house)

        def answered(before: int) -> bool:
            return connection.writing_paused or row.times > before

        while not connection.writing_paused:
            before = row.times
            client.writer.write(_GET)
            asked += 1
            await until(partial(answered, before))
        client.writer.write(_GET * 2)
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        for _ in range(asked + 2):
            assert await client.hear() == whole
    assert whole.body == a.entry.body
    assert sent.asked


def rows(house: Standing) -> list[Row]:
    return list(accelerator_of(house)._rows.values())


async def test_what_waits_goes_first(house: Standing, sent: Sent) -> None:
    """Nothing overtakes what is in the transport's buffer."""
    [a] = knows(house)
    at_once(house)
    async with house.raw() as client:
        for _ in range(4):
            await client.ask(_GET)
        [connection] = house.front._server.connections
        assert isinstance(connection, Connection)
        before, written = len(sent.asked), 0
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        while not waiting(connection):
            connection.write(b"x" * 32 * 1024)
            written += 32 * 1024
        connection.data_received(_GET)
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert await client.reader.readexactly(written) == b"x" * written
        assert (await client.hear()).body == a.entry.body
        assert len(sent.asked) == before
        assert rows(house)[0].times == 3


def waiting(connection: Connection) -> int:
    """Return the bytes that wait in the transport."""
    return 0 if connection.transport is None else connection.transport.get_write_buffer_size()


async def test_a_client_that_goes_is_let_go(house: Standing, sent: Sent) -> None:
    """In the middle of an answer; the others have the same file."""
    [a] = knows(house, 400_000)
    at_once(house)
    for _ in range(3):
        async with house.raw() as client:
            for _ in range(3):
                await client.ask(_GET)
            client.writer.write(_GET)
            await client.reader.readexactly(10)
            client.writer.transport.abort()  # type: ignore[attr-defined]
        await until(lambda: not house.front.connections)
    assert await asks(house, 3) == {a.entry.body}
    assert len({file for file, _ in sent.asked}) == 1
    assert house.errors == []


async def test_a_head_that_is_new_gets_a_file_of_its_own(house: Standing, sent: Sent) -> None:
    """What is sent is the present answer, and the file of the last one is closed."""
    [a] = knows(house)
    files = at_once(house)
    async with house.raw() as client:
        for age in (1.0, 2.0, 3.0):
            a.answer = hit(a.entry, age).answer
            house.flow.changes.count += 1
            ages = {(await client.ask(_GET)).first("age") for _ in range(5)}
            assert ages == {str(int(age))}
            assert len(files) == 1
    assert len(sent.asked) > 6


async def test_what_is_under_way_outlives_its_file(house: Standing, sent: Sent) -> None:
    """The row is forgotten while its answer goes out: it arrives whole, and nothing is left."""
    [a] = knows(house, 400_000)
    files = at_once(house)
    async with house.raw() as client:
        for _ in range(4):
            await client.ask(_GET)
        [(file, _)] = set(sent.asked)
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        client.writer.write(_GET)
        known = len(sent.asked)
        await until(lambda: len(sent.asked) > known)
        accelerator_of(house).clear()
        assert len(files) == 0
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(file)
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert (await client.hear()).body == a.entry.body


async def test_nothing_is_left_when_the_front_has_closed(sent: Sent) -> None:
    """Nor is anything counted any more."""
    shelf = Shelf()
    async with standing(accelerate=True, forms=shelf) as house:
        knows(house, number=3)
        files = at_once(house)
        for name in b"abc":
            await asks(house, 4, GET % (b"/%c" % name, b""))
        assert len(files) == 3
        before = shelf.held
    assert len(files) == 0
    assert before - shelf.held == 3 * 32 * 1024
    for file, _ in sent.asked:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(file)


async def test_what_is_encrypted_is_never_sent_past_the_encryption(
    house: Standing, sent: Sent, tmp_path: Path
) -> None:
    """Over TLS the transport gets every answer."""
    [a] = knows(house)
    files = at_once(house)
    authority, context = trustme.CA(), ssl.create_default_context()
    authority.configure_trust(context)
    both = tmp_path / "both.pem"
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(both))
    opened = open_socket(Address("127.0.0.1", 0))
    port = opened.getsockname()[1]
    server = await serve_on(opened, house.front.accept, tls_context(str(both)))
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname="localhost"
    )
    for _ in range(8):
        writer.write(_GET)
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(LARGE) == a.entry.body
    writer.close()
    server.close()
    assert rows(house)[0].times > 0
    assert (sent.asked, len(files)) == ([], 0)


async def test_where_the_system_refuses_one_no_further_one_is_asked_for(
    house: Standing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers go the ordinary way."""
    refusals = []

    def refused(*_: object) -> int:
        refusals.append(1)
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "memfd_create", refused)
    known = knows(house, number=2)
    at_once(house)
    for name, each in zip(b"ab", known, strict=True):
        assert await asks(house, 6, GET % (b"/%c" % name, b"")) == {each.entry.body}
    assert refusals == [1]


def test_a_file_can_not_be_changed() -> None:
    """Not even by this process: what was sent of it may be under way."""
    files, _, [row], ends = made()
    assert files.send(ends, row)
    [file] = files._files.values()
    with pytest.raises(PermissionError):
        os.pwrite(file.fd, b"x", 0)
    with pytest.raises(PermissionError):
        os.ftruncate(file.fd, 0)
    assert os.pread(file.fd, file.size, 0) == row.head + row.body
    files.clear()
    ends.close()


def test_files_are_bounded_in_number() -> None:
    """The one that was used longest ago is closed, and its head gets no second one."""
    files, shelf, [a, b, c], ends = made(3, most=2)

    def goes(row: Row) -> bool:
        went = files.send(ends, row)
        assert ends.heard() == (row.head + row.body) * went
        return went

    assert [goes(row) for row in (a, b, a, c)] == [True] * 4
    assert [goes(row) for row in (a, b, c, b)] == [True, False, True, False]
    assert shelf.held == 2 * (LEAST + 4096)
    b.head = b"new"
    assert goes(b)
    files.close(b)
    files.close(b)
    assert (len(files), shelf.held) == (1, LEAST + 4096)
    files.clear()
    assert shelf.held == 0
    ends.close()


def test_files_are_bounded_in_bytes() -> None:
    """One that is too large by itself is not kept."""
    files, shelf, [row], ends = made(most_bytes=LEAST)
    assert not files.send(ends, row)
    assert (len(files), shelf.held) == (0, 0)
    ends.close()


def test_where_the_first_level_has_no_room_no_further_one_is_made() -> None:
    """Else what is asked for most would be evicted again and again, to send it faster."""
    files, _, [a, b], ends = made(2)
    files._hold = lambda size: files.close(a) if size > 0 else None  # its entry goes, and it hears
    assert not files.send(ends, a)
    assert not files.send(ends, b)
    assert (len(files), files._bytes, ends.heard()) == (0, 0, b"")
    ends.close()


async def test_a_first_level_that_is_full_makes_room(sent: Sent) -> None:
    """Files go with their entries: their bytes are counted where those of the entries are."""
    level = Memory(12 * LARGE)
    async with standing(accelerate=True, forms=level) as house:
        known = knows(house, number=8)
        files = at_once(house)
        for name, each in zip(b"abcdefgh", known, strict=True):
            level.put(each.entry)
            each.entry = level.get(each.entry.key) or each.entry
            each.answer = hit(each.entry).answer
            assert await asks(house, 5, GET % (b"/%c" % name, b"")) == {each.entry.body}
            figures = level.figures()
            assert figures.bytes <= figures.limit
        assert sent.asked
        level.clear()
        assert len(files) == 0


def test_what_waits_in_the_transport_is_not_overtaken() -> None:
    """Nor is anything sent where there is no socket, or one that takes nothing."""
    files, _, [row], ends = made()
    ends.waits = 1
    assert not files.send(ends, row)
    ends.waits = 0
    assert not files.send(Nowhere(), row)
    while files.send(ends, row) and not ends.written:
        pass
    assert not files.send(ends, row)
    files.clear()
    ends.close()


class Nowhere(asyncio.Transport):
    """A transport that is no socket's."""

    def get_write_buffer_size(self) -> int:
        """Nothing waits."""
        return 0


class PairPipe(Pipe):
    """A connection that is also a pair of sockets with little room: parts of answers go into it."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        one, self.other = socket.socketpair()
        one.settimeout(0)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * 1024)
        self._extra["socket"] = one  # type: ignore[attr-defined]  # where asyncio has it
        accelerator = connection._reception.accelerator()
        if accelerator is not None:
            accelerator.files._often = 0

    def hear(self) -> None:
        """Hear what has gone into the socket."""
        self.heard += received(self.other)

    def get_write_buffer_size(self) -> int:
        """Nothing waits: what is in the socket is heard, or is after the next answer."""
        return 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Hear it, after what has gone into the socket."""
        self.hear()
        super().write(data)

    def close(self) -> None:
        """End."""
        if not self.closed:
            self.hear()
            self.get_extra_info("socket").close()
            self.other.close()
        super().close()

    abort = close


@settings(max_examples=1000 if LONG else 60, deadline=None)
@given(BURSTS)
def test_with_files_every_exchange_is_the_same(bursts: list[Any]) -> None:
    """Large bodies, each sent from a file from its first answer on, in whole and in part."""

    async def both() -> tuple[bytes, bytes]:
        without = await played(bursts, accelerate=False, size=LARGE)
        return without, await played(bursts, accelerate=True, size=LARGE, kind=PairPipe)

    without, with_ = asyncio.run(both())
    assert with_ == without
