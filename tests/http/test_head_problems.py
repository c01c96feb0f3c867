"""What a broken head is told."""

import pytest
from aiohttp.http_exceptions import BadHttpMessage, BadStatusLine, LineTooLong

from proxy.http.head_problems import MAX_FIELD, MAX_TARGET, own_problem, parse_problem


@pytest.mark.parametrize(
    ("status", "error", "told"),
    [
        (400, LineTooLong("x", MAX_TARGET), 414),
        (400, LineTooLong("x", MAX_FIELD), 431),
        (400, BadHttpMessage("Too many headers received"), 431),
        (400, BadStatusLine("?"), 400),
        (400, None, 400),
        (500, RuntimeError("bug"), 500),
    ],
)
def test_each_breach_has_its_status(status: int, error: Exception | None, told: int) -> None:
    """By what was too long, or that it is not HTTP; a bug of our own is none of the client's."""
    assert parse_problem(status, error).status == told


def test_too_busy_says_when_to_come_back() -> None:
    """RFC 9110 section 15.6.4; the kind is the title in small letters."""
    problem = own_problem(503, "Service Unavailable", "full")
    assert (problem.kind, problem.retry_after) == ("service-unavailable", 1.0)
    assert own_problem(408, "Request Timeout", "late").retry_after is None
