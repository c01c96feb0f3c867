"""Counts of one process: plain numbers, added to where things happen, gathered when asked for.

Labels are names from the configuration, statuses of providers and fixed words of our own. Words
that pass through here from elsewhere (reasons) are bounded in number all the same.
"""

from collections.abc import Callable
from typing import Final

from proxy.admin.snapshot import Histogram, Labels, Snapshot
from proxy.core.model import Verdict
from proxy.observation import CallObservation, HoldObservation, Observation, StoreObservation

REQUESTS = "requests"
CALLS = "calls"
UNANSWERED = "unanswered"
"""Calls that never left this machine (nothing was spent)."""
REFUSALS = "refusals"
HOLDS = "holds"
SAVED = "saved"
STORE_ERRORS = "store_errors"
CLIENTS = "clients"
CLIENT_COST = "client_cost"
"""What was spent for configured clients."""

REQUEST_SECONDS = "request_seconds"
CALL_SECONDS = "call_seconds"
WAIT_SECONDS = "wait_seconds"
AGE_SECONDS = "age_seconds"
STORE_SECONDS = "store_seconds"

CREDENTIALS_REJECTED = "credentials_rejected"
"""Workers whose last call with the proxy's own key was answered 401 or 402."""

WAITING = "waiting"
"""Requests that wait for an upstream's quota."""
SHARE_MODE = "share_mode"
"""Workers that count an upstream alone, on their share of its limits: the ledger is lost."""
MEMORY_BYTES = "memory_bytes"
STRETCH = "stretch"
"""By how much TTLs of an endpoint have grown, added over the workers that know."""
STRETCHING = "stretching"
"""How many workers that are."""

FAST = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SLOW = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
AGES = (1.0, 5.0, 15.0, 30.0, 60.0, 90.0, 180.0, 300.0, 600.0, 1800.0, 3600.0, 21600.0, 86400.0)

MOST_REASONS = 200
"""Different reasons of refusals that are counted apart; what exceeds them is `other`."""
MOST_PATHS = 200
"""Unmatched paths that are counted apart, in all."""

_REJECTED = frozenset({401, 402})
_REFUSED: Final = Verdict.REFUSED
"""Looked at once: a member of an enumeration is found anew each time."""


class EndpointCounts:
    """One endpoint's requests by verdict, and how old what they got was."""

    __slots__ = ("_ages", "_durations", "_hits", "verdicts")

    def __init__(self, ages: Histogram, durations: dict[Verdict, Histogram]) -> None:
        """Take the endpoint's ages, and its upstream's durations, shared by its endpoints."""
        self.verdicts: dict[Verdict, int] = dict.fromkeys(Verdict, 0)
        self._ages = ages
        self._durations = durations
        self._hits = durations[Verdict.HIT]

    def hit(self, age: float, duration: float = 0.0, times: int = 1) -> None:
        """Count `times` hits of about the same age and duration (seconds)."""
        self.verdicts[Verdict.HIT] += times
        self._ages.add(age, times)
        self._hits.add(duration, times)

    def add(self, verdict: Verdict, age: float | None, duration: float) -> None:
        """Count one answered request."""
        self.verdicts[verdict] += 1
        self._durations[verdict].add(duration)
        if age is not None:
            self._ages.add(age)


class _Calls:
    """Upstream calls of one endpoint that ended alike."""

    __slots__ = ("number", "seconds")

    def __init__(self, seconds: Histogram) -> None:
        self.number = 0
        self.seconds = seconds
        """Shared by all calls of the upstream."""


