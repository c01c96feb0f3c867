"""What is read off a request once: key, urgency, patience, bill."""

import pytest

from proxy.asked import Asked, asked
from proxy.core.fields import Fields
from proxy.core.model import ANONYMOUS, Client, Request
from proxy.core.routing import Match, Routes
from tests.house import PRICE, endpoint, upstream

BEGAN = 100.0


def ask(
    query: str = "ids=bitcoin",
    fields: Fields = (),
    client: Client = ANONYMOUS,
    **settings: object,
) -> Asked:
    price = endpoint("price", "/price", **settings) if settings else PRICE
    request = Request("GET", "/coingecko/price", query, fields, client=client)
    match = Routes((upstream(price, deadline=8.0, timeout=6.0),)).match(request)
    assert isinstance(match, Match)
    return asked(request, match, BEGAN, b"secret")


def test_a_private_request_has_no_key() -> None:
    """What concerns its sender alone can neither be stored nor joined."""
    assert "" == ask("symbol=BTCUSDT&signature=abc").key
    assert ask("ids=bitcoin").key == ask("ids=bitcoin", (("User-Agent", "another"),)).key != ""


@pytest.mark.parametrize(
    ("said", "configured", "client", "expected"),
    [
        ((), 3, None, 3),
        ((), 5, None, 5),
        ((("Priority", "u=1"),), 5, None, 1),
        ((("Priority", "u=1"),), 5, 6, 6),
        ((("Priority", "nonsense"),), 5, None, 5),
    ],
)
def test_whose_word_on_urgency_counts(
    said: Fields, configured: int, client: int | None, expected: int
) -> None:
    """The operator's word on a client is above the client's own, and that above the endpoint's."""
    who = Client("grid", "grid", priority=client)

    assert (
        expected == ask(fields=said, client=who, priority=configured).patience(waits=True).priority
    )


def test_who_asks_instead_is_heard_instead() -> None:
    """Another request for the same target has its own word on urgency and patience."""
    one = ask(fields=(("Priority", "u=1"), ("Prefer", "wait=1")), max_wait=5.0)
    other = one.by(Request("GET", "/coingecko/price", "ids=bitcoin", (("Priority", "u=6"),)))

    assert (1, 1.0) == (one.patience(waits=True).priority, one.max_wait)
    assert (6, 5.0) == (other.patience(waits=True).priority, other.max_wait)
    assert other == asked(other.request, one.match, BEGAN, b"secret")


def test_private_requests_go_before_all_reads() -> None:
    """An order is more urgent than any reader may claim to be; its bill may take the reserve."""
    order = ask("signature=abc", client=Client("grid", "grid", priority=7))

    assert 0 == order.patience(waits=False).priority
    assert order.bill().urgent
    assert not ask().bill().urgent


@pytest.mark.parametrize(
    ("prefer", "expected"),
    [((), 5.0), ((("Prefer", "wait=2"),), 2.0), ((("Prefer", "wait=60"),), 5.0)],
)
def test_a_client_may_shorten_its_wait(prefer: Fields, expected: float) -> None:
    """`Prefer: wait` is heeded up to the endpoint's `max_wait`, never beyond."""
    assert expected == ask(fields=prefer, max_wait=5.0).patience(waits=True).max_wait


def test_nobody_waits_past_its_deadline() -> None:
    """A `max_wait` above the upstream's deadline is cut to it; who does not wait waits 0."""
    assert 8.0 == ask(max_wait=60.0).patience(waits=True).max_wait
    assert 0.0 == ask(max_wait=60.0).patience(waits=False).max_wait
    assert BEGAN + 8.0 == ask().deadline


def test_the_uri_is_the_upstreams() -> None:
    """What is invalidated goes by the provider's address, not by the proxy's."""
    assert "http://provider/price?ids=bitcoin" == ask().uri
    assert "http://provider/price" == ask("").uri


def test_a_bill_is_booked_for_as_long_as_an_answer_may_take() -> None:
    """The spend counts from the latest moment at which the provider can have counted it."""
    assert 6.0 == ask().bill().answer_within
