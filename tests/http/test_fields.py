"""What an account says as field lines, and which of the provider's fields pass."""

import http_sf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.answer import Account, Problem
from proxy.core.model import Verdict
from proxy.core.spending import Level
from proxy.http.fields import (
    cache_status,
    end_to_end,
    presentable,
    problem_waits,
    rate_limits,
    retry_after,
    verdict_lines,
)


def member(account: Account) -> dict[str, object]:
    [(name, parameters)] = http_sf.parse(cache_status(account).encode(), tltype="list")
    assert str(name) == "quota-proxy"
    return dict(parameters)


@pytest.mark.parametrize(
    ("account", "said"),
    [
        (
            Account(Verdict.HIT, age=3.2, ttl=56.8, key="a:b"),
            {"hit": True, "ttl": 56, "key": "a:b"},
        ),
        (Account(Verdict.STALE, age=70, ttl=-10.5), {"hit": True, "ttl": -11}),
        (
            Account(Verdict.MISS, forward_reason="uri-miss", forward_status=200, stored=True),
            {"fwd": "uri-miss", "fwd-status": 200, "stored": True},
        ),
        (
            Account(Verdict.JOINED, forward_reason="uri-miss", forward_status=200, collapsed=True),
            {"fwd": "uri-miss", "fwd-status": 200, "collapsed": True},
        ),
        (
            Account(Verdict.REVALIDATED, age=1, forward_reason="stale", forward_status=304),
            {"fwd": "stale", "fwd-status": 304},
        ),
        (
            Account(Verdict.RESCUED, age=99, ttl=-9, detail="quota"),
            {"hit": True, "ttl": -9, "detail": "quota"},
        ),
        (Account(Verdict.BYPASS, forward_reason="bypass"), {"fwd": "bypass"}),
        (Account(Verdict.REFUSED, detail="quota-exhausted"), {"detail": "quota-exhausted"}),
    ],
)
def test_cache_status_by_verdict(account: Account, said: dict[str, object]) -> None:
    """RFC 9211 section 2: `hit` and `fwd` exclude each other, `ttl` is negative when stale."""
    assert said == {name: str(v) if name == "fwd" else v for name, v in member(account).items()}


@given(
    key=st.text(max_size=40),
    detail=st.text(max_size=40),
    ttl=st.none() | st.floats(allow_nan=False),
    names=st.lists(st.text(max_size=10), max_size=3),
    used=st.floats(0, 1e18),
)
def test_all_parse_as_structured_fields(
    key: str, detail: str, ttl: float | None, names: list[str], used: float
) -> None:
    """Whatever stands in an account, what is written is a structured field (RFC 9651)."""
    levels = tuple(Level(name, name, 30, used, used / 7, window=60) for name in names)
    account = Account(Verdict.HIT, age=1, ttl=ttl, key=key, detail=detail, levels=levels)
    said = verdict_lines(account).split(b"\r\n")
    assert [b"X-Cache: HIT", b"Age: 1", b""] == [said[0], *said[2:]]
    name, _, value = said[1].partition(b": ")
    assert name == b"Cache-Status"
    for each in (value, *(value.encode("ascii") for _, value in rate_limits(levels))):
        http_sf.parse(each, tltype="list")


def test_strings_keep_what_is_printable() -> None:
    r"""Quotes and backslashes are escaped, the rest of ASCII stays, anything else is encoded."""
    account = Account(Verdict.HIT, age=0, key='["A\\","B"] %20é\n')
    assert member(account)["key"] == '["A\\","B"] %20%C3%A9%0A'


def test_rate_limits_show_every_limit() -> None:
    """`q` and `w` are the policy; `r` is what is left and `t` when it is whole, both cautious."""
    minute = Level("minute", "minute", 30, 12.5, 41.2, "sliding_window", 60)
    month = Level("month", "month", 10000, 10400, 86400.0, "fixed_window", 2678400)
    assert rate_limits((minute, month)) == (
        ("RateLimit-Policy", '"minute";q=30;w=60, "month";q=10000;w=2678400'),
        ("RateLimit", '"minute";r=17;t=42, "month";r=0;t=86400'),
    )


def test_the_scarcest_count_stands_for_its_limit() -> None:
    """A limit with several counts is shown once: with what the client can still have."""
    counts = (Level("m", "m/a", 10, 1, 5), Level("m", "m/b", 10, 9, 6), Level("m", "m/c", 10, 4, 7))
    assert rate_limits(counts)[1] == ("RateLimit", '"m";r=1;t=6')


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.0, [("Retry-After", "1")]),
        (0.2, [("Retry-After", "1")]),
        (6.01, [("Retry-After", "7")]),
        (60.0, [("Retry-After", "60")]),
        (60.5, [("Retry-After", "60"), ("x-should-retry", "false")]),
        (86400.0, [("Retry-After", "60"), ("x-should-retry", "false")]),
        (None, [("Retry-After", "60"), ("x-should-retry", "false")]),
    ],
)
def test_retry_after(seconds: float | None, said: list[tuple[str, str]]) -> None:
    """Whole seconds, rounded up, at most `retry_after_max`; SDKs are told not to retry blindly."""
    assert list(retry_after(seconds, 60.0)) == said


@pytest.mark.parametrize(
    ("status", "wait", "said"),
    [(429, 3.0, "3"), (503, None, "60"), (502, None, None), (504, 2.5, "3"), (404, None, None)],
)
def test_problem_waits(status: int, wait: float | None, said: str | None) -> None:
    """Every 429 and 503 carries Retry-After; another status where a wait is known."""
    problem = Problem(status, "t", "d", "k", retry_after=wait)
    assert dict(problem_waits(problem)).get("Retry-After") == said


def test_end_to_end_drops_what_connection_names() -> None:
    """RFC 9110 section 7.6.1: listed fields, and those that Connection names, go no further."""
    fields = (
        ("Connection", "close, X-Mine"),
        ("Connection", "x-other"),
        ("X-Mine", "1"),
        ("x-Other", "2"),
        ("Keep-Alive", "timeout=5"),
        ("Transfer-Encoding", "chunked"),
        ("Content-Length", "3"),
        ("X-Kept", "4"),
        ("Content-Type", "text/plain"),
    )
    assert end_to_end(fields) == (("X-Kept", "4"), ("Content-Type", "text/plain"))


def test_presentable_drops_the_providers_own_address() -> None:
    """Via, Alt-Svc, NEL, Report-To and HSTS speak of another address; X-Cache and Age are ours."""
    names = ["Via", "Alt-Svc", "NEL", "Report-To", "Strict-Transport-Security", "X-Cache"]
    fields = (*((name, "x") for name in names), ("ETag", '"1"'), ("RateLimit", "x"))
    assert presentable(fields) == (("ETag", '"1"'),)
