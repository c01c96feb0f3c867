"""Hits before anything is parsed: the same bytes as the ordinary way, or none."""

import asyncio
import math
import os
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.answer import Account, Answer
from proxy.changes import Changes
from proxy.core.model import Client, Entry, Lifetimes, Request, Verdict
from proxy.http import private_names
from proxy.http.accelerator import LONGEST_HEAD, MOST_AT_ONCE, Accelerator, Bounds
from proxy.http.answers import Wire
from proxy.http.connection import Connection
from tests.http.conftest import KnownHit, Standing, standing, whole

FIELDS = (("Content-Type", "text/plain"), ("Date", "Tue, 15 Nov 1994 08:12:31 GMT"))
GET = b"GET %b HTTP/1.1\r\nHost: P\r\n%b\r\n"
LONG = int(os.environ.get("QUOTA_PROXY_LONG") or 0)


def entry(key: str = "k", body: bytes = b"hello") -> Entry:
    return Entry(key, 200, "OK", FIELDS, body, "", 0, 0, 0, Lifetimes(60))


def hit(of: Entry, age: float = 1.0, **more: Any) -> KnownHit:
    account = Account(Verdict.HIT, key=of.key, age=age, ttl=60 - age)
    return KnownHit(of, whole(of.body, account=account, fields=of.fields, entry=of), **more)


def heads_seen(house: Standing) -> int:
    accelerator = house.front._accelerator
    assert accelerator is not None
    return len(accelerator._rows)


def knows(house: Standing, **known: KnownHit) -> None:
    """Let the flow know hits by their last path segment; all else it serves otherwise."""
    house.flow.hit = lambda request: known.get(request.path.rpartition("/")[2])


