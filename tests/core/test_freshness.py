"""Age and lifetimes (RFC 9111 section 4.2, RFC 5861, RFC 9213)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core import freshness
from proxy.core.dates import format_date
from proxy.core.fields import Fields
from proxy.core.freshness import DISCONNECTED, REVALIDATED, Phase
from proxy.core.model import Entry, Fetched, Lifetimes, Policy, Reply

NOW = 1_763_000_000.0
OWN = Lifetimes(60.0, stale_while_revalidate=30.0, stale_if_error=600.0)
HOUR = 3600.0


def at(seconds: float) -> str:
    return format_date(NOW + seconds)


def cc(value: str) -> tuple[str, str]:
    return ("Cache-Control", value)


DATE = ("Date", at(0))
TAG = ("ETag", '"a"')
MODIFIED = ("Last-Modified", at(-1000))

LIFETIMES: list[tuple[str, int, Fields, tuple[float, float, float, float]]] = [
    # RFC 9111 section, status, fields, (ttl, stale-while-revalidate, stale-if-error, keep)
    ("4.2.1", 200, (cc("max-age=3600"),), (HOUR, 0, DISCONNECTED, 0)),
    ("4.2.1", 200, (cc("max-age=3600"), TAG), (HOUR, 0, DISCONNECTED, REVALIDATED)),
    ("4.2.1", 200, (cc("max-age=0"),), (0, 0, 0, 0)),
    ("4.2.1", 200, (cc("max-age=0"), TAG), (0, 0, 0, REVALIDATED)),
    ("4.2.1", 200, (cc("max-age=-3600"),), (0, 0, 0, 0)),
    ("4.2.1", 200, (cc("max-age=3600"), ("Expires", at(-7200)), DATE), (HOUR, 0, DISCONNECTED, 0)),
    ("4.2.1", 200, (cc("max-age=3600"), ("Expires", "0"), DATE), (HOUR, 0, DISCONNECTED, 0)),
    ("4.2.1", 200, (cc("max-age=0"), ("Expires", at(3600)), DATE), (0, 0, 0, 0)),
    ("4.2.1", 299, (cc("max-age=3600"),), (HOUR, 0, DISCONNECTED, 0)),
    ("5.2.2.10", 200, (cc("s-maxage=3600"),), (HOUR, 0, 0, 0)),
    ("5.2.2.10", 200, (cc("max-age=3600, s-maxage=1"),), (1, 0, 0, 0)),
    ("5.2.2.10", 200, (cc("s-maxage=1, max-age=3600"),), (1, 0, 0, 0)),
    ("5.2.2.10", 200, (cc("max-age=3600"), cc("s-maxage=1")), (1, 0, 0, 0)),
    ("5.2.2.10", 200, (cc("max-age=1, s-maxage=3600"),), (HOUR, 0, 0, 0)),
    ("5.2.2.10", 200, (cc("max-age=1, s-maxage=x"),), (0, 0, 0, 0)),
    ("5.3", 200, (("Expires", at(3600)), DATE), (HOUR, 0, DISCONNECTED, 0)),
    ("5.3", 200, (("Expires", at(3600)),), (HOUR, 0, DISCONNECTED, 0)),
    ("5.3", 200, (("Expires", at(10)), ("Date", "foo")), (10, 0, DISCONNECTED, 0)),
    ("5.3", 200, (("Expires", at(20)), ("Date", at(10))), (10, 0, DISCONNECTED, 0)),
    ("5.3", 200, (("Expires", at(300)), ("Date", at(400))), (0, 0, 0, 0)),
    ("5.3", 200, (("Expires", at(0)), DATE), (0, 0, 0, 0)),
    ("5.3", 200, (("Expires", at(-3600)), DATE), (0, 0, 0, 0)),
    ("5.3", 200, (("Expires", "0"), DATE), (0, 0, 0, 0)),
    ("5.3", 200, (("Expires", "Thu, 18 Aug 2050 02:01:18 UTC"), DATE), (0, 0, 0, 0)),
    ("5.3", 200, (("Expires", at(9)), ("Expires", at(99)), DATE), (9, 0, DISCONNECTED, 0)),
    ("4.2.2", 200, (MODIFIED, DATE), (100, 0, DISCONNECTED, REVALIDATED)),
    ("4.2.2", 200, (MODIFIED,), (100, 0, DISCONNECTED, REVALIDATED)),
    ("4.2.2", 203, (MODIFIED, DATE), (100, 0, DISCONNECTED, REVALIDATED)),
    ("4.2.2", 204, (MODIFIED, DATE), (100, 0, DISCONNECTED, REVALIDATED)),
    ("4.2.2", 301, (MODIFIED, DATE), (100, 0, DISCONNECTED, REVALIDATED)),
    ("4.2.2", 308, (MODIFIED, DATE), (100, 0, DISCONNECTED, REVALIDATED)),
    ("4.2.2", 404, (MODIFIED, DATE), (100, 0, DISCONNECTED, REVALIDATED)),
    ("4.2.2", 405, (MODIFIED, DATE), (100, 0, DISCONNECTED, REVALIDATED)),
    ("4.2.2", 410, (MODIFIED, DATE), (100, 0, DISCONNECTED, REVALIDATED)),
    ("4.2.2", 414, (MODIFIED, DATE), (100, 0, DISCONNECTED, REVALIDATED)),
    ("4.2.2", 501, (MODIFIED, DATE), (100, 0, DISCONNECTED, REVALIDATED)),
    ("4.2.2", 201, (MODIFIED, DATE), (0, 0, 0, REVALIDATED)),
    ("4.2.2", 202, (MODIFIED, DATE), (0, 0, 0, REVALIDATED)),
    ("4.2.2", 302, (MODIFIED, DATE), (0, 0, 0, REVALIDATED)),
    ("4.2.2", 403, (MODIFIED, DATE), (0, 0, 0, REVALIDATED)),
    ("4.2.2", 502, (MODIFIED, DATE), (0, 0, 0, REVALIDATED)),
    ("4.2.2", 503, (MODIFIED, DATE), (0, 0, 0, REVALIDATED)),
    ("4.2.2", 504, (MODIFIED, DATE), (0, 0, 0, REVALIDATED)),
    ("4.2.2", 599, (MODIFIED, DATE), (0, 0, 0, REVALIDATED)),
    ("4.2.2", 599, (MODIFIED, DATE, cc("public")), (100, 0, DISCONNECTED, REVALIDATED)),
    ("4.2.2", 200, (("Last-Modified", at(9)), DATE), (0, 0, 0, REVALIDATED)),
    ("4.2.2", 200, (("Last-Modified", "then"), DATE), (0, 0, 0, REVALIDATED)),
    ("4.2.2", 200, (("Last-Modified", at(-9e6)),), (86400, 0, DISCONNECTED, REVALIDATED)),
    ("4.2.2", 200, (MODIFIED, DATE, ("Expires", "0")), (0, 0, 0, REVALIDATED)),
    ("4.2.2", 200, (), (0, 0, 0, 0)),
    ("5.2.2.2", 200, (cc("max-age=9, must-revalidate"),), (9, 0, 0, 0)),
    ("5.2.2.2", 200, (cc("max-age=9, must-revalidate"), TAG), (9, 0, 0, REVALIDATED)),
    ("5.2.2.8", 200, (cc("max-age=9, proxy-revalidate"),), (9, 0, 0, 0)),
    ("5.2.2.4", 200, (cc("max-age=9, no-cache"),), (0, 0, 0, 0)),
    ("5.2.2.4", 200, (cc("No-CaChE"), TAG), (0, 0, 0, REVALIDATED)),
    ("5.2.2.4", 200, (cc('no-cache="a", max-age=9'),), (9, 0, DISCONNECTED, 0)),
    ("5861 3", 200, (cc("max-age=9, stale-while-revalidate=4"),), (9, 4, DISCONNECTED, 0)),
    ("5861 3", 200, (cc("max-age=9, must-revalidate, stale-while-revalidate=4"),), (9, 0, 0, 0)),
    ("5861 3", 200, (cc("s-maxage=9, stale-while-revalidate=4"),), (9, 0, 0, 0)),
    ("5861 3", 200, (cc("max-age=9, stale-while-revalidate=x"),), (9, 0, DISCONNECTED, 0)),
    ("5861 4", 200, (cc("max-age=9, stale-if-error=60"),), (9, 0, 60, 0)),
    ("5861 4", 200, (cc("max-age=0, stale-if-error=60"),), (0, 0, 60, 0)),
    ("5861 4", 200, (cc("max-age=9, stale-if-error=0"),), (9, 0, 0, 0)),
    ("5861 4", 200, (cc("max-age=9, proxy-revalidate, stale-if-error=60"),), (9, 0, 0, 0)),
    ("9213", 200, (("CDN-Cache-Control", "max-age=9"), cc("max-age=1")), (9, 0, DISCONNECTED, 0)),
    ("9213", 200, (("CDN-Cache-Control", "max-age=0"), ("Expires", at(99))), (0, 0, 0, 0)),
    ("9213", 200, (("CDN-Cache-Control", "no-cache"), cc("max-age=99")), (0, 0, 0, 0)),
    ("9213", 200, (("CDN-Cache-Control", "foo"), ("Expires", at(99))), (0, 0, 0, 0)),
    ("9213", 200, (("CDN-Cache-Control", "&&"), cc("max-age=7")), (7, 0, DISCONNECTED, 0)),
]


@pytest.mark.parametrize(("section", "status", "fields", "expected"), LIFETIMES)
def test_the_origins_word_under_obey(
    section: str, status: int, fields: Fields, expected: tuple[float, float, float, float]
) -> None:
    """Under `obey` a reply's lifetimes are what RFC 9111 (or the RFC named) says."""
    read = freshness.lifetimes(Policy.OBEY, OWN, status, fields, NOW)

    assert expected == (
        read.ttl, read.stale_while_revalidate, read.stale_if_error, read.keep,
    )  # fmt: skip


