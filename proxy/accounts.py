"""Answers with their account: which word stands for what happened, and the facts beside it.

Usage fields of the provider are never replayed: on what comes from the cache they carry the
ledger's present figure, or are dropped.
"""

import math
from collections.abc import AsyncIterator
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from proxy import refusals
from proxy.answer import Account, Answer, Problem
from proxy.arrival import Arrival
from proxy.asked import Asked
from proxy.calls import Answered
from proxy.core import costs, links
from proxy.core.fields import Fields, combined, first, without
from proxy.core.model import (
    Client,
    Denied,
    Entry,
    Fetch,
    Fetched,
    Forward,
    Outcome,
    Policy,
    Put,
    Refuse,
    Reply,
    Settlement,
    Touch,
    Verdict,
)
from proxy.core.presentation import present
from proxy.core.signals import BLOCKED
from proxy.core.spending import Level
from proxy.core.upstreams import Endpoint, Upstream
from proxy.core.wishes import granted, wishes
from proxy.forwards import Forwarded
from proxy.freshening.stretches import Stretches
from proxy.ports import Ledger

STRETCHED = "stretched"
"""The detail of a hit that is one because its TTL has grown."""

_HIT: Final = Verdict.HIT
_MISS: Final = Verdict.MISS
_REVALIDATED: Final = Verdict.REVALIDATED
_JOINED: Final = Verdict.JOINED
_RESCUED: Final = Verdict.RESCUED
_OBEY: Final = Policy.OBEY
_KEEPING: Final = (Put, Touch)
"""Looked at once: a member of an enumeration is found anew each time, a union is made anew."""