async def test_of_a_known_head_nothing_is_parsed(
    house: Standing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once learnt, a head is answered with the same bytes without being looked into."""
    a = hit(entry())
    knows(house, a=a)
    async with house.raw() as client:
        first = await client.ask(GET % (b"/a", b""))
        await client.ask(GET % (b"/a", b""))
        monkeypatch.setattr(private_names.OpenHandler, "parse", None)
        for _ in range(3):
            assert await client.ask(GET % (b"/a", b"")) == first
    assert a.times == 5
    assert house.flow.asked == []


async def test_what_holds_is_given_unasked_until_anything_changes(house: Standing) -> None:
    """Counted on the row meanwhile, and the flow is asked as soon as it may have another answer."""
    a = hit(entry(), until=math.inf)
    knows(house, a=a)
    get = GET % (b"/a", b"")
    async with house.raw() as client:
        for _ in range(8):
            assert (await client.ask(get)).first("x-cache") == "HIT"
        assert (a.times, len(house.flow.asked)) == (2, 0)
        house.front.gather()
        assert a.times == 8
        a.answer = None
        assert (await client.ask(get)).first("x-cache") == "HIT"
        house.flow.changes.count += 1
        assert (await client.ask(get)).first("x-cache") == "MISS"
    assert a.times == 9


async def test_what_holds_ends_with_its_time(house: Standing) -> None:
    """The next second, or the end of freshness: then the flow is asked."""
    now = 0.0
    accelerator = Accelerator(house.flow, Wire(lambda: 0.0), now=lambda: now)
    a = learnt(accelerator, b"/", until=1.0)
    a.answer = hit(a.entry, 2.0).answer
    old = accelerator.answer(80, "x", GET % (b"/", b""))[0]
    now = 1.0
    new = accelerator.answer(80, "x", GET % (b"/", b""))[0]
    assert (b"Age: 1" in old[0], b"Age: 2" in new[0]) == (True, True)


async def test_where_each_request_is_recorded_each_is_asked_for(house: Standing) -> None:
    """Nothing is given unasked then."""
    a = hit(entry(), until=math.inf)
    knows(house, a=a)
    house.flow.repeatable = False
    async with house.raw() as client:
        for _ in range(5):
            await client.ask(GET % (b"/a", b""))
    assert a.times == 5


async def test_a_head_is_learnt_when_it_comes_again(house: Standing) -> None:
    """What comes once only is not worth a row; its like is noted, and costs next to nothing."""
    knows(house, a=hit(entry()))
    async with house.raw() as client:
        for number in range(5):
            await client.ask(GET % (b"/a", b"X-Nonce: %d\r\n" % number))
            assert heads_seen(house) == 0
        await client.ask(GET % (b"/a", b"X-Nonce: 3\r\n"))
    assert heads_seen(house) == 1


async def test_the_bytes_are_those_of_the_ordinary_way(house: Standing) -> None:
    """Accelerated, at once, or by aiohttp's loop: the very same answer."""
    a = hit(entry(), age=12.5)
    heard = []

    async def ordinary(request: Request, body: AsyncIterator[bytes] | None) -> Answer:
        assert a.answer is not None
        return a.answer

    house.flow.answer = ordinary
    async with house.raw() as client:
        for way in (None, lambda _: a, None):
            house.flow.hit = way
            heard += [await client.ask(GET % (b"/a", b"")) for _ in range(3)]
    assert [each for each in heard if each != heard[0]] == []
    assert (a.times, len(house.flow.asked)) == (8 - 2, 3)


async def test_what_is_no_hit_any_more_goes_the_ordinary_way(house: Standing) -> None:
    """From the very next request on, whatever ended it; and again when it is one again."""
    a = hit(entry())
    knows(house, a=a)
    kept = a.answer
    async with house.raw() as client:
        for answer, verdict in ((kept, "HIT"), (kept, "HIT"), (None, "MISS"), (kept, "HIT")):
            a.answer = answer
            assert (await client.ask(GET % (b"/a", b""))).first("x-cache") == verdict
    assert heads_seen(house) == 1


async def test_figures_follow_the_flows_answer(house: Standing) -> None:
    """Age is whatever the flow says now, however often the head came before."""
    a = hit(entry())
    knows(house, a=a)
    async with house.raw() as client:
        for age in (1, 1, 2, 9, 10, 100):
            a.answer = hit(a.entry, age).answer
            heard = await client.ask(GET % (b"/a", b""))
            assert heard.first("age") == str(age)
            assert heard.first("cache-status") == f'quota-proxy; hit; ttl={60 - age}; key="k"'


async def test_a_body_is_never_taken_for_a_known_head(house: Standing) -> None:
    """POST after GET, with a body that is byte for byte a learnt head: no smuggling."""
    a = hit(entry())
    knows(house, a=a)
    known = GET % (b"/a", b"")
    post = b"POST /b HTTP/1.1\r\nHost: P\r\nContent-Length: %d\r\n\r\n" % (2 * len(known))

    async def echo(request: Request, body: AsyncIterator[bytes] | None) -> Answer:
        assert body is not None
        return whole(b"".join([chunk async for chunk in body]))

    house.flow.answer = echo
    async with house.raw() as client:
        for _ in range(2):
            assert (await client.ask(known)).first("x-cache") == "HIT"
        client.writer.write(post)
        await asyncio.sleep(0.01)
        client.writer.write(known)
        await asyncio.sleep(0.01)
        heard = await client.ask(known)
        assert heard.body == known * 2
        assert (await client.ask(known)).first("x-cache") == "HIT"
    assert a.times == 3


@pytest.mark.parametrize(
    "begun", [b"GET /c HTTP/1.1\r\nX: y\r\n", b"GET /c HTTP/1.1\r\nX: ", b"G", b"POST /"]
)
async def test_a_head_that_has_begun_is_not_overtaken(house: Standing, begun: bytes) -> None:
    """What comes behind a part of a head is more of it, even if it looks like a known head."""
    a = hit(entry())
    knows(house, a=a)
    async with house.raw() as client:
        for _ in range(2):
            await client.ask(GET % (b"/a", b""))
        client.writer.write(begun)
        await asyncio.sleep(0.01)
        heard = await client.ask(GET % (b"/a", b""))
    assert heard.first("x-cache") != "HIT"
    assert a.times == 2


@pytest.mark.parametrize(
    ("line", "field"),
    [
        (b"GET /a HTTP/1.1", b"Cache-Control: no-cache"),
        (b"GET /a HTTP/1.1", b"If-None-Match: x"),
        (b"GET /a HTTP/1.1", b"Range: bytes=0-1"),
        (b"GET /a HTTP/1.1", b"Authorization: Bearer x"),
        (b"GET /a HTTP/1.1", b"Cookie: a=b"),
        (b"GET /a HTTP/1.1", b"Content-Length: 0"),
        (b"GET /a HTTP/1.1", b"Connection: close"),
        (b"GET /a HTTP/1.0", b"Connection: keep-alive"),
        (b"GET http://other/a HTTP/1.1", b"X: y"),
        (b"HEAD /a HTTP/1.1", b"X: y"),
        (b"GET /a HTTP/1.1", b"X: " + b"y" * LONGEST_HEAD),
    ],
)
async def test_what_never_enters_the_table(house: Standing, line: bytes, field: bytes) -> None:
    """Conditions, ranges, directives, credentials, other framing, another form, too long."""
    knows(house, a=hit(entry()))
    for _ in range(3):
        async with house.raw() as client:
            await client.ask(line + b"\r\nHost: P\r\n" + field + b"\r\n\r\n")
    assert heads_seen(house) == 0


@pytest.mark.parametrize(
    "rest",
    [
        b"Host: Q\r\n",
        b"Host: P\r\nAccept-Encoding: gzip\r\n",
        b"Host: P\r\nAccept: text/plain\r\n",
        b"Host: P\r\nX-MBX-TIME-UNIT: MICROSECOND\r\n",
        b"Host: P\r\nCache-Control: no-cache\r\n",
        b"Host: P\r\nX-Request-Id: a\r\n b\r\n",
        b"Host: P\r\nX-Request-Id: a\x01\r\n",
        b"Host: P\r\nX-Request-Id : a\r\n",
    ],
)
async def test_the_rest_of_the_head_decides(house: Standing, rest: bytes) -> None:
    """A head that differs in anything that may matter is not the one that was learnt."""
    a = hit(entry())
    knows(house, a=a)
    async with house.raw() as client:
        for _ in range(2):
            await client.ask(GET % (b"/a", b""))
        house.flow.hit = None
        head = b"GET /a HTTP/1.1\r\n" + rest + b"\r\n"
        assert (await client.ask(head)).first("x-cache") != "HIT"


async def test_a_field_that_is_new_each_time_does_not_hinder(
    house: Standing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trace and request ids, wherever they stand; that of an endpoint that keys them does."""
    a = hit(entry())
    knows(house, a=a, b=a)
    async with house.raw() as client:
        heads = [b"Traceparent: 00-%d\r\nX: y\r\nx-request-ID: %d\r\n" % (n, n) for n in range(40)]
        first, *_ = [await client.ask(GET % (b"/a", head)) for head in heads]
        parse = private_names.OpenHandler.parse
        monkeypatch.setattr(private_names.OpenHandler, "parse", None)
        assert await client.ask(GET % (b"/a", b"Traceparent: new\r\nX: y\r\n")) == first
        monkeypatch.setattr(private_names.OpenHandler, "parse", parse)
        a.depends_on = frozenset({"x-request-id"})
        for _ in range(3):
            await client.ask(GET % (b"/b", b"X: z\r\nX-Request-Id: 1\r\n"))
    assert heads_seen(house) == 1


async def test_clients_and_targets_need_a_row_each(house: Standing) -> None:
    """N targets and M clients that are answered alike: N + M, not N times M."""
    known = {f"t{number}": hit(entry(f"t{number}")) for number in range(5)}
    knows(house, **known)
    async with house.raw() as client:
        for agent in range(4):
            head = b"User-Agent: bot/%d\r\n" % agent
            await client.ask(GET % (b"/t0", head))
            for target in known:
                heard = await client.ask(GET % (b"/" + target.encode(), head))
                assert f'key="{target}"' in (heard.first("cache-status") or "")
    assert heads_seen(house) == 5
    accelerator = house.front._accelerator
    assert accelerator is not None
    assert (len(accelerator._heads), len(accelerator._classes)) == (4, 1)


async def test_pipelined_hits_are_answered_together_within_bounds(house: Standing) -> None:
    """In order, as many as there are; and small requests do not swell into one huge write."""
    known = {f"t{number}": hit(entry(f"t{number}", b"%d" % number * 9)) for number in range(9)}
    knows(house, **known)
    async with house.raw() as client:
        heads = [GET % (b"/" + target.encode(), b"") for target in known]
        for head in heads[:1] + heads:
            await client.ask(head)
        client.writer.write(b"".join(heads * 20))
        for number in range(9 * 20):
            assert (await client.hear()).body == b"%d" % (number % 9) * 9
    accelerator = house.front._accelerator
    assert accelerator is not None
    _, taken, number = accelerator.answer(house.port, "127.0.0.1", heads[0] * 100)
    assert (taken, number) == (MOST_AT_ONCE * len(heads[0]), MOST_AT_ONCE)


async def test_what_stands_before_garbage_is_answered(house: Standing) -> None:
    """With or without the accelerator, the end of a chunk does not undo its beginning."""
    a = hit(entry())
    knows(house, a=a)
    for _ in range(2):
        async with house.raw() as client:
            assert (await client.ask(GET % (b"/a", b"") + b"garbage\r\n\r\n")).status == 200
            assert (await client.hear()).status == 400
            assert await client.rest() == b""


async def test_hits_keep_a_connection_alive() -> None:
    """A hit moves the keep-alive deadline, as any answer does."""
    from proxy.http.patience import Patience  # noqa: PLC0415 - one test's own

    async with standing(patience=Patience(keep_alive=0.2)) as house, house.raw() as client:
        knows(house, a=hit(entry()))
        began = asyncio.get_running_loop().time()
        while asyncio.get_running_loop().time() < began + 0.5:
            assert (await client.ask(GET % (b"/a", b""))).status == 200
            await asyncio.sleep(0.02)
        assert await client.rest() == b""


async def test_other_clients_rules_empty_the_table(house: Standing) -> None:
    """Who may be answered is asked anew as soon as the rules have changed."""
    a = hit(entry())
    knows(house, a=a)
    async with house.raw() as client:
        for _ in range(3):
            await client.ask(GET % (b"/a", b""))
        house.front._clients = replace_rules()
        heard = await client.ask(GET % (b"/a", b""))
    assert (heard.status, a.times) == (403, 3)


def replace_rules() -> Any:
    from proxy.http.clients import Refusal  # noqa: PLC0415 - one test's own

    class Nobody:
        generation = 1

        def identify(self, *_: Any) -> Refusal:
            return Refusal(403, "No", "nobody")

    return Nobody()


def request(path: str, **more: Any) -> Request:
    return Request("GET", path, "", (("Host", "P"),), **{"host": "p", "port": 80} | more)


def learnt(accelerator: Accelerator, path: bytes, peer: str = "x", **more: Any) -> KnownHit:
    known = hit(more.pop("entry", None) or entry(path.decode()), until=more.pop("until", 0.0))
    assert known.answer is not None
    asked = request(path.decode(), **more)
    for _ in range(2):
        accelerator.learn(80, peer, GET % (path, b""), asked, known, known.answer)
    return known


class Flow:
    repeatable = True

    def __init__(self) -> None:
        self.changes = Changes()

    def count(self, hit: KnownHit, times: int) -> None:
        hit.times += times

    def known(self, _: Request) -> None:
        raise AssertionError

    def again(self, hit: KnownHit) -> Answer | None:
        return hit.again()


def made(bounds: Bounds) -> Accelerator:
    return Accelerator(Flow(), Wire(lambda: 0.0), bounds)


def test_tables_are_bounded_by_eviction() -> None:
    """The one learnt first makes room; the others stay known."""
    accelerator = made(Bounds(rows=3))
    for number in range(5):
        learnt(accelerator, b"/%d" % number)
    known = [bool(accelerator.answer(80, "x", GET % (b"/%d" % n, b""))[2]) for n in range(5)]
    assert known == [False, False, True, True, True]
    accelerator = made(Bounds(heads=2))
    for peer in "abc":
        learnt(accelerator, b"/", peer)
    known = [bool(accelerator.answer(80, peer, GET % (b"/", b""))[2]) for peer in "abc"]
    assert known == [False, True, True]


def test_tables_are_bounded_in_bytes() -> None:
    """Bodies that a row holds on to count; what is forgotten is counted no more."""
    accelerator = made(Bounds(bytes=10_000))
    for number in range(9):
        learnt(accelerator, b"/%d" % number, entry=entry("k", bytes(3000)))
    assert len(accelerator._rows) == 2
    assert accelerator._bytes <= 10_000
    for number in range(9):
        row = next(iter(accelerator._rows.values()), None)
        if row is not None:
            row.handle.answer = None  # type: ignore[attr-defined]
        accelerator.answer(80, "x", GET % (b"/%d" % number, b""))
    accelerator.clear()
    assert accelerator._bytes == 0


def test_a_named_client_is_not_learnt() -> None:
    """What is counted for each client goes the ordinary way each time."""
    accelerator = made(Bounds())
    learnt(accelerator, b"/", client=Client("grid"))
    assert accelerator.answer(80, "x", GET % (b"/", b""))[2] == 0


# ── every exchange is byte for byte the same, with and without ──


class World:
    """What a provider's answers depend on, moved by the test: two of these move alike."""

    def __init__(self, house: Standing) -> None:
        self.house = house
        self.entries = {name: entry(name, name.encode() * 40) for name in ("a", "b")}
        self.hits = {name: hit(each, until=math.inf) for name, each in self.entries.items()}
        self.age = 1.0
        self.fresh = True
        house.flow.hit = self.known
        house.flow.answer = self.serve

    def known(self, asked: Request) -> KnownHit | None:
        special = {"cache-control", "range", "x-key"}
        if asked.method != "GET" or special & {name.lower() for name, _ in asked.fields}:
            return None
        return self.hits.get(asked.path.strip("/"))

    async def serve(self, asked: Request, body: AsyncIterator[bytes] | None) -> Answer:
        content = b"".join([chunk async for chunk in body]) if body is not None else b""
        known = self.known(asked)
        if known is not None and known.answer is not None:
            return known.answer
        said = f"{asked.method} {asked.path} {asked.fields}".encode() + content
        return whole(said)

    def do(self, step: str) -> None:
        self.house.flow.changes.count += 1
        if step == "tick":
            self.age += 1
        elif step == "expire":
            self.fresh = False
        elif step == "store":
            self.fresh, self.age = True, 0.0
            for name, old in self.entries.items():
                self.entries[name] = replace(old, body=old.body[::-1] + b"!")
                self.hits[name].answer = None
                self.hits[name] = hit(self.entries[name], until=math.inf)
        for name, known in self.hits.items():
            known.answer = hit(self.entries[name], self.age).answer if self.fresh else None


_KNOWN = GET % (b"/a", b"")
_TARGETS = st.sampled_from([*[b"/a"] * 8, b"/b", b"/c", b"//a", b"/a?"])
_EXTRA = st.sampled_from(
    [
        *[b""] * 4,
        b"User-Agent: x\r\n",
        b"Accept-Encoding: gzip\r\n",
        *[b"X-Request-Id: %d\r\n" % number for number in range(3)],
        *[b"X-Key: 1\r\n"] * 5,
        b"Cache-Control: no-cache\r\n",
        b"Connection: keep-alive\r\n",
        b"Connection: close\r\n",
    ]
)
_PLAIN = st.builds(lambda target, extra: GET % (target, extra), _TARGETS, _EXTRA)
_BODY = st.builds(
    lambda target, inner: (
        b"POST %b HTTP/1.1\r\nHost: P\r\nContent-Length: %d\r\n\r\n%b" % (target, len(inner), inner)
    ),
    _TARGETS,
    _PLAIN,
)
_CHUNKED = st.builds(
    lambda inner: (
        b"POST /a HTTP/1.1\r\nHost: P\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"%x\r\n%b\r\n0\r\n\r\n" % (len(inner), inner)
    ),
    _PLAIN,
)
_ODD = st.sampled_from(
    [
        b"garbage\r\n\r\n",
        b"GET /c HTTP/1.1\r\nX: y\r\n" + _KNOWN,
        b"\r\n",
        b"HEAD /a HTTP/1.1\r\nHost: P\r\n\r\n",
        b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        b"GET /a HTTP/1.1\r\n\r\n",
        b"GET /../a HTTP/1.1\r\nHost: P\r\n\r\n",
        b"GET http://P/a HTTP/1.1\r\nHost: P\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: P\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    ]
)
_MESSAGE = st.one_of(*[st.just(_KNOWN)] * 8, _PLAIN, _PLAIN, _BODY, _CHUNKED, _ODD)
_MOVE = st.sampled_from(["tick", "expire", "store", "none", "none"])
_CUTS = st.lists(st.tuples(st.booleans(), st.integers(0, 400)), max_size=4)
_BURST = st.tuples(_MOVE, st.lists(_MESSAGE, min_size=1, max_size=4), st.none() | _CUTS)
"""What happens first, what is sent then, and where that is cut; None: between the messages."""


def pieces(data: bytes, cuts: list[tuple[bool, int]]) -> list[bytes]:
    """Cut data at these places: anywhere, or where a head ends or the known one begins."""
    lines = [met.end() for met in re.finditer(rb"\r\n\r\n|(?=GET /a HTTP)", data)]
    places = {0, len(data)}
    for at_line, place in cuts:
        places.add(lines[place % len(lines)] if at_line and lines else min(place, len(data)))
    return [data[start:end] for start, end in pairwise(sorted(places))]


class Pipe(asyncio.Transport):
    """A connection without a network: what is written is heard at once, nothing waits."""

    def __init__(self, connection: Connection) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 8080)})
        self.connection = connection
        self.heard = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Hear it."""
        if not self.closed:
            self.heard += data

    def is_closing(self) -> bool:
        """Whether it has ended."""
        return self.closed

    def close(self) -> None:
        """End."""
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().call_soon(self.connection.connection_lost, None)

    abort = close

    def get_write_buffer_size(self) -> int:
        """Nothing waits."""
        return 0

    def pause_reading(self) -> None:
        """The test goes on regardless."""

    def resume_reading(self) -> None:
        """Likewise."""


async def turns(number: int, done: Callable[[], bool] = lambda: False) -> None:
    """Let the loop turn so many times, or until it is done."""
    for _ in range(number):
        if done():
            return
        await asyncio.sleep(0)


async def played(bursts: list[Any], *, accelerate: bool) -> bytes:
    """Return what a client hears that sends these bursts, each cut where it says.

    It stops when the proxy has ended the connection: what is sent after that is for nobody.
    """
    async with standing(accelerate=accelerate) as house:
        world = World(house)
        connection = house.front.accept()
        pipe = Pipe(connection)
        connection.connection_made(pipe)
        await turns(5)

        def settled() -> bool:
            return pipe.closed or connection.is_parked()

        async def say(piece: bytes) -> None:
            if not pipe.closed:
                connection.data_received(piece)
                await turns(30, settled)

        for _ in range(2):
            await say(_KNOWN)
        for move, messages, cuts in bursts:
            world.do(move)
            together = messages if cuts is None else pieces(b"".join(messages), cuts)
            for piece in together:
                await say(piece)
            await turns(2000, settled)
            assert settled()
        await say(GET % (b"/end", b"Connection: close\r\n"))
        await turns(2000, lambda: pipe.closed)
        assert pipe.closed
    return pipe.heard


@settings(max_examples=5000 if LONG else 200)
@given(st.lists(_BURST, min_size=1, max_size=9))
def test_with_and_without_every_exchange_is_the_same(bursts: list[Any]) -> None:
    """Pipelined, split, joined, expired, replaced, POST after GET, garbage: byte for byte."""

    async def both() -> tuple[bytes, bytes]:
        return await played(bursts, accelerate=False), await played(bursts, accelerate=True)

    without, with_ = asyncio.run(both())
    assert with_ == without, with_.decode("latin-1")
