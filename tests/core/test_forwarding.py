"""Settlements of HEAD, and of what is forwarded."""

import pytest

from proxy.core.dates import format_date
from proxy.core.fields import Fields
from proxy.core.model import (
    Fetch,
    Fetched,
    Forward,
    Invalidate,
    Outcome,
    Policy,
    Touch,
)
from proxy.core.settlements import settle
from tests.core.settling import (
    CAP,
    CONNECT,
    HOLD,
    IGNORE,
    LIVES,
    NOW,
    OBEY,
    QUOTA,
    TAG,
    TIMEOUT,
    URI,
    asking,
    cc,
    endpoint,
    entry,
    fetched,
    settled,
    word,
)
from tests.values import replace

# ── HEAD ──


HEADS: list[tuple[Fields, Fetched, str, float | None]] = [
    # stored fields, the HEAD's answer under obey, what comes of it, ttl then
    ((TAG,), fetched(200, TAG, cc("max-age=500")), "MISS 200 touch", 500),
    ((), fetched(200, cc("max-age=500")), "MISS 200 touch", 500),
    ((), fetched(200, cc("max-age=500"), length=3), "MISS 200 touch", 500),
    ((), fetched(200, cc("max-age=500"), length=4), "MISS 200 touch", 0),
    ((TAG,), fetched(200, ("ETag", '"b"'), cc("max-age=500")), "MISS 200 touch", 0),
    ((), fetched(410, cc("max-age=500")), "MISS 410 nothing", None),
    ((), fetched(200, cc("no-store")), "MISS 200 touch", 0),
]


@pytest.mark.parametrize(("fields", "outcome", "expected", "ttl"), HEADS)
def test_a_head_updates_or_ends_the_stored_get(
    fields: Fields, outcome: Fetched, expected: str, ttl: float | None
) -> None:
    """9111 4.3.5: the same representation is updated; another makes the stored one stale."""
    old = entry(100, *fields)
    plan = Fetch(stored=(old,), joinable=False)
    made = settled(outcome, plan, endpoint(OBEY), asking(method="HEAD"))

    assert expected == word(made)
    if ttl is not None:
        assert isinstance(made.write, Touch)
        assert (ttl, b"old") == (made.write.entry.lifetimes.ttl, made.write.entry.body)


def test_a_head_alone_stores_nothing() -> None:
    """9110 9.3.2: without a stored GET an answer to HEAD is only passed on."""
    made = settled(fetched(200, cc("max-age=9")), Fetch(), endpoint(OBEY), asking(method="HEAD"))

    assert word(made) == "MISS 200 nothing"


def test_a_head_fetched_as_a_get_is_stored() -> None:
    """Under `ignore` a HEAD is asked as a GET, so what comes is everyone's."""
    assert word(settled(fetched(200), Fetch(method="GET"), request=asking(method="HEAD"))) == (
        "MISS 200 put"
    )


# ── Forward ──

LOCATED = ("Content-Location", "/x")
SOON = ("Expires", format_date(NOW + 900))

FORWARDED: list[tuple[Policy, str, Outcome, bool, str]] = [
    # policy, method, outcome, storable, what comes of it
    (IGNORE, "GET", fetched(200), False, "BYPASS 200 nothing"),
    (IGNORE, "GET", fetched(500), False, "BYPASS 500 nothing"),
    (IGNORE, "POST", fetched(200), False, "BYPASS 200 invalidate"),
    (IGNORE, "DELETE", fetched(204), False, "BYPASS 204 invalidate"),
    (IGNORE, "POST", fetched(500), False, "BYPASS 500 nothing"),
    (IGNORE, "POST", fetched(429), False, "BYPASS 429 nothing"),
    (CAP, "PUT", fetched(201), False, "BYPASS 201 invalidate"),
    (OBEY, "M-SEARCH", fetched(200), False, "BYPASS 200 invalidate"),
    (OBEY, "OPTIONS", fetched(200), False, "BYPASS 200 nothing"),
    (OBEY, "POST", fetched(200, LOCATED, SOON), True, "BYPASS 200 put"),
    (OBEY, "POST", fetched(200, LOCATED, cc("max-age=9")), True, "BYPASS 200 put"),
    (OBEY, "POST", fetched(200, LOCATED), True, "BYPASS 200 invalidate"),
    (OBEY, "POST", fetched(200, SOON), True, "BYPASS 200 invalidate"),
    (OBEY, "POST", fetched(200, ("Content-Location", "/y"), SOON), True, "BYPASS 200 invalidate"),
    (OBEY, "POST", fetched(200, LOCATED, cc("no-store, max-age=9")), True, "BYPASS 200 invalidate"),
    (OBEY, "POST", fetched(404, LOCATED, SOON), True, "BYPASS 404 nothing"),
    (OBEY, "POST", fetched(200, LOCATED, SOON), False, "BYPASS 200 invalidate"),
    (IGNORE, "GET", QUOTA, False, "REFUSED 429 nothing"),
    (IGNORE, "POST", HOLD, False, "REFUSED 429 nothing"),
    (IGNORE, "POST", TIMEOUT, False, "REFUSED 504 nothing"),
    (IGNORE, "POST", CONNECT, False, "REFUSED 502 nothing"),
]


@pytest.mark.parametrize(("policy", "method", "outcome", "storable", "expected"), FORWARDED)
def test_what_is_forwarded(
    policy: Policy, method: str, outcome: Outcome, *, storable: bool, expected: str
) -> None:
    """9111 4.4, 9110 9.3.3: it passes; unsafe methods invalidate; a POST may be stored for GETs."""
    plan = Forward("method", storable=storable)
    made = settled(outcome, plan, endpoint(policy), asking(method=method))

    assert expected == word(made)
    assert made.shareable is not isinstance(outcome, Fetched)


def test_an_invalidation_names_absolute_uris() -> None:
    """9111 4.4: the target and what Location names."""
    outcome = fetched(201, ("Location", "y"))
    made = settled(outcome, Forward("method"), request=asking(method="POST"))

    assert made.write == Invalidate((URI, "https://api.example.com/y"))


def test_without_a_uri_the_requests_own_is_taken() -> None:
    """The target of a request is what it names itself."""
    request = replace(asking(method="PUT"), query="a=1")
    made = settle(endpoint(), request, Forward("method"), fetched(200), LIVES, "", NOW)

    assert made.write == Invalidate(("http://api.example.com/x?a=1",))


def test_without_a_key_nothing_is_stored() -> None:
    """A private POST has no key, and is for nobody else."""
    plan = Forward("method", private=True, storable=True)
    outcome = fetched(200, LOCATED, SOON)
    made = settled(outcome, plan, endpoint(OBEY), asking(method="POST"), key="")

    assert isinstance(made.write, Invalidate)
    assert made.stored is False
