"""Hits before anything is parsed: the same bytes as the ordinary way, or none."""

import asyncio
import math
from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxy.answer import Answer
from proxy.core.model import Request
from proxy.http import private_names
from proxy.http.accelerator import MOST_AT_ONCE
from proxy.http.learnable import LONGEST_HEAD
from proxy.http.patience import Patience
from tests.clockwork import turned
from tests.http.conftest import KnownHit, Standing, standing, whole
from tests.http.known_hits import GET, entry, hit
from tests.http.test_accelerator_exchanges import Pipe, turns


@pytest.fixture
async def house() -> AsyncIterator[Standing]:
    """A front that has the accelerator, whichever way the suite runs."""
    async with standing(accelerate=True) as it:
        yield it


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


async def test_many_targets_are_all_learnt(house: Standing) -> None:
    """Who asks for much is not one that varies its heads: each target is learnt at once."""
    knows(house, **{f"t{number}": hit(entry(f"t{number}")) for number in range(100)})
    async with house.raw() as client:
        for number in (0, *range(100)):
            await client.ask(GET % (b"/t%d" % number, b""))
    assert heads_seen(house) == 100


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


def test_hits_keep_a_connection_alive() -> None:
    """A hit moves the keep-alive deadline, as any answer does."""

    async def told() -> None:
        async with standing(patience=Patience(keep_alive=10.0), accelerate=True) as house:
            knows(house, a=hit(entry()))
            connection = house.front.accept()
            pipe = Pipe(connection)
            connection.connection_made(pipe)
            for number in range(1, 9):
                await turns(5)
                connection.data_received(GET % (b"/a", b""))
                await turns(50, lambda heard=number: pipe.heard.count(b"200 OK") == heard)
                await asyncio.sleep(6.0)
            assert (pipe.heard.count(b"200 OK"), pipe.closed) == (8, False)
            await asyncio.sleep(6.0)
            assert pipe.closed

    turned(told())


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
