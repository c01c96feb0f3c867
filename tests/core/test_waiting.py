"""The line in front of an empty limit: order, fairness, places given up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.backlogs import Waiter
from proxy.core.model import Client
from proxy.core.waiting import WaitingLine, earliest


def waiter(client: str, priority: int = 3, cost: float = 1.0, weight: float = 1.0) -> Waiter:
    return Waiter(Client(identity=client, weight=weight), priority, cost, deadline=100.0)


def drained(line: WaitingLine) -> list[Waiter]:
    order = []
    while (head := line.head()) is not None:
        line.served(head)
        order.append(head)
    return order


def test_one_client_is_first_come_first_served() -> None:
    """With a single client nobody is overtaken, whatever the costs."""
    line = WaitingLine()
    waiters = [waiter("bot", cost=cost) for cost in (5, 1, 3)]
    for each in waiters:
        line.join(each)

    assert waiters == drained(line)


def test_urgent_goes_first() -> None:
    """A class is served only when no more urgent one waits."""
    line = WaitingLine()
    low, high = waiter("a", priority=5), waiter("b", priority=1)
    line.join(low)
    line.join(high)

    assert [high, low] == drained(line)


def test_a_flood_of_one_client_does_not_delay_another() -> None:
    """A newcomer stands behind one waiter of the flooding client, not behind all of them."""
    line = WaitingLine()
    for _ in range(100):
        line.join(waiter("flood"))
    newcomer = waiter("quiet")
    line.join(newcomer)

    assert drained(line).index(newcomer) <= 1


def test_weights_share_the_line() -> None:
    """A client of weight 3 gets three places for one of weight 1."""
    line = WaitingLine()
    for _ in range(40):
        line.join(waiter("heavy", weight=3.0))
        line.join(waiter("light"))
    first = [each.client.identity for each in drained(line)[:40]]

    assert first.count("heavy") == pytest.approx(30, abs=1)


def test_a_place_given_up_is_skipped() -> None:
    """Who has left is never served, and does not count as waiting."""
    line = WaitingLine()
    first, second = waiter("a"), waiter("a")
    line.join(first)
    line.join(second)
    line.leave(first)
    line.leave(first)

    assert len(line) == 1
    assert [second] == drained(line)


@pytest.mark.parametrize(
    ("returns", "needed", "expected"),
    [
        ([], 1, None),
        ([(2.0, 1.0)], 1, 2.0),
        ([(2.0, 1.0), (5.0, 3.0)], 2, 5.0),
        ([(2.0, 1.0), (5.0, 3.0)], 4.5, None),
    ],
)
def test_earliest(
    returns: list[tuple[float, float]], needed: float, expected: float | None
) -> None:
    """Tokens add up in the order in which they come back."""
    assert expected == earliest(returns, needed)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 7), st.integers(0, 9))))
def test_everyone_is_served_once(arrivals: list[tuple[str, int, int]]) -> None:
    """All who wait are served exactly once, classes in order, each client's own in order."""
    line = WaitingLine()
    waiters = [waiter(client, priority, cost) for client, priority, cost in arrivals]
    for each in waiters:
        line.join(each)
    order = drained(line)

    assert sorted(map(id, waiters)) == sorted(map(id, order))
    assert sorted(each.priority for each in order) == [each.priority for each in order]
    for each in set(arrivals):
        own = [w for w in waiters if (w.client.identity, w.priority) == each[:2]]
        assert own == [w for w in order if (w.client.identity, w.priority) == each[:2]]


def test_those_who_left_take_no_room() -> None:
    """While somebody more urgent always waits, thousands come and go behind: few stay known."""
    line = WaitingLine()
    line.join(waiter("urgent", priority=0))
    for number in range(5000):
        passing = waiter(f"bot-{number}", priority=7)
        line.join(passing)
        line.leave(passing)

    assert len(line._heap) < 200
    assert len(line._flows) == 1


def test_those_who_were_served_take_no_room() -> None:
    """A line that never empties forgets the clients that it has served."""
    line = WaitingLine()
    for number in range(5000):
        line.join(waiter(f"bot-{number}"))
        if number > 10:
            head = line.head()
            assert head is not None
            line.served(head)

    assert len(line) == 11
    assert len(line._flows) <= 11


def test_ever_new_names_leave_nobody_behind() -> None:
    """Who was served before comes next among thousands who each bring a name never seen."""
    line = WaitingLine()
    line.join(waiter("regular"))
    for number in range(10):
        line.join(waiter(f"new-{number}"))
    first = line.head()
    assert first is not None
    line.served(first)
    regular = waiter("regular")
    line.join(regular)
    for number in range(10, 30):
        line.join(waiter(f"new-{number}"))
        head = line.head()
        assert head is not None
        line.served(head)

    assert regular.gone
