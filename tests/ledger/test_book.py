"""What a process knows of its upstreams' limits."""

import math

import pytest

from proxy.core.counts import Moment
from proxy.core.holds import Holding
from proxy.core.limits import Account, Booked, Head, Held, Short
from proxy.core.model import Denied
from proxy.core.spending import LOST, Bill, Charge, Granted, HoldFor, Receipt, Report, Settled
from proxy.core.upstreams import Algorithm, CalendarUnit, Limit
from proxy.ledger.book import Book, lost
from tests.values import replace

MINUTE = Limit("minute", 30, 60.0, Algorithm.SLIDING_WINDOW)
MONTH = Limit(
    "month", 100, CalendarUnit.MONTH, Algorithm.FIXED_WINDOW, charged_for=frozenset({200})
)
EACH = Limit("each", 5, 1.0, Algorithm.SLIDING_WINDOW, each_endpoint=True)
BILL = Bill("up", (Charge(MINUTE, "minute", 2), Charge(MONTH, "month", 1)), 8.0)
NOW = 1_700_000_000.0


class Clocks:
    """Clocks that stand until told otherwise."""

    def __init__(self) -> None:
        self.now = 500.0

    def boottime(self) -> float:
        """Return seconds since boot."""
        return self.now

    def wall(self) -> float:
        """Return Unix time."""
        return NOW - 500.0 + self.now


@pytest.fixture
def clocks() -> Clocks:
    """Give the book's clocks."""
    return Clocks()


@pytest.fixture
def book(clocks: Clocks) -> Book:
    """Give a book of one upstream."""
    made = Book(clocks.boottime, clocks.wall)
    made.configure({"up": (MINUTE, MONTH, EACH)})
    return made


def _told(report: Report) -> Settled:
    return Settled(sent=True, answered=True, status=200, reports=(report,))


def _receipt(book: Book, bill: Bill = BILL) -> Receipt:
    order = book.order(bill)
    granted = book.answer(bill, order, Booked(NOW + 8.0), Account(), Moment(NOW, NOW))
    assert isinstance(granted, Granted)
    return granted.receipt


def test_limits_that_nobody_has_spent_from_are_shown(book: Book) -> None:
    """Used 0, whole now; a limit of each endpoint is shown when one of them has spent."""
    levels = book.levels("up")

    assert [(level.bucket, level.size, level.used) for level in levels] == [
        ("minute", 30, 0),
        ("month", 100, 0),
    ]
    book.order(Bill("up", (Charge(EACH, "each/ticker", 1),), 1.0))
    book.note("up", Account(), Moment(NOW, NOW))
    assert [level.bucket for level in book.levels("up")] == ["minute", "month", "each/ticker"]
    assert book.levels("unknown") == ()


def test_orders_have_ids_of_their_own(book: Book) -> None:
    """No two orders of a process, and no two processes, share a receipt."""
    other = Book(lambda: 0.0, lambda: 0.0)
    ids = {book.order(BILL).id, book.order(BILL).id, other.order(BILL).id}

    assert len(ids) == 3


def test_a_receipt_is_settled_once(book: Book, clocks: Clocks) -> None:
    """A second settlement, and one of a receipt that is long past, are no settlement."""
    receipt, forgotten = _receipt(book), _receipt(book)

    assert book.closes(receipt)
    assert not book.closes(receipt)
    clocks.now += 100.0
    _receipt(book)
    assert not book.closes(forgotten)


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
def test_what_an_exchange_cost(book: Book, settled: Settled, costs: list[float]) -> None:
    """The estimate; nothing for a status that is not charged; the provider's word, if it is one."""
    assert [real for _, _, real in book.ending(_receipt(book), settled).charges] == costs


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
    book: Book, report: Report, figures: list[tuple[str, float, float, float]]
) -> None:
    """Remaining is told as used; what tells nothing, or of no limit of ours, is left out."""
    settled = Settled(sent=True, answered=True, status=200, reports=(report,))
    found = book.ending(_receipt(book), settled).figures

    assert [(each.bucket, each.used, each.size, each.cost) for each in found] == figures


