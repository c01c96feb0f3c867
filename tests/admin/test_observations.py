"""What one process counts."""

import pytest

from proxy.admin import observations as seen
from proxy.admin.observations import MOST_PATHS, MOST_REASONS, Observations
from proxy.core.model import Verdict
from proxy.observation import CallObservation, HoldObservation, Observation, StoreObservation


@pytest.fixture
def counts() -> Observations:
    return Observations()


def answered(verdict: Verdict, **more: object) -> Observation:
    facts = {"upstream": "coingecko", "endpoint": "price", "duration": 0.001, **more}
    return Observation(verdict=verdict, **facts)  # type: ignore[arg-type]  # facts by name


def test_requests_are_counted_by_verdict(counts: Observations) -> None:
    """Hits that come by the counter and by record are the same hits."""
    counts.endpoint("coingecko", "price").hit(3.0, 0.0001, times=4)
    counts.observe(answered(Verdict.HIT, age=3.0))
    counts.observe(answered(Verdict.MISS))

    snapshot = counts.snapshot()

    assert {("coingecko", "price", "HIT"): 5, ("coingecko", "price", "MISS"): 1} == (
        snapshot.family(seen.REQUESTS)
    )
    assert 5 == len(snapshot.histograms[seen.AGE_SECONDS, "coingecko", "price"])
    assert 5 == len(snapshot.histograms[seen.REQUEST_SECONDS, "coingecko", "HIT"])


def test_an_endpoints_counter_is_the_same_each_time(counts: Observations) -> None:
    """So that whoever serves hits may keep it."""
    assert counts.endpoint("a", "b") is counts.endpoint("a", "b")


def test_what_was_saved_is_what_was_answered_beyond_what_was_asked(counts: Observations) -> None:
    """A MISS saves nothing, a HIT and a JOINED one call each, a refusal none."""
    for verdict in (Verdict.MISS, Verdict.HIT, Verdict.JOINED, Verdict.REFUSED):
        counts.observe(answered(verdict))
    counts.observe_call(CallObservation("coingecko", "price", 0.1, 200))

    assert {("coingecko",): 2} == counts.snapshot().family(seen.SAVED)


def test_what_was_saved_never_falls(counts: Observations) -> None:
    """A counter that falls would look like a restart."""
    counts.observe(answered(Verdict.STALE))
    before = counts.snapshot().family(seen.SAVED)
    counts.observe_call(CallObservation("coingecko", "price", 0.1, 200))

    assert {("coingecko",): 1} == before == counts.snapshot().family(seen.SAVED)


def test_calls_are_counted_by_status_or_failure(counts: Observations) -> None:
    """What never left this machine is no call."""
    counts.observe_call(CallObservation("binance", "klines", 0.1, 200))
    counts.observe_call(CallObservation("binance", "klines", 8.0, failure="timeout"))
    counts.observe_call(CallObservation("binance", "klines", 0.0, failure="connect", sent=False))

    snapshot = counts.snapshot()

    assert {("binance", "klines", "200"): 1, ("binance", "klines", "timeout"): 1} == (
        snapshot.family(seen.CALLS)
    )
    assert 2 == len(snapshot.histograms[seen.CALL_SECONDS, "binance"])


def test_our_own_key_is_judged_by_calls_that_carried_it(counts: Observations) -> None:
    """A bot's bad key says nothing of ours."""
    counts.observe_call(CallObservation("binance", "order", 0.1, 401))
    assert {} == counts.snapshot().gauges

    counts.observe_call(CallObservation("coingecko", "price", 0.1, 401, own_credentials=True))
    assert 1.0 == counts.snapshot().gauges[seen.CREDENTIALS_REJECTED, "coingecko"]

    counts.observe_call(CallObservation("coingecko", "price", 0.1, 200, own_credentials=True))
    assert 0.0 == counts.snapshot().gauges[seen.CREDENTIALS_REJECTED, "coingecko"]


def test_refusals_are_counted_by_reason(counts: Observations) -> None:
    """From the flow and from the door alike."""
    counts.observe(answered(Verdict.REFUSED, reason="quota-exhausted"))
    counts.observe_refusal("coingecko", "quota-exhausted")

    assert {("coingecko", "quota-exhausted"): 2} == counts.snapshot().family(seen.REFUSALS)


def test_reasons_are_bounded(counts: Observations) -> None:
    """Whatever passes as a reason, there are only so many labels."""
    for number in range(MOST_REASONS + 50):
        counts.observe_refusal("x", f"reason-{number}")

    family = counts.snapshot().family(seen.REFUSALS)

    assert MOST_REASONS + 1 == len(family)
    assert 50 == family["x", "other"]


def test_the_busiest_unmatched_paths_are_found(counts: Observations) -> None:
    """However many a client invents, the busy ones stay; their number is bounded."""
    for number in range(1000):
        counts.observe(answered(Verdict.BYPASS, unmatched=f"/random/{number}"))
        counts.observe(answered(Verdict.BYPASS, unmatched="/busy"))

    unmatched = counts.snapshot().unmatched

    assert MOST_PATHS == len(unmatched)
    assert ("coingecko", "/busy") == max(unmatched, key=unmatched.__getitem__)


def test_configured_clients_are_counted_and_others_are_not(counts: Observations) -> None:
    """A name that is empty makes no label."""
    counts.observe(answered(Verdict.HIT, client="grid-1"))
    counts.observe(answered(Verdict.HIT))

    assert {("grid-1", "coingecko", "HIT"): 1} == counts.snapshot().family(seen.CLIENTS)


def test_waits_holds_and_the_store(counts: Observations) -> None:
    """Each has its own family."""
    counts.observe_wait("binance", 1.5)
    counts.observe_hold(HoldObservation("binance", "429", 60.0))
    counts.observe_store(StoreObservation("get", 0.0004))
    counts.observe_store(StoreObservation("get", 1.0, failed=True))

    snapshot = counts.snapshot()

    assert 1 == len(snapshot.histograms[seen.WAIT_SECONDS, "binance"])
    assert {("binance",): 1} == snapshot.family(seen.HOLDS)
    assert 2 == len(snapshot.histograms[seen.STORE_SECONDS, "get"])
    assert {("get",): 1} == snapshot.family(seen.STORE_ERRORS)


def test_a_snapshot_stands_still() -> None:
    """What is counted later does not change it; gauges are asked for each time."""
    held = iter([1.0, 2.0])
    counts = Observations(lambda: {(seen.MEMORY_BYTES,): next(held)})
    counts.observe(answered(Verdict.MISS))
    before = counts.snapshot()

    counts.observe(answered(Verdict.MISS))

    assert {("coingecko", "price", "MISS"): 1} == before.family(seen.REQUESTS)
    assert 1 == len(before.histograms[seen.REQUEST_SECONDS, "coingecko", "MISS"])
    assert 2.0 == counts.snapshot().gauges[seen.MEMORY_BYTES,]


def test_those_who_count_for_themselves_are_asked_first() -> None:
    """Whoever keeps hits to itself tells of them before counts are shown."""
    observations = Observations()
    counter = observations.endpoint("u", "e")
    observations.gather = lambda: counter.hit(1.0, times=3)
    assert 3 in observations.snapshot().counters.values()
