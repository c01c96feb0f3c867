"""The HTTP cache over real sockets: one machine, three policies.

The origin says what each story has lined up. What must be old says so with Age or with dates in the
past: nobody waits for it to age.
"""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from time import gmtime, strftime

import pytest

from proxy import clock
from proxy.app import serving
from proxy.config.loading import load
from proxy.workers import Worker
from tests.stories.origin import (
    Client,
    Heard,
    Origin,
    Play,
    answer,
    date,
    hanging_up,
    hear_head,
    origin,
)
from tests.stories.stage import PATIENCE, until

POLICIES = ("obey", "cap", "ignore")
PREFIXES = {"obey": "/", "cap": "/cap", "ignore": "/ignore"}
PROXY = """\
listen: 127.0.0.1:0
admin: {listen: 127.0.0.1:0}
store: "memory:"
upstreams: ["*-upstream.yaml"]
"""
UPSTREAM = """\
name: %(policy)s
base_url: http://127.0.0.1:%(port)d
prefix: %(prefix)s
limits: {}
defaults:
  upstream_cache_control: %(policy)s
  ttl: 60s
  negative_ttl: 30s
  negative: {400: 20s}
  content_type: any
  max_size: 64KiB
endpoints:
  graphql: {path: /graphql, cache_body: true}
  serving_stale: {path: "/swr/{id}", stale_while_revalidate: 60s}
  rescuing: {path: "/sie/{id}", stale_if_error: 60s}
  refreshing: {path: "/refresh/{id}", client_refresh: true}
  live: {path: /clock, live: true}
  all: {path: "/{rest:path}"}
"""
STALE = ("Cache-Control: max-age=60", "Age: 80")
"""What is over when it comes, under each of the three policies."""
MIB = 1024 * 1024


@dataclass(frozen=True)
class House:
    """A proxy before an origin that a story writes."""

    origin: Origin
    client: Client

    async def words(self, target: str, times: int = 2, **fields: str) -> list[str | None]:
        """Ask one after the other; return what `X-Cache` says each time."""
        return [(await self.client.ask(target, **fields)).verdict for _ in range(times)]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    (tmp_path / "proxy.yaml").write_text(PROXY, encoding="utf-8")
    async with origin() as asked:
        for policy, prefix in PREFIXES.items():
            text = UPSTREAM % {"policy": policy, "port": asked.port, "prefix": prefix}
            (tmp_path / f"{policy}-upstream.yaml").write_text(text, encoding="utf-8")
        settings = load(tmp_path / "proxy.yaml", {**os.environ, "QUOTA_PROXY_LOG_LEVEL": "error"})
        async with serving(settings, Worker()) as addresses:
            yield House(asked, Client(int(addresses["traffic"].rpartition(":")[2])))


def through(policy: str, target: str) -> str:
    """Return where the proxy has the origin's target under a policy."""
    return PREFIXES[policy].rstrip("/") + target


def status_of(heard: Heard) -> set[str]:
    """Return the parameters of Cache-Status, without the key and how long it lives."""
    cache, *parameters = (heard.get("Cache-Status") or "").split("; ")
    assert cache == "quota-proxy"
    return {each for each in parameters if not each.startswith(("key=", "ttl="))}


# ── 1. Freshness ──

