"""Limits: their defaults, and what does not go together."""

from collections.abc import Callable

import pytest

from proxy.config.problems import Problem
from proxy.core.upstreams import Algorithm, CalendarUnit, Limit, Upstream


def only(upstream: Upstream) -> Limit:
    """Return the upstream's limit."""
    (limit,) = upstream.limits
    return limit


@pytest.mark.parametrize(
    ("per", "algorithm", "expected", "window"),
    [
        ("60s", None, Algorithm.SLIDING_WINDOW, 60.0),
        ("minute", None, Algorithm.SLIDING_WINDOW, 60.0),
        ("hour", None, Algorithm.SLIDING_WINDOW, 3600.0),
        ("day", None, Algorithm.FIXED_WINDOW, CalendarUnit.DAY),
        ("month", None, Algorithm.FIXED_WINDOW, CalendarUnit.MONTH),
        ("minute", "fixed_window", Algorithm.FIXED_WINDOW, CalendarUnit.MINUTE),
        ("5m", "fixed_window", Algorithm.FIXED_WINDOW, 300.0),
        ("day", "sliding_window", Algorithm.SLIDING_WINDOW, 86400.0),
    ],
)
def test_algorithms_and_windows(
    one: Callable[[str], Upstream],
    per: str,
    algorithm: str | None,
    expected: Algorithm,
    window: float | CalendarUnit,
) -> None:
    """Sliding is the default, fixed that of day and month; only fixed follows the calendar."""
    said = f", algorithm: {algorithm}" if algorithm else ""
    limit = only(one(f"limits: {{x: {{limit: 3, per: {per}{said}}}}}\n"))

    assert (limit.algorithm, limit.per) == (expected, window)


def test_every_attribute(one: Callable[[str], Upstream]) -> None:
    """What a limit can say arrives in the core's value."""
    limit = only(
        one(
            "limits:\n"
            "  x:\n"
            "    limit: 10000\n"
            "    per: month\n"
            "    of: credential\n"
            "    counts: requests\n"
            "    scope: named\n"
            "    each: endpoint\n"
            "    charged_for: [200, 304]\n"
            "    resets: 31\n"
            "    timezone: Europe/Berlin\n"
            "    pace: even\n"
            "    reserve: 5%\n"
        )
    )

    assert limit == Limit(
        name="x",
        limit=10000.0,
        per=CalendarUnit.MONTH,
        algorithm=Algorithm.FIXED_WINDOW,
        of="credential",
        counts="requests",
        scope="named",
        each_endpoint=True,
        charged_for=frozenset({200, 304}),
        resets_day=31,
        timezone="Europe/Berlin",
        pace=0.1,
        reserve=0.05,
    )


def test_a_token_bucket(one: Callable[[str], Upstream]) -> None:
    """A token bucket has a burst."""
    limit = only(one("limits: {x: {limit: 1, per: 1s, algorithm: token_bucket, burst: 15}}\n"))

    assert (limit.algorithm, limit.burst) == (Algorithm.TOKEN_BUCKET, 15.0)


def test_a_day_resets_at_a_time(one: Callable[[str], Upstream]) -> None:
    """`HH:MM` is seconds after midnight, and no number in base 60."""
    assert only(one("limits: {x: {limit: 1, per: day, resets: 08:30}}\n")).resets_time == 30600.0


@pytest.mark.parametrize(
    ("said", "path", "message"),
    [
        ("limit: 1, per: 1s, algorithm: token_bucket", "x", "a token_bucket needs `burst`"),
        ("limit: 1, per: 1s, burst: 2", "x.burst", "only a token_bucket has a burst"),
        ("limit: 0, per: 1s", "x.limit", "must be more than 0"),
        ("limit: 1, per: 1s, algorithm: token_bucket, burst: 0", "x.burst", "more than 0"),
        ("limit: 1, per: month, algorithm: sliding_window", "x.per", "no fixed length"),
        ("limit: 1, per: 1s, pace: even", "x.pace", "only a fixed_window can be paced"),
        ("limit: 1, per: day, resets: 3", "x.resets", "only a limit `per: month`"),
        ("limit: 1, per: 1s, resets: 08:00", "x.resets", "`per: day` or `per: month`"),
        ("limit: 1, per: month, resets: 32", "x.resets", "neither a day of the month"),
        ("limit: 1, per: day, resets: 25:00", "x.resets", "neither a day of the month"),
        ("limit: 1, per: day, timezone: Mars/Olympus", "x.timezone", "is no timezone"),
        ("limit: 1, per: day, timezone: ../../etc/passwd", "x.timezone", "is no timezone"),
        ("limit: 1, per: 60s, timezone: Europe/Berlin", "x.timezone", "only a calendar window"),
        ("limit: 1, per: 1s, charged_for: [20]", "x.charged_for[0]", "from 100 to 599"),
    ],
)
def test_what_does_not_go_together(
    complaints: Callable[..., tuple[Problem, ...]], said: str, path: str, message: str
) -> None:
    """A limit that nobody could count is refused where it is written."""
    found = complaints(a=f"name: a\nbase_url: http://a\nlimits: {{x: {{{said}}}}}\n")

    assert [problem.path for problem in found] == [f"limits.{path}"]
    assert message in found[0].message


def test_a_limit_is_not_called_like_a_word_of_tables(
    complaints: Callable[..., tuple[Problem, ...]],
) -> None:
    """A limit `by` could not be told from a table in `cost: {by: …}`."""
    found = complaints(a="name: a\nbase_url: http://a\nlimits: {by: {limit: 1, per: 1s}}\n")

    assert "has a meaning in cost tables" in found[0].message


@pytest.mark.parametrize("word", ["ledger", "hold"])
def test_a_limit_is_not_called_like_a_reason_to_refuse(
    complaints: Callable[..., tuple[Problem, ...]], word: str
) -> None:
    """Whoever reads `limit: ledger` in a 429 must know that no limit of the provider is meant."""
    found = complaints(a=f"name: a\nbase_url: http://a\nlimits:\n  {word}: {{limit: 1, per: 1s}}\n")

    assert [(f"limits.{word}", 4)] == [(problem.path, problem.line) for problem in found]
    assert "so the proxy itself says why it refuses" in found[0].message
