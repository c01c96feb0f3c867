"""What a provider says of itself: usage, holds, errors hidden in a 200 (providers.md)."""

from typing import Any

import pytest

from proxy.core.fields import Fields
from proxy.core.signals import at_path, own_date, reads_body, retry_after, signals
from proxy.core.spending import HoldFor, Report
from proxy.core.upstreams import BodyCheck, Hold, Upstream, Usage
from tests.house import PRICE, upstream
from tests.values import replace

NOW = 1_795_000_000.0
BANNED = Hold(body_patterns=(r"banned until (\d+)",))


def said(provider: Upstream, status: int, fields: Fields = (), body: bytes = b"") -> Any:
    return signals(provider, PRICE, status, fields, body, NOW)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("Sat, 21 Nov 2026 00:00:00 GMT", pytest.approx(1_795_219_200 - NOW)),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0.0),
        ("-1", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
    ],
)
def test_retry_after(value: str, expected: float | None) -> None:
    """RFC 9110 section 10.2.3: seconds or a date; what makes no sense says nothing."""
    assert expected == retry_after((("Retry-After", value),), NOW)


@pytest.mark.parametrize(
    ("status", "fields", "body", "expected"),
    [
        (429, (("Retry-After", "7"),), b"", 7.0),
        (418, (), b'{"msg":"IP banned until 1795000120000 ms"}', 120.0),
        (418, (("Retry-After", "60"),), b"banned until 1795000120000", 120.0),
        (418, (("Retry-After", "180"),), b"banned until 1795000120000", 180.0),
        (429, (), b"", None),
        (418, (), b"banned until 1", 0.0),
    ],
)
def test_holds(status: int, fields: Fields, body: bytes, expected: float | None) -> None:
    """Retry-After or "banned until", whichever is later; else the ledger's growing steps."""
    found = said(replace(upstream(), hold=BANNED), status, fields, body)

    assert found.hold == HoldFor(str(status), expected, 10.0, 3600.0)
    assert found.rejected == "blocked"


@pytest.mark.parametrize("status", [200, 400, 403, 404, 500, 503])
def test_other_statuses_hold_nobody(status: int) -> None:
    """A 403 is a firewall and a 500 is an error: neither is a limit."""
    found = said(upstream(), status)

    assert found.hold is None
    assert found.rejected == ""


def test_a_declared_block() -> None:
    """Bybit's 403 "access too frequent" means ten minutes."""
    provider = replace(
        upstream(), hold=Hold(blocked_statuses=((403, "access too frequent", 600.0),))
    )

    assert said(provider, 403, (), b"Access too frequent.").hold.seconds == 600.0
    assert said(provider, 403, (), b"forbidden").hold is None


KRAKEN = BodyCheck("error.*", contains=("Too many requests",))
ETHERSCAN = BodyCheck("message", values=("NOTOK",))
ODD = BodyCheck("status.error_code", values=("500",), counts_as="error")


@pytest.mark.parametrize(
    ("check", "body", "rejected"),
    [
        (KRAKEN, b'{"error":["EGeneral:Too many requests"]}', "blocked"),
        (KRAKEN, b'{"error":["EQuery:Unknown asset pair"]}', ""),
        (KRAKEN, b'{"error":[],"result":{}}', ""),
        (ETHERSCAN, b'{"status":"0","message":"NOTOK"}', "blocked"),
        (ETHERSCAN, b'{"status":"1","message":"OK"}', ""),
        (ODD, b'{"status":{"error_code":500}}', "error"),
        (ODD, b'{"status":{"error_code":0}}', ""),
        (ODD, b"not json", ""),
        (BodyCheck("error"), b'{"error":"trop de requ\xeates"}', ""),
        (BodyCheck("error"), b'{"error":' + b"[" * 100_000 + b"]" * 100_000 + b"}", ""),
        (BodyCheck("error"), b'{"error":"anything"}', "blocked"),
        (BodyCheck("error"), b'{"error":""}', ""),
    ],
)
def test_errors_hidden_in_a_200(check: BodyCheck, body: bytes, rejected: str) -> None:
    """A body that says "too much" counts as a 429; one that says "broken" as a 500."""
    found = said(replace(upstream(), body_checks=(check,)), 200, (), body)

    assert rejected == found.rejected
    assert (found.hold is not None) is (rejected == "blocked")


