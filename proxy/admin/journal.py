"""Events as log lines: each upstream call, wait, refusal, hold and store loss; hits at debug only.

It stands in front of the observer that counts, and passes everything on. What clients wrote
(paths, queries, names of their own) is not logged: it may hold what nobody should read.
"""

import logging
from typing import Any, Final

import structlog
from structlog.typing import FilteringBoundLogger

from proxy import log
from proxy.core.model import Verdict
from proxy.observation import (
    CallObservation,
    Counter,
    HoldObservation,
    Observation,
    Observer,
    StoreObservation,
)

_REFUSED: Final = Verdict.REFUSED
_RESCUED: Final = Verdict.RESCUED
"""Looked at once: a member of an enumeration is found anew each time."""


class Journal:
    """An observer that logs, and tells the next one."""

    def __init__(self, counts: Observer, logger: FilteringBoundLogger | None = None) -> None:
        """Take the observer that counts, and where to log (else structlog's own logger).

        Logging is configured before: the logger is bound once, or each line would pay for it.
        """
        self._counts = counts
        self._log: FilteringBoundLogger = logger or structlog.get_logger().bind()
        self._calls = log.refrain("info") if self._log.is_enabled_for(logging.INFO) else None
        self._lost: set[str] = set()

    def endpoint(self, upstream: str, endpoint: str) -> Counter:
        """Return the counter of an endpoint: hits that come this way leave no line."""
        return self._counts.endpoint(upstream, endpoint)

    def observe(self, observation: Observation) -> None:
        """Log an answered request."""
        self._counts.observe(observation)
        if observation.verdict is _REFUSED:
            self._log.warning("refused", **_facts(observation))
        elif observation.verdict is _RESCUED:
            self._log.info("rescued", **_facts(observation))
        elif self._log.is_enabled_for(logging.DEBUG):  # else a hit pays for no facts
            self._log.debug("answered", **_facts(observation))

    def observe_call(self, call: CallObservation) -> None:
        """Log an upstream call that has ended."""
        self._counts.observe_call(call)
        seconds = round(call.duration, 4)
        answered = call.status is not None and not call.failure
        key = (call.status, call.upstream, call.endpoint, call.method, call.cost, call.client)
        if answered and self._calls is not None and self._calls.again(key, seconds):
            return
        facts: dict[str, Any] = {
            "upstream": call.upstream,
            "endpoint": call.endpoint,
            "method": call.method,
            "cost": call.cost,
            "seconds": seconds,
        }
        if call.client:
            facts["client"] = call.client
        if answered:
            facts = {"status": call.status, **facts}
            self._log.info("call", **facts)
            if self._calls is not None:
                self._calls.learn(key, {**facts, "event": "call"})
        else:
            self._log.warning("call failed", failure=call.failure, sent=call.sent, **facts)

    def observe_wait(self, upstream: str, seconds: float) -> None:
        """Log a wait for quota that has ended."""
        self._counts.observe_wait(upstream, seconds)
        self._log.info("waited for quota", upstream=upstream, seconds=round(seconds, 3))

    def observe_refusal(self, upstream: str, reason: str) -> None:
        """Log that a client was turned away at the door."""
        self._counts.observe_refusal(upstream, reason)
        self._log.warning("refused", upstream=upstream, reason=reason)

    def observe_hold(self, hold: HoldObservation) -> None:
        """Log that an upstream asked to be left alone."""
        self._counts.observe_hold(hold)
        self._log.warning("hold", upstream=hold.upstream, reason=hold.reason, seconds=hold.seconds)

    def observe_store(self, operation: StoreObservation) -> None:
        """Log that an operation of the store began to fail, or works again; not each failure."""
        self._counts.observe_store(operation)
        if not operation.failed and not self._lost:
            return
        name = operation.operation
        if operation.failed and name not in self._lost:
            self._lost.add(name)
            self._log.error("store lost", operation=name)
        elif not operation.failed and name in self._lost:
            self._lost.discard(name)
            self._log.warning("store found", operation=name)


def _facts(observation: Observation) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "upstream": observation.upstream,
        "endpoint": observation.endpoint,
        "verdict": observation.verdict.value,
        "seconds": round(observation.duration, 4),
    }
    if observation.age is not None:
        facts["age"] = round(observation.age, 1)
    for name in ("upstream_status", "reason", "client"):
        if value := getattr(observation, name):
            facts[name] = value
    return facts
