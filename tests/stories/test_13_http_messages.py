"""The HTTP cache over real sockets: ranges, framing, errors, whose word counts, large bodies."""

import asyncio
import hashlib
import os

import pytest

from tests.stories.origin import Play, answer, date, hanging_up, hear_head
from tests.stories.policies import HIT, MISS, POLICIES, STALE, House, status_of, through
from tests.stories.stage import PATIENCE, until

MIB = 1024 * 1024

# ── 6. Ranges ──


@pytest.mark.parametrize("policy", POLICIES)
async def test_parts_are_cut_from_a_stored_whole(house: House, policy: str) -> None:
    """RFC 9110 section 14; If-Range must name the whole that is held."""
    house.origin.line_up("/x", answer("0123456789", "Cache-Control: max-age=60", 'ETag: "1"'))
    target = through(policy, "/x")
    await house.client.ask(target)
    cases: list[tuple[dict[str, str], int, bytes, str | None]] = [
        ({"range": "bytes=2-4"}, 206, b"234", "bytes 2-4/10"),
        ({"range": "bytes=7-"}, 206, b"789", "bytes 7-9/10"),
        ({"range": "bytes=-3"}, 206, b"789", "bytes 7-9/10"),
        ({"range": "bytes=10-"}, 416, b"", "bytes */10"),
        ({"range": "bytes=2-4", "if_range": '"1"'}, 206, b"234", "bytes 2-4/10"),
        ({"range": "bytes=2-4", "if_range": '"2"'}, 200, b"0123456789", None),
        ({"range": "lines=2-4"}, 200, b"0123456789", None),
    ]
    for fields, *expected in cases:
        heard = await house.client.ask(target, **fields)

        assert (fields, expected) == (
            fields, [heard.status, heard.body, heard.get("Content-Range")]
        )  # fmt: skip
        assert HIT == heard.verdict
    assert 1 == len(house.origin.asked)


async def test_parts_of_what_is_not_stored_are_forwarded(house: House) -> None:
    """Under `obey` the origin cuts, and a part is never taken for the whole."""
    part = answer("34", "Cache-Control: max-age=60", "Content-Range: bytes 3-4/9",
                  status="206 Partial Content")  # fmt: skip
    house.origin.line_up("/x", part, answer("012345678", "Cache-Control: max-age=60"))

    cut, whole = await house.client.ask("/x", range="bytes=3-4"), await house.client.ask("/x")

    assert (206, b"34", b"012345678") == (cut.status, cut.body, whole.body)
    assert "bytes=3-4" == house.origin.asked[0].get("Range")


# ── 7. 1xx, fields of the connection, framing lies ──


@pytest.mark.parametrize("policy", POLICIES)
async def test_early_hints_are_relayed_and_never_stored(house: House, policy: str) -> None:
    """RFC 9110 section 15.2; what Connection names goes no further (section 7.6.1)."""
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"
    final = answer("1", "Cache-Control: max-age=60", "Connection: X-Hop", "X-Hop: 1")
    house.origin.line_up("/x", hints + final)

    heard = [await house.client.ask(through(policy, "/x")) for _ in range(2)]

    assert [[103], []] == [[each.status for each in one.interim] for one in heard]
    assert [(MISS, None), (HIT, None)] == [(each.verdict, each.get("X-Hop")) for each in heard]


LIES = {
    "a length too long": "Content-Length: 99\r\n\r\ntrue",
    "an unknown coding": "Transfer-Encoding: magic\r\n\r\ntrue",
    "two lengths": "Content-Length: 4\r\nContent-Length: 2\r\n\r\ntrue",
    "chunks cut short": "Transfer-Encoding: chunked\r\n\r\n4\r\ntrue",
}
BROKEN = {"a length too long", "two lengths", "chunks cut short"}
"""Lies after which nothing is known of the answer; the others' octets are true."""
EXCESS = "a length too short"


def lying(lie: str) -> bytes | Play:
    """Return the lie; with more on the connection, or with its end."""
    if lie == EXCESS:
        kept = "Cache-Control: max-age=60"
        return answer("true", kept) + answer("leak", kept)
    head = f"HTTP/1.1 200 OK\r\nDate: {date()}\r\nCache-Control: max-age=60\r\n"
    return hanging_up((head + LIES[lie]).encode())


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("lie", [EXCESS, *LIES])
async def test_no_lie_about_framing_leaks_into_the_next_answer(
    house: House, policy: str, lie: str
) -> None:
    """RFC 9112 section 6.3: what came broken is not stored, what came too much is nobody's."""
    house.origin.line_up("/lie", lying(lie), answer("again", "Cache-Control: max-age=60"))
    house.origin.line_up("/next", answer("next", "Cache-Control: max-age=60"))

    lied = await house.client.ask(through(policy, "/lie"))
    following = await house.client.ask(through(policy, "/next"))
    again = await house.client.ask(through(policy, "/lie"))

    assert b"leak" not in lied.body + again.body
    assert (200, b"next") == (following.status, following.body)
    if lie in BROKEN:
        assert 502 == lied.status or not lied.whole
        assert (MISS, b"again") == (again.verdict, again.body)
    else:
        assert (b"true", HIT, b"true") == (lied.body, again.verdict, again.body)


