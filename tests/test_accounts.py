"""The facts beside an answer: the word, the limits' figures, the provider's own fields."""

import pytest

from proxy.accounts import Accounts, usage
from proxy.answer import Answer
from proxy.asked import Asked, asked
from proxy.core import costs
from proxy.core.fields import Fields, first
from proxy.core.model import (
    Entry,
    Fetch,
    Fetched,
    Lifetimes,
    Nothing,
    Policy,
    Reply,
    Request,
    Settlement,
    Verdict,
)
from proxy.core.routing import Match, Routes
from proxy.core.spending import Level
from proxy.core.upstreams import Algorithm, Cost, Limit, Upstream, Usage
from tests.house import LIMIT, OpenLedger, endpoint, upstream

NOW = 1000.0
USED = Usage("minute", header="X-MBX-USED-WEIGHT-1M", reset_header="X-Reset")
LEFT = Usage("minute", header="x-ratelimit-remaining", means="remaining")


class Ledger(OpenLedger):
    """Knows the levels that the test names."""

    def __init__(self, *levels: Level, held: float = 0.0) -> None:
        super().__init__(held=held)
        self.known = levels

    def levels(self, _upstream: str) -> tuple[Level, ...]:
        return self.known


def level(bucket: str, used: float = 12.4) -> Level:
    return Level(bucket.partition("@")[0].partition("/")[0], bucket, 30, used, 60.0)


def ask(at: Upstream, fields: Fields = ()) -> Asked:
    request = Request("GET", "/coingecko/price", "", fields)
    match = Routes((at,)).match(request)
    assert isinstance(match, Match)
    return asked(request, match, 0.0, b"")


def entry(fields: Fields = (), status: int = 200) -> Entry:
    return Entry("k", status, "OK", fields, b"{}", "", NOW - 10, NOW - 10, 5.0, Lifetimes(60.0))


def test_age_and_freshness_left() -> None:
    """Age counts from the provider's own clock; what is left is the TTL less that."""
    answer = Accounts(Ledger()).entry(ask(upstream()), entry(), Verdict.HIT, NOW)

    assert (15.0, 45.0) == (answer.account.age, answer.account.ttl)


def test_usage_fields_carry_the_present_figures() -> None:
    """A bot that reads the provider's usage field reads the ledger's figure, not a stored one."""
    fields: Fields = (("x-mbx-used-weight-1m", "1199"), ("X-Ratelimit-Remaining", "1"), ("A", "b"))
    shown = usage(fields, upstream(usage=(USED, LEFT)), (level("minute"),))

    assert ("13", "18", "b") == (
        first(shown, "x-mbx-used-weight-1m"),
        first(shown, "x-ratelimit-remaining"),
        first(shown, "a"),
    )


@pytest.mark.parametrize(
    "fields",
    [(("X-MBX-USED-WEIGHT-1M", "1199"), ("X-Reset", "1700000000")), (("X-Reset", "1700000000"),)],
)
def test_usage_fields_nobody_can_vouch_for_are_dropped(fields: Fields) -> None:
    """A count that the ledger does not know, and every reset time, are never replayed."""
    assert () == usage(fields, upstream(usage=(USED,)), ())


def test_only_limits_in_scope_are_shown() -> None:
    """What an endpoint does not spend from says nothing to who asks it, nor does another's key."""
    orders = Limit("orders", 10, 10.0, Algorithm.SLIDING_WINDOW, scope="named")
    each = Limit("second", 5, 1.0, Algorithm.SLIDING_WINDOW, each_endpoint=True)
    price = endpoint("price", "/price")
    order = endpoint("order", "/order", cost=Cost(1.0, (("orders", 1.0),)))
    gecko = upstream(price, order, limits=(LIMIT, orders, each))
    known = (level("minute"), level("orders"), level("second/price"), level("minute@1f"))
    answer = Accounts(Ledger(*known)).entry(ask(gecko), entry(), Verdict.HIT, NOW)

    assert ["minute", "second/price"] == [each.bucket for each in answer.account.levels]
    assert {"minute", "orders", "second/order"} == costs.buckets(gecko, order)


