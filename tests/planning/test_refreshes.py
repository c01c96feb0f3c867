"""Refreshes ahead in simulated time: what is due, and what can be afforded."""

import pytest

from proxy.asked import Asked
from proxy.core.model import Entry, Lifetimes
from proxy.core.routing import Routes
from proxy.core.spending import Bill, Charge
from proxy.freshening.heats import Heats
from proxy.planning.refreshes import NEVER, Refreshes
from proxy.planning.simulation import Ledger
from tests.house import LIMIT, endpoint, upstream

BEGAN = 1_763_000_000.0
PLAIN = endpoint("price", "/price")
AHEAD = endpoint("price", "/price", refresh_ahead=True)


class Stage:
    """Refreshes over thirty calls a minute."""

    def __init__(self, rule: object, *warm: str) -> None:
        upstreams = (upstream(rule, limits=(LIMIT,), warm=warm),)
        self.ledger = Ledger(upstreams)
        self.ledger.now = self.ledger.began = BEGAN
        self.entries: dict[str, Entry] = {}
        self.waits = False
        self.refreshed: list[str] = []
        self.heats = Heats()
        self.refreshes = Refreshes(
            self.ledger, self.heats, self.entries, lambda _: self.waits, self.refresh
        )
        self.refreshes.begin(Routes(upstreams), lambda ask: ask)

    def refresh(self, ask: Asked) -> None:
        now = self.ledger.now
        self.refreshed.append(ask.match.query)
        self.ledger.spend(ask.bill())
        self.entries[ask.key] = Entry(
            ask.key, 200, "OK", (), b"", "", now, now, 0.0, Lifetimes(60.0)
        )

    def look(self, after: float = 0.0) -> list[str]:
        """Look after so many seconds; return what was refreshed then."""
        self.ledger.now += after
        before = len(self.refreshed)
        self.refreshes.look(self.ledger.now + 100)
        return self.refreshed[before:]


def test_where_nothing_is_refreshed_ahead_nobody_looks() -> None:
    """And where nothing is kept yet, seconds are passed over."""
    ahead = Stage(AHEAD)

    assert (NEVER, BEGAN) == (Stage(PLAIN).refreshes.next, ahead.refreshes.next)
    assert [] == ahead.look()
    assert BEGAN + 100 == ahead.refreshes.next


def test_what_is_warm_is_filled_and_kept() -> None:
    """At the beginning, and before its end; it looks once a second."""
    stage = Stage(PLAIN, "/price?ids=a")

    assert [["ids=a"], [], ["ids=a"], []] == [*map(stage.look, (0, 30, 25, 1))]
    assert stage.ledger.now + 1 == stage.refreshes.next


def test_what_is_hot_is_kept_and_else_forgotten() -> None:
    """Two uses since it came; what has had none ends, and is not looked at any more."""
    stage = Stage(AHEAD, "/price?ids=a")
    stage.look()
    [heat] = stage.heats
    heat.warm = False
    heat.hits = 2

    assert ["ids=a"] == stage.look(55)
    assert [] == stage.look(61)
    assert [] == list(stage.heats)


@pytest.mark.parametrize("why", ["waits", "used"])
def test_only_from_surplus(why: str) -> None:
    """Not while anybody waits for quota, and not beyond half of it."""
    stage = Stage(PLAIN, *(f"/price?ids={number}" for number in range(4)))
    stage.waits = why == "waits"
    if why == "used":
        stage.ledger.spend(Bill("coingecko", (Charge(LIMIT, "minute", 13),), 8.0))

    assert (0 if stage.waits else 2) == len(stage.look())
