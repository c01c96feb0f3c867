"""How simulated providers count."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.sandbox.limits import (
    Algorithm,
    Ban,
    Counted,
    Enforcer,
    Limit,
    Refused,
    Spending,
    bounds,
)

MINUTE = 1_700_000_040.0
"""The beginning of a UTC minute."""


def _spending(cost: int = 1, address: str = "a", **more: object) -> Spending:
    given_values = {"credential": "", "route": "/x", "groups": (), **more}
    return Spending(address=address, cost=cost, **given_values)  # type: ignore[arg-type]


# Rows: (algorithm, [(seconds after the minute began, cost, let in)]), 3 per minute.
HISTORIES = [
    ("fixed_window", [(50, 3, True), (59.9, 1, False), (60, 3, True), (61, 1, False)]),
    ("first_request_window", [(50, 3, True), (60, 1, False), (109.9, 1, False), (110, 3, True)]),
    ("sliding_window", [(0, 1, True), (30, 2, True), (60, 1, True), (60, 1, False), (90, 2, True)]),
    ("token_bucket", [(0, 3, True), (10, 1, False), (20, 1, True), (30, 1, False), (80, 3, True)]),
]


@pytest.mark.parametrize(("algorithm", "history"), HISTORIES)
def test_each_algorithm_gives_tokens_back_in_its_own_way(
    algorithm: str, history: list[tuple[float, int, bool]]
) -> None:
    """The same limit under four algorithms lets in what that algorithm allows."""
    enforcer = Enforcer([Limit("m", 3, 60.0, algorithm)])

    seen = [
        isinstance(enforcer.enter(_spending(cost), MINUTE + at), Counted) for at, cost, _ in history
    ]

    assert seen == [let_in for _, _, let_in in history]


def test_an_offset_shifts_the_grid_of_a_fixed_window() -> None:
    """Windows that are not aligned to the minute begin at their own moments."""
    limit = Limit("m", 3, 60.0, offset=20.0)

    assert bounds(limit, MINUTE + 10) == (MINUTE - 40, MINUTE + 20)
    assert bounds(limit, MINUTE + 20) == (MINUTE + 20, MINUTE + 80)


def test_calendar_windows_end_with_the_day_and_the_month_in_utc() -> None:
    """`day` and `month` follow the calendar, the turn of the year included."""
    december = datetime(2026, 12, 31, 23, 30, tzinfo=UTC).timestamp()
    new_year = datetime(2027, 1, 1, tzinfo=UTC).timestamp()

    assert bounds(Limit("d", 1, "day"), december)[1] == new_year
    assert bounds(Limit("m", 1, "month"), december)[1] == new_year
    assert bounds(Limit("m", 1, "month"), december)[0] == new_year - 31 * 86_400


def test_several_limits_spend_all_or_nothing() -> None:
    """A request that one limit refuses spends nothing of the others."""
    enforcer = Enforcer([Limit("weight", 100, 60.0), Limit("orders", 1, 60.0, counts="requests")])
    enforcer.enter(_spending(10), MINUTE)

    refused = enforcer.enter(_spending(10), MINUTE)

    assert isinstance(refused, Refused)
    assert refused.limit.name == "orders"
    assert refused.used == {"weight": 10, "orders": 1}


def test_a_limit_that_counts_refusals_fills_by_them() -> None:
    """Where refused requests count, whoever goes on does not get out."""
    enforcer = Enforcer([Limit("m", 1, 60.0, Algorithm.SLIDING_WINDOW, counts_refusals=True)])
    for at in (0, 30, 61, 89):
        enforcer.enter(_spending(), MINUTE + at)

    assert isinstance(enforcer.enter(_spending(), MINUTE + 120), Refused)


def test_addresses_keys_and_routes_are_counted_apart_where_the_limit_says_so() -> None:
    """`of`, `each`, `when` and `group` choose who is counted, and for what."""
    enforcer = Enforcer(
        [
            Limit("key", 1, 60.0, of="credential", when="keyed"),
            Limit("route", 1, 60.0, each=True, when="keyless", group="slow"),
        ]
    )
    slow = {"groups": ("slow",)}
    seen = [
        enforcer.enter(_spending(credential="k"), MINUTE),
        enforcer.enter(_spending(credential="k", address="b"), MINUTE),
        enforcer.enter(_spending(credential="l"), MINUTE),
        enforcer.enter(_spending(**slow), MINUTE),
        enforcer.enter(_spending(route="/y", **slow), MINUTE),
        enforcer.enter(_spending(route="/y", **slow), MINUTE),
        enforcer.enter(_spending(route="/y"), MINUTE),
    ]

    assert [isinstance(each, Counted) for each in seen] == [
        True, False, True, True, True, False, True,
    ]  # fmt: skip


def test_who_goes_on_after_refusals_is_banned_and_longer_each_time() -> None:
    """After some 429 comes 418 for everything, then for longer; a success in between pardons."""
    enforcer = Enforcer([Limit("m", 1, 60.0)], Ban(after=2, seconds=120.0, growth=4.0))
    enforcer.enter(_spending(), MINUTE)
    refusals = [enforcer.enter(_spending(), MINUTE + 1) for _ in range(4)]
    enforcer.enter(_spending(), MINUTE + 121)
    again = [enforcer.enter(_spending(), MINUTE + 122) for _ in range(3)]

    ends = [each.banned_until for each in refusals + again if isinstance(each, Refused)]
    first, second = MINUTE + 121, MINUTE + 122 + 480
    assert ends == [None, None, first, first, None, None, second]
    assert enforcer.banned(MINUTE + 200) == {"a": second}


def test_a_foreign_program_spends_of_the_same_count() -> None:
    """What is spent behind everybody's back leaves less."""
    enforcer = Enforcer([Limit("weight", 10, 60.0)])
    enforcer.spend("weight", 8, "a", MINUTE)

    assert isinstance(enforcer.enter(_spending(3), MINUTE), Refused)
    assert enforcer.standing(_spending(), MINUTE) == {"weight": 8}
    assert enforcer.used(MINUTE) == {"weight": {"a": 8}}


