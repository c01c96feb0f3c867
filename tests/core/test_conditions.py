"""Conditions (RFC 9110 section 13; RFC 9111 section 4.3)."""

import pytest

from proxy.core import conditions
from proxy.core.dates import format_date
from proxy.core.fields import Fields
from proxy.core.model import Entry, Lifetimes, Request

NOW = 1_763_000_000.0


def at(seconds: float) -> str:
    return format_date(NOW + seconds)


def entry(*fields: tuple[str, str], status: int = 200) -> Entry:
    return Entry("k", status, "", fields, b"body", "", NOW, NOW, 0.0, Lifetimes(60))


TAG = ("ETag", '"abcdef"')
WEAK = ("ETag", 'W/"abcdef"')
MODIFIED = ("Last-Modified", at(-3000))
INM, IMS = "If-None-Match", "If-Modified-Since"

NOT_MODIFIED: list[tuple[str, Fields, Fields, bool]] = [
    # RFC section, stored fields, request's fields, whether the client has it already
    ("9110 13.1.2", (TAG,), (), False),
    ("9110 13.1.2", (TAG,), ((INM, '"abcdef"'),), True),
    ("9110 13.1.2", (TAG,), ((INM, 'W/"abcdef"'),), True),
    ("9110 13.1.2", (WEAK,), ((INM, '"abcdef"'),), True),
    ("9110 13.1.2", (WEAK,), ((INM, 'W/"abcdef"'),), True),
    ("9110 13.1.2", (TAG,), ((INM, '"abcdef", "1234", "5678"'),), True),
    ("9110 13.1.2", (TAG,), ((INM, '"1234", "abcdef", "5678"'),), True),
    ("9110 13.1.2", (TAG,), ((INM, '"1234","5678","abcdef"'),), True),
    ("9110 13.1.2", (TAG,), ((INM, '"1234"'), (INM, '"abcdef"')), True),
    ("9110 13.1.2", (("ETag", '"a,b"'),), ((INM, '"a,b"'),), True),
    ("9110 13.1.2", (("ETag", '"a"'),), ((INM, '"a,b"'),), False),
    ("9110 13.1.2", (TAG,), ((INM, '"ABCDEF"'),), False),
    ("9110 13.1.2", (TAG,), ((INM, '"1234"'),), False),
    ("9110 13.1.2", (TAG,), ((INM, "abcdef"),), False),
    ("9110 13.1.2", (TAG,), ((INM, ""),), False),
    ("9110 13.1.2", (("ETag", "abcdef"),), ((INM, "abcdef"),), True),
    ("9110 13.1.2", (("ETag", '"ü"'),), ((INM, '"ü"'),), True),
    ("9110 13.1.2", (("ETag", 'w/"abcdef"'),), ((INM, 'w/"abcdef"'),), True),
    ("9110 13.1.2", (TAG,), ((INM, "*"),), True),
    ("9110 13.1.2", (), ((INM, "*"),), True),
    ("9110 13.1.2", (), ((INM, '"abcdef"'),), False),
    ("9110 13.2.2", (TAG, MODIFIED), ((INM, '"abcdef"'), (IMS, at(-9000))), True),
    ("9110 13.2.2", (TAG, MODIFIED), ((INM, '"1234"'), (IMS, at(0))), False),
    ("9110 13.1.3", (MODIFIED,), ((IMS, at(-3000)),), True),
    ("9110 13.1.3", (MODIFIED,), ((IMS, at(-2000)),), True),
    ("9110 13.1.3", (MODIFIED,), ((IMS, at(-3001)),), False),
    ("9110 13.1.3", (MODIFIED,), ((IMS, "yesterday"),), False),
    ("9110 13.1.3", (("Last-Modified", "Wednesday, 12-Nov-25 00:00:00 GMT"),),
     ((IMS, "Wed, 12 Nov 2025 00:00:00 GMT"),), True),
    ("9110 13.1.3", (MODIFIED,), ((IMS, "Thursday, 13-Nov-25 02:13:20 GMT"),), True),
    ("9111 4.3.2", (("Date", at(0)),), ((IMS, at(0)),), True),
    ("9111 4.3.2", (("Date", at(0)),), ((IMS, at(-3000)),), False),
    ("9111 4.3.2", (("Last-Modified", "?"), ("Date", at(0))), ((IMS, at(5)),), True),
    ("9111 4.3.2", (), ((IMS, at(1)),), True),
    ("9111 4.3.2", (), ((IMS, at(-1)),), False),
]  # fmt: skip


