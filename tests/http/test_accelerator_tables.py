"""The accelerator's tables by themselves: what they hold, for how long, and how much at most."""

from typing import Any

from proxy.answer import Answer
from proxy.changes import Changes
from proxy.core.model import Client, Request
from proxy.forms import UNKEPT, Forms
from proxy.http.accelerator import Accelerator, Bounds
from proxy.http.answers import Wire
from proxy.store.memory import Memory
from tests.http.conftest import KnownHit
from tests.http.known_hits import GET, entry, hit
from tests.shelf import Shelf


def request(path: str, **more: Any) -> Request:
    fields = (("Host", "P"), *more.pop("fields", ()))
    return Request("GET", path, "", fields, **{"host": "p", "port": 80} | more)


def learnt(accelerator: Accelerator, path: bytes, peer: str = "x", **more: Any) -> KnownHit:
    known = hit(more.pop("entry", None) or entry(path.decode()), until=more.pop("until", 0.0))
    assert known.answer is not None
    asked = request(path.decode(), **more)
    for _ in range(2):
        accelerator.learn(80, peer, GET % (path, b""), asked, known, known.answer)
    return known


class Flow:
    repeatable = True

    def __init__(self) -> None:
        self.changes = Changes()

    def count(self, hit: KnownHit, times: int) -> None:
        hit.times += times

    def known(self, _: Request) -> None:
        raise AssertionError

    def again(self, hit: KnownHit) -> Answer | None:
        return hit.again()


def made(bounds: Bounds | None = None, forms: Forms | None = None) -> Accelerator:
    forms = Shelf() if forms is None else forms
    return Accelerator(Flow(), Wire(lambda: 0.0, forms), forms, bounds)


def test_tables_are_bounded_by_eviction() -> None:
    """The one learnt first makes room; the others stay known."""
    accelerator = made(Bounds(rows=3))
    for number in range(5):
        learnt(accelerator, b"/%d" % number)
    known = [bool(accelerator.answer(80, "x", GET % (b"/%d" % n, b""))[2]) for n in range(5)]
    assert known == [False, False, True, True, True]
    accelerator = made(Bounds(heads=2))
    for peer in "abc":
        learnt(accelerator, b"/", peer)
    known = [bool(accelerator.answer(80, peer, GET % (b"/", b""))[2]) for peer in "abc"]
    assert known == [False, True, True]


def test_heads_and_classes_are_bounded_in_bytes() -> None:
    """The first level counts them too, and counts no more of what is forgotten."""
    shelf = Shelf()
    accelerator = made(Bounds(bytes=8_000), shelf)
    for number in range(50):
        learnt(accelerator, b"/", f"peer {number}", fields=(("X-Key", f"{number}"),))
    assert 0 < len(accelerator._heads) < 20
    assert 4_000 < accelerator._bytes <= 8_000
    assert shelf.held == accelerator._bytes
    accelerator.clear()
    assert (accelerator._bytes, shelf.held) == (0, 0)


def test_rows_are_counted_in_the_first_level_and_go_with_their_entries() -> None:
    """What is evicted, replaced or deleted there is not held here."""
    memory = Memory(40_000)
    accelerator = made(forms=memory)
    for number in range(30):
        memory.put(entry(f"/{number}", bytes(3000)))
        held = memory.get(f"/{number}")
        assert held is not None
        learnt(accelerator, b"/%d" % number, entry=held)
        assert memory.figures().bytes <= 40_000
    assert 2 <= len(accelerator._rows) == len(memory) <= 10
    for place in list(memory):
        memory.delete(place.key)
    assert len(accelerator._rows) == 0
    assert memory.figures().bytes == accelerator._bytes
    accelerator.clear()
    assert memory.figures().bytes == 0


def test_what_no_first_level_holds_is_not_learnt() -> None:
    """A row outlives no entry."""
    accelerator = made(forms=UNKEPT)
    learnt(accelerator, b"/")
    assert (accelerator.answer(80, "x", GET % (b"/", b""))[2], len(accelerator._rows)) == (0, 0)


def test_a_named_client_is_not_learnt() -> None:
    """What is counted for each client goes the ordinary way each time."""
    accelerator = made()
    learnt(accelerator, b"/", client=Client("grid"))
    assert accelerator.answer(80, "x", GET % (b"/", b""))[2] == 0


def test_what_holds_ends_with_its_time() -> None:
    """The next second, or the end of freshness: then the flow is asked."""
    now = 0.0
    accelerator = Accelerator(Flow(), Wire(lambda: 0.0, UNKEPT), Shelf(), now=lambda: now)
    a = learnt(accelerator, b"/", until=1.0)
    a.answer = hit(a.entry, 2.0).answer
    old = accelerator.answer(80, "x", GET % (b"/", b""))[0]
    now = 1.0
    new = accelerator.answer(80, "x", GET % (b"/", b""))[0]
    assert (b"Age: 1" in old[0], b"Age: 2" in new[0]) == (True, True)
