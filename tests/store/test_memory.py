"""The first level: SIEVE, and bytes that are counted."""

import gc
import tracemalloc
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from proxy.core.model import Entry, Lifetimes
from proxy.store.memory import Memory
from tests.store.entries import ENTRY, NOW, entry
from tests.values import replace

SIZE = 10_000


def held(memory: Memory) -> set[str]:
    return {each.key for each in memory}


def filled(keys: str, limit: int = 4 * SIZE) -> Memory:
    memory = Memory(limit)
    for key in keys:
        memory.put(entry(key, b"x" * (SIZE - 1000)))
    return memory


def test_what_is_stored_is_found_until_it_is_deleted() -> None:
    """Put, get, delete; deleting what is not there does nothing."""
    memory = filled("a")
    found = memory.get("a")
    memory.delete("a")
    memory.delete("a")

    assert found == entry("a", b"x" * (SIZE - 1000))
    assert memory.get("a") is None
    assert memory.figures().bytes == 0


def test_the_oldest_that_nobody_asked_for_goes_first() -> None:
    """Without hits, SIEVE evicts in the order of arrival."""
    assert held(filled("abcdef")) == set("cdef")


def test_what_was_asked_for_stays_and_loses_its_mark() -> None:
    """A hit saves an entry once: the hand takes its mark and goes on to the next."""
    memory = filled("abcd")
    memory.get("a")
    memory.put(entry("e", b"x" * (SIZE - 1000)))
    assert held(memory) == set("acde")
    for key in "fgh":  # the hand goes on from c, round to a, which has no mark any more
        memory.put(entry(key, b"x" * (SIZE - 1000)))

    assert held(memory) == set("afgh")
    memory.put(entry("i", b"x" * (SIZE - 1000)))
    assert "a" in held(memory) or memory.figures().evictions == 5


def test_a_scan_does_not_push_out_what_is_used() -> None:
    """A thousand keys that are asked for once leave the hot ones where they are."""
    memory = Memory(20 * SIZE)
    hot = [f"hot{n}" for n in range(8)]
    for key in hot:
        memory.put(entry(key, b"x" * (SIZE - 1000)))
    for number in range(1000):
        memory.put(entry(f"once{number}", b"x" * (SIZE - 1000)))
        for key in hot:
            memory.get(key)

    assert set(hot) <= held(memory)


def test_an_entry_larger_than_the_level_is_not_held_and_its_predecessor_is_forgotten() -> None:
    """The store beneath has the new one; the old one must not be served in its stead."""
    memory = filled("a")
    memory.put(entry("a", b"x" * (5 * SIZE)))

    assert memory.get("a") is None


def test_an_older_entry_does_not_replace_a_newer_one() -> None:
    """Two fetches end in the wrong order: what was received later stays."""
    memory = Memory(SIZE)
    memory.put(entry("a", b"new", NOW + 1))
    memory.put(entry("a", b"old", NOW))

    assert memory.get("a") == entry("a", b"new", NOW + 1)


class Kept:
    """A form that hears of its end."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.ended = 0

    def gone(self) -> None:
        self.ended += 1


def with_forms(memory: Memory, key: str, *sizes: int) -> tuple[Entry, list[Kept]]:
    """Store an entry and keep forms beside it."""
    memory.put(entry(key, b"packed"))
    stored = memory.get(key)
    assert stored is not None
    forms = [Kept(size) for size in sizes]
    assert all(memory.keep(stored, form) for form in forms)
    return stored, forms


def test_forms_are_counted_and_go_with_their_entry() -> None:
    """A form is kept beside the very entry it was made of, and hears when that is not held."""
    memory = Memory(SIZE)
    memory.put(entry("b"))  # so that the fields of all that follow are shared already
    before = memory.figures().bytes
    stored, forms = with_forms(memory, "a", 500, 300)
    alone = memory.figures().bytes - before - 800

    assert memory.forms(stored) == tuple(forms)
    memory.put(entry("a", b"packed", NOW + 1))
    assert [form.ended for form in forms] == [1, 1]
    assert memory.forms(stored) == ()
    assert not memory.keep(stored, forms[0])
    assert memory.figures().bytes == before + alone
    _, deleted = with_forms(memory, "c", 500)
    memory.delete("c")
    _, cleared = with_forms(memory, "d", 500)
    memory.clear()
    assert (deleted[0].ended, cleared[0].ended, memory.figures().bytes) == (1, 1, 0)


def test_a_form_may_go_before_its_entry() -> None:
    """It is counted no more, and hears of nothing."""
    memory = Memory(SIZE)
    stored, (one, other) = with_forms(memory, "a", 500, 300)
    counted = memory.figures().bytes
    for _ in range(2):
        memory.drop(stored, one)
    assert memory.figures().bytes == counted - 500
    memory.delete("a")
    assert (one.ended, other.ended) == (0, 1)


def test_forms_make_entries_go() -> None:
    """They are within the bound: others' entries make room, at last its own; none is too large."""
    memory = filled("abcd")
    stored = memory.get("d")
    assert stored is not None
    first, second = Kept(SIZE), Kept(2 * SIZE)
    assert memory.keep(stored, first)
    assert held(memory) == set("bcd")
    assert memory.keep(stored, second)
    assert held(memory) == set("d")
    assert not memory.keep(stored, Kept(4 * SIZE))
    memory.hold(2 * SIZE)
    assert (held(memory), first.ended, second.ended) == (set(), 1, 1)
    assert memory.figures().bytes == 2 * SIZE
    memory.hold(-2 * SIZE)
    assert memory.figures().bytes == 0