@pytest.mark.parametrize(("section", "stored", "asked", "expected"), NOT_MODIFIED)
def test_a_client_that_has_it_is_told_so(
    section: str, stored: Fields, asked: Fields, *, expected: bool
) -> None:
    """If-None-Match, weakly; else If-Modified-Since by Last-Modified, Date, or when it came."""
    request = Request("GET", "/x", "", asked)

    assert expected is conditions.not_modified(entry(*stored), request, NOW)


@pytest.mark.parametrize(
    ("method", "status", "expected"),
    [("GET", 200, True), ("HEAD", 200, True), ("POST", 200, False), ("GET", 404, False),
     ("GET", 203, False), ("GET", 301, False)],
)  # fmt: skip
def test_conditions_are_asked_of_a_200_to_get_and_head(
    method: str, status: int, *, expected: bool
) -> None:
    """9110 13.2.1: a condition counts only where the answer without it were a success."""
    request = Request(method, "/x", "", ((INM, "*"),))

    assert expected is conditions.not_modified(entry(TAG, status=status), request, NOW)


def test_our_conditions_name_every_variant() -> None:
    """9111 4.3.1: all stored tags, each once; the date of the chosen one."""
    one, two = entry(("ETag", '"1"'), MODIFIED), entry(("ETag", 'W/"2"'))
    expected = ((INM, '"1", W/"2"'), (IMS, at(-3000)))

    assert expected == conditions.validators((one, two, one), one)


def test_without_validators_nothing_is_asked() -> None:
    """9111 4.3.1: an entry without tag and date cannot be confirmed; nor is a date of another."""
    assert conditions.validators((entry(), entry(MODIFIED)), None) == ()


CONFIRMED: list[tuple[str, Fields, int | None]] = [
    # RFC section, the 304's fields, which of (chosen "1", "2", untagged) it confirms
    ("9111 4.3.4", (("ETag", '"1"'),), 0),
    ("9111 4.3.4", (("ETag", 'W/"1"'),), 0),
    ("9111 4.3.4", (("ETag", '"2"'),), 1),
    ("9111 4.3.4", (), 0),
    ("9111 4.3.4", (("ETag", '"unheard of"'),), 0),
]


@pytest.mark.parametrize(("section", "answer", "which"), CONFIRMED)
def test_a_304_confirms_the_variant_it_names(section: str, answer: Fields, which: int) -> None:
    """By its tag; without one, what was asked about."""
    stored = (entry(("ETag", '"1"')), entry(("ETag", 'W/"2"')), entry())

    assert conditions.confirmed(stored, stored[0], answer) is stored[which]


def test_a_304_that_names_none_of_many_confirms_none() -> None:
    """9111 4.3.4: where nothing was chosen and several are stored, no tag means nobody."""
    stored = (entry(("ETag", '"1"')), entry(("ETag", '"2"')))

    assert conditions.confirmed(stored, None, ()) is None
    assert conditions.confirmed(stored[:1], None, ()) is stored[0]
    assert conditions.confirmed((), None, ()) is None


SAME: list[tuple[Fields, Fields, bool]] = [
    # stored, a HEAD's fields, whether they speak of the same representation (9111 4.3.5)
    ((TAG,), (TAG,), True),
    ((TAG,), (WEAK,), False),
    ((TAG,), (), True),
    ((), (TAG,), False),
    ((MODIFIED,), (MODIFIED,), True),
    ((MODIFIED,), (("Last-Modified", at(0)),), False),
]


@pytest.mark.parametrize(("stored", "answer", "expected"), SAME)
def test_a_head_speaks_of_the_same_where_its_validators_match(
    stored: Fields, answer: Fields, *, expected: bool
) -> None:
    """9111 4.3.5: every validator that the HEAD brings is the stored one."""
    assert expected is conditions.same_representation(entry(*stored), answer)
