"""What happened, told once: frozen records that pass from the flow and the edges to an observer.

Each request is reported once, when its answer's head is ready; each upstream call, wait, refusal
and hold once, where it happens. Names of upstreams, endpoints and clients come from the
configuration only (a client can never create a label); what belongs to none is the empty string.
A hit must cost next to nothing, so it makes no record: whoever serves hits keeps the endpoint's
`Counter` and adds to it.
"""

from typing import Protocol

from msgspec import Struct

from proxy.core.model import Verdict


class Observation(Struct, frozen=True):
    """A request was answered."""

    upstream: str
    endpoint: str
    verdict: Verdict
    duration: float
    """Seconds from the request's head to the answer's."""
    age: float | None = None
    """Seconds, of an answer from the cache; None of a new one."""
    upstream_status: int | None = None
    reason: str = ""
    """Of a refusal: a fixed word (`quota`, `hold`, `overloaded`, `too-late`, …), as in the
    problem's `type`. Of a rescue: why. A metric label, so never anything a client wrote."""
    client: str = ""
    """Name of a configured client; empty for all others."""
    unmatched: str = ""
    """Path (no query) of a request that met no endpoint; bounded by the observer, never a label."""


class CallObservation(Struct, frozen=True):
    """An upstream was asked, and answered or did not."""

    upstream: str
    endpoint: str
    duration: float
    """Seconds from sending to the answer's head, or to the failure."""
    status: int | None = None
    """The answer's status; None where none came."""
    failure: str = ""
    """Where none came, or not whole: the word of `Failure`."""
    cost: float = 1.0
    method: str = "GET"
    sent: bool = True
    """False: nothing left this machine, so no call was made (it is counted as an error only)."""
    own_credentials: bool = False
    """The proxy's own key went with it, so a 401 or 402 says that this key is not accepted."""
    client: str = ""
    """Name of the configured client for whom it was made; empty for all others."""


class HoldObservation(Struct, frozen=True):
    """An upstream asked to be left alone."""

    upstream: str
    reason: str
    seconds: float | None = None
    """None: by growing steps, the ledger knows."""


class StoreObservation(Struct, frozen=True):
    """The store or the ledger was asked."""

    operation: str
    """`get`, `put`, `delete`, `spend`, `settle`, …: a fixed word."""
    duration: float
    failed: bool = False


class Counter(Protocol):
    """The cheap way for hits: one endpoint's counts, kept by whoever serves them."""

    def hit(self, age: float, duration: float = 0.0, times: int = 1) -> None:
        """Count `times` hits of about the same age and duration (seconds)."""


class Observer(Protocol):
    """Who is told what happened: counts it, and logs what is worth a line."""

    def endpoint(self, upstream: str, endpoint: str) -> Counter:
        """Return the counter of an endpoint, the same one each time; keep it."""
        ...

    def observe(self, observation: Observation) -> None:
        """Count an answered request. HITs may come this way or by `Counter.hit`, never by both."""

    def observe_call(self, call: CallObservation) -> None:
        """Count an upstream call that has ended."""

    def observe_wait(self, upstream: str, seconds: float) -> None:
        """Count a wait for quota that has ended, granted or not; only of those that waited."""

    def observe_refusal(self, upstream: str, reason: str) -> None:
        """Count a refusal that has no `Observation`: a client turned away at the door."""

    def observe_hold(self, hold: HoldObservation) -> None:
        """Note a hold."""

    def observe_store(self, operation: StoreObservation) -> None:
        """Count an operation of the store or the ledger, and whether it failed."""
