"""What the tests of settlements share: an endpoint, entries, answers, and the word for a result."""

from proxy.core.model import (
    Denied,
    Entry,
    Failed,
    Failure,
    Fetch,
    Fetched,
    Forward,
    Lifetimes,
    Outcome,
    Policy,
    Reply,
    Request,
    Settlement,
)
from proxy.core.settlements import settle
from proxy.core.upstreams import Endpoint
from tests.values import replace

NOW = 1_763_000_000.0
IGNORE, CAP, OBEY = Policy.IGNORE, Policy.CAP, Policy.OBEY
LIVES = Lifetimes(60.0, stale_while_revalidate=30.0, stale_if_error=600.0)
JSON = ("Content-Type", "application/json")
TAG = ("ETag", '"a"')
URI = "https://api.example.com/x"


def cc(value: str) -> tuple[str, str]:
    return ("Cache-Control", value)


def endpoint(policy: Policy = IGNORE, **rules: object) -> Endpoint:
    made = Endpoint("e", "u", "/x", (), policy=policy, ttl=60.0)
    return replace(made, **rules)  # type: ignore[arg-type]  # rows name the fields


def entry(age: float = 100, *fields: tuple[str, str], flags: frozenset[str] = frozenset()) -> Entry:
    at = NOW - age
    return Entry("k", 200, "OK", (JSON, *fields), b"old", "", at, at, 0.0, LIVES, flags=flags)


def fetched(status: int, *fields: tuple[str, str], rejected: str = "", body: bytes = b"new",
            length: int | None = None) -> Fetched:  # fmt: skip
    reply = Reply(status, "R", (JSON, *fields), body)
    return Fetched(reply, NOW, NOW, rejected, length)


def asking(*fields: tuple[str, str], method: str = "GET") -> Request:
    return Request(method, "/x", "", fields, host="api.example.com")


def settled(
    outcome: Outcome,
    plan: Fetch | Forward | None = None,
    rule: Endpoint | None = None,
    request: Request | None = None,
    key: str = "k",
) -> Settlement:
    return settle(
        rule or endpoint(), request or asking(), plan or Fetch(), outcome, LIVES, key, NOW, uri=URI
    )


def word(settlement: Settlement) -> str:
    """Return verdict, status and what is written, as a row reads it."""
    write = type(settlement.write).__name__.lower()
    return f"{settlement.verdict} {settlement.reply.status} {write}"


def falling_back(age: float = 100, flags: frozenset[str] = frozenset()) -> Fetch:
    old = entry(age, flags=flags)
    return Fetch(stored=(old,), fallback=old, forward_reason="stale")


QUOTA = Denied("minute", retry_after=7.0, resets_in=40.0)
HOLD = Denied("hold", retry_after=90.0, resets_in=90.0, hold=True)
CONNECT = Failed(Failure.CONNECT, sent=False)
TIMEOUT = Failed(Failure.TIMEOUT, sent=True)
BROKEN = Failed(Failure.PROTOCOL, sent=True)
GONE = Failed(Failure.DISCONNECTED, sent=True)
