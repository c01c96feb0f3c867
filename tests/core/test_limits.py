"""Spend, settle, adjust, over all kinds of limits; and simulated providers."""

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core import limits
from proxy.core.counts import Moment
from proxy.core.holds import Refusal
from proxy.core.limits import Account, Adjustment, Booked, Ending, Head, Held, Order, Short
from proxy.core.reports import Figure
from proxy.core.rules import BUCKET, FIXED, SLIDING, Rule
from proxy.core.upstreams import Algorithm, CalendarUnit, Limit
from proxy.sandbox.simulation import (
    Enforcer,
    FixedWindow,
    Simulation,
    SlidingWindow,
    TokenBucket,
    Trial,
)

SLIDE = Rule(SLIDING, 3, 64.0, 0.25)
MONTH = Rule(FIXED, 5, 1000.0, 1.0, edges=(1000.0, 2000.0, 3000.0, 4000.0))
POT = Rule(BUCKET, 4, 4.0, 0.125)
RULES = {"slide": SLIDE, "month": MONTH, "pot": POT}
NOW = Moment(1500.0, 1500.0)


def _order(number: int = 1, cost: float = 1.0, *names: str, within: float = 8.0) -> Order:
    charges = tuple((name, cost) for name in names or RULES)
    return Order(f"r{number}", within, urgent=False, charges=charges)


def _ending(order: Order, until: float, **settings: object) -> Ending:
    charges = tuple((bucket, cost, cost) for bucket, cost in order.charges)
    made = Ending(order.id, until, order.within, sent=True, answered=True, charges=charges)
    return msgspec.structs.replace(made, **settings)


def _used(account: Account, moment: Moment = NOW) -> dict[str, float]:
    standing = {}
    for name, rule in RULES.items():
        count = limits.current(rule, account.counts.get(name), moment)
        full = rule.kind == BUCKET
        standing[name] = rule.size - count.level if full else count.own.total + count.foreign.total
    return standing


def test_a_bill_is_spent_from_all_its_limits() -> None:
    """Each is charged, at the latest moment the answer could come."""
    account, decision = limits.spend(Account(), _order(), RULES, NOW)

    assert decision == Booked(1508.0)
    assert _used(account) == {"slide": 1, "month": 1, "pot": 1}


def test_all_or_nothing() -> None:
    """Where one of three limits is short, none is charged, and it is named."""
    account = Account()
    for number in range(3):
        account, _ = limits.spend(account, _order(number, 1.0, "slide"), RULES, NOW)
    account, decision = limits.spend(account, _order(9), RULES, NOW)

    assert decision == Short(0)
    assert _used(account) == {"slide": 3, "month": 0, "pot": 0}


def test_what_costs_nothing_is_never_short() -> None:
    """A charge of 0 passes an empty limit and leaves no trace."""
    account, _ = limits.spend(Account(), _order(1, 3.0, "slide"), RULES, NOW)
    account, decision = limits.spend(account, _order(2, 0.0, "slide"), RULES, NOW)

    assert isinstance(decision, Booked)
    assert _used(account)["slide"] == 3


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {"slide": 2, "month": 2, "pot": 2}),
        ({"sent": False, "answered": False}, {"slide": 0, "month": 0, "pot": 0}),
        ({"answered": False}, {"slide": 2, "month": 2, "pot": 2}),
        ({"charges": (("slide", 2.0, 0.0), ("month", 2.0, 3.0), ("pot", 2.0, 0.5))},
         {"slide": 0, "month": 3, "pot": 0.5}),
    ],
)  # fmt: skip
def test_settling(settings: dict[str, object], expected: dict[str, float]) -> None:
    """Answered: counted at its real cost; not sent: refunded whole; lost: left where it is."""
    order = _order(1, 2.0)
    account, decision = limits.spend(Account(), order, RULES, NOW)
    assert isinstance(decision, Booked)
    account = limits.settle(account, _ending(order, decision.until, **settings), RULES, NOW)

    assert _used(account) == expected


@pytest.mark.parametrize(("answered", "free"), [(True, 1566.5), (False, 1572.5)])
def test_a_token_comes_back_one_window_after_the_answer(answered: bool, free: float) -> None:  # noqa: FBT001 - a row
    """After the answer came; or, where none did, after the last moment it could have."""
    order = _order(1, 3.0, "slide")
    account, decision = limits.spend(Account(), order, RULES, NOW)
    assert isinstance(decision, Booked)
    ending = _ending(order, decision.until, answered=answered)
    account = limits.settle(account, ending, RULES, Moment(1502.0, 1502.0))
    before, after = Moment(free - 1.0, free), Moment(free, free)

    assert isinstance(limits.spend(account, _order(2, 1.0, "slide"), RULES, before)[1], Short)
    assert isinstance(limits.spend(account, _order(2, 1.0, "slide"), RULES, after)[1], Booked)