def test_figures_tell_hits_misses_and_evictions() -> None:
    """Each is counted once."""
    memory = filled("abcde")
    memory.get("e")
    memory.get("a")
    figures = memory.figures()

    assert (figures.entries, figures.hits, figures.misses, figures.evictions) == (4, 1, 1, 1)
    assert figures.bytes <= figures.limit


def test_clear_forgets_everything() -> None:
    """Nothing is held and nothing is counted after it."""
    memory = filled("abcd")
    memory.clear()

    assert (len(memory), memory.figures().bytes) == (0, 0)


steps = st.lists(
    st.tuples(st.sampled_from(["put", "get", "delete", "form"]), st.sampled_from("abcdefgh")),
    max_size=60,
)


@given(steps, st.integers(1_500, 8_000))
def test_the_bound_holds_and_nothing_is_invented(
    history: Iterable[tuple[str, str]], limit: int
) -> None:
    """After any history the bytes are within the bound, and what is held is what was put last."""
    memory = Memory(limit)
    put: dict[str, float] = {}
    for number, (step, key) in enumerate(history):
        if step == "put":
            put[key] = NOW + number
            memory.put(entry(key, b"x" * (number * 40), put[key]))
        elif step == "delete":
            memory.delete(key)
            put.pop(key, None)
        elif (found := memory.get(key)) is not None:
            assert found.received_at == put[key]
            if step == "form":
                memory.keep(found, Kept(number * 10))
        figures = memory.figures()
        assert 0 <= figures.bytes <= limit
        assert figures.entries == len(held(memory))
    memory.clear()
    assert memory.figures().bytes == 0


FIELDS = (
    ("Date", "Sat, 21 Nov 2026 03:17:38 GMT"),
    ("Content-Type", "application/json;charset=UTF-8"),
    ("Connection", "keep-alive"),
    ("Server", "nginx"),
    ("Vary", "Accept-Encoding"),
    ("x-mbx-uuid", "11111111-2222-3333-4444-555555555555"),
    ("Strict-Transport-Security", "max-age=31536000; includeSubdomains"),
    ("X-Frame-Options", "SAMEORIGIN"),
    ("X-Xss-Protection", "1; mode=block"),
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "default-src 'self'"),
    ("Cache-Control", "no-cache, no-store, must-revalidate"),
    ("Pragma", "no-cache"),
    ("Expires", "0"),
    ("ETag", 'W/"4f53cda18c2baa0c0354bb5f9a3ecbe5"'),
)


def test_an_entry_takes_less_than_1_kib_beside_its_body_and_that_is_counted() -> None:
    """Measured over 5,000 entries with a provider's usual fields, three of them unlike."""
    number = 5000
    gc.collect()
    tracemalloc.start()
    memory = Memory(10**9)
    for each in range(number):
        fields = tuple(
            (f"{name}", f"{value}{each}" if name in {"Date", "ETag", "x-mbx-uuid"} else f"{value}")
            for name, value in FIELDS
        )
        memory.put(
            replace(
                ENTRY,
                key=f"binance:klines:?interval=1m&limit=500&symbol=S{each}USDT",
                fields=fields,
                body=b"x" * 100,
                received_at=NOW + each,
                requested_at=NOW + each,
                initial_age=each / 7,
                lifetimes=Lifetimes(60.0, 30.0),
            )
        )
    gc.collect()
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    each_takes = taken / number - 100
    counted = memory.figures().bytes / number - 100

    assert each_takes < 1024
    assert 0.95 < counted / each_takes < 1.15
