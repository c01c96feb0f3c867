"""Lists: which request asks for several members at once, and what it costs."""

import pytest

from proxy.asked import Asked, asked
from proxy.batching.lists import Lists, spent
from proxy.batching.riders import Rider, Riders
from proxy.core.model import Client, Request
from proxy.core.routing import Match, Routes
from proxy.core.tables import ByValue
from proxy.core.upstreams import Algorithm, Cost, Limit
from proxy.freshening.heats import Heats
from tests.house import endpoint, upstream
from tests.shop import EVERYTHING, TICKERS, WEIGHED, WEIGHT
from tests.values import replace

DEAR = Cost(ByValue("symbol", (), 2.0, 40.0))
BUDGET = Limit("~grid/minute", 5, 60.0, Algorithm.SLIDING_WINDOW, of="client")
OWN = Client("grid", "grid", limits=(BUDGET,))
ROUTES = Routes(
    (
        upstream(
            endpoint("weighed", "/weighed", batch=WEIGHED, cost=WEIGHT),
            endpoint("book", "/book", batch=EVERYTHING, cost=WEIGHT),
            endpoint("day", "/day", batch=EVERYTHING, cost=DEAR),
            endpoint("ticker", "/ticker", batch=replace(TICKERS, riders=False)),
            endpoint("free", "/free", batch=TICKERS),
        ),
    )
)


class Ready(Riders):
    """Riders of whom the test says who may ride; capitals are due."""

    def __init__(self, *names: str) -> None:
        super().__init__(Heats(), lambda _: None, lambda: 0.0)
        self.names = names

    def ready(self, family: str) -> list[Rider]:
        path = family.split(":")[1]
        return [Rider(name, ask(path, name), 0.0, 0, name.isupper()) for name in self.names]


def lists(*ready: str) -> Lists:
    made = Lists(Ready(*ready), lambda _: ())
    made.configure(ROUTES)
    return made


def ask(path: str, name: str = "A", client: Client | None = None) -> Asked:
    request = Request("GET", f"/coingecko/{path}", f"symbol={name}", ())
    if client is not None:
        request = replace(request, client=client)
    route = ROUTES.match(request)
    assert isinstance(route, Match)
    return asked(request, route, 0.0, b"s")


def test_members_of_a_family_share_a_name() -> None:
    """Whoever they are; a client with a budget of its own has families of its own."""
    assert lists().family(ask("weighed", "A")) == lists().family(ask("weighed", "B"))
    assert lists().family(ask("weighed")) != lists().family(ask("book"))
    assert lists().family(ask("weighed")) != lists().family(ask("weighed", client=OWN))


@pytest.mark.parametrize(
    ("path", "members", "query", "cost"),
    [
        ("weighed", ("A", "B"), "symbols=%5B%22A%22%2C%22B%22%5D", 4.0),
        ("weighed", ("A", "B", "C", "D", "E"), "", 4.0),
        ("book", ("A", "B"), "", 4.0),
    ],
)
def test_the_cheaper_request(path: str, members: tuple[str, ...], query: str, cost: float) -> None:
    """These, or all there are: where a list is too short for them, or there is none."""
    found = lists().cheapest(ask(path), members)

    assert (query, cost) == (found.request.query, spent(found.bill()))


def test_few_may_cost_less_alone() -> None:
    """Of what knows no list: one at 2 each, where all cost 4."""
    assert [False, True, True, False] == [
        lists().is_cheaper_alone(ask("day"), count) for count in (1, 2, 19, 20)
    ]
    assert not lists().is_cheaper_alone(ask("weighed"), 3)


@pytest.mark.parametrize(
    ("path", "ready", "riding"),
    [
        ("weighed", "B", ""),
        ("weighed", "BC", "BC"),
        ("weighed", "BCDE", "BCDE"),
        ("weighed", "Bcde", ""),
        ("weighed", "BCde", "BCde"),
        ("day", "BCDE", ""),
        ("ticker", "BC", ""),
        ("free", "b", "b"),
        ("free", "BCDE", "BCD"),
    ],
)
def test_who_rides(path: str, ready: str, riding: str) -> None:
    """For nothing, or where those due cost more alone; no more than fit; or `riders: false`."""
    family = lists().family(ask(path))
    found = lists(*ready).riders(family, ask(path), ("A",))

    assert [*riding] == [each.member for each in found]


def test_nobody_rides_on_a_clients_own_budget() -> None:
    """What is fetched for nobody is not its to pay."""
    assert [] == lists("B", "C").riders("x:weighed", ask("weighed", client=OWN), ("A",))