@given(
    algorithm=st.sampled_from(list(Algorithm)),
    steps=st.lists(st.tuples(st.floats(0, 20), st.integers(1, 4)), max_size=60),
)
def test_a_refused_request_fits_once_it_has_waited(
    algorithm: Algorithm, steps: list[tuple[float, int]]
) -> None:
    """`retry_after` is enough, and less than a thousandth too little is refused again."""
    enforcer, now = Enforcer([Limit("m", 5, 30.0, algorithm)]), MINUTE
    for pause, cost in steps:
        now += pause
        found = enforcer.enter(_spending(cost), now)
        if isinstance(found, Refused):
            assert (
                isinstance(
                    enforcer.enter(_spending(cost), now + found.retry_after * 0.999 - 1e-3), Refused
                )
                or found.retry_after < 2e-3
            )
            now += found.retry_after + 1e-6
            assert isinstance(enforcer.enter(_spending(cost), now), Counted)


@given(
    steps=st.lists(st.tuples(st.floats(0, 9), st.integers(1, 4)), max_size=80),
)
def test_a_sliding_window_never_lets_more_than_the_limit_into_any_window(
    steps: list[tuple[float, int]],
) -> None:
    """Over every span of `per` seconds, what was let in is at most the limit."""
    enforcer, now, let_in = Enforcer([Limit("m", 7, 30.0, "sliding_window")]), MINUTE, []
    for pause, cost in steps:
        now += pause
        if isinstance(enforcer.enter(_spending(cost), now), Counted):
            let_in.append((now, cost))

    for start, _ in let_in:
        assert sum(cost for at, cost in let_in if start <= at < start + 30.0) <= 7
