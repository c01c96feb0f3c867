"""Contended limits: from the first denial on, who had its share leaves the rest to others."""

import msgspec
import pytest

from proxy.contention import Contention
from proxy.core.model import Client, Denied
from proxy.core.spending import Bill, Charge, Outlook
from proxy.core.upstreams import Algorithm, CalendarUnit, Limit
from tests.values import replace

MINUTE = Limit("minute", 60, 60.0, Algorithm.SLIDING_WINDOW)
MONTH = Limit("month", 1000, CalendarUnit.MONTH, Algorithm.FIXED_WINDOW)
OWN = Limit("~grid/minute", 2, 60.0, Algorithm.SLIDING_WINDOW, of="client")
FLOOD, QUIET = Client(identity="flood"), Client(identity="quiet")
BILL = Bill("up", (Charge(MINUTE, "minute", 1.0), Charge(MONTH, "month", 1.0)), 8.0)
DENIED = Denied("minute", 30.0, 60.0)


class House:
    """A limit that says what the test says, and its clock."""

    def __init__(self, room: float) -> None:
        self.now = 0.0
        self.outlook: Outlook | None = Outlook(room, ((60.0, 60.0 - room),), 60.0, 60.0)
        self.contention = Contention(lambda *_: self.outlook, lambda: self.now)

    def flooded(self) -> None:
        """A window in which one asked for 1,000 and another for 10; of the next, one had 50."""
        self.contention.denied(BILL, DENIED, FLOOD, 3)
        for client, number in ((FLOOD, 999), (QUIET, 10)):
            for _ in range(number):
                self.contention.ask(BILL, client, 3)
        self.now = 60.0
        for _ in range(50):
            self.contention.grant(BILL, FLOOD, 3)


@pytest.mark.parametrize(
    "denied",
    [
        replace(DENIED, limit="month"),
        replace(DENIED, limit="hold", hold=True),
        replace(DENIED, limit="ledger"),
        replace(DENIED, limit=OWN.name),
    ],
    ids=lambda denied: denied.limit,
)
def test_what_nobody_waits_for_is_not_shared(denied: Denied) -> None:
    """A month, a hold, a lost ledger, a client's own budget: nothing is counted for them."""
    home = House(10.0)
    bill = msgspec.structs.replace(BILL, charges=(*BILL.charges, Charge(OWN, OWN.name, 1.0)))
    home.contention.denied(bill, denied, FLOOD, 3)

    assert home.contention.shares(bill) is None


def test_who_had_its_share_is_denied_what_others_will_ask_for() -> None:
    """Ten are left and a quiet client asks for ten a minute: the flood is told when to come."""
    home = House(10.0)
    home.flooded()
    denied = home.contention.withheld(BILL, FLOOD, 3)

    assert denied is not None
    assert ("minute", 60.0, 60.0, 0.1) == (
        denied.limit,
        denied.retry_after,
        denied.resets_in,
        denied.soonest,
    )
    assert home.contention.withheld(BILL, QUIET, 3) is None
    assert home.contention.withheld(msgspec.structs.replace(BILL, urgent=True), FLOOD, 3) is None


@pytest.mark.parametrize("room", [0.0, 11.0, 60.0])
def test_where_the_ledger_decides(room: float) -> None:
    """With nothing left it says no itself; what is more than others ask for is not kept."""
    home = House(room)
    home.flooded()

    assert home.contention.withheld(BILL, FLOOD, 3) is None


def test_a_full_bucket_keeps_nothing() -> None:
    """What would be lost is given to whoever asks; a bit less is kept, until it is full."""
    home = House(5.0)
    home.flooded()
    filling = tuple((float(second), 1.0) for second in range(1, 6))
    home.outlook = Outlook(5.0, filling, 5.0, 5.0, brim=5.0)
    full = home.contention.withheld(BILL, FLOOD, 3)
    home.contention.miss(BILL, QUIET, 3)
    home.outlook = Outlook(4.97, filling, 5.0, 5.0, brim=5.0)
    nearly = home.contention.withheld(BILL, FLOOD, 3)

    assert full is None
    assert nearly is not None
    assert nearly.soonest == pytest.approx(0.03)


def test_what_is_withheld_keeps_a_limit_contended() -> None:
    """Where sharing works the ledger need not say no any more; it is not forgotten for that."""
    home = House(10.0)
    home.flooded()
    for window in range(1, 6):
        home.now = 60.0 * window
        home.contention.ask(BILL, QUIET, 3)
        for _ in range(100):
            home.contention.ask(BILL, FLOOD, 3)
        for _ in range(59):
            home.contention.grant(BILL, FLOOD, 3)
        home.outlook = Outlook(1.0, ((60.0, 59.0),), 60.0, 60.0)

        assert home.contention.withheld(BILL, FLOOD, 3) is not None


def test_a_bucket_that_is_full_of_what_is_in_flight_gives_it_no_faster_than_it_comes() -> None:
    """Each grant makes it full anew, for what is in flight fills nothing: a token a second goes."""
    home = House(5.0)
    home.flooded()
    home.contention.miss(BILL, QUIET, 3)
    filling = tuple((float(second), 1.0) for second in range(1, 6))
    home.outlook = Outlook(5.0, filling, 5.0, 5.0, brim=5.0)
    first = home.contention.withheld(BILL, FLOOD, 3)
    home.outlook = Outlook(4.0, filling, 5.0, 5.0, brim=4.0)
    second = home.contention.withheld(BILL, FLOOD, 3)
    home.now += 1.0

    assert first is None
    assert second is not None
    assert second.soonest == pytest.approx(0.1)
    assert home.contention.withheld(BILL, FLOOD, 3) is None


def test_without_denials_it_is_forgotten() -> None:
    """Two windows after the last denial nothing is withheld from anybody, nor remembered."""
    home = House(10.0)
    home.flooded()
    home.now = 121.0

    assert home.contention.withheld(BILL, FLOOD, 3) is None
    assert home.contention.shares(BILL) is None


def test_a_count_that_is_not_known_is_the_ledgers_to_judge() -> None:
    """Where this process has never seen the count, nothing is withheld."""
    home = House(10.0)
    home.flooded()
    home.outlook = None

    assert home.contention.withheld(BILL, FLOOD, 3) is None


def test_limits_that_come_and_go_leave_nothing() -> None:
    """A thousand credentials, each with a count of its own: those long past are not kept."""
    home = House(10.0)
    for number in range(1000):
        bill = msgspec.structs.replace(BILL, charges=(Charge(MINUTE, f"minute@{number}", 1.0),))
        home.contention.denied(bill, DENIED, FLOOD, 3)
        home.now += 10.0

    assert len(home.contention._shares) < 200
