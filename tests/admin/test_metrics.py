"""The exposition."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from proxy.admin import observations as seen
from proxy.admin.metrics import metrics
from proxy.admin.observations import Observations
from proxy.core.model import Verdict
from proxy.observation import CallObservation, Observation, StoreObservation
from tests.admin.house import MINUTE, MONTH, WrittenHouse, WrittenLedger, level


async def samples(house: WrittenHouse) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = (await metrics(house.house)).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def labels(**pairs: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(pairs.items()))


async def test_what_the_contract_names() -> None:
    """Requests, calls, savings, ages, waits, refusals, and the store."""
    house = WrittenHouse()
    counts = house.observations
    counts.observe(Observation("coingecko", "price", Verdict.MISS, 0.3))
    counts.observe(Observation("coingecko", "price", Verdict.HIT, 0.0001, age=12.0))
    counts.observe(Observation("coingecko", "price", Verdict.REFUSED, 0.1, reason="hold"))
    counts.observe_call(CallObservation("coingecko", "price", 0.2, 200, own_credentials=True))
    counts.observe_wait("coingecko", 0.4)
    counts.observe_store(StoreObservation("get", 0.001, failed=True))

    found = await samples(house)

    price = {"upstream": "coingecko", "endpoint": "price"}
    expected = {
        ("quota_proxy_requests_total", labels(**price, verdict="HIT")): 1,
        ("quota_proxy_upstream_requests_total", labels(**price, status="200")): 1,
        ("quota_proxy_calls_saved_total", labels(upstream="coingecko")): 1,
        ("quota_proxy_refusals_total", labels(upstream="coingecko", reason="hold")): 1,
        ("quota_proxy_age_served_seconds_count", labels(**price)): 1,
        ("quota_proxy_age_served_seconds_bucket", labels(**price, le="15.0")): 1,
        ("quota_proxy_age_served_seconds_bucket", labels(**price, le="5.0")): 0,
        ("quota_proxy_request_duration_seconds_count",
         labels(upstream="coingecko", verdict="MISS")): 1,
        ("quota_proxy_upstream_duration_seconds_sum", labels(upstream="coingecko")): 0.2,
        ("quota_proxy_quota_wait_seconds_count", labels(upstream="coingecko")): 1,
        ("quota_proxy_store_errors_total", labels(operation="get")): 1,
        ("quota_proxy_store_duration_seconds_count", labels(operation="get")): 1,
        ("quota_proxy_upstream_credentials_ok", labels(upstream="coingecko")): 1,
        ("quota_proxy_store_up", ()): 1,
        ("quota_proxy_store_memory_bytes", ()): 1024,
        ("quota_proxy_build_info", labels(version="0.1.0")): 1,
    }  # fmt: skip
    assert expected.items() <= found.items()


async def test_limits_holds_and_queues() -> None:
    """As the ledger tells them, of all processes."""
    standing = (level(MINUTE, 12.0, 45.0), level(MONTH, 7500.0, 15 * 86400.0))
    gauges = {(seen.WAITING, "coingecko"): 3.0, (seen.MEMORY_BYTES,): 4096.0}
    house = WrittenHouse(
        WrittenLedger(standing, held=20.0), observations=Observations(lambda: dict(gauges))
    )

    found = await samples(house)

    month = labels(upstream="coingecko", limit="month")
    expected = {
        ("quota_proxy_quota_limit", month): 10_000,
        ("quota_proxy_quota_used", month): 7500,
        ("quota_proxy_quota_remaining", month): 2500,
        ("quota_proxy_quota_forecast_seconds", month): 5 * 86400.0,
        ("quota_proxy_upstream_blocked", labels(upstream="coingecko")): 1,
        ("quota_proxy_queue_length", labels(upstream="coingecko")): 3,
        ("quota_proxy_memory_bytes", ()): 4096,
    }
    assert expected.items() <= found.items()
    assert (
        "quota_proxy_quota_forecast_seconds",
        labels(upstream="coingecko", limit="minute"),
    ) not in (found)


@pytest.mark.parametrize(("workers", "expected"), [(0, 0), (1, 1), (4, 1)])
async def test_counting_alone(workers: int, expected: int) -> None:
    """1 where any worker has lost the ledger and spends of its share, 0 where none has."""
    house = WrittenHouse()
    gauges = {(seen.SHARE_MODE, "coingecko"): float(workers)} if workers else {}
    house.observations.gauges = lambda: dict(gauges)

    found = await samples(house)

    assert found["quota_proxy_share_mode", labels(upstream="coingecko")] == expected


async def test_clients_that_are_configured() -> None:
    """What each asked, over all upstreams, and what was spent for it at which; nobody else."""
    house = WrittenHouse()
    counts = house.observations
    for upstream in ("coingecko", "binance", ""):
        counts.observe(Observation(upstream, "price", Verdict.MISS, 0.3, client="grid-1"))
        counts.observe(Observation(upstream, "price", Verdict.MISS, 0.3))
    counts.observe_call(CallObservation("binance", "depth", 0.2, 200, cost=5.0, client="grid-1"))
    counts.observe_call(CallObservation("binance", "depth", 0.2, 200, cost=5.0, client="grid-1"))
    counts.observe_call(CallObservation("binance", "depth", 0.2, 200, cost=5.0))
    unsent = CallObservation(
        "binance", "depth", 0.2, failure="connect", sent=False, client="grid-1"
    )
    counts.observe_call(unsent)

    found = await samples(house)

    assert {
        ("quota_proxy_client_requests_total", labels(client="grid-1", verdict="MISS")): 3,
        ("quota_proxy_client_cost_total", labels(client="grid-1", upstream="binance")): 10,
    } == {name: value for name, value in found.items() if "_client_" in name[0]}


async def test_how_far_lifetimes_have_grown() -> None:
    """Workers' gauges are added, a factor is not: the mean of those that know is shown."""
    house = WrittenHouse()
    house.observations.gauges = lambda: {
        (seen.STRETCH, "coingecko", "price"): 4.0,
        (seen.STRETCHING, "coingecko", "price"): 2.0,
    }

    found = await samples(house)

    price = labels(upstream="coingecko", endpoint="price")
    assert found["quota_proxy_stretch_ratio", price] == 2.0