HIT, MISS, OTHER = "HIT", "MISS", "REVALIDATED"
HOUR = 3600.0
OBSOLETE = {
    "RFC 850": strftime("%A, %d-%b-%y %H:%M:%S GMT", gmtime(clock.wall() + HOUR)),
    "asctime": strftime("%a %b %e %H:%M:%S %Y", gmtime(clock.wall() + HOUR)),
    "none": strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(clock.wall() + HOUR)),
}
FRESHNESS = {
    # what the origin says: whether the second of two has it under obey, cap, ignore
    "max-age": (("Cache-Control: max-age=60",), (HIT, HIT, HIT)),
    "any case": (("cache-control: MAX-Age=60",), (HIT, HIT, HIT)),
    "in quotes": (('Cache-Control: ext="max-age=0, no-store", max-age=60',), (HIT, HIT, HIT)),
    "s-maxage first": (("Cache-Control: max-age=0, s-maxage=60",), (HIT, HIT, HIT)),
    "over": (("Cache-Control: max-age=10", "Age: 10"), (MISS, MISS, HIT)),
    "young": (("Cache-Control: max-age=30", "Age: 10"), (HIT, HIT, HIT)),
    "no-store": (("Cache-Control: no-store, max-age=60",), (MISS, MISS, HIT)),
    "private": (("Cache-Control: private, max-age=60",), (MISS, MISS, HIT)),
    "no-cache": (("Cache-Control: no-cache, max-age=60",), (MISS, MISS, HIT)),
    "understood": (("Cache-Control: must-understand, no-store, max-age=60",), (HIT, HIT, HIT)),
    "CDN first": (
        ("CDN-Cache-Control: max-age=60", "Cache-Control: no-store"), (HIT, HIT, HIT)
    ),
    "CDN malformed": (
        ("CDN-Cache-Control: max-age=60, &", "Cache-Control: no-store"), (MISS, MISS, HIT)
    ),
    "Expires": ((f"Expires: {date(HOUR)}",), (HIT, HIT, HIT)),
    "Expires, RFC 850": ((f"Expires: {OBSOLETE['RFC 850']}",), (HIT, HIT, HIT)),
    "Expires, asctime": ((f"Expires: {OBSOLETE['asctime']}",), (HIT, HIT, HIT)),
    "Expires, no date": ((f"Expires: {OBSOLETE['none']}",), (MISS, MISS, HIT)),
    "heuristic": ((f"Last-Modified: {date(-100 * HOUR)}",), (HIT, HIT, HIT)),
    "nothing said": ((), (MISS, HIT, HIT)),
}  # fmt: skip


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", FRESHNESS)
async def test_freshness_is_what_the_policy_makes_of_it(
    house: House, policy: str, name: str
) -> None:
    """The same answers, the same questions; only whose word counts differs (RFC 9111, 4.2)."""
    fields, expected = FRESHNESS[name]
    house.origin.line_up("/x", answer("1", *fields), answer("2", *fields))

    words = await house.words(through(policy, "/x"))

    assert [MISS, expected[POLICIES.index(policy)]] == words
    assert words.count(MISS) == house.origin.calls("/x")


async def test_named_fields_of_private_are_given_to_nobody_else(house: House) -> None:
    """Private with field names keeps these to the one who asked (RFC 9111 section 5.2.2.7)."""
    house.origin.line_up(
        "/x", answer("1", 'Cache-Control: max-age=60, private="X-Mine"', "X-Mine: secret")
    )

    first, second = [await house.client.ask("/x") for _ in range(2)]

    assert ("secret", HIT, None) == (first.get("X-Mine"), second.verdict, second.get("X-Mine"))


async def test_what_was_authorized_is_shared_only_where_the_origin_says_so(house: House) -> None:
    """RFC 9111 section 3.5: by `public`, `s-maxage` or `must-revalidate`."""
    house.origin.line_up("/own", *[answer("1", "Cache-Control: max-age=60")] * 2)
    house.origin.line_up("/all", *[answer("1", "Cache-Control: max-age=60, public")] * 2)

    own, shared = [await house.words(path, authorization="Bearer x") for path in ("/own", "/all")]

    assert ([MISS, MISS], [MISS, HIT]) == (own, shared)


# ── 2. Revalidation ──


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    ("validator", "asked"),
    [
        ('ETag: "1"', ("If-None-Match", '"1"')),
        ('ETag: W/"1"', ("If-None-Match", 'W/"1"')),
        (
            f"Last-Modified: {formatdate(0, usegmt=True)}",
            ("If-Modified-Since", formatdate(0, usegmt=True)),
        ),
    ],
)
async def test_a_304_gives_new_fields_to_the_body_that_is_held(
    house: House, policy: str, validator: str, asked: tuple[str, str]
) -> None:
    """But for those that describe the body (RFC 9111 section 4.3.4, RFC 9110 section 15.4.5)."""
    house.origin.line_up(
        "/sie/1",
        answer("whole", *STALE, validator, "X-Was: old"),
        b"HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=60\r\nX-Was: new\r\n"
        b"Content-Length: 999\r\nContent-Encoding: gzip\r\n\r\n",
    )

    heard = [await house.client.ask(through(policy, "/sie/1")) for _ in range(3)]

    assert [MISS, OTHER, HIT] == [each.verdict for each in heard]
    assert [b"whole"] * 3 == [each.body for each in heard]
    assert ["old", "new", "new"] == [each.get("X-Was") for each in heard]
    assert heard[2].get("Content-Encoding") is None
    assert asked[1] == house.origin.asked[1].get(asked[0])
    assert {"fwd=stale", "fwd-status=304", "stored"} <= status_of(heard[1])


