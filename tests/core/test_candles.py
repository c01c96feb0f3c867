"""Candles: no answer outlives its candles, and what is asked is the same as what was meant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.candles import SETTLED, SETTLES, ended, grid, lived, rounded
from proxy.core.model import Lifetimes, Policy
from proxy.core.parameters import decode
from proxy.core.series import Span
from proxy.core.tables import ByValue
from proxy.core.upstreams import Endpoint
from proxy.sandbox import candles as provider
from tests.values import replace

KLINES = Endpoint(
    "klines", "binance", "/klines", (), ttl=60.0, align="interval",
    round=Span("startTime", "endTime"), settled=604_800.0,
)  # fmt: skip
LIVES = Lifetimes(600.0, stale_while_revalidate=60.0, stale_if_error=300.0)
MINUTE, HOUR, DAY = 60, 3600, 86_400
NOON = 1_763_000_000 // DAY * DAY + DAY / 2


@pytest.mark.parametrize(
    ("interval", "asked_at", "ttl"),
    [
        ("1s", NOON + 0.5, 0.5),
        ("1m", NOON, 1),
        ("1m", NOON + 0.3, 0.7),
        ("1m", NOON + 1, 60),
        ("1m", NOON + 59, 2),
        ("5m", NOON + 10, 291),
        ("15m", NOON + 10, 600),
        ("15m", NOON + 14 * MINUTE, 61),
        ("4h", NOON - 30, 31),
        ("1d", NOON + DAY / 2 - 100, 101),
        ("3d", NOON + DAY / 2 - 100, 101),
        ("1w", NOON + DAY / 2 - 100, 101),
        ("1M", NOON + DAY / 2 - 100, 101),
        ("1M", NOON, 600),
    ],
)
def test_an_answer_ends_a_second_after_the_close(
    interval: str, asked_at: float, ttl: float
) -> None:
    """The TTL, or one second after the first close that is not in it yet: whichever is first."""
    lives = lived(KLINES, f"symbol=A&interval={interval}", LIVES, asked_at, asked_at)

    assert pytest.approx(ttl) == lives.ttl


@given(
    st.sampled_from(provider.INTERVALS),
    st.floats(1_600_000_000, 1_900_000_000),
    st.floats(0, 2),
)
def test_nothing_stale_reaches_across_a_close(interval: str, asked_at: float, took: float) -> None:
    """At no age is an entry usable at which a candle has closed that it does not know."""
    lives = lived(KLINES, f"interval={interval}", LIVES, asked_at, asked_at + took)
    opened = provider.opening(interval, asked_at - SETTLES)
    closes = provider.after(interval, opened)

    assert asked_at + took + lives.usable <= max(closes + SETTLES, asked_at + took) + 1e-3
    assert lives.ttl <= LIVES.ttl
    assert lives.most is not None


def test_what_is_not_known_to_hold_candles_lives_as_configured() -> None:
    """No `align`, no interval, two of them, a strange one, or `obey`: nothing is cut."""
    asked = (NOON, NOON)

    assert LIVES == lived(replace(KLINES, align=None), "interval=1m", LIVES, *asked)
    assert LIVES == lived(replace(KLINES, policy=Policy.OBEY), "interval=1m", LIVES, *asked)
    for query in ("", "interval=", "interval=1m&interval=1h", "interval=7x", "interval=-1m",
                  "interval=0m", "interval=1m&timeZone=Berlin"):  # fmt: skip
        assert LIVES == lived(KLINES, query, LIVES, *asked), query


def test_a_table_may_say_how_long_candles_are() -> None:
    """CoinGecko's go by `days`: half an hour for one, four hours for a week."""
    table = ByValue("days", (("1", 1800.0), ("7", 14_400.0)), 0.0)
    ohlc = replace(KLINES, align=table, round=None)
    lives = replace(LIVES, ttl=900.0)

    assert 301 == lived(ohlc, "days=1", lives, NOON + 1500, NOON + 1500).ttl
    assert 900 == lived(ohlc, "days=7", lives, NOON + 1500, NOON + 1500).ttl
    assert lives == lived(ohlc, "days=max", lives, NOON + 1500, NOON + 1500)