CAPPED: list[tuple[Fields, tuple[float, float, float, float]]] = [
    # fields; the endpoint says (60, 30, 600)
    ((), (60, 30, 600, 0)),
    ((cc("max-age=3600"),), (60, 30, 600, 0)),
    ((cc("max-age=5"),), (5, 30, 600, 0)),
    ((cc("max-age=5"), TAG), (5, 30, 600, REVALIDATED)),
    ((cc("max-age=5, s-maxage=20"),), (20, 0, 0, 0)),
    ((("Expires", at(7)), DATE), (7, 30, 600, 0)),
    ((("Expires", "0"), DATE), (0, 30, 600, 0)),
    ((cc("max-age=5, must-revalidate"),), (5, 0, 0, 0)),
    ((cc("must-revalidate"),), (60, 0, 0, 0)),
    ((cc("no-cache"),), (0, 0, 0, 0)),
    ((cc("no-cache"), TAG), (0, 0, 0, REVALIDATED)),
    ((MODIFIED, DATE), (60, 30, 600, REVALIDATED)),
    ((("CDN-Cache-Control", "max-age=3"),), (3, 30, 600, 0)),
]


@pytest.mark.parametrize(("fields", "expected"), CAPPED)
def test_the_shorter_of_both_under_cap(
    fields: Fields, expected: tuple[float, float, float, float]
) -> None:
    """Under `cap` what the origin states can only shorten, and what it forbids is forbidden."""
    read = freshness.lifetimes(Policy.CAP, OWN, 200, fields, NOW)

    assert expected == (
        read.ttl, read.stale_while_revalidate, read.stale_if_error, read.keep,
    )  # fmt: skip