@pytest.mark.parametrize("policy", POLICIES)
async def test_conditions_of_clients_are_answered_from_the_cache(house: House, policy: str) -> None:
    """If-None-Match before If-Modified-Since (RFC 9110 section 13.2.2); HEAD from a stored GET."""
    modified = f"Last-Modified: {date(-HOUR)}"
    house.origin.line_up("/x", answer("whole", "Cache-Control: max-age=60", 'ETag: "1"', modified))
    target = through(policy, "/x")
    await house.client.ask(target)

    same = await house.client.ask(target, if_none_match='W/"1", "2"')
    since = await house.client.ask(target, if_modified_since=date())
    other = await house.client.ask(target, if_none_match='"3"', if_modified_since=date())
    head = await house.client.ask(target, "HEAD")

    assert [304, 304, 200, 200] == [each.status for each in (same, since, other, head)]
    assert [HIT] * 4 == [each.verdict for each in (same, since, other, head)]
    assert (b"whole", "5") == (other.body, head.get("Content-Length"))
    assert 1 == len(house.origin.asked)


# ── 3. Vary ──


async def test_variants_lie_side_by_side(house: House) -> None:
    """Each is found by the fields it varies on, normalised (RFC 9111 section 4.1)."""
    lines = ("Cache-Control: max-age=60", "Vary: Accept-Language, X-Kind")
    house.origin.line_up("/x", answer("one", *lines), answer("two", *lines))

    asked = ("en, de;q=0.5", "fr", "DE;q=0.5,en", "fr")
    heard = [await house.client.ask("/x", accept_language=each) for each in asked]

    assert [MISS, MISS, HIT, HIT] == [each.verdict for each in heard]
    assert [b"one", b"two", b"one", b"two"] == [each.body for each in heard]
    assert {"fwd=vary-miss", "fwd-status=200", "stored"} == status_of(heard[1])


async def test_the_language_liked_best_is_found_however_it_is_asked_for(house: House) -> None:
    """A stored answer in it matches, whatever else the client would take."""
    lines = ("Cache-Control: max-age=60", "Vary: Accept-Language", "Content-Language: de")
    house.origin.line_up("/x", answer("eins", *lines))
    await house.client.ask("/x", accept_language="de")

    heard = await house.client.ask("/x", accept_language="fr;q=0.3, de;q=0.9")

    assert (HIT, b"eins") == (heard.verdict, heard.body)


async def test_a_star_is_nobodys_variant(house: House) -> None:
    """`Vary: *` matches no request (RFC 9110 section 12.5.5)."""
    house.origin.line_up("/x", *[answer("1", "Cache-Control: max-age=60", "Vary: *")] * 2)

    assert [MISS, MISS] == await house.words("/x")


# ── 4. Stale ──