@pytest.mark.parametrize(
    ("zone", "step"),
    [("0", DAY), ("8", 8 * HOUR), ("-1:00", HOUR), ("05:45", 15 * MINUTE), ("+3", 3 * HOUR)],
)
def test_a_time_zone_makes_the_grid_finer(zone: str, step: int) -> None:
    """Whichever candles are meant by it, they begin on the grid."""
    rows = grid(KLINES, (("interval", "1d"), ("timeZone", zone)))

    assert rows is not None
    assert step * 1000 == rows.step


# ── round ──


def test_now_less_a_day_is_one_key() -> None:
    """A start that moves with the clock is the same question until the next candle opens."""
    queries = {
        rounded(KLINES, f"symbol=A&interval=1h&startTime={int((NOON + moment - DAY) * 1000) + 1}")
        for moment in range(0, HOUR - 1, 100)
    }

    assert {f"symbol=A&interval=1h&startTime={int(NOON + HOUR - DAY) * 1000}"} == queries


@given(
    st.sampled_from(provider.INTERVALS),
    st.none() | st.integers(1_600_000_000_000, 1_700_000_000_000),
    st.none() | st.integers(0, 40 * DAY * 1000),
    st.integers(1, 50),
)
def test_the_answer_is_the_same(
    interval: str, start: int | None, length: int | None, limit: int
) -> None:
    """A provider that goes by when candles open answers both questions with the same candles."""
    end = None if length is None else (start or 1_650_000_000_000) + length
    query = f"interval={interval}"
    query += "" if start is None else f"&startTime={start}"
    query += "" if end is None else f"&endTime={end}"

    assert _answered(query, limit) == _answered(rounded(KLINES, query), limit)


def _answered(query: str, limit: int) -> list[tuple[int, int]]:
    asked = dict(decode(query))
    start, end = (int(asked[name]) / 1000 if name in asked else None
                  for name in ("startTime", "endTime"))  # fmt: skip
    return list(provider.spans(asked["interval"], limit, start, end, 1_800_000_000))


@pytest.mark.parametrize(
    "query",
    [
        "interval=1m",
        "startTime=1763000000001",
        "interval=1m&startTime=",
        "interval=1m&startTime=-1",
        "interval=1m&startTime=1e12",
        "interval=1m&startTime=1763000000001&startTime=1763000000002",
        "interval=1m&startTime=1763000000001000",
        "interval=1m&startTime=1763000000001&endTime=x",
        "interval=1m&startTime=1763000000001&endTime=1763000000002",
        "interval=1m&timeZone=Mars&startTime=1763000000001",
    ],
)
def test_what_may_mean_something_else_is_left_alone(query: str) -> None:
    """No number, several, microseconds, a range without a candle: asked as it came."""
    assert query == rounded(KLINES, query)


def test_the_rest_of_the_query_stays_as_it_was_written() -> None:
    """Other parameters keep their spelling, and a name keeps its own."""
    query = "symbol=%41&interval=1m&start%54ime=1763000000001&x"

    assert rounded(KLINES, query) == "symbol=%41&interval=1m&start%54ime=1763000040000&x"


def test_seconds_stay_seconds() -> None:
    """Where a provider counts seconds, seconds are written."""
    rule = replace(KLINES, round=Span("from", "to", unit=1000))

    assert rounded(rule, "interval=1m&from=1763000001") == "interval=1m&from=1763000040"


# ── settled ──


def test_a_range_in_the_past_is_kept() -> None:
    """Once the last candle of a range has closed, nothing of it changes any more."""
    end = int(NOON - HOUR) * 1000
    query = f"interval=1m&endTime={end}"
    just_closed = NOON - HOUR + MINUTE + SETTLED - 1

    assert 604_800 == lived(KLINES, query, LIVES, NOON, NOON).ttl
    assert lived(KLINES, query, LIVES, just_closed, just_closed).ttl <= 60
    assert lived(KLINES, f"interval=1M&endTime={end}", LIVES, NOON, NOON).ttl == LIVES.ttl


def test_a_range_without_an_end_is_never_settled() -> None:
    """Candles may be missing in between: a start and a count do not say where it ends."""
    start = int(NOON - DAY * 90) * 1000

    assert (
        lived(KLINES, f"interval=1m&startTime={start}&limit=5", LIVES, NOON + 1, NOON + 1).ttl == 60
    )


def test_an_end_that_has_passed_leaves_nothing() -> None:
    """A reply that took so long that its candle closed meanwhile is stored for no time at all."""
    assert Lifetimes(0, 0, 0, 0, 0) == ended(LIVES, -3)