async def test_what_follows_an_answer_without_a_body_is_nobodys(house: House) -> None:
    """A 204 has no body, whatever comes after it (RFC 9112 section 6.3)."""
    empty = b"HTTP/1.1 204 No Content\r\nCache-Control: no-store\r\n\r\n"
    house.origin.line_up("/empty", empty + answer("leak"))
    house.origin.line_up("/next", answer("next"))

    heard = [await house.client.ask(path) for path in ("/empty", "/next")]

    assert [(204, b""), (200, b"next")] == [(each.status, each.body) for each in heard]


# ── 8. Negative caching, Cache-Status ──


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    ("status", "kept"),
    [
        # under obey, cap, ignore, where the origin says nothing of it
        ("404 Not Found", (MISS, HIT, HIT)),
        ("410 Gone", (MISS, HIT, HIT)),
        ("400 Bad Request", (MISS, HIT, HIT)),
        ("403 Forbidden", (MISS, MISS, MISS)),
        ("500 Internal Server Error", (MISS, MISS, MISS)),
    ],
)
async def test_which_errors_are_kept_is_configured(
    house: House, policy: str, status: str, kept: tuple[str, ...]
) -> None:
    """404 and 410 by `negative_ttl`, others by `negative`; under `obey` the origin says."""
    house.origin.line_up("/x", *[answer("no", status=status)] * 2)

    assert [MISS, kept[POLICIES.index(policy)]] == await house.words(through(policy, "/x"))


@pytest.mark.parametrize(("policy", "longest"), [("obey", 60), ("cap", 30), ("ignore", 30)])
async def test_an_error_is_kept_no_longer_than_configured(
    house: House, policy: str, longest: int
) -> None:
    """`negative_ttl` cuts what the origin allows, but under `obey`."""
    no = answer("no", "Cache-Control: max-age=60", status="404 Not Found")
    house.origin.line_up("/x", no)
    target = through(policy, "/x")
    await house.client.ask(target)

    heard = await house.client.ask(target)

    said = dict(each.split("=", 1) for each in (heard.get("Cache-Status") or "").split("; ")[2:])
    assert longest - 30 < int(said["ttl"]) <= longest


@pytest.mark.parametrize(
    ("target", "method", "fields", "expected"),
    [
        ("/fresh", "GET", {}, {"hit"}),
        ("/new", "GET", {}, {"fwd=uri-miss", "fwd-status=200", "stored"}),
        ("/old", "GET", {}, {"fwd=stale", "fwd-status=200", "stored"}),
        ("/varied", "GET", {"x_kind": "b"}, {"fwd=vary-miss", "fwd-status=200", "stored"}),
        ("/fresh", "GET", {"cache_control": "no-cache"},
         {"fwd=request", "fwd-status=200", "stored", 'detail="no-cache"'}),
        ("/fresh", "DELETE", {}, {"fwd=method", "fwd-status=200"}),
        ("/clock", "GET", {}, {"fwd=bypass", "fwd-status=200", 'detail="live"'}),
        ("/none", "GET", {"cache_control": "only-if-cached"}, {'detail="only-if-cached"'}),
    ],
)  # fmt: skip
async def test_cache_status_says_why_it_went_upstream(
    house: House, target: str, method: str, fields: dict[str, str], expected: set[str]
) -> None:
    """The reasons of RFC 9211 section 2.2, and what came of it."""
    kept = "Cache-Control: max-age=60"
    before = {
        "/fresh": answer("1", kept),
        "/old": answer("1", *STALE, 'ETag: "1"'),
        "/varied": answer("1", kept, "Vary: X-Kind"),
    }
    if target in before:
        house.origin.line_up(target, before[target])
        await house.client.ask(target, x_kind="a")
    house.origin.line_up(target, answer("2", kept))

    assert expected == status_of(await house.client.ask(target, method, **fields))


# ── 9. One machine, three policies: what differs ──


@pytest.mark.parametrize("policy", POLICIES)
async def test_whose_wish_is_granted(house: House, policy: str) -> None:
    """`no-cache` spends: by the letter, or where the endpoint allows it; what is not, is said."""
    for path in ("/x", "/refresh/1"):
        house.origin.line_up(path, *[answer("1", "Cache-Control: max-age=60")] * 2)
        await house.client.ask(through(policy, path))

    asked, allowed = [
        await house.client.ask(through(policy, path), cache_control="no-cache")
        for path in ("/x", "/refresh/1")
    ]

    assert (MISS if policy == "obey" else HIT, MISS) == (asked.verdict, allowed.verdict)
    assert ('detail="no-cache not obeyed"' in status_of(asked)) is (policy != "obey")