class Observations:
    """What one process has seen since it started."""

    def __init__(self, gauges: Callable[[], dict[Labels, float]] = dict) -> None:
        """Take what says how much this process holds (bytes, requests waiting), asked each time."""
        self.gauges = gauges
        self.gather: Callable[[], None] = lambda: None
        """Has those who count hits for themselves tell of them; called before counts are shown."""
        self._endpoints: dict[tuple[str, str], EndpointCounts] = {}
        self._durations: dict[str, dict[Verdict, Histogram]] = {}
        self._counters: dict[Labels, float] = {}
        self._histograms: dict[Labels, Histogram] = {}
        self._stored: dict[str, Histogram] = {}
        """Where the store's operations are counted."""
        self._calls: dict[Labels, _Calls] = {}
        self._called: dict[tuple[str, str, int | None, str], _Calls] = {}
        """The same by what a call says of itself."""
        self._rejected: dict[str, bool] = {}
        self._reasons: set[str] = set()
        self._unmatched: dict[tuple[str, str], int] = {}
        self._saved: dict[str, float] = {}

    # ── Observer ──

    def endpoint(self, upstream: str, endpoint: str) -> EndpointCounts:
        """Return the counter of an endpoint, the same one each time."""
        counts = self._endpoints.get((upstream, endpoint))
        if counts is None:
            durations = self._durations.setdefault(
                upstream, {verdict: Histogram.within(FAST) for verdict in Verdict}
            )
            ages = self._histogram((AGE_SECONDS, upstream, endpoint), AGES)
            counts = EndpointCounts(ages, durations)
            self._endpoints[upstream, endpoint] = counts
        return counts

    def observe(self, observation: Observation) -> None:
        """Count an answered request."""
        upstream, verdict = observation.upstream, observation.verdict
        counts = self.endpoint(upstream, observation.endpoint)
        counts.add(verdict, observation.age, observation.duration)
        if verdict is _REFUSED:
            self.observe_refusal(upstream, observation.reason)
        if observation.client:
            self._count((CLIENTS, observation.client, upstream, verdict.value))
        if observation.unmatched:
            self._note_unmatched(upstream, observation.unmatched)

    def observe_call(self, call: CallObservation) -> None:
        """Count an upstream call that has ended."""
        if not call.sent:
            self._count((UNANSWERED, call.upstream, call.endpoint, _said(call)))
            return
        calls = self._called.get((call.upstream, call.endpoint, call.status, call.failure))
        if calls is None:
            calls = self._begin_to_count(call)
        calls.number += 1
        calls.seconds.add(call.duration)
        if call.client:
            self._count((CLIENT_COST, call.client, call.upstream), call.cost)
        if call.own_credentials and call.status is not None:
            self._rejected[call.upstream] = call.status in _REJECTED

    def observe_wait(self, upstream: str, seconds: float) -> None:
        """Count a wait for quota that has ended, granted or not."""
        self._histogram((WAIT_SECONDS, upstream), SLOW).add(seconds)

    def observe_refusal(self, upstream: str, reason: str) -> None:
        """Count a refusal; `reason` is a fixed word."""
        if reason not in self._reasons:
            if len(self._reasons) >= MOST_REASONS:
                reason = "other"
            self._reasons.add(reason)
        self._count((REFUSALS, upstream, reason))

    def observe_hold(self, hold: HoldObservation) -> None:
        """Count a hold."""
        self._count((HOLDS, hold.upstream))

    def observe_store(self, operation: StoreObservation) -> None:
        """Count an operation of the store or the ledger, and whether it failed."""
        seconds = self._stored.get(operation.operation)
        if seconds is None:
            seconds = self._histogram((STORE_SECONDS, operation.operation), FAST)
            self._stored[operation.operation] = seconds
        seconds.add(operation.duration)
        if operation.failed:
            self._count((STORE_ERRORS, operation.operation))

    # ── Gathering ──

    def snapshot(self) -> Snapshot:
        """Return all counts as they stand now."""
        self.gather()
        counters = dict(self._counters)
        counters.update({labels: calls.number for labels, calls in self._calls.items()})
        for (upstream, endpoint), counts in self._endpoints.items():
            for verdict, count in counts.verdicts.items():
                if count:
                    counters[REQUESTS, upstream, endpoint, verdict.value] = count
        self._add_saved(counters)
        histograms = {key: _copy(one) for key, one in self._histograms.items() if len(one)}
        for upstream, durations in self._durations.items():
            for verdict, one in durations.items():
                if len(one):
                    histograms[REQUEST_SECONDS, upstream, verdict.value] = _copy(one)
        gauges = dict(self.gauges())
        for upstream, rejected in self._rejected.items():
            gauges[CREDENTIALS_REJECTED, upstream] = float(rejected)
        return Snapshot(counters, gauges, histograms, dict(self._unmatched))

    def _add_saved(self, counters: dict[Labels, float]) -> None:
        """Add what was answered beyond what was asked of the provider.

        A refresh ends after the answer it stands behind, so the difference may fall by one for a
        moment; a counter must not, so the highest value seen stands.
        """
        answered: dict[str, float] = {}
        for (upstream, _), counts in self._endpoints.items():
            total = sum(counts.verdicts.values()) - counts.verdicts[Verdict.REFUSED]
            answered[upstream] = answered.get(upstream, 0) + total
        for (_, upstream, *_), calls in self._calls.items():
            answered[upstream] = answered.get(upstream, 0) - calls.number
        for upstream, saved in answered.items():
            self._saved[upstream] = max(self._saved.get(upstream, 0), saved)
            if upstream:
                counters[SAVED, upstream] = self._saved[upstream]

    def _begin_to_count(self, call: CallObservation) -> "_Calls":
        """Return where calls like this one are counted."""
        labels = (CALLS, call.upstream, call.endpoint, _said(call))
        calls = self._calls.get(labels)
        if calls is None:
            seconds = self._histogram((CALL_SECONDS, call.upstream), SLOW)
            calls = self._calls[labels] = _Calls(seconds)
        self._called[call.upstream, call.endpoint, call.status, call.failure] = calls
        return calls

    def _count(self, key: Labels, times: float = 1) -> None:
        self._counters[key] = self._counters.get(key, 0) + times

    def _histogram(self, key: Labels, bounds: tuple[float, ...]) -> Histogram:
        histogram = self._histograms.get(key)
        if histogram is None:
            histogram = self._histograms[key] = Histogram.within(bounds)
        return histogram

    def _note_unmatched(self, upstream: str, path: str) -> None:
        """Count a path; where there is no room, it takes the rarest one's place and count.

        That is the Space-Saving sketch: what is truly busy is found, whatever a client invents.
        """
        place = (upstream, path[:200])
        if place not in self._unmatched and len(self._unmatched) >= MOST_PATHS:
            rarest = min(self._unmatched, key=self._unmatched.__getitem__)
            self._unmatched[place] = self._unmatched.pop(rarest)
        self._unmatched[place] = self._unmatched.get(place, 0) + 1


def _said(call: CallObservation) -> str:
    """Return how a call ended, as a label: its status, or the word of its failure."""
    return str(call.status) if call.status is not None else call.failure or "failed"


def _copy(histogram: Histogram) -> Histogram:
    return Histogram(histogram.bounds, list(histogram.counts), histogram.total)
