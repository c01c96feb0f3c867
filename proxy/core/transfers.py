"""Counts on their way from one ledger to another: told by how long ago, since clocks differ."""

from collections.abc import Iterator, Mapping

import msgspec

from proxy.core import limits
from proxy.core.counts import Count, Moment
from proxy.core.limits import Account
from proxy.core.rules import BUCKET, Rule


class Carried(msgspec.Struct, frozen=True):
    """What was spent of one count."""

    upstream: str
    bucket: str
    log: tuple[tuple[float, float], ...]
    """`(seconds ago, tokens)`, oldest first."""


def carried(
    upstream: str, account: Account, rules: Mapping[str, Rule], moment: Moment
) -> Iterator[Carried]:
    """Tell what an account's counts hold; those that nothing was spent from are left out."""
    for bucket, count in account.counts.items():
        rule = rules[bucket]
        log = _log(rule, limits.current(rule, count, moment), moment.now)
        if log:
            yield Carried(upstream, bucket, log)


def _log(rule: Rule, count: Count, now: float) -> tuple[tuple[float, float], ...]:
    if rule.kind == BUCKET:
        used = rule.size - count.level
        return ((0.0, used),) if used > 0 else ()
    entries = [
        (max(0.0, now - slot * count.slot), tokens)
        for tally in (count.own, count.foreign)
        for slot, tokens in zip(tally.slots, tally.tokens, strict=True)
    ]
    return tuple(sorted(entries, reverse=True))
