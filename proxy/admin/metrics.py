"""`/metrics`: Prometheus' text form, made from the counts when somebody asks for it.

prometheus-client writes the form; it keeps no state here. Labels come from the configuration,
from the providers' statuses and from fixed words.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import generate_latest

from proxy.admin import observations as seen
from proxy.admin import quota
from proxy.admin.house import House
from proxy.admin.quota import Standing
from proxy.admin.snapshot import Histogram, Snapshot

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "quota_proxy_"


class _Family(NamedTuple):
    seen: str
    """Its name among the observations."""
    name: str
    about: str
    labels: tuple[str, ...]


_COUNTERS: Final = (
    _Family(
        seen.REQUESTS,
        "requests",
        "Requests answered, by what became of them.",
        ("upstream", "endpoint", "verdict"),
    ),
    _Family(
        seen.CALLS,
        "upstream_requests",
        "Requests sent to providers, by status or failure.",
        ("upstream", "endpoint", "status"),
    ),
    _Family(seen.SAVED, "calls_saved", "Requests answered beyond those sent.", ("upstream",)),
    _Family(
        seen.REFUSALS,
        "refusals",
        "Requests answered with an error of the proxy's own.",
        ("upstream", "reason"),
    ),
    _Family(
        seen.STORE_ERRORS, "store_errors", "Operations of the store that failed.", ("operation",)
    ),
    _Family(
        seen.CLIENT_COST,
        "client_cost",
        "What was spent for configured clients.",
        ("client", "upstream"),
    ),
    _Family(seen.HOLDS, "holds", "Times that a provider said to leave it alone.", ("upstream",)),
)
_HISTOGRAMS: Final = (
    _Family(
        seen.REQUEST_SECONDS,
        "request_duration_seconds",
        "From a request's head to its answer's.",
        ("upstream", "verdict"),
    ),
    _Family(
        seen.CALL_SECONDS,
        "upstream_duration_seconds",
        "From sending to the provider's answer.",
        ("upstream",),
    ),
    _Family(seen.WAIT_SECONDS, "quota_wait_seconds", "Waiting for quota.", ("upstream",)),
    _Family(
        seen.AGE_SECONDS,
        "age_served_seconds",
        "Age of answers given from the cache.",
        ("upstream", "endpoint"),
    ),
    _Family(
        seen.STORE_SECONDS,
        "store_duration_seconds",
        "Operations of the store and the ledger.",
        ("operation",),
    ),
)
_QUOTA: Final = (
    ("quota_limit", "Size of a limit."),
    ("quota_used", "What is spent of it."),
    ("quota_remaining", "What is left of it."),
    ("quota_forecast_seconds", "Until it runs out at this pace; absent where it does not."),
)


async def metrics(house: House) -> bytes:
    """Return the exposition, for all workers of this instance."""
    snapshot = await house.gather()
    standings = await quota.standings(house)
    figures = await house.store.figures()
    up, _ = await house.store.health()
    families = [
        *_counts(snapshot),
        *_limits(standings),
        *_states(house, snapshot, standings),
        _gauge("store_up", "Whether the store answers.", (), [((), float(up))]),
    ]
    if figures.memory is not None:
        rows: _Rows = [((), float(figures.memory))]
        families.append(_gauge("store_memory_bytes", "Memory that the store takes.", (), rows))
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(families))
    return generate_latest(registry)


_Rows = list[tuple[tuple[str, ...], float]]


class _Collected:
    """Metrics that were made already (prometheus-client's collector)."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _counts(snapshot: Snapshot) -> Iterator[Metric]:
    for family in _COUNTERS:
        counter = CounterMetricFamily(PREFIX + family.name, family.about, labels=family.labels)
        for labels, count in sorted(snapshot.family(family.seen).items()):
            counter.add_metric(labels, count)
        yield counter
    yield _clients(snapshot)
    for family in _HISTOGRAMS:
        metric = HistogramMetricFamily(PREFIX + family.name, family.about, labels=family.labels)
        for labels, histogram in sorted(snapshot.histograms.items()):
            if labels[0] == family.seen:
                metric.add_metric(labels[1:], _buckets(histogram), histogram.total)
        yield metric


def _clients(snapshot: Snapshot) -> Metric:
    """Return requests of configured clients, by verdict alone."""
    counter = CounterMetricFamily(
        PREFIX + "client_requests",
        "Requests of configured clients, by what became of them.",
        labels=("client", "verdict"),
    )
    counts: dict[tuple[str, str], float] = {}
    for (client, _, verdict), count in snapshot.family(seen.CLIENTS).items():
        counts[client, verdict] = counts.get((client, verdict), 0) + count
    for labels, count in sorted(counts.items()):
        counter.add_metric(labels, count)
    return counter


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    """Return Prometheus' buckets: each holds the ones below it."""
    so_far, buckets = 0, []
    for bound, count in zip((*histogram.bounds, None), histogram.counts, strict=True):
        so_far += count
        buckets.append(("+Inf" if bound is None else str(bound), float(so_far)))
    return buckets


def _limits(standings: tuple[Standing, ...]) -> Iterator[Metric]:
    rows: tuple[_Rows, ...] = ([], [], [], [])
    for standing in standings:
        for level in standing.levels:
            labels = (standing.upstream, level.bucket)
            values = (level.size, level.used, level.remaining, quota.forecast(level))
            for row, value in zip(rows, values, strict=True):
                if value is not None:
                    row.append((labels, value))
    for (name, about), row in zip(_QUOTA, rows, strict=True):
        yield _gauge(name, about, ("upstream", "limit"), row)


def _states(house: House, snapshot: Snapshot, standings: tuple[Standing, ...]) -> Iterator[Metric]:
    names = [standing.upstream for standing in standings]
    gauges = snapshot.gauges
    blocked: _Rows = [((one.upstream,), float(one.held_for > 0)) for one in standings]
    yield _gauge("upstream_blocked", "Whether a provider is left alone.", ("upstream",), blocked)
    waiting: _Rows = [((name,), gauges.get((seen.WAITING, name), 0.0)) for name in names]
    yield _gauge("queue_length", "Requests that wait for quota.", ("upstream",), waiting)
    shared: _Rows = [
        ((name,), float(gauges.get((seen.SHARE_MODE, name), 0.0) > 0)) for name in names
    ]
    about = "Whether a worker counts on its share alone, the ledger being lost."
    yield _gauge("share_mode", about, ("upstream",), shared)
    rejected = seen.CREDENTIALS_REJECTED
    accepted: _Rows = [
        ((name,), float(not gauges[rejected, name])) for name in names if (rejected, name) in gauges
    ]
    yield _gauge(
        "upstream_credentials_ok", "Whether our own key is accepted.", ("upstream",), accepted
    )
    grown: _Rows = [
        ((key[1], key[2]), gauges[seen.STRETCH, key[1], key[2]] / workers)
        for key, workers in sorted(gauges.items())
        if key[0] == seen.STRETCHING
    ]
    about = "By how much TTLs have grown as a limit nears its end; 1 where they have not."
    yield _gauge("stretch_ratio", about, ("upstream", "endpoint"), grown)
    held = gauges.get((seen.MEMORY_BYTES,), 0.0)
    yield _gauge("memory_bytes", "First-level cache, all workers.", (), [((), held)])
    yield _gauge(
        "config_last_reload_successful",
        "Whether the configuration that was read last is in force.",
        (),
        [((), 1.0)],  # one with an error never starts a server
    )
    yield _gauge("build_info", "This version.", ("version",), [((house.version,), 1.0)])


def _gauge(name: str, about: str, labels: tuple[str, ...], rows: _Rows) -> Metric:
    gauge = GaugeMetricFamily(PREFIX + name, about, labels=labels)
    for values, value in rows:
        gauge.add_metric(values, value)
    return gauge
