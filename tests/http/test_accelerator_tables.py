"""The accelerator's tables by themselves: what they hold, for how long, and how much at most."""

from typing import Any

from proxy.answer import Answer
from proxy.changes import Changes
from proxy.core.model import Client, Request
from proxy.http.accelerator import Accelerator, Bounds
from proxy.http.answers import Wire
from tests.http.conftest import KnownHit
from tests.http.known_hits import GET, entry, hit


def request(path: str, **more: Any) -> Request:
    return Request("GET", path, "", (("Host", "P"),), **{"host": "p", "port": 80} | more)


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


def made(bounds: Bounds) -> Accelerator:
    return Accelerator(Flow(), Wire(lambda: 0.0), bounds)


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


def test_tables_are_bounded_in_bytes() -> None:
    """Bodies that a row holds on to count; what is forgotten is counted no more."""
    accelerator = made(Bounds(bytes=10_000))
    for number in range(9):
        learnt(accelerator, b"/%d" % number, entry=entry("k", bytes(3000)))
    assert len(accelerator._rows) == 2
    assert accelerator._bytes <= 10_000
    for number in range(9):
        row = next(iter(accelerator._rows.values()), None)
        if row is not None:
            row.handle.answer = None  # type: ignore[attr-defined]
        accelerator.answer(80, "x", GET % (b"/%d" % number, b""))
    accelerator.clear()
    assert accelerator._bytes == 0


def test_a_named_client_is_not_learnt() -> None:
    """What is counted for each client goes the ordinary way each time."""
    accelerator = made(Bounds())
    learnt(accelerator, b"/", client=Client("grid"))
    assert accelerator.answer(80, "x", GET % (b"/", b""))[2] == 0


def test_what_holds_ends_with_its_time() -> None:
    """The next second, or the end of freshness: then the flow is asked."""
    now = 0.0
    accelerator = Accelerator(Flow(), Wire(lambda: 0.0), now=lambda: now)
    a = learnt(accelerator, b"/", until=1.0)
    a.answer = hit(a.entry, 2.0).answer
    old = accelerator.answer(80, "x", GET % (b"/", b""))[0]
    now = 1.0
    new = accelerator.answer(80, "x", GET % (b"/", b""))[0]
    assert (b"Age: 1" in old[0], b"Age: 2" in new[0]) == (True, True)