def test_an_answer_later_than_any_is_counted_when_it_came() -> None:
    """A stalled process settles 20 s after the booking: the token is back after that."""
    order = _order(1, 3.0, "slide", "month", within=1.0)
    account, decision = limits.spend(Account(), order, RULES, NOW)
    assert isinstance(decision, Booked)
    late = Moment(1521.0, 1521.0)
    account = limits.settle(account, _ending(order, decision.until), RULES, late)

    assert _used(account, Moment(1580.0, 1580.0))["slide"] == 3
    assert _used(account, Moment(1586.0, 1586.0))["slide"] == 0


def test_a_hold_denies_all_and_one_probe_goes_first() -> None:
    """A refusal holds; when it has passed one call goes, and others when that is answered."""
    order = _order(1, 1.0, "month")
    account, decision = limits.spend(Account(), order, RULES, NOW)
    assert isinstance(decision, Booked)
    refusal = Refusal("429", 30.0, 10.0, 60.0, 0.0)
    account = limits.settle(account, _ending(order, decision.until, refusal=refusal), RULES, NOW)
    account, held = limits.spend(account, _order(2), RULES, NOW)
    after = Moment(1531.0, 1531.0)
    account, probe = limits.spend(account, _order(3), RULES, after)
    account, second = limits.spend(account, _order(4), RULES, after)
    account = limits.settle(account, _ending(_order(3), 1539.0), RULES, after)
    account, free = limits.spend(account, _order(5), RULES, after)

    assert held == Held(1530.0)
    assert probe == Booked(1539.0, probe=True)
    assert second == Held(1539.0)
    assert free == Booked(1539.0)


def test_a_date_tells_the_providers_clock() -> None:
    """An answer's `Date` ends up in the account, once; an unanswered call's does not."""
    order = _order(1, 1.0, "month")
    account, decision = limits.spend(Account(), order, RULES, NOW)
    assert isinstance(decision, Booked)
    lost = limits.settle(
        account, _ending(order, decision.until, answered=False, date=1500.0), RULES, NOW
    )
    told = limits.settle(account, _ending(order, decision.until, date=1507.0), RULES, NOW)

    assert lost.head.offset.agreed == 0
    assert (told.head.offset.low, told.head.offset.high) == (7.0, 8.0)


def test_a_report_of_more_is_believed_at_once() -> None:
    """The provider has counted 4 of 5, we 1: somebody else spent 3."""
    order = _order(1, 1.0, "month")
    account, decision = limits.spend(Account(), order, RULES, NOW)
    assert isinstance(decision, Booked)
    figures = (Figure("month", 4.0, 0.0, 1.0),)
    account = limits.settle(account, _ending(order, decision.until, figures=figures), RULES, NOW)

    assert _used(account)["month"] == 4


@pytest.mark.parametrize("bucket", ["slide", "month", "pot"])
@pytest.mark.parametrize(("used", "expected"), [(2.0, 2.0), (0.0, 1.0), (9.0, 9.0)])
def test_an_operator_says_what_is_used(bucket: str, used: float, expected: float) -> None:
    """It is set as said; but what is in flight (1 here) stays counted."""
    account, _ = limits.spend(Account(), _order(1, 1.0, bucket), RULES, NOW)
    account = limits.adjust(account, Adjustment(bucket, ((0.0, used),)), RULES, NOW)

    assert _used(account)[bucket] == expected


def test_the_higher_figure_wins() -> None:
    """What another ledger remembers is taken only where it is more."""
    account, _ = limits.spend(Account(), _order(1, 3.0, "month"), RULES, NOW)
    lower = limits.adjust(account, Adjustment("month", ((0.0, 2.0),), least=True), RULES, NOW)
    higher = limits.adjust(account, Adjustment("month", ((9.0, 4.0),), least=True), RULES, NOW)

    assert _used(lower)["month"] == 3
    assert _used(higher)["month"] == 4


def test_a_log_keeps_its_times() -> None:
    """What was spent 60 s ago comes back in 4 s, what was spent now in 64."""
    log = Adjustment("slide", ((60.0, 2.0), (0.0, 1.0)))
    account = limits.adjust(Account(), log, RULES, NOW)

    assert _used(account, Moment(1505.0, 1505.0))["slide"] == 1
    assert limits.named(_ending(_order(1, 1.0, "slide"), 0.0)) == {"slide"}


def test_what_another_ledger_remembers_of_a_window_gone_by_is_nothing() -> None:
    """Nine tokens of last month do not replace the two of this one."""
    account, _ = limits.spend(Account(), _order(1, 2.0, "month"), RULES, NOW)
    stale = Adjustment("month", ((700.0, 9.0), (300.0, 1.0)), least=True)
    account = limits.adjust(account, stale, RULES, NOW)

    assert _used(account)["month"] == 2


def test_a_clock_that_steps_back_mints_nothing() -> None:
    """Ledger's time stays; what was spent stays spent; then time goes on."""
    account, moment = limits.opened(Account(), 1500.0, 1500.0)
    account, _ = limits.spend(account, _order(1, 3.0, "slide"), RULES, moment)
    account, moment = limits.opened(account, 1500.0 - 3600.0, 1500.0 - 3600.0)

    assert moment.now == 1500.0
    assert isinstance(limits.spend(account, _order(2, 1.0, "slide"), RULES, moment)[1], Short)
    assert limits.opened(account, -2100.0 + 72.3, 0.0)[1].now == pytest.approx(1572.3)