@pytest.mark.parametrize(
    ("usage", "fields", "body", "expected"),
    [
        (Usage("weight", "X-MBX-USED-WEIGHT-1M"), (("x-mbx-used-weight-1m", "44"),), b"",
         Report("weight", used=44.0)),
        (Usage("minute", "x-ratelimit-remaining", means="remaining", reset_header="x-reset"),
         (("X-RateLimit-Remaining", "3"), ("X-Reset", "1795000030")), b"",
         Report("minute", remaining=3.0, resets_in=30.0)),
        (Usage("minute", "left", means="remaining", reset_header="r", reset_unit="epoch_ms"),
         (("left", "3"), ("r", "1795000030000")), b"",
         Report("minute", remaining=3.0, resets_in=30.0)),
        (Usage("minute", "RateLimit", means="remaining", reset_header="RateLimit"),
         (("RateLimit", '"day";r=900;t=9999'), ("RateLimit", '"minute";r=3;t=30')), b"",
         Report("minute", remaining=3.0, resets_in=30.0)),
        (Usage("minute", "RateLimit-Policy", means="limit"),
         (("ratelimit-policy", '"minute";q=60;w=60'),), b"", Report("minute", size=60.0)),
        (Usage("month", body="status.credit_count", means="cost"), (),
         b'{"data":{},"status":{"credit_count":2}}', Report("month", cost=2.0)),
        (Usage("minute", "limit", means="limit"), (("limit", "60"),), b"",
         Report("minute", size=60.0)),
    ],
)  # fmt: skip
def test_usage(usage: Usage, fields: Fields, body: bytes, expected: Report) -> None:
    """Figures in fields and bodies, with when they are reset."""
    found = said(replace(upstream(), usage=(usage,)), 200, fields, body)

    assert found.reports == (expected,)


@pytest.mark.parametrize("value", ["-1", "many", "", "nan", "inf", "1e999"])
def test_figures_that_lie_are_not_reported(value: str) -> None:
    """What is negative or no number corrects nothing."""
    provider = replace(upstream(), usage=(Usage("weight", "used"),))

    assert said(provider, 200, (("used", value),)).reports == ()


def test_wrong_usage_is_ignored_where_declared() -> None:
    """Some endpoints' usage fields are wrong: there they say nothing."""
    provider = replace(upstream(), usage=(Usage("weight", "used"),))
    rule = replace(PRICE, ignore_usage=True)

    assert signals(provider, rule, 200, (("used", "1"),), b"", NOW).reports == ()


def test_which_bodies_are_read() -> None:
    """A body is looked into only where it can say something."""
    checked = replace(upstream(), body_checks=(KRAKEN,))

    assert not reads_body(upstream(), PRICE, 200)
    assert reads_body(upstream(), PRICE, 429)
    assert reads_body(checked, PRICE, 200)
    assert not reads_body(checked, PRICE, 404)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.b", [1]),
        ("list.*.x", [1, 2]),
        ("map.*", [3, 4]),
        ("missing", []),
        ("a.b.c", []),
        ("text.*", []),
    ],
)
def test_at_path(path: str, expected: list[object]) -> None:
    """Dotted names, `*` for any member; what is not there gives nothing."""
    body = b'{"a":{"b":1},"list":[{"x":1},{"x":2},{}],"map":{"p":3,"q":4},"text":"t"}'

    assert expected == list(at_path(body, path))


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ((("left", "0"), ("resets", "1795000030000")), 30.0),
        ((("left", "0"), ("resets", "1795000030000"), ("Retry-After", "5")), 5.0),
        ((("left", "0"), ("resets", "1794999990000")), 0.0),
        ((("left", "7"), ("resets", "1795000030000")), None),
        ((("left", "0"),), None),
        ((("left", "0"), ("resets", "soon")), None),
    ],
)
def test_a_refusal_lasts_until_the_reset_of_what_is_spent(
    fields: Fields, seconds: float | None
) -> None:
    """Without Retry-After the answer's own reset counts, where it says that nothing remains."""
    left = Usage("minute", "left", means="remaining", reset_header="resets", reset_unit="epoch_ms")
    found = said(replace(upstream(), usage=(left,)), 429, fields)

    assert found.hold is not None
    assert found.hold.seconds == seconds


DATE = ("Date", "Sat, 21 Nov 2026 00:00:00 GMT")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ((DATE,), 1_795_219_200.0),
        ((("DATE", f" {DATE[1]} "), ("Server", "nginx")), 1_795_219_200.0),
        ((DATE, ("date", "Sun, 06 Nov 1994 08:49:37 GMT")), 1_795_219_200.0),
        ((), None),
        ((("Date", "soon"),), None),
        ((("CF-Ray", "1"), DATE), None),
        ((DATE, ("age", "0")), None),
        ((DATE, ("Via", "1.1 x")), None),
    ],
)
def test_whose_date_it_is(fields: Fields, expected: float | None) -> None:
    """What a cache or a CDN has passed on says another clock's time; the first Date counts."""
    assert expected == own_date(fields, NOW)