class Accounts:
    """Builds answers."""

    def __init__(self, ledger: Ledger) -> None:
        """Take the ledger whose figures `RateLimit` shows, and lifetimes follow."""
        self._ledger = ledger
        self._shown: dict[tuple[str, str], _Shown] = {}
        """What each endpoint's requests were shown last."""
        self.stretches = Stretches(ledger)

    # ── From the cache ──

    def entry(
        self, ask: Asked, entry: Entry, verdict: Verdict, now: float, *, detail: str = ""
    ) -> Answer:
        """Answer from an entry as it stands."""
        age = entry.age(now)
        lives = self.stretches.lifetimes(ask.match, entry, now)
        if verdict is _HIT and entry.lifetimes.ttl <= age < lives.ttl:
            detail = f"{STRETCHED}, {detail}" if detail else STRETCHED
        account = self._account(
            ask,
            verdict,
            age=age,
            ttl=lives.ttl - age,
            detail=detail,
            collapsed=False,
        )
        return self._presented(ask, entry, account, now)

    def settled(
        self,
        ask: Asked,
        plan: Fetch,
        settlement: Settlement,
        outcome: Outcome,
        now: float,
        *,
        joined: bool,
    ) -> Answer:
        """Answer one of those who waited for a fetch."""
        reply, write, verdict = settlement.reply, settlement.write, settlement.verdict
        if isinstance(reply, Refuse):
            denied = outcome if isinstance(outcome, Denied) else None
            return self.problem(ask, refusals.refused(ask.match.upstream, reply, denied))
        kept = write.entry if isinstance(write, _KEEPING) else None
        dated = kept or (reply if isinstance(reply, Entry) else None)
        account = self._account(
            ask,
            _JOINED if joined and (verdict is _MISS or verdict is _REVALIDATED) else verdict,
            age=settlement.age,
            ttl=None if dated is None else dated.lifetimes.ttl - dated.age(now),
            forward_reason=plan.forward_reason,
            forward_status=settlement.forward_status,
            stored=settlement.stored,
            collapsed=joined or verdict is _JOINED,
            detail=settlement.detail or plan.detail,
        )
        if isinstance(reply, Entry):
            again = kept is None or reply is kept  # else nobody is ever given the very same
            answer = self._presented(ask, reply, account, now, again=again)
        else:
            answer = self._replied(ask, reply, account)
        if isinstance(outcome, Fetched) and outcome.rejected and verdict is not _RESCUED:
            return self._held_off(ask, answer, outcome.rejected)
        return answer

    def arriving(
        self, ask: Asked, plan: Fetch, head: Answered, arrival: Arrival, *, joined: bool
    ) -> Answer:
        """Hand on a large body that still arrives; `head` has the fields that go to this client."""
        account = self._account(
            ask,
            Verdict.JOINED if joined else Verdict.MISS,
            forward_reason=plan.forward_reason,
            forward_status=head.status,
            collapsed=joined,
            detail=plan.detail,
        )
        return self._streamed(ask, head, arrival.read(), account)

    # ── Passed through ──

    def forwarded(self, ask: Asked, plan: Forward, result: Forwarded, now: float) -> Answer:
        """Pass an answer on, or say why there is none."""
        settlement = result.settlement
        if isinstance(settlement.reply, Refuse):
            sent = None
            if ask.private:
                sent = result.failed.sent if result.failed is not None else False
            problem = refusals.refused(
                ask.match.upstream, settlement.reply, result.denied, sent=sent
            )
            return self.problem(ask, problem)
        account = self._account(
            ask,
            Verdict.BYPASS,
            forward_reason=plan.forward_reason,
            forward_status=settlement.forward_status,
            stored=settlement.stored,
            detail=settlement.detail or plan.detail,
        )
        answered, reply = result.answered, settlement.reply
        if answered is not None and isinstance(answered.body, Arrival):
            body = answered.body.read()
            answered.body.release()
            answer = self._streamed(ask, answered.with_fields(reply.fields), body, account)
        elif isinstance(reply, Entry):
            answer = self._presented(ask, reply, account, now)
        else:
            answer = self._replied(ask, reply, account)
        return self._held_off(ask, answer, answered.rejected if answered is not None else "")

    # ── Problems ──

    def problem(self, ask: Asked | None, problem: Problem) -> Answer:
        """Answer with a problem of the proxy's own."""
        if ask is None:
            account = Account(Verdict.REFUSED, upstream=problem.upstream, detail=problem.kind)
        else:
            account = self._account(ask, Verdict.REFUSED, detail=problem.kind)
        return Answer(account, problem.status, "", (), b"", problem=problem)

    # ── Parts ──

    def _account(
        self,
        ask: Asked,
        verdict: Verdict,
        *,
        age: float | None = None,
        ttl: float | None = None,
        forward_reason: str = "",
        forward_status: int | None = None,
        stored: bool = False,
        collapsed: bool = False,
        detail: str = "",
    ) -> Account:
        match = ask.match
        return Account(
            verdict=verdict,
            upstream=match.upstream.name,
            endpoint=match.endpoint.name,
            key="" if ask.match.unmatched else ask.key,  # nobody said what is secret in it
            age=age,
            ttl=ttl,
            forward_reason=forward_reason,
            forward_status=forward_status,
            stored=stored,
            collapsed=collapsed,
            detail=detail,
            levels=self._levels(match.upstream, match.endpoint, ask.request.client),
        )

    def _levels(self, upstream: Upstream, endpoint: Endpoint, client: Client) -> tuple[Level, ...]:
        """Return how the limits stand that this client spends from; no one else's credential.

        The same tuple as long as the ledger says the same, so that its text is made once.
        """
        levels = self._ledger.levels(upstream.name)
        if client.limits:
            scope = costs.buckets(upstream, endpoint) | {limit.name for limit in client.limits}
            return tuple(level for level in levels if level.bucket in scope)
        shown = self._shown.get((upstream.name, endpoint.name))
        if shown is None or shown.upstream is not upstream or shown.levels is not levels:
            scope = costs.buckets(upstream, endpoint)
            own = tuple(level for level in levels if level.bucket in scope)
            shown = _Shown(upstream, levels, own)
            self._shown[upstream.name, endpoint.name] = shown
        return shown.own

    def _presented(
        self, ask: Asked, entry: Entry, account: Account, now: float, *, again: bool = True
    ) -> Answer:
        reply = present(entry, ask.request, now)
        upstream = ask.match.upstream
        if account.verdict is _RESCUED and not granted(ask.match.endpoint):
            refused = wishes(ask.request.fields).unobeyed(entry, entry.age(now))
            account = replace(account, detail=", ".join((account.detail, *refused)))
        body = _local(reply, ask) if upstream.rewrite_links and reply.body else reply.body
        return Answer(
            account,
            reply.status,
            reply.reason,
            usage(reply.fields, upstream, account.levels) if upstream.usage else reply.fields,
            body,
            reply.encoding,
            entry=entry if again and body is entry.body else None,
            no_transform=ask.match.endpoint.policy is _OBEY or _untouchable(reply.fields),
        )

    def _replied(self, ask: Asked, reply: Reply, account: Account) -> Answer:
        """Answer with the provider's own reply."""
        return Answer(
            account,
            reply.status,
            reply.reason,
            reply.fields,
            reply.body,
            reply.encoding,
            no_transform=ask.match.endpoint.policy is _OBEY or _untouchable(reply.fields),
        )

    def _held_off(self, ask: Asked, answer: Answer, rejected: str) -> Answer:
        """Return the provider's own answer; one that holds us off says until when."""
        upstream = ask.match.upstream
        held = self._ledger.held_for(upstream.name) if rejected == BLOCKED else 0.0
        if held <= 0 or first(answer.fields, "retry-after") is not None:
            return answer
        return replace(answer, retry_after=held, retry_after_max=upstream.retry_after_max)

    def _streamed(
        self, ask: Asked, head: Answered, body: AsyncIterator[bytes], account: Account
    ) -> Answer:
        return Answer(
            account,
            head.status,
            head.reason,
            head.fields,
            body,
            head.encoding,
            content_length=head.content_length,
            no_transform=ask.match.endpoint.policy is _OBEY or _untouchable(head.fields),
        )


class _Shown(Struct, frozen=True):
    """What an endpoint's requests spend from, of what the ledger said."""

    upstream: Upstream
    levels: tuple[Level, ...]
    own: tuple[Level, ...]


def usage(fields: Fields, upstream: Upstream, levels: tuple[Level, ...]) -> Fields:
    """Return `fields` with the provider's usage fields brought up to the ledger's figures."""
    reported = {each.header.lower(): each for each in upstream.usage if each.header}
    resets = {each.reset_header.lower() for each in upstream.usage if each.reset_header}
    present_ = [name for name, _ in fields if name.lower() in reported]
    if not present_:
        return without(fields, resets) if resets else fields
    known = {level.limit: level for level in levels}
    current = []
    for name in present_:
        each = reported[name.lower()]
        level = known.get(each.limit)
        if level is not None and each.means in ("used", "remaining"):
            figure = level.used if each.means == "used" else level.remaining
            current.append((name, str(math.ceil(figure))))
    return (*without(fields, reported.keys() | resets), *current)


def _local(reply: Reply, ask: Asked) -> bytes:
    """Return the body with the provider's links as they lead through this proxy."""
    authority = first(ask.request.fields, "host") or ask.request.host
    scheme = "https" if ask.request.secure else "http"
    prefix = "" if ask.match.by == "prefix" else ask.match.upstream.prefix.rstrip("/")
    return links.local(reply.body, f"{scheme}://{authority}", without_prefix=prefix)


def _untouchable(fields: Fields) -> bool:
    return "no-transform" in (combined(fields, "cache-control") or "").lower()