def test_changed_limits_keep_what_was_spent() -> None:
    """A window that becomes longer, and a window that becomes a bucket, still know the spends."""
    account, _ = limits.spend(Account(), _order(1, 2.0, "slide"), RULES, NOW)
    longer = Rule(SLIDING, 3, 100.0, 100 / 256)
    bucket = Rule(BUCKET, 3, 60.0, 60 / 256)
    count = limits.current(longer, account.counts["slide"], NOW)

    assert count.own.total == 2
    assert limits.current(bucket, account.counts["slide"], NOW).level == 1


@given(
    st.lists(
        st.tuples(st.floats(0, 20), st.floats(0, 8), st.sampled_from("afu"), st.floats(0.1, 2)),
        max_size=40,
    )
)
def test_no_window_ever_holds_more_than_its_limit(
    calls: list[tuple[float, float, str, float]],
) -> None:
    """Wherever between grant and answer the provider counts: no 64 s hold more than 3 tokens."""
    account, now, counted = Account(), 1000.0, []
    open_: list[tuple[float, Order, float]] = []
    for pause, took, end, cost in calls:
        now += pause
        for due, order, until in [each for each in open_ if each[0] <= now]:
            open_.remove((due, order, until))
            account = limits.settle(account, _ending(order, until), RULES, Moment(due, due))
        order = _order(len(counted), cost, "slide")
        account, decision = limits.spend(account, order, RULES, Moment(now, now))
        if isinstance(decision, Booked):
            counted.append((now if end == "f" else now + took, cost))
            if end != "u":
                open_.append((now + took, order, decision.until))
    for start, _ in counted:
        assert sum(cost for at, cost in counted if start <= at < start + 64.0) <= 3 + 1e-6


def _sliding() -> tuple[Limit, Enforcer]:
    return Limit("m", 30, 60.0, Algorithm.SLIDING_WINDOW), SlidingWindow(30, 60.0)


def _aligned() -> tuple[Limit, Enforcer]:
    limit = Limit("m", 30, CalendarUnit.MINUTE, Algorithm.FIXED_WINDOW)
    return limit, FixedWindow(30, 60.0)


def _unaligned() -> tuple[Limit, Enforcer]:
    return Limit("m", 30, 60.0, Algorithm.SLIDING_WINDOW), FixedWindow(30, 60.0, 17.3)


def _bucket() -> tuple[Limit, Enforcer]:
    limit = Limit("m", 30, 60.0, Algorithm.TOKEN_BUCKET, burst=10)
    return limit, TokenBucket(30, 60.0, 10)


@pytest.mark.parametrize("kind", [_sliding, _aligned, _unaligned, _bucket])
@pytest.mark.parametrize("jitter", [0.0, 0.5])
@pytest.mark.parametrize(("load", "least"), [(0.5, 0.49), (1.0, 0.98), (5.0, 0.98)])
def test_never_over_and_hardly_ever_under(
    kind: object, jitter: float, load: float, least: float
) -> None:
    """No refusal by a simulated provider, whose clock is off, and 98 % of the quota used."""
    limit, enforcer = kind()  # type: ignore[operator]
    result = Simulation(Trial(limit, enforcer, jitter, 3, load, offset=-3.21)).run()

    assert result.refused == 0
    assert result.used >= least


@pytest.mark.parametrize("kind", [_sliding, _aligned, _bucket])
def test_lost_answers_cost_no_refusal(kind: object) -> None:
    """A tenth of the answers never come: they count as booked, and nothing is over-spent."""
    limit, enforcer = kind()  # type: ignore[operator]
    result = Simulation(Trial(limit, enforcer, 0.5, 3, 5.0, offset=0.4, lost=0.1)).run()

    assert result.refused == 0
    assert result.used >= 0.85


@pytest.mark.parametrize("seed", range(3))
def test_a_foreign_program_costs_no_refusal(seed: int) -> None:
    """Another program takes a third of a weight like Binance's; its use shows in the headers."""
    limit = Limit("m", 6000, CalendarUnit.MINUTE, Algorithm.FIXED_WINDOW)
    trial = Trial(
        limit,
        FixedWindow(6000, 60.0),
        jitter=0.5,
        spenders=3,
        load=1.0,
        windows=5,
        offset=0.7,
        reports=True,
        foreign=1 / 3,
        costs=(2.0, 4.0, 25.0, 80.0),
        seed=seed,
    )
    result = Simulation(trial).run()

    assert result.refused == 0
    assert result.used >= 0.95


def test_a_head_has_a_version() -> None:
    """States say which version wrote them."""
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(Head()))[0] == limits.VERSION
    assert math.isnan(_ending(_order(), 0.0).date)
