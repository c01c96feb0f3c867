"""What the clients of a level wait for, in sum: against a count of every one of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.backlogs import Backlog, Flow, Waiter
from proxy.core.model import Client


def flow(name: str, *costs: float, weight: float = 1.0) -> Flow:
    client = Client(identity=name, weight=weight)
    made = Flow(client, 3, 0.0)
    for cost in costs:
        made.join(Waiter(client, 3, cost, 100.0))
    return made


def backlog(*flows: Flow) -> Backlog:
    made = Backlog()
    for each in flows:
        made.add(each)
    return made


@pytest.mark.parametrize(
    ("flows", "weight", "cost", "expected"),
    [
        ((), 1.0, 1.0, 0.0),
        ((flow("flood", *[1.0] * 100),), 1.0, 1.0, 1.0),
        ((flow("flood", *[1.0] * 100),), 2.0, 1.0, 0.5),
        ((flow("flood", *[1.0] * 100), flow("quiet", 1.0)), 1.0, 5.0, 6.0),
        ((flow("heavy", *[1.0] * 100, weight=3.0),), 1.0, 2.0, 6.0),
        ((flow("dear", 50.0), flow("cheap", 2.0)), 1.0, 10.0, 12.0),
    ],
)
def test_others_go_before_a_newcomer_for_as_many_rounds(
    flows: tuple[Flow, ...], weight: float, cost: float, expected: float
) -> None:
    """A newcomer has before it what each other gets in the rounds that it needs itself."""
    newcomer = Client(identity="new", weight=weight)

    assert backlog(*flows).ahead(newcomer, cost, None) == pytest.approx(expected)


def test_ones_own_places_are_all_before_it() -> None:
    """Behind three of its own, a fourth has three rounds of the others more before it."""
    own, other = flow("own", 1, 1, 1), flow("other", *[1.0] * 100)

    assert backlog(own, other).ahead(own.client, 1.0, own) == pytest.approx(3 + 4)


COSTS = st.lists(st.sampled_from([0.5, 1.0, 3.0, 20.0]), min_size=1, max_size=6)


@given(st.lists(COSTS, min_size=1, max_size=12), st.sampled_from([0.5, 1.0, 7.0]))
def test_sums_are_never_far_from_each_ones_own(every: list[list[float]], cost: float) -> None:
    """What goes before is never below the true sum, nor twice as much; all waits in `cost`."""
    flows = [flow(str(number), *costs) for number, costs in enumerate(every)]
    true = sum(min(each.cost, cost) for each in flows)
    counted = backlog(*flows)

    assert true - 1e-9 <= counted.ahead(Client(identity="new"), cost, None) <= 2 * true + 1e-9
    assert counted.cost() == pytest.approx(sum(each.cost for each in flows))


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from([1.0, 2.0, 5.0])), max_size=300))
def test_the_longest_is_known_whoever_comes_and_goes(moves: list[tuple[int, float]]) -> None:
    """After any history the longest flow is one that no other is longer than, and all add up."""
    counted, flows = Backlog(), {number: flow(str(number)) for number in range(10)}
    for number, cost in moves:
        each = flows[number]
        if each.waiting:
            counted.take(each)
        if each.waiting and cost == 5.0:
            each.leave(each.front())
        else:
            each.join(Waiter(each.client, 3, cost, 100.0))
        if each.waiting:
            counted.add(each)
    waiting = [each for each in flows.values() if each.waiting]

    assert len(counted) == len(waiting)
    assert counted.cost() == pytest.approx(sum(each.cost for each in waiting))
    if waiting:
        assert counted.longest().rounds == max(each.rounds for each in waiting)


def test_a_flow_forgets_who_left_in_its_middle() -> None:
    """Thousands come and go behind one that stays: few places are kept."""
    each = flow("bot", 1.0)
    for _ in range(5000):
        passing = Waiter(each.client, 3, 1.0, 100.0)
        each.join(passing)
        each.leave(passing)

    assert (each.waiting, each.cost) == (1, 1.0)
    assert len(each._places) < 100
