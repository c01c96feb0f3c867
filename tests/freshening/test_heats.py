"""Heat: what is used is counted, and remembered so that it can be asked for nobody."""

import pytest

from proxy.asked import Asked, asked
from proxy.core.model import Client, Request
from proxy.core.routing import Match, Routes
from proxy.freshening import heats
from proxy.freshening.heats import Heats
from tests.house import endpoint, upstream

PRICE = endpoint("price", "/price", refresh_ahead=True)
ROUTES = Routes((upstream(PRICE),))


def asking(
    query: str = "ids=a", fields: tuple[tuple[str, str], ...] = (), routes: Routes = ROUTES
) -> Asked:
    request = Request("GET", "/coingecko/price", query, fields, client=Client("bot", priority=0))
    route = routes.match(request)
    assert isinstance(route, Match)
    return asked(request, route, 0.0, b"s")


def test_uses_are_counted_by_answer() -> None:
    """However it is written, what has one key has one heat."""
    known = Heats()
    first, second = known.note(asking("ids=a&x=1")), known.note(asking("x=1&ids=a"))

    assert first is second
    assert first is not None
    assert first.hits == 2


def test_it_is_asked_again_for_nobody() -> None:
    """No client's budget, wishes or urgency: it waits for nothing and goes last."""
    heat = Heats().note(asking(fields=(("Prefer", "wait=5"), ("Accept", "application/json"))))

    assert heat is not None
    patience = heat.asked.patience(waits=True)
    assert (0.0, 7, "") == (patience.max_wait, patience.priority, patience.client.name)
    assert heat.asked.key == asking().key


def test_what_needs_the_clients_key_is_not_remembered() -> None:
    """Its quota is its own."""
    routes = Routes((upstream(PRICE, client_credentials="forward"),))

    assert Heats().note(asking(fields=(("x-cg-demo-api-key", "k"),), routes=routes)) is None


def test_memory_is_bounded_and_warm_ones_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was learnt first makes room, unless it is to be kept warm."""
    monkeypatch.setattr(heats, "MOST", 2)
    known = Heats()
    known.learn(asking("ids=warm"), warm=True)
    for name in "abc":
        known.note(asking(f"ids={name}"))

    assert [True, False] == [heat.warm for heat in known]
    known.forget(next(iter(known)))
    assert len(list(known)) == 1
    known.clear()
    assert list(known) == []
