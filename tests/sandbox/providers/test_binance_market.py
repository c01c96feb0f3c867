"""What Binance spot and futures share."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from proxy.sandbox.limits import Counted, Limit, Refused
from proxy.sandbox.provider import Call
from proxy.sandbox.providers import binance_market as shared

KLINES = "/api/v3/klines?symbol=BTCUSDT"
HOUR = 3_600_000


def test_candles_have_twelve_members_and_real_times(
    answer: Callable[..., Any], shape: Callable[[Any], Any]
) -> None:
    """Open time, four prices, volume, close time and the rest, the running candle last."""
    rows = answer("binance", f"{KLINES}&interval=1h&limit=3")

    kinds = ["number", *["decimal"] * 5, "number", "decimal", "number", *["decimal"] * 3]
    assert [shape(member) for member in rows[0]] == kinds
    assert [row[0] % HOUR for row in rows] == [0, 0, 0]
    assert [row[6] - row[0] for row in rows] == [HOUR - 1] * 3
    assert rows[-1][6] > 1_795_232_239_500


@pytest.mark.parametrize(
    ("query", "count"),
    [("", 500), ("&limit=7", 7), ("&limit=9999", 1000), ("&startTime=1795222800000", 3)],
)
def test_candles_are_limited_as_asked(answer: Callable[..., Any], query: str, count: int) -> None:
    """500 unless said otherwise, 1000 at most."""
    assert len(answer("binance", f"{KLINES}&interval=1h{query}")) == count


def test_no_candle_is_older_than_the_exchange(answer: Callable[..., Any]) -> None:
    """A thousand months do not reach back before the listing."""
    rows = answer("binance", f"{KLINES}&interval=1M&limit=1000&startTime=0")

    assert 100 < len(rows) < 200
    assert rows[0][0] >= shared.LISTED * 1000


def test_a_closed_candle_never_changes(answer: Callable[..., Any]) -> None:
    """A range in the past is the same tomorrow."""
    target = f"{KLINES}&interval=1h&startTime=1795100000000&endTime=1795200000000"

    assert answer("binance", target) == answer("binance", target, now=1_795_332_239.0)


def test_microseconds_are_given_where_they_are_asked_for(answer: Callable[..., Any]) -> None:
    """`X-MBX-TIME-UNIT` changes the body."""
    fields = (("X-MBX-TIME-UNIT", "MICROSECOND"),)
    target = f"{KLINES}&interval=1h&limit=1"

    assert answer("binance", target, fields=fields)[0][0] == answer("binance", target)[0][0] * 1000


def test_the_first_refusals_name_the_wait_and_a_ban_names_its_end(
    call: Callable[..., Call],
) -> None:
    """429 and 418 both have Retry-After and -1003; the ban says until when, in milliseconds."""
    limit = Limit("weight", 6000, 60.0)
    refused = shared.refusal(call("/"), Refused(limit, 12.2, {}))
    banned = shared.refusal(call("/"), Refused(limit, 120.0, {}, banned_until=1_700_000_123.5))

    assert (refused.status, dict(refused.fields)["Retry-After"]) == (429, "13")
    assert msgspec.json.decode(refused.body)["code"] == -1003
    assert banned.status == 418
    assert "banned until 1700000123500." in msgspec.json.decode(banned.body)["msg"]


def test_usage_is_told_in_headers(call: Callable[..., Call]) -> None:
    """The used weight always, the order count where an order was sent."""
    fields = dict(shared.usage(call("/"), Counted({"weight": 42, "orders": 3})))

    assert fields["X-MBX-USED-WEIGHT-1M"] == "42"
    assert fields["X-MBX-ORDER-COUNT-10S"] == "3"
