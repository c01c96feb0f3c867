"""How settlements are put to the arithmetic: what an exchange cost, and what its answer reports."""

import math
import random
from collections.abc import Iterable, Mapping
from typing import TypeAlias, TypeGuard

from proxy.core.holds import Refusal
from proxy.core.limits import Ending
from proxy.core.reports import Figure
from proxy.core.spending import Bill, HoldFor, Receipt, Report, Settled
from proxy.core.upstreams import Limit

Charged: TypeAlias = tuple[tuple[str, float, float], ...]
"""`(bucket, cost, real cost)` of each charge."""


def charged_as_billed(bill: Bill) -> Charged | None:
    """Return what an exchange is charged whose answer reports no cost; None: its status says."""
    if any(charge.limit.charged_for is not None for charge in bill.charges):
        return None
    return tuple((each.bucket, float(each.cost), float(each.cost)) for each in bill.charges)


def ending(
    receipt: Receipt, settled: Settled, as_billed: Charged | None, configured: Mapping[str, Limit]
) -> Ending:
    """Put a settlement to the arithmetic.

    Args:
        receipt: What was granted.
        settled: How the exchange ended.
        as_billed: `charged_as_billed` of its bill, where that is known.
        configured: The limits of its upstream that have one count, by name.

    """
    bill, charges = receipt.bill, as_billed
    if charges is None or settled.reports:
        charges = tuple(
            (charge.bucket, float(charge.cost), _real(charge.limit, charge.cost, settled))
            for charge in bill.charges
        )
    figures: tuple[Figure, ...] = ()
    if settled.answered and settled.reports:
        figures = tuple(_figures(bill, charges, settled.reports, configured))
    return Ending(
        receipt.id,
        receipt.booking if isinstance(receipt.booking, float) else 0.0,
        bill.answer_within,
        settled.sent,
        settled.answered,
        charges,
        math.nan if settled.date is None else settled.date,
        figures,
        None if settled.hold is None else _refusal(settled.hold),
    )


def _refusal(hold: HoldFor) -> Refusal:
    return Refusal(
        hold.reason,
        -1.0 if hold.seconds is None else hold.seconds,
        hold.first,
        hold.most,
        random.random(),  # noqa: S311 - jitter
    )


def _figures(
    bill: Bill, charges: Charged, reports: tuple[Report, ...], configured: Mapping[str, Limit]
) -> Iterable[Figure]:
    """Find which counts the reports speak of; those of unknown ones say nothing to us.

    What remains is of the size that the provider states beside it, whatever ours is.
    """
    stated = {each.limit: size for each in reports if _is_size(size := each.size)}
    for report in reports:
        spent = [
            (charge.bucket, charge.limit, real)
            for charge, (_, _, real) in zip(bill.charges, charges, strict=True)
            if charge.limit.name == report.limit
        ]
        if not spent and report.limit in configured:
            spent = [(report.limit, configured[report.limit], 0.0)]
        for bucket, limit, real in spent:
            size = stated.get(report.limit, 0.0)
            own = limit.limit if limit.burst is None else limit.burst
            used = _used(report, size if size > 0 else own)
            if used >= 0 or size > 0:
                yield Figure(bucket, used, size, real)


def _real(limit: Limit, cost: float, settled: Settled) -> float:
    """Return what an exchange cost, as far as its answer tells."""
    status = settled.status
    if status is not None and limit.charged_for is not None and status not in limit.charged_for:
        return 0.0
    for report in settled.reports:
        if report.limit == limit.name and report.cost is not None:
            return report.cost if math.isfinite(report.cost) and report.cost >= 0 else cost
    return float(cost)


def _is_size(size: float | None) -> TypeGuard[float]:
    return size is not None and math.isfinite(size) and size > 0


def _used(report: Report, size: float) -> float:
    if report.used is not None:
        return report.used
    return -1.0 if report.remaining is None or report.remaining < 0 else size - report.remaining
