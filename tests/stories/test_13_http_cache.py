"""The HTTP cache over real sockets: freshness, revalidation, Vary, stale, invalidation."""

from email.utils import formatdate
from time import gmtime, strftime

import pytest

from proxy import clock
from tests.stories.origin import answer, date, hanging_up
from tests.stories.policies import HIT, MISS, POLICIES, STALE, House, status_of, through
from tests.stories.stage import until

# ── 1. Freshness ──

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

    assert [MISS, "REVALIDATED", HIT] == [each.verdict for each in heard]
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
