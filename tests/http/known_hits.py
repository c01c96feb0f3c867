"""Hits that a test makes, and heads that ask for them."""

from typing import Any

from proxy.answer import Account
from proxy.core.model import Entry, Lifetimes, Verdict
from tests.http.conftest import KnownHit, whole

FIELDS = (("Content-Type", "text/plain"), ("Date", "Tue, 15 Nov 1994 08:12:31 GMT"))
GET = b"GET %b HTTP/1.1\r\nHost: P\r\n%b\r\n"


def entry(key: str = "k", body: bytes = b"hello") -> Entry:
    return Entry(key, 200, "OK", FIELDS, body, "", 0, 0, 0, Lifetimes(60))


def hit(of: Entry, age: float = 1.0, **more: Any) -> KnownHit:
    account = Account(Verdict.HIT, key=of.key, age=age, ttl=60 - age)
    return KnownHit(of, whole(of.body, account=account, fields=of.fields, entry=of), **more)