def test_a_free_call_may_tell_of_a_limit_too(book: Book) -> None:
    """An endpoint that costs nothing still says how the address stands."""
    receipt = _receipt(book, Bill("up", (), 8.0))
    settled = Settled(sent=True, answered=True, reports=(Report("minute", used=12.0),))

    assert [each.bucket for each in book.ending(receipt, settled).figures] == ["minute"]


def test_a_hold_is_told_with_jitter(book: Book) -> None:
    """Without a time from the provider it grows by steps of our own."""
    settled = Settled(sent=True, answered=True, status=429, hold=HoldFor("429", None, 5.0, 50.0))
    refusal = book.ending(_receipt(book), settled).refusal

    assert refusal is not None
    assert (refusal.reason, refusal.seconds, refusal.first, refusal.most) == (
        "429",
        -1.0,
        5.0,
        50.0,
    )
    assert 0 <= refusal.jitter < 1


def test_denials_are_explained(book: Book) -> None:
    """A hold says until when; a probe under way is worth asking after; a limit is named."""
    order = book.order(BILL)
    held = Account(Head(holding=Holding(until=NOW + 9.0, refusals=1)))
    probing = Account(Head(holding=Holding(until=NOW - 1.0, refusals=1)))
    moment = Moment(NOW, NOW)
    by_hold = book.answer(BILL, order, Held(NOW + 9.0), held, moment)
    by_probe = book.answer(BILL, order, Held(NOW + 8.0), probing, moment)
    by_limit = book.answer(BILL, order, Short(1), Account(), moment)

    assert by_hold == Denied("hold", 9.0, 9.0, hold=True)
    assert by_probe == Denied("hold", 8.0, 8.0, soonest=0.05, hold=True)
    assert isinstance(by_limit, Denied)
    assert by_limit.limit == "month"
    assert lost().limit == LOST


def test_what_was_seen_grows_old(book: Book, clocks: Clocks) -> None:
    """A hold that was seen 3 s ago is 3 s shorter."""
    book.note("up", Account(Head(holding=Holding(NOW + 9.0, refusals=1))), Moment(NOW, NOW))
    clocks.now += 3.0

    assert book.held_for("up") == 6.0
    assert book.seen("up")[1].now == NOW + 3.0
    assert book.held_for("unknown") == 0.0


def test_rules_follow_the_calendar(book: Book, clocks: Clocks) -> None:
    """A rule is worked out again after a minute: its windows move on."""
    first = book.rules("up", ["month"])["month"]
    clocks.now += 40 * 86400.0
    later = book.rules("up", ["month"])["month"]

    assert first.edges[1] < later.edges[1]


def test_a_reload_changes_what_is_shown(book: Book) -> None:
    """A limit that is gone is shown no more; a new one is."""
    book.configure({"up": (replace(MINUTE, name="second"),), "other": ()})

    assert [level.bucket for level in book.levels("up")] == ["second"]
    assert book.upstreams == ("up", "other")


@pytest.mark.parametrize(
    "reports",
    [
        (Report("minute", remaining=15.0), Report("minute", size=20.0)),
        (Report("minute", size=20.0), Report("minute", remaining=15.0)),
    ],
    ids=["left-first", "size-first"],
)
def test_what_remains_is_of_the_size_beside_it(book: Book, reports: tuple[Report, ...]) -> None:
    """A provider whose limit is 20 where ours says 30: with 15 left 5 are used, and not 15."""
    settled = Settled(sent=True, answered=True, reports=reports)
    found = book.ending(_receipt(book), settled).figures

    assert {each.used for each in found if each.used >= 0} == {5.0}
    assert {each.size for each in found} == {20.0}


def test_what_remains_of_a_bucket_is_of_its_burst() -> None:
    """A full bucket of 5 that fills by 60 a minute: 5 left is nothing used."""
    pot = Limit("pot", 60, 60.0, Algorithm.TOKEN_BUCKET, burst=5)
    book = Book(lambda: 0.0, lambda: 1.7e9)
    book.configure({"up": (pot,)})
    bill = Bill("up", (Charge(pot, "pot", 1.0),), 8.0)
    settled = Settled(sent=True, answered=True, reports=(Report("pot", remaining=5.0),))
    [figure] = book.ending(Receipt("r", bill, 8.0), settled).figures

    assert figure.used == 0.0