@pytest.mark.parametrize("value", ["max-age=5", "no-cache", "must-revalidate", "s-maxage=0"])
def test_the_operators_word_under_ignore(value: str) -> None:
    """Under `ignore` nothing that the reply says changes the endpoint's lifetimes."""
    assert OWN == freshness.lifetimes(Policy.IGNORE, OWN, 200, (cc(value),), NOW)


AGES: list[tuple[str, Fields, float, float]] = [
    # RFC 9111 section, fields, seconds that the exchange took, initial age under `obey`
    ("4.2.3", (), 0, 0),
    ("4.2.3", (), 1.5, 1.5),
    ("4.2.3", (("Age", "30"),), 0, 30),
    ("4.2.3", (("Age", "30"),), 2, 32),
    ("4.2.3", (("Date", at(-10)),), 0, 10),
    ("4.2.3", (("Date", at(-10)), ("Age", "25")), 0, 25),
    ("4.2.3", (("Date", at(10)), ("Age", "15")), 0, 15),
    ("4.2.3", (("Date", at(10)),), 0, 0),
    ("4.2.3", (("Date", "foo"),), 0, 0),
    ("5.1", (("Age", "7200,0"),), 0, 7200),
    ("5.1", (("Age", "0, 7200"),), 0, 0),
    ("5.1", (("Age", "7200"), ("Age", "0")), 0, 7200),
    ("5.1", (("Age", "0"), ("Age", "7200")), 0, 0),
    ("5.1", (("Age", "0, 0"),), 0, 0),
    ("5.1", (("Age", "3600"), ("Age", "3600")), 0, 3600),
    ("5.1", (("Age", "abc"),), 0, 0),
    ("5.1", (("Age", "-7200"),), 0, 0),
    ("5.1", (("Age", "7200.0"),), 0, 0),
    ("5.1", (("Age", ""),), 0, 0),
    ("5.1", (("Age", "²"),), 0, 0),
    ("1.2.2", (("Age", "2147483647"),), 0, 2147483647),
    ("1.2.2", (("Age", "2147483648"),), 0, 2147483648),
    ("1.2.2", (("Age", "2147483649"),), 0, 2147483648),
]


