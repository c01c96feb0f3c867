"""What a process knows of its upstreams' limits."""

import pytest

from proxy.core.counts import Moment
from proxy.core.holds import Holding
from proxy.core.limits import Account, Booked, Head, Held, Short
from proxy.core.model import Denied
from proxy.core.spending import LOST, Bill, Charge, Granted, Receipt, Settled
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


def test_a_bill_is_put_to_the_arithmetic_once(book: Book, clocks: Clocks) -> None:
    """Until its rules are old, or a reload brings others; then its counts are known once more."""
    first = book.terms(BILL)
    assert first is book.terms(BILL)
    clocks.now += 59.0
    assert first is book.terms(BILL)
    clocks.now += 1.0
    again = book.terms(BILL)
    assert first is not again
    book.configure({"up": (replace(MONTH, limit=50.0),)})
    reloaded = book.terms(BILL)

    assert again is not reloaded
    assert book.limits("up") == {"minute": MINUTE, "month": MONTH}


def test_bills_that_are_counted_alike_share_their_rules(book: Book) -> None:
    """So a batch of them is seen at once to be about the same counts."""
    dearer = replace(BILL, charges=tuple(replace(each, cost=9.0) for each in BILL.charges))
    keyed = replace(BILL, charges=(Charge(MINUTE, "minute@1f", 1.0),))

    assert book.terms(BILL).rules is book.terms(dearer).rules
    assert not book.terms(BILL).keyed
    assert book.terms(keyed).keyed


def test_what_is_settled_after_a_reload_is_counted_as_configured(book: Book) -> None:
    """The rules of a bill that was spent under others are those in force, where there are any."""
    receipt = _receipt(book)
    book.configure({"up": (replace(MINUTE, limit=7.0),)})
    _, rules = book.ending(receipt, Settled(sent=True, answered=True, status=200))

    assert {"minute": 7.0, "month": 100} == {name: rule.size for name, rule in rules.items()}