@pytest.mark.parametrize(
    ("policy", "fields", "untouched"),
    [
        (Policy.IGNORE, (), False),
        (Policy.IGNORE, (("Cache-Control", "No-Transform"),), True),
        (Policy.OBEY, (), True),
    ],
)
def test_what_may_not_be_transformed(policy: Policy, fields: Fields, *, untouched: bool) -> None:
    """Under `obey`, and where the origin says so, the bytes go as they are."""
    gecko = upstream(endpoint("price", "/price", policy=policy))
    answer = Accounts(Ledger()).entry(ask(gecko), entry(fields), Verdict.HIT, NOW)

    assert untouched == answer.no_transform


def test_a_confirmed_client_gets_no_body() -> None:
    """304 to a client's own condition; it teaches no short way: the next one wants the body."""
    asking = ask(upstream(), (("If-None-Match", '"1"'),))
    answer = Accounts(Ledger()).entry(asking, entry((("ETag", '"1"'),)), Verdict.HIT, NOW)

    assert (304, b"", None) == (answer.status, answer.body, answer.entry)


def settled(rejected: str, status: int, fields: Fields = (), held: float = 90.0) -> Answer:
    reply = Reply(status, "", fields, b"")
    settlement = Settlement(entry(fields, status), Nothing(), Verdict.MISS, forward_status=status)
    outcome = Fetched(reply, NOW, NOW, rejected)
    accounts = Accounts(Ledger(held=held))
    return accounts.settled(ask(upstream()), Fetch(), settlement, outcome, NOW, joined=False)


@pytest.mark.parametrize(
    ("rejected", "status", "fields", "expected"),
    [
        ("blocked", 429, (), 90.0),
        ("blocked", 200, (), 90.0),
        ("blocked", 429, (("Retry-After", "7"),), None),
        ("", 200, (), None),
        ("error", 200, (), None),
    ],
)
def test_a_hold_is_told_to_who_met_it(
    rejected: str, status: int, fields: Fields, expected: float | None
) -> None:
    """The provider's own time stands; where it names none, the hold's; a good answer has none."""
    answer = settled(rejected, status, fields)

    assert (expected, status) == (answer.retry_after, answer.status)


def test_who_joined_says_so() -> None:
    """JOINED and `collapsed` where the fetch was another's, MISS where it was its own."""
    settlement = Settlement(entry(), Nothing(), Verdict.MISS, forward_status=200, stored=True)
    outcome = Fetched(Reply(200, "", (), b""), NOW, NOW)
    words = []
    for joined in (False, True):
        answer = Accounts(Ledger()).settled(
            ask(upstream()), Fetch(), settlement, outcome, NOW, joined=joined
        )
        words.append((answer.account.verdict, answer.account.collapsed, answer.account.stored))

    assert [(Verdict.MISS, False, True), (Verdict.JOINED, True, True)] == words


def test_what_is_shown_is_the_same_object_while_the_ledger_says_the_same() -> None:
    """So its text is made once; other figures, another endpoint or a reload are seen at once."""
    minute = level("minute")
    ledger = Ledger(minute, level("day"), level("minute@other"))
    accounts, at = Accounts(ledger), upstream(limits=(LIMIT,))

    def shown(of: Upstream) -> tuple[Level, ...]:
        return accounts.entry(ask(of), entry(), Verdict.HIT, NOW).account.levels

    first_time = shown(at)
    assert first_time == (minute,)
    assert shown(at) is first_time
    ledger.known = (level("minute", 20.0), level("day"))
    assert [each.used for each in shown(at)] == [20.0]
    day = Limit("day", 100, 86400.0, Algorithm.SLIDING_WINDOW)
    assert [each.bucket for each in shown(upstream(limits=(LIMIT, day)))] == ["minute", "day"]