@pytest.mark.parametrize("policy", POLICIES)
async def test_stale_is_served_while_one_refresh_runs(house: House, policy: str) -> None:
    """RFC 5861 section 3, by the origin's word or the operator's."""
    old = answer("old", "Cache-Control: max-age=60, stale-while-revalidate=60", "Age: 80")
    house.origin.line_up("/swr/1", old, answer("new", "Cache-Control: max-age=60"))
    target = through(policy, "/swr/1")

    assert [MISS, "STALE"] == await house.words(target)

    async def refreshed() -> bool:
        heard = await house.client.ask(target)
        assert heard.verdict in {"STALE", HIT}
        return (heard.verdict, heard.body) == (HIT, b"new")

    await until(refreshed, "the refresh")
    assert 2 == house.origin.calls("/swr/1")


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("failure", ["503 Service Unavailable", ""])
async def test_stale_stands_in_for_a_failure(house: House, policy: str, failure: str) -> None:
    """RFC 5861 section 4: a status of the kind, or a connection that is lost."""
    old = answer("old", "Cache-Control: max-age=60, stale-if-error=60", "Age: 80")
    failed = answer("no", status=failure) if failure else hanging_up()
    house.origin.line_up("/sie/1", old, failed, failed)  # a lost connection is tried once again

    heard = [await house.client.ask(through(policy, "/sie/1")) for _ in range(2)]

    assert [(MISS, b"old"), ("RESCUED", b"old")] == [(each.verdict, each.body) for each in heard]
    assert int(heard[1].get("Age") or 0) >= 80


@pytest.mark.parametrize("policy", ["obey", "cap"])
@pytest.mark.parametrize(
    "forbids", ["must-revalidate", "proxy-revalidate", "s-maxage=60", "no-cache"]
)
async def test_what_must_be_confirmed_is_never_given_unconfirmed(
    house: House, policy: str, forbids: str
) -> None:
    """Under `obey` the answer is then 504 (RFC 9111 section 5.2.2.2)."""
    said = f"Cache-Control: max-age=60, stale-if-error=600, {forbids}"
    old = answer("old", said, "Age: 80", 'ETag: "1"')
    house.origin.line_up("/sie/1", old, hanging_up(), hanging_up())

    _, heard = [await house.client.ask(through(policy, "/sie/1")) for _ in range(2)]

    assert (504 if policy == "obey" else 502, "REFUSED") == (heard.status, heard.verdict)


# ── 5. Invalidation, and POST ──


async def test_a_change_makes_what_it_names_untrue(house: House) -> None:
    """Target, Location, Content-Location, of the same origin only (RFC 9111 section 4.4)."""
    paths = ("/target", "/location", "/content", "/foreign")
    for path in paths:
        house.origin.line_up(path, *[answer("1", "Cache-Control: max-age=60")])
        await house.client.ask(path)
    named = (
        "Location: /location",
        f"Content-Location: http://127.0.0.1:{house.origin.port}/content",
    )
    house.origin.line_up("/target", answer("done", *named, status="201 Created"))
    house.origin.line_up("/other", answer("no", "Location: /foreign", status="500 Oh"))
    house.origin.line_up("/other", answer("x", "Location: http://elsewhere.test/foreign"))

    changed = await house.client.ask("/target", "PUT", b"new")
    for _ in range(2):
        await house.client.ask("/other", "DELETE")
    for path in paths[:3]:
        house.origin.line_up(path, answer("2", "Cache-Control: max-age=60"))
    heard = [await house.client.ask(path) for path in paths]

    assert [b"2", b"2", b"2", b"1"] == [each.body for each in heard]
    assert ({"fwd=method", "fwd-status=201"}, "BYPASS") == (status_of(changed), changed.verdict)


async def test_a_post_that_says_how_long_answers_gets(house: House) -> None:
    """RFC 9110 section 9.3.3: with explicit freshness and its own place as Content-Location."""
    house.origin.line_up("/x", answer("1", "Cache-Control: max-age=60", "Content-Location: /x"))

    posted, got = await house.client.ask("/x", "POST", b"body"), await house.client.ask("/x")

    assert (b"1", HIT, b"1") == (posted.body, got.verdict, got.body)


@pytest.mark.parametrize("policy", POLICIES)
async def test_a_post_that_only_reads_is_kept_by_its_body(house: House, policy: str) -> None:
    """One query, one call; another query is another answer."""
    kept = "Cache-Control: max-age=60"
    house.origin.line_up("/graphql", answer("one", kept), answer("two", kept))
    bodies = (b"{one}", b"{two}", b"{one}", b"{two}")

    heard = [await house.client.ask(through(policy, "/graphql"), "POST", body) for body in bodies]

    assert [MISS, MISS, HIT, HIT] == [each.verdict for each in heard]
    assert [b"one", b"two", b"one", b"two"] == [each.body for each in heard]


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
