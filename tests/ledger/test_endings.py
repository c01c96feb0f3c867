"""How settlements are put to the arithmetic."""

import math

import pytest

from proxy.core.limits import Ending
from proxy.core.spending import Bill, Charge, HoldFor, Receipt, Report, Settled
from proxy.core.upstreams import Algorithm, CalendarUnit, Limit
from proxy.ledger import endings

MINUTE = Limit("minute", 30, 60.0, Algorithm.SLIDING_WINDOW)
MONTH = Limit(
    "month", 100, CalendarUnit.MONTH, Algorithm.FIXED_WINDOW, charged_for=frozenset({200})
)
BILL = Bill("up", (Charge(MINUTE, "minute", 2), Charge(MONTH, "month", 1)), 8.0)


def ended(settled: Settled, bill: Bill = BILL, *limits: Limit) -> Ending:
    as_billed = endings.charged_as_billed(bill)
    configured = {limit.name: limit for limit in limits or (MINUTE, MONTH)}
    return endings.ending(Receipt("r", bill, 8.0), settled, as_billed, configured)


def _told(report: Report) -> Settled:
    return Settled(sent=True, answered=True, status=200, reports=(report,))


def test_what_is_charged_as_billed() -> None:
    """Where no limit looks at the status, and no report tells a cost, it is what was billed."""
    plain = Bill("up", (Charge(MINUTE, "minute", 2),), 8.0)
    charges = endings.charged_as_billed(plain)

    assert (("minute", 2.0, 2.0),) == charges
    assert endings.charged_as_billed(BILL) is None
    assert ended(Settled(sent=True, answered=True, status=500), plain).charges == charges
    [(_, _, real)] = ended(_told(Report("minute", cost=5.0)), plain).charges
    assert 5.0 == real


@pytest.mark.parametrize(
    ("settled", "costs"),
    [
        (Settled(sent=True, answered=True, status=200), [2.0, 1.0]),
        (Settled(sent=True, answered=True, status=404), [2.0, 0.0]),
        (Settled(sent=True, answered=False), [2.0, 1.0]),
        (_told(Report("month", cost=4.0)), [2.0, 4.0]),
        (_told(Report("month", cost=-4.0)), [2.0, 1.0]),
        (_told(Report("month", cost=math.nan)), [2.0, 1.0]),
    ],
)
def test_what_an_exchange_cost(settled: Settled, costs: list[float]) -> None:
    """The estimate; nothing for a status that is not charged; the provider's word, if it is one."""
    assert [real for _, _, real in ended(settled).charges] == costs


@pytest.mark.parametrize(
    ("report", "figures"),
    [
        (Report("minute", used=12.0), [("minute", 12.0, 0.0, 2.0)]),
        (Report("minute", remaining=10.0), [("minute", 20.0, 0.0, 2.0)]),
        (Report("minute", remaining=10.0, size=50.0), [("minute", 40.0, 50.0, 2.0)]),
        (Report("minute", size=50.0), [("minute", -1.0, 50.0, 2.0)]),
        (Report("minute", remaining=-5.0), []),
        (Report("minute"), []),
        (Report("unknown", used=3.0), []),
        (Report("each", used=3.0), []),
    ],
)
def test_reports_become_figures(
    report: Report, figures: list[tuple[str, float, float, float]]
) -> None:
    """Remaining is told as used; what tells nothing, or of no limit of ours, is left out."""
    settled = Settled(sent=True, answered=True, status=200, reports=(report,))
    found = ended(settled).figures

    assert [(each.bucket, each.used, each.size, each.cost) for each in found] == figures


def test_a_free_call_may_tell_of_a_limit_too() -> None:
    """An endpoint that costs nothing still says how the address stands."""
    settled = Settled(sent=True, answered=True, reports=(Report("minute", used=12.0),))

    assert [each.bucket for each in ended(settled, Bill("up", (), 8.0)).figures] == ["minute"]


def test_a_hold_is_told_with_jitter() -> None:
    """Without a time from the provider it grows by steps of our own."""
    settled = Settled(sent=True, answered=True, status=429, hold=HoldFor("429", None, 5.0, 50.0))
    refusal = ended(settled).refusal

    assert refusal is not None
    assert (refusal.reason, refusal.seconds, refusal.first, refusal.most) == (
        "429",
        -1.0,
        5.0,
        50.0,
    )
    assert 0 <= refusal.jitter < 1


@pytest.mark.parametrize(
    "reports",
    [
        (Report("minute", remaining=15.0), Report("minute", size=20.0)),
        (Report("minute", size=20.0), Report("minute", remaining=15.0)),
    ],
    ids=["left-first", "size-first"],
)
def test_what_remains_is_of_the_size_beside_it(reports: tuple[Report, ...]) -> None:
    """A provider whose limit is 20 where ours says 30: with 15 left 5 are used, and not 15."""
    settled = Settled(sent=True, answered=True, reports=reports)
    found = ended(settled).figures

    assert {each.used for each in found if each.used >= 0} == {5.0}
    assert {each.size for each in found} == {20.0}


def test_what_remains_of_a_bucket_is_of_its_burst() -> None:
    """A full bucket of 5 that fills by 60 a minute: 5 left is nothing used."""
    pot = Limit("pot", 60, 60.0, Algorithm.TOKEN_BUCKET, burst=5)
    bill = Bill("up", (Charge(pot, "pot", 1.0),), 8.0)
    settled = Settled(sent=True, answered=True, reports=(Report("pot", remaining=5.0),))
    [figure] = ended(settled, bill, pot).figures

    assert figure.used == 0.0
