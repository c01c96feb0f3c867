"""The traffic listener over real sockets: what is asked, and what comes out."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxy.answer import Account, Answer, Problem
from proxy.config.settings import ClientRule, ClientSettings
from proxy.core.model import Entry, Lifetimes, Request, Verdict
from proxy.core.spending import Level
from proxy.http.front import Bounds
from proxy.http.known_clients import KnownClients
from tests.http.conftest import Standing, standing, until, whole

POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
GET = b"GET /x/y HTTP/1.1\r\nHost: P\r\n%b\r\n"


def answers(house: Standing, answer: Answer) -> None:
    async def say(request: Request, body: AsyncIterator[bytes] | None) -> Answer:
        return answer

    house.flow.answer = say


async def test_a_request_arrives_as_it_was_written(house: Standing) -> None:
    """Method, raw path and query, fields in order and spelling, host, port and client."""
    async with house.raw() as client:
        await client.ask(
            b'GET /~grid/a//b%2F/?symbols=["A","B"]&x=%5B HTTP/1.1\r\n'
            b"hOst: Coingecko.localhost:80\r\nX-Odd: \xe9\r\nx-odd: 2\r\n\r\n"
        )
    [asked] = house.flow.asked
    assert (asked.method, asked.path) == ("GET", "/a//b%2F/")
    assert asked.query == 'symbols=["A","B"]&x=%5B'
    assert asked.fields == (
        ("hOst", "Coingecko.localhost:80"),
        ("X-Odd", "é"),
        ("x-odd", "2"),
    )
    assert (asked.host, asked.port) == ("coingecko.localhost", house.port)
    assert (asked.client.identity, asked.has_body) == ("grid", False)


async def test_an_absolute_target_names_the_host(house: Standing) -> None:
    """RFC 9112 section 3.2.2: it overrules Host."""
    async with house.raw() as client:
        await client.ask(b"GET http://other:99/a?b HTTP/1.1\r\nHost: P\r\n\r\n")
    [asked] = house.flow.asked
    assert (asked.host, asked.path, asked.query) == ("other", "/a", "b")


async def test_an_answer_says_its_account(house: Standing) -> None:
    """The provider's fields, then ours: X-Cache, Cache-Status, Age, the limits."""
    account = Account(
        Verdict.HIT, key="k", age=12.9, ttl=47.1, levels=(Level("m", "m", 30, 1, 50.2, window=60),)
    )
    answers(house, whole(account=account, fields=(("Server", "theirs"), ("Via", "cdn"))))
    async with house.raw() as client:
        heard = await client.ask(GET % b"")
    assert heard.status_line == "HTTP/1.1 200 OK"
    assert heard.fields == [
        ("Server", "theirs"),
        ("Content-Length", "5"),
        ("Date", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("X-Cache", "HIT"),
        ("Cache-Status", 'quota-proxy; hit; ttl=47; key="k"'),
        ("Age", "12"),
        ("RateLimit-Policy", '"m";q=30;w=60'),
        ("RateLimit", '"m";r=29;t=51'),
    ]
    assert heard.body == b"hello"


async def test_the_account_of_an_entry_follows_it_by_the_second(house: Standing) -> None:
    """What is remembered of an entry's answer is its fixed part only."""
    entry = Entry("k", 200, "OK", (), b"hello", "", 0, 0, 0, Lifetimes(60))
    async with house.raw() as client:
        for age, used in ((0.5, 1), (0.9, 1), (0.9, 2), (1.0, 2), (61.0, 2)):
            levels = (Level("m", "m", 30, used, 9),)
            account = Account(Verdict.HIT, age=age, ttl=60 - age, levels=levels)
            answers(house, whole(account=account, entry=entry, body=entry.body))
            heard = await client.ask(GET % b"")
            assert heard.first("age") == str(int(age))
            assert f"ttl={(60 - age) // 1:.0f}" in (heard.first("cache-status") or "")
            assert heard.first("ratelimit") == f'"m";r={30 - used};t=9'


@pytest.mark.parametrize("accept", [b"Accept-Encoding: br, gzip\r\n", b""])
async def test_the_form_is_what_the_client_takes(house: Standing, accept: bytes) -> None:
    """Gzip for whoever says so, identity for the rest; each time the same content."""
    answers(house, whole(gzip.compress(b"hello" * 99), encoding="gzip"))
    async with house.raw() as client:
        heard = await client.ask(GET % accept)
    coded = heard.first("content-encoding")
    assert coded == ("gzip" if accept else None)
    assert (gzip.decompress(heard.body) if coded else heard.body) == b"hello" * 99


async def test_a_large_body_is_unpacked_off_the_loop(house: Standing) -> None:
    """Content is the same, whichever way it was unpacked."""
    content = bytes(range(256)) * 40_000
    packed = gzip.compress(content, 0)
    answers(house, whole(packed, encoding="gzip"))
    async with house.raw() as client:
        assert (await client.ask(GET % b"")).body == content


async def test_head_has_the_head_of_get_and_no_body(house: Standing) -> None:
    """RFC 9110 section 9.3.2; the next answer begins right behind it."""
    async with house.raw() as client:
        heard = await client.ask((GET % b"").replace(b"GET", b"HEAD"))
        assert (heard.status, heard.first("content-length")) == (200, "5")
        assert (await client.ask(GET % b"")).body == b"hello"


@pytest.mark.parametrize("status", [204, 304])
async def test_some_statuses_have_no_body(house: Standing, status: int) -> None:
    """RFC 9112 section 6.3: they end with their head, whatever stands in the answer."""
    answers(house, whole(b"hello" if status == 204 else b"", status=status, reason=""))
    async with house.raw() as client:
        heard = await client.ask(GET % b"")
        assert (heard.status, heard.first("content-length")) == (status, None)
        assert (await client.ask(GET % b"")).status == status


async def test_problems_are_json_with_a_wait(house: Standing) -> None:
    """application/problem+json; Retry-After is capped, the true time stands in the body."""
    problem = Problem(429, "Out", "d", "quota-exhausted", "u", "month", 7200.0, resets_in=9000.0)
    account = Account(Verdict.REFUSED, upstream="u", detail="quota")
    answers(house, Answer(account, 429, "", (), b"", problem=problem))
    async with house.raw() as client:
        heard = await client.ask(GET % b"")
        assert (await client.ask(GET % b"")).status == 429
    assert heard.first("content-type") == "application/problem+json"
    assert (heard.first("retry-after"), heard.first("x-should-retry")) == ("60", "false")
    assert heard.first("x-cache") == "REFUSED"
    said = json.loads(heard.body)
    assert (said["retry_after"], said["resets_at"]) == (7200, "1994-11-06T11:19:37Z")


async def test_the_providers_own_refusal_gets_the_holds_wait(house: Standing) -> None:
    """It passes unchanged, with the hold's Retry-After added."""
    fields = (("Retry-After", "9"), ("X", "y"))
    answers(house, whole(status=429, reason="Slow", fields=fields, retry_after=30.2))
    async with house.raw() as client:
        heard = await client.ask(GET % b"")
    assert heard.status_line == "HTTP/1.1 429 Slow"
    assert [value for name, value in heard.fields if name == "Retry-After"] == ["31"]


async def test_a_405_says_what_is_allowed(house: Standing) -> None:
    """RFC 9110 section 15.5.6: Allow stands in the head, not in the body alone."""
    problem = Problem(405, "No", "d", "method-not-allowed", members=(("allow", ["GET", "HEAD"]),))
    answers(house, Answer(Account(Verdict.REFUSED), 405, "", (), b"", problem=problem))
    async with house.raw() as client:
        assert (await client.ask(GET % b"")).first("allow") == "GET, HEAD"


async def test_http_1_0_is_kept_alive_where_it_asks(house: Standing) -> None:
    """A version 1.0 client needs no Host, and closes unless it says keep-alive."""
    async with house.raw() as client:
        heard = await client.ask(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert heard.first("connection") == "keep-alive"
        heard = await client.ask(b"GET / HTTP/1.0\r\n\r\n")
        assert heard.first("connection") == "close"
        assert await client.rest() == b""


async def test_close_is_obeyed(house: Standing) -> None:
    """`Connection: close` ends the connection behind the answer."""
    async with house.raw() as client:
        assert (await client.ask(GET % b"Connection: close\r\n")).first("connection") == "close"
        assert await client.rest() == b""


async def test_pipelined_requests_are_answered_in_order(house: Standing) -> None:
    """RFC 9112 section 9.3.2, a HEAD among them."""

    async def say(request: Request, body: AsyncIterator[bytes] | None) -> Answer:
        await asyncio.sleep(0)
        return whole(request.path.encode())

    house.flow.answer = say
    async with house.raw() as client:
        paths = [b"/%d" % number for number in range(50)]
        client.writer.write(
            b"".join(b"GET %b HTTP/1.1\r\nHost: P\r\n\r\n" % path for path in paths)
        )
        assert [(await client.hear()).body for _ in paths] == paths


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"hello\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400),
        (b"GET /a/../b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\nHost: a\r\n\r\n", 400),
        (POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (POST + b"Content-Length: -1\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: odd\r\n\r\n", 400),
        (b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        (
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            501,
        ),
        (b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 20_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + (b"X: " + b"a" * 9_000 + b"\r\n") * 9, 431),
    ],
)
async def test_what_is_no_request_is_told_so_and_cut(
    house: Standing, data: bytes, status: int
) -> None:
    """400 for garbage, 414 and 431 for what is too large; the flow hears nothing of it."""
    async with house.raw() as client:
        heard = await client.ask(data)
        assert (heard.status, heard.first("connection")) == (status, "close")
        assert heard.first("content-type") == "application/problem+json"
        assert await client.rest() == b""
    assert house.flow.asked == []
    assert house.errors == []


async def test_another_upgrade_is_ignored(house: Standing) -> None:
    """RFC 9110 section 7.8: curl offers h2c on plain requests, and is answered as usual."""
    async with house.raw() as client:
        heard = await client.ask(GET % b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n")
    assert heard.body == b"hello"


async def test_a_bug_in_the_house_ends_one_request(house: Standing) -> None:
    """500, the error told to whoever is to know, and the connection goes on."""

    async def fail(request: Request, body: AsyncIterator[bytes] | None) -> Answer:
        raise RuntimeError("secret")

    house.flow.answer = fail
    async with house.raw() as client:
        heard = await client.ask(GET % b"")
        house.flow.answer = None
        assert (await client.ask(GET % b"")).status == 200
    assert heard.status == 500
    assert b"secret" not in heard.body
    assert [str(error) for error in house.errors] == ["secret"]


async def test_overload_is_told_with_a_wait() -> None:
    """One more than may be under way gets 503 and Retry-After, at once."""
    async with standing(Bounds(max_requests=1)) as house:
        go = asyncio.Event()

        async def wait(request: Request, body: AsyncIterator[bytes] | None) -> Answer:
            await go.wait()
            return whole()

        house.flow.answer = wait
        async with house.raw() as first, house.raw() as second:
            first.writer.write(GET % b"")
            await until(lambda: house.front.under_way)
            heard = await second.ask(GET % b"")
            go.set()
            assert (heard.status, heard.first("retry-after")) == (503, "1")
            assert (await first.hear()).status == 200


async def test_too_many_connections_are_turned_away() -> None:
    """The one too many is told 503 before it has asked anything."""
    async with standing(Bounds(max_connections=1)) as house, house.raw() as first:
        assert (await first.ask(GET % b"")).status == 200
        async with house.raw() as second:
            assert (await second.hear()).status == 503
        assert (await first.ask(GET % b"")).status == 200


async def test_a_client_that_goes_cancels_what_was_asked_for_it(house: Standing) -> None:
    """The flow hears of it as a cancellation: it decides what must live on."""
    asked, cancelled = asyncio.Event(), asyncio.Event()

    async def wait(request: Request, body: AsyncIterator[bytes] | None) -> Answer:
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        raise AssertionError

    house.flow.answer = wait
    async with house.raw() as client:
        client.writer.write(GET % b"")
        await asked.wait()
    await asyncio.wait_for(cancelled.wait(), 60)
    assert house.errors == []


async def test_closing_waits_for_what_is_under_way(house: Standing) -> None:
    """A request that was taken is answered, with `Connection: close`; idle clients are let go."""
    go, asked = asyncio.Event(), asyncio.Event()

    async def wait(request: Request, body: AsyncIterator[bytes] | None) -> Answer:
        asked.set()
        await go.wait()
        return whole()

    async with house.raw() as idle, house.raw() as busy:
        assert (await idle.ask(GET % b"")).status == 200
        house.flow.answer = wait
        busy.writer.write(GET % b"")
        await asked.wait()
        closing = asyncio.get_running_loop().create_task(house.front.close(5))
        assert await idle.rest() == b""
        go.set()
        heard = await busy.hear()
        assert (heard.body, heard.first("connection")) == (b"hello", "close")
        await closing


async def test_closing_does_not_wait_for_ever(house: Standing) -> None:
    """What is not done within the grace is cut."""
    asked = asyncio.Event()

    async def never(request: Request, body: AsyncIterator[bytes] | None) -> Answer:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    house.flow.answer = never
    async with house.raw() as client:
        client.writer.write(GET % b"")
        await asked.wait()
        await house.front.close(0.05)
        assert await client.rest() == b""


async def test_a_refused_client_is_told_how_to_say_who_it_is() -> None:
    """401 carries the challenge that the clients' rules give."""
    from proxy.http.clients import Refusal  # noqa: PLC0415 - one test's own

    class Nobody:
        generation = 0

        def identify(self, *_: Any) -> Refusal:
            return Refusal(401, "Who are you", "say", (("WWW-Authenticate", "Basic"),))

    async with standing(clients=Nobody()) as house, house.raw() as client:
        heard = await client.ask(GET % b"")
        assert (heard.status, heard.first("www-authenticate")) == (401, "Basic")
        assert house.flow.asked == []


async def test_who_is_turned_away_is_told_why_and_counted() -> None:
    """401 says how to name oneself, 403 that it is no use; each is told once, by a fixed word."""
    refused: list[str] = []
    clients = KnownClients(ClientSettings((ClientRule("grid"),)))
    async with standing(clients=clients, on_refused=refused.append) as house:
        heard = []
        for path in (b"/x", b"/~other/x", b"/~grid/x"):
            async with house.raw() as client:
                heard.append(await client.ask(b"GET %b HTTP/1.1\r\nHost: P\r\n\r\n" % path))

    assert [401, 403, 200] == [each.status for each in heard]
    assert heard[0].first("www-authenticate") == 'Basic realm="quota-proxy"'
    assert ["client-unknown", "not-let-in"] == refused
    assert ["grid"] == [asked.client.name for asked in house.flow.asked]