@pytest.mark.parametrize(("section", "fields", "took", "expected"), AGES)
def test_the_age_at_which_a_reply_comes(
    section: str, fields: Fields, took: float, expected: float
) -> None:
    """The larger of what Age and the exchange say, and what Date says; an invalid Age says none."""
    fetched = Fetched(Reply(200, "OK", fields, b""), NOW - took, NOW)

    assert expected == pytest.approx(freshness.initial_age(Policy.OBEY, fetched))


def test_a_wrong_clock_shortens_no_promise() -> None:
    """Under `ignore` the provider's Date does not age a reply; its Age does."""
    fields = (("Date", at(-500)), ("Age", "3"))
    fetched = Fetched(Reply(200, "OK", fields, b""), NOW - 1, NOW)

    assert freshness.initial_age(Policy.IGNORE, fetched) == pytest.approx(4.0)


PHASES = [
    (Lifetimes(10, 5, 20), 0.0, Phase.FRESH),
    (Lifetimes(10, 5, 20), 9.999, Phase.FRESH),
    (Lifetimes(10, 5, 20), 10.0, Phase.STALE),
    (Lifetimes(10, 5, 20), 14.999, Phase.STALE),
    (Lifetimes(10, 5, 20), 15.0, Phase.FALLBACK),
    (Lifetimes(10, 5, 20), 29.999, Phase.FALLBACK),
    (Lifetimes(10, 5, 20), 30.0, Phase.EXPIRED),
    (Lifetimes(10), 10.0, Phase.EXPIRED),
    (Lifetimes(0), 0.0, Phase.EXPIRED),
    (Lifetimes(10, 20, 5), 16.0, Phase.STALE),
    (Lifetimes(10, keep=100), 11.0, Phase.EXPIRED),
]


@pytest.mark.parametrize(("lifetimes", "age", "phase"), PHASES)
def test_phases_follow_one_another(lifetimes: Lifetimes, age: float, phase: Phase) -> None:
    """9111 4.2, 5861: fresh, then stale while refreshed, then a fallback, then nothing."""
    assert phase is freshness.phase(lifetimes, age)


@given(st.builds(Lifetimes, *(st.floats(0, 1e6) for _ in range(4))), st.floats(0, 1e7))
def test_nothing_is_good_for_anything_beyond_its_use(lifetimes: Lifetimes, age: float) -> None:
    """What the store may drop (age at `usable`) is expired."""
    if age >= lifetimes.usable:
        assert freshness.phase(lifetimes, age) is Phase.EXPIRED


FLAGS = [
    ("max-age=1", set()),
    ("no-cache", {"no-cache", "must-revalidate"}),
    ('no-cache="a"', set()),
    ("must-revalidate", {"must-revalidate"}),
    ("proxy-revalidate", {"must-revalidate"}),
    ("s-maxage=1", {"must-revalidate"}),
    ("stale-if-error=1", {"stale-if-error"}),
    ("stale-if-error=1, must-revalidate", {"stale-if-error", "must-revalidate"}),
]


@pytest.mark.parametrize(("value", "expected"), FLAGS)
def test_what_forbids_or_allows_stale_is_remembered(value: str, expected: set[str]) -> None:
    """9111 4.2.4, 5861 4: an entry carries what its lifetimes alone do not say."""
    assert expected == set(freshness.flags((cc(value),)))


@pytest.mark.parametrize(("ahead", "expected"), [(0, False), (60, False), (61, True), (-9, False)])
def test_an_entry_from_the_future_is_told(ahead: float, *, expected: bool) -> None:
    """More than a minute ahead of our clock, an entry's age means nothing."""
    entry = Entry("k", 200, "", (), b"", "", NOW + ahead, NOW + ahead, 0.0, OWN)

    assert expected is freshness.from_future(entry, NOW)
