"""What a method and fields say to an endpoint: once worked out, the same for whoever says it."""

from typing import Any

import pytest

from proxy.core import wordings
from proxy.core.fields import Fields
from proxy.core.upstreams import Credentials, Endpoint, Upstream
from proxy.core.wordings import Wording, named, wording

PRICE = Endpoint("price", "u", "/price", (), ttl=60.0, headers=("x-region",))
OTHER = Endpoint("other", "u", "/other", (), ttl=60.0, content_type=None)


def upstream(**settings: Any) -> Upstream:
    keys = frozenset({"x-key"})
    return Upstream(
        "u", "https://u.test", "/u", (PRICE, OTHER), None, secret_headers=keys, **settings
    )


U = upstream()


def said(*fields: tuple[str, str], of: Upstream = U, method: str = "GET") -> Wording:
    return wording(of, PRICE, method, fields)


def test_what_is_heeded_is_remembered_whatever_else_is_said() -> None:
    """A field that differs in each request, and no rule speaks of, makes no other wording."""
    one = said(("Accept", "text/csv"), ("traceparent", "1"))

    assert one is said(("Accept", "text/csv"), ("traceparent", "2"), ("User-Agent", "bot"))
    assert one is not said(("Accept", "text/html"), ("traceparent", "1"))


@pytest.mark.parametrize("method", ["HEAD", "POST"])
def test_another_record_or_method_is_another_wording(method: str) -> None:
    """Equal configurations share nothing: a reload begins anew."""
    fields = (("Accept", "text/csv"),)

    assert said(*fields) is not said(*fields, of=upstream())
    assert said(*fields) is not said(*fields, method=method)
    assert said(*fields) is not wording(U, OTHER, "GET", fields)


@pytest.mark.parametrize(
    ("fields", "variant", "sent"),
    [
        ((), "", (("Accept", "application/json"), ("Accept-Encoding", "gzip"))),
        (
            (("accept", "text/csv"), ("X-REGION", " eu "), ("x-key", "k"), ("Pragma", "no-cache")),
            ";accept=text%2Fcsv;header-x-region=eu",
            (("Accept", "text/csv"), ("Accept-Encoding", "gzip"), ("X-REGION", "eu")),
        ),
    ],
)
def test_what_is_keyed_is_what_is_sent(fields: Fields, variant: str, sent: Fields) -> None:
    """Beside the target nothing changes an answer but what is in its key."""
    found = wording(upstream(user_agent=""), PRICE, "GET", fields)

    assert variant == found.variant
    assert sent == found.sent


def test_keys_are_told_as_they_were_written() -> None:
    """A key is told by its value, with the blanks cut off; an empty one is none."""
    own = upstream(credentials=Credentials(header="X-Own", value="secret"))
    found = said(("X-KEY", " k "), ("x-own", "mine"), ("x-key", " "), of=own)

    assert (("header x-key", "k"), ("header x-own", "mine")) == found.keys
    assert (("X-KEY", " k "), ("x-own", "mine")) == found.key_fields


def test_what_is_named_hides_nothing() -> None:
    """Several lines count as one; what says nothing, or is a key, is not named."""
    fields = (("X-A", "1"), ("x-a", "2"), ("x-b", " "), ("x-key", "k"))

    assert (("x-a", "1, 2"),) == named(U, fields, ("x-key", "x-b", "x-a", "x-c"))


@pytest.mark.parametrize("name", ["OK-ACCESS-SIGN", "Authorization", "cookie", "x-mine"])
def test_what_is_signed_is_not_remembered(name: str) -> None:
    """It is new each time, and would push out what is not; nor is a token kept."""
    of = upstream(private_headers=frozenset({"x-mine"}))
    one = said((name, "of my own"), of=of)

    assert f"header {name.lower()}" == one.marked
    assert one is not said((name, "of my own"), of=of)
    assert not any("of my own" in str(asked) for asked in wordings._known)


def test_what_is_remembered_is_bounded() -> None:
    """Clients choose what they say: neither many wordings nor long ones fill memory."""
    long = (("Accept", "x" * 4000),)
    for number in range(3000):
        said(("Accept", f"text/x{number}"))

    assert len(wordings._known) <= wordings.MOST
    assert said(*long) is not said(*long)
    assert said(*long).variant == said(*long).variant
