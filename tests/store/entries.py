"""Entries as the tests of the store make them."""

from proxy.core.model import Entry, Lifetimes
from tests.values import replace

NOW = 1_700_000_000.0

ENTRY = Entry(
    key="coingecko:price:?ids=bitcoin",
    status=200,
    reason="OK",
    fields=(("Content-Type", "application/json"), ("ETag", 'W/"1"')),
    body=b'{"bitcoin":{"usd":1}}',
    encoding="",
    requested_at=NOW - 1.0,
    received_at=NOW,
    initial_age=0.5,
    lifetimes=Lifetimes(60.0, 30.0, 300.0, 0.0),
    request_fields=(("accept", "application/json"),),
    tags=("prices",),
    flags=frozenset({"must-revalidate", "no-cache"}),
)


def entry(key: str, body: bytes = b"{}", received_at: float = NOW) -> Entry:
    """Return an entry like any other."""
    return replace(ENTRY, key=key, body=body, received_at=received_at)
