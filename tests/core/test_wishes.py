"""A client's directives (RFC 9111 section 5.2.1)."""

import math

import pytest

from proxy.core.model import Entry, Lifetimes, Policy
from proxy.core.upstreams import Endpoint
from proxy.core.wishes import Wishes, granted, wishes

READ = [
    # Cache-Control, what it asks
    ("", Wishes()),
    ("nothing-to-see-here", Wishes()),
    ("only-if-cached", Wishes(only_if_cached=True)),
    ("No-Cache", Wishes(no_cache=True)),
    ("no-store", Wishes(no_store=True)),
    ("max-age=0", Wishes(max_age=0)),
    ("max-age=600", Wishes(max_age=600)),
    ('max-age="600"', Wishes(max_age=600)),
    ("max-age=abc", Wishes()),
    ("max-age=-1", Wishes()),
    ("max-age", Wishes()),
    ("min-fresh=20", Wishes(min_fresh=20)),
    ("min-fresh", Wishes()),
    ("max-stale", Wishes(max_stale=math.inf)),
    ("max-stale=1000", Wishes(max_stale=1000)),
    ("max-stale=x", Wishes()),
    ("max-age=5, max-stale=10, no-cache", Wishes(no_cache=True, max_age=5, max_stale=10)),
]


@pytest.mark.parametrize(("value", "expected"), READ)
def test_wishes_are_read_and_nonsense_is_not(value: str, expected: Wishes) -> None:
    """9111 5.2.1: an argument that is no number is as if nothing were asked."""
    assert expected == wishes((("Cache-Control", value),))


UNMET = [
    # wishes, age of an entry of ttl 60, what it does not meet
    (Wishes(), 0.0, ""),
    (Wishes(no_cache=True), 0.0, "no-cache"),
    (Wishes(max_age=10), 10.0, ""),
    (Wishes(max_age=10), 10.1, "max-age"),
    (Wishes(max_age=0), 0.0, ""),
    (Wishes(min_fresh=20), 40.0, ""),
    (Wishes(min_fresh=20), 40.1, "min-fresh"),
    (Wishes(min_fresh=61), 0.0, "min-fresh"),
]


@pytest.mark.parametrize(("asked", "age", "expected"), UNMET)
def test_what_an_entry_does_not_meet(asked: Wishes, age: float, expected: str) -> None:
    """9111 5.2.1.1, 5.2.1.3, 5.2.1.4: too old, not fresh for long enough, or to be confirmed."""
    entry = Entry("k", 200, "", (), b"", "", 0.0, 0.0, 0.0, Lifetimes(60))

    assert expected == asked.unmet(entry, age)


VETOES = [
    # wishes, age, granted, by the letter, whether stale is vetoed
    (Wishes(), 99.0, True, True, False),
    (Wishes(max_age=50), 99.0, False, False, True),
    (Wishes(max_age=100), 99.0, False, False, False),
    (Wishes(max_age=100), 99.0, True, True, True),
    (Wishes(max_age=100, max_stale=9), 99.0, True, True, False),
    (Wishes(max_age=50, max_stale=9), 99.0, True, True, True),
    (Wishes(min_fresh=1), 99.0, False, False, True),
    (Wishes(no_cache=True), 99.0, True, False, True),
    (Wishes(no_cache=True), 99.0, False, False, False),
    (Wishes(max_stale=1), 99.0, False, False, False),
]


@pytest.mark.parametrize(("asked", "age", "grant", "letter", "expected"), VETOES)
def test_what_vetoes_anything_stale(
    asked: Wishes, age: float, *, grant: bool, letter: bool, expected: bool
) -> None:
    """A shorter max-age always does, granted or not; by the letter, any without max-stale."""
    assert expected is asked.vetoes(age, granted=grant, letter=letter)


@pytest.mark.parametrize(
    ("policy", "refresh", "expected"),
    [
        (Policy.IGNORE, False, False),
        (Policy.CAP, False, False),
        (Policy.IGNORE, True, True),
        (Policy.CAP, True, True),
        (Policy.OBEY, False, True),
    ],
)
def test_who_may_spend_by_asking(policy: Policy, *, refresh: bool, expected: bool) -> None:
    """What spends quota is granted under `obey`, or where the endpoint says so."""
    assert expected is granted(Endpoint("e", "u", "/x", (), policy=policy, client_refresh=refresh))