@pytest.mark.parametrize("policy", POLICIES)
async def test_cookies_are_nobody_elses(house: House, policy: str) -> None:
    """Set-Cookie goes through and is kept under `obey` only, where the origin rules."""
    house.origin.line_up("/x", answer("1", "Cache-Control: max-age=60", "Set-Cookie: a=b"))

    heard = [await house.client.ask(through(policy, "/x")) for _ in range(2)]

    assert [MISS, HIT] == [each.verdict for each in heard]
    assert [("a=b" if policy == "obey" else None)] * 2 == [each.get("Set-Cookie") for each in heard]


# ── 10. Large bodies, slow clients ──


def pouring(body: bytes, poured: asyncio.Event, *fields: str) -> Play:
    """Return an answer that sets `poured` once its connection has taken the last of it."""

    async def play(writer: asyncio.StreamWriter) -> None:
        writer.write(answer("", *fields).replace(b"Length: 0", b"Length: %d" % len(body)))
        for start in range(0, len(body), MIB):
            writer.write(body[start : start + MIB])
            await writer.drain()
        poured.set()

    return play


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(("size", "second"), [(64 * 1024, HIT), (64 * 1024 + 1, MISS)])
async def test_large_bodies_pass_and_are_stored_up_to_the_limit(
    house: House, policy: str, size: int, second: str
) -> None:
    """`max_size` is the largest that is kept; larger ones come whole all the same."""
    house.origin.line_up("/x", *[answer("x" * size, "Cache-Control: max-age=60")] * 2)

    heard = [await house.client.ask(through(policy, "/x")) for _ in range(2)]

    assert [size, size] == [len(each.body) for each in heard]
    assert [MISS, second] == [each.verdict for each in heard]


@pytest.mark.parametrize("policy", POLICIES)
async def test_a_slow_client_does_not_hold_the_upstream(house: House, policy: str) -> None:
    """A body within the bound is taken in at once: the connection is free for the next."""
    body, poured = os.urandom(MIB) * 6, asyncio.Event()
    house.origin.line_up("/large", pouring(body, poured, "Cache-Control: max-age=60"))
    async with house.client.asking(through(policy, "/large")) as slow:
        head = await hear_head(slow)
        async with asyncio.timeout(PATIENCE):
            await poured.wait()

        async def came_over_the_same() -> bool:
            closing = hanging_up(answer("1", "Connection: close", "Cache-Control: no-store"))
            target = f"/small?{len(house.origin.asked)}"
            house.origin.line_up(target, closing)
            await house.client.ask(through(policy, target))
            return house.origin.asked[0].connection == house.origin.asked[-1].connection

        await until(came_over_the_same, "the connection, to be used again")
        assert hashlib.sha256(body).digest() == (
            hashlib.sha256(await slow.readexactly(len(body))).digest()
        )
    assert str(len(body)) == head.get("Content-Length")


@pytest.mark.parametrize("policy", POLICIES)
async def test_memory_is_bounded_and_nobody_waits(house: House, policy: str) -> None:
    """A body beyond the bound waits for its reader; other requests do not."""
    size, poured = 48 * MIB, asyncio.Event()
    house.origin.line_up("/huge", pouring(bytes(size), poured, "Cache-Control: max-age=60"))
    async with house.client.asking(through(policy, "/huge")) as slow:
        await hear_head(slow)
        for number in range(50):
            path = f"/small/{number}"
            house.origin.line_up(path, answer("1", "Cache-Control: max-age=60"))
            assert 200 == (await house.client.ask(through(policy, path))).status

        assert not poured.is_set()
        left = size
        while left:
            left -= len(await slow.readexactly(min(left, MIB)))
    assert poured.is_set()


@pytest.mark.parametrize("policy", POLICIES)
async def test_who_reads_slowly_holds_nobody_else_on_the_same_body(
    house: House, policy: str
) -> None:
    """One call for both; the one who reads gets all of it while the other reads nothing."""
    size, poured = 32 * MIB, asyncio.Event()
    house.origin.line_up("/huge", pouring(bytes(size), poured, "Cache-Control: max-age=60"))
    target = through(policy, "/huge")
    async with house.client.asking(target) as slow, house.client.asking(target) as fast:
        await hear_head(slow)
        await hear_head(fast)
        async with asyncio.timeout(PATIENCE):
            left = size
            while left:
                left -= len(await fast.readexactly(min(left, MIB)))

        assert poured.is_set()
        left = size
        while left:
            left -= len(await slow.readexactly(min(left, MIB)))
    assert 1 == house.origin.calls("/huge")
