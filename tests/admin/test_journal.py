"""What is worth a line."""

import io
import json
import logging

import pytest
import structlog
from structlog.testing import capture_logs

from proxy import log
from proxy.admin import observations as seen
from proxy.admin.journal import Journal
from proxy.admin.observations import Observations
from proxy.core.model import Verdict
from proxy.observation import CallObservation, HoldObservation, Observation, StoreObservation


@pytest.fixture
def journal() -> Journal:
    structlog.reset_defaults()
    return Journal(Observations())


def test_everything_is_passed_on() -> None:
    """Logging takes nothing from the counts."""
    counts = Observations()
    journal = Journal(counts)
    with capture_logs():
        journal.observe(Observation("a", "b", Verdict.MISS, 0.1))
        journal.endpoint("a", "b").hit(1.0)
        journal.observe_call(CallObservation("a", "b", 0.1, 200))
        journal.observe_wait("a", 1.0)
        journal.observe_refusal("a", "overloaded")
        journal.observe_hold(HoldObservation("a", "429", 1.0))
        journal.observe_store(StoreObservation("get", 0.1, failed=True))
    snapshot = counts.snapshot()

    families = {key[0] for key in (*snapshot.counters, *snapshot.histograms)}
    assert {seen.REQUESTS, seen.CALLS, seen.REFUSALS, seen.HOLDS, seen.STORE_ERRORS} <= families
    assert {seen.WAIT_SECONDS, seen.AGE_SECONDS} <= families


def test_hits_are_logged_at_debug_only(journal: Journal) -> None:
    """A busy proxy is a quiet one."""
    with capture_logs() as lines:
        journal.observe(Observation("a", "b", Verdict.HIT, 0.1, age=3.0))

    assert ["debug"] == [line["log_level"] for line in lines]


def test_a_refusal_says_why(journal: Journal) -> None:
    """Upstream, endpoint and the reason; nothing that a client wrote."""
    with capture_logs() as lines:
        journal.observe(
            Observation("a", "b", Verdict.REFUSED, 0.1, reason="hold", unmatched="/secret/path")
        )

    assert [
        {
            "event": "refused",
            "log_level": "warning",
            "upstream": "a",
            "endpoint": "b",
            "verdict": "REFUSED",
            "seconds": 0.1,
            "reason": "hold",
        }
    ] == lines


def test_a_failed_call_says_whether_it_was_sent(journal: Journal) -> None:
    """What was sent may have been counted by the provider."""
    with capture_logs() as lines:
        journal.observe_call(CallObservation("a", "b", 8.0, failure="timeout"))

    assert ("call failed", True, "timeout") == (
        lines[0]["event"],
        lines[0]["sent"],
        lines[0]["failure"],
    )


def test_a_lost_store_is_told_once_and_found_once(journal: Journal) -> None:
    """Not once for each request in between."""
    with capture_logs() as lines:
        for failed in (False, True, True, True, False, False):
            journal.observe_store(StoreObservation("get", 0.1, failed))

    assert ["store lost", "store found"] == [line["event"] for line in lines]


def test_each_call_leaves_a_line_whichever_way_it_is_written() -> None:
    """The first of its kind goes the ordinary way, the next the quick one; failures never."""
    stream = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    log.configure(form="json", stream=stream)
    try:
        journal = Journal(Observations())
        for number in (1, 2, 3):
            journal.observe_call(CallObservation("a", "b", number / 10, 200, cost=2.0, client="c"))
            journal.observe_call(CallObservation("a", "b", number / 10, 200, "protocol"))
    finally:
        structlog.reset_defaults()
        root.handlers[:] = handlers
        root.setLevel(level)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    calls, failures = lines[::2], lines[1::2]

    assert [0.1, 0.2, 0.3] == [line["seconds"] for line in calls]
    assert {"call failed"} == {line["event"] for line in failures}
    facts = {"status": 200, "upstream": "a", "endpoint": "b", "method": "GET", "cost": 2.0}
    for line in calls:
        assert {**facts, "client": "c", "event": "call", "level": "info"}.items() <= line.items()
        assert list(line) == list(calls[0])
