"""Errands: who shares a call in simulated time, who rides along, and who waits for quota."""

from proxy.asked import Asked, asked
from proxy.core.model import Entry, Request
from proxy.core.routing import Match, Routes
from proxy.core.shapes import Batch
from proxy.core.upstreams import Algorithm, Limit
from proxy.freshening.heats import Heats
from proxy.planning.errands import Errands, Waiting
from proxy.planning.simulation import Ledger
from tests.house import endpoint, upstream

PRICE = endpoint("price", "/price", batch=Batch("ids", most=3))
ALONE = endpoint("alone", "/alone")
BEGAN = 1_763_000_000.0


class Stage:
    """Errands over two calls in ten seconds."""

    def __init__(self, takes: float = 0.0) -> None:
        limit = Limit("ten", 2, 10.0, Algorithm.SLIDING_WINDOW)
        upstreams = (upstream(PRICE, ALONE, limits=(limit,)),)
        self.routes = Routes(upstreams)
        self.ledger = Ledger(upstreams)
        self.ledger.now = self.ledger.began = BEGAN
        self.calls: list[list[str]] = []
        self.came: list[str] = []
        self.told: list[tuple[float, bool]] = []
        self.entries: dict[str, Entry] = {}
        self.errands = Errands(
            self.routes, self.ledger, Heats(), self.entries,
            lambda ask, _: self.came.append(ask.match.query), self.count, takes=takes,
        )  # fmt: skip

    def count(self, _: Asked) -> None:
        self.calls.append(self.came[:])

    def asks(self, *names: str, path: str = "price") -> list[Asked]:
        found = []
        for name in names:
            request = Request("GET", f"/coingecko/{path}", f"ids={name}", ())
            match = self.routes.match(request)
            assert isinstance(match, Match)
            found.append(asked(request, match, self.ledger.now, b""))
        return found

    def run(
        self, *names: str, path: str = "price", patience: float = 60.0, hurried: bool = False
    ) -> None:
        asks = self.asks(*names, path=path)
        keys = frozenset(each.key for each in asks)
        self.errands.run(
            asks,
            Waiting(
                keys,
                self.ledger.now + patience,
                lambda came: self.told.append((round(self.ledger.now - BEGAN, 3), came)),
                hurried,
            ),
        )


def test_as_many_as_a_call_takes() -> None:
    """Four members are two calls of at most three."""
    stage = Stage()
    stage.run("a", "b", "c", "d")

    assert 2 == len(stage.calls)
    assert [(0.0, True)] == stage.told
    assert ["ids=a", "ids=b", "ids=c", "ids=d"] == stage.came


def test_who_waits_for_quota_takes_along_who_comes() -> None:
    """The next call goes when there is quota, for all who have come by then."""
    stage = Stage()
    for name in "xy":
        stage.run(name, path="alone")
    stage.run("a")
    stage.ledger.now = BEGAN + 4
    stage.run("b")

    assert (2, [True, True]) == (len(stage.calls), [came for _, came in stage.told])
    assert [True, False] == [stage.errands.is_awaited(each) for each in stage.asks("b", "c")]
    stage.errands.until(float("inf"))

    assert 3 == len(stage.calls)
    assert ["ids=a", "ids=b"] == stage.came[-2:]
    assert all(10 <= at < 11 for at, _ in stage.told[2:])


def test_who_comes_while_a_call_is_under_way_shares_the_next() -> None:
    """The first leaves at once; what it brings is waited for, all else goes together after it."""
    stage = Stage(takes=0.5)
    stage.run("a")
    for after, names in ((0.1, "b"), (0.2, "a"), (0.3, "bc")):
        stage.ledger.now = BEGAN + after
        stage.run(*names)

    assert (1, []) == (len(stage.calls), stage.told)
    assert all(map(stage.errands.is_awaited, stage.asks("a", "b", "c")))
    stage.errands.until(BEGAN + 2)

    assert (2, ["ids=a", "ids=b", "ids=c"]) == (len(stage.calls), stage.came)
    assert [(0.5, True), (0.5, True), (1.0, True), (1.0, True)] == stage.told
    assert not any(map(stage.errands.is_awaited, stage.asks("a", "b", "c")))


def test_what_is_under_way_is_waited_for() -> None:
    """Who has nothing to fall back on waits for it beyond its patience; who has, does not."""
    stage = Stage(takes=5.0)
    stage.run("a", path="alone", patience=1.0)
    stage.run("b", path="alone", patience=1.0, hurried=True)
    stage.errands.until(BEGAN + 6)

    assert [(5.0, True), (5.0, False)] == stage.told
    assert ["ids=a", "ids=b"] == stage.came


def test_what_waits_for_quota_is_known() -> None:
    """Of an upstream: as long as it waits, and not while it is under way."""
    stage = Stage(takes=1.0)
    for name in "xy":
        stage.run(name, path="alone")

    assert not stage.errands.waits("coingecko")
    stage.run("z", path="alone")

    assert stage.errands.waits("coingecko")
    assert not stage.errands.waits("binance")
    stage.errands.until(float("inf"))

    assert not stage.errands.waits("coingecko")


def test_who_waits_no_longer_is_told_so() -> None:
    """And nothing is fetched any more where nobody waits."""
    stage = Stage()
    for name in "xyz":
        stage.run(name, path="alone", patience=3.0)
    stage.errands.until(float("inf"))

    assert [True, True, False] == [came for _, came in stage.told]
    assert 2 == len(stage.calls)
    assert not stage.errands.is_awaited(stage.asks("z", path="alone")[0])


def test_a_full_call_waits_for_nobody() -> None:
    """Calls are spaced once half the limit is used, but not where nobody else could come along."""
    stage = Stage()
    stage.run("x", path="alone")
    stage.run("a")  # the first that can be shared leaves at once
    stage.errands.until(BEGAN + 30)
    stage.ledger.now = BEGAN + 30
    before = len(stage.calls)
    stage.run("d", "e", "f")

    assert before + 1 == len(stage.calls)
