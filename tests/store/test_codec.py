"""An entry as bytes, and back."""

import gzip
import json
import pickle
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.model import Entry, Lifetimes
from proxy.store import codec
from tests.store.entries import ENTRY
from tests.values import replace

PROSE = json.dumps([{"symbol": f"S{n}", "price": n} for n in range(400)]).encode()

text = st.text(st.characters(max_codepoint=0x2FF), max_size=20)
raw_text = st.binary(max_size=20).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
fields = st.lists(st.tuples(text | raw_text, text | raw_text), max_size=6).map(tuple)
seconds = st.floats(0, 1e9)
entries = st.builds(
    Entry,
    key=text,
    status=st.integers(100, 999),
    reason=text | raw_text,
    fields=fields,
    body=st.binary(max_size=3000),
    encoding=st.sampled_from(["", "gzip"]),
    requested_at=seconds,
    received_at=seconds,
    initial_age=seconds,
    lifetimes=st.builds(Lifetimes, seconds, seconds, seconds, seconds),
    request_fields=fields,
    tags=st.lists(text, max_size=3).map(tuple),
    flags=st.frozensets(text, max_size=3),
)


@given(entries)
def test_an_entry_comes_back_as_it_was(entry: Entry) -> None:
    """Whatever its texts hold, bytes that are no UTF-8 included."""
    assert codec.decode(codec.encode(entry), entry.key) == entry


@given(entries, st.data())
def test_what_was_cut_or_changed_is_an_entry_or_nothing(entry: Entry, data: st.DataObject) -> None:
    """Any damage is a miss or a readable entry of that key, never an error."""
    stored = bytearray(codec.encode(entry))
    for _ in range(data.draw(st.integers(1, 4))):
        stored[data.draw(st.integers(0, len(stored) - 1))] = data.draw(st.integers(0, 255))
    damaged = bytes(stored[: data.draw(st.integers(0, len(stored)))])
    found = codec.decode(damaged, entry.key)

    assert found is None or found.key == entry.key


@given(st.binary(max_size=200))
def test_garbage_is_nothing(garbage: bytes) -> None:
    """Bytes that nobody wrote are a miss, with our version before them too."""
    assert codec.decode(garbage, "k") is None
    assert codec.decode(bytes([codec.VERSION]) + garbage, "k") is None


def test_an_unknown_version_is_nothing() -> None:
    """What a newer proxy wrote is a miss."""
    stored = codec.encode(ENTRY)

    assert codec.decode(bytes([codec.VERSION + 1]) + stored[1:], ENTRY.key) is None


def test_nothing_is_unpickled() -> None:
    """A pickle is garbage like any other."""
    assert codec.decode(pickle.dumps(ENTRY), ENTRY.key) is None


@pytest.mark.parametrize("absent", [None, b""])
def test_nothing_is_nothing(absent: bytes | None) -> None:
    """No value is a miss."""
    assert codec.decode(absent, "k") is None


def test_an_entry_of_another_key_is_nothing() -> None:
    """A value under the wrong key is never served."""
    assert codec.decode(codec.encode(ENTRY), "another") is None


@pytest.mark.parametrize(
    "changed",
    [
        {"received_at": float("nan")},
        {"initial_age": float("inf")},
        {"lifetimes": Lifetimes(float("nan"))},
        {"lifetimes": Lifetimes(-1.0)},
        {"encoding": "br"},
        {"status": 99},
    ],
)
def test_figures_that_no_entry_has_are_nothing(changed: dict[str, object]) -> None:
    """No NaN is ever compared, no form is ever served that the proxy does not know."""
    wrong = replace(ENTRY, **changed)  # type: ignore[arg-type]

    assert codec.decode(codec.encode(wrong), ENTRY.key) is None


def test_what_version_1_looks_like_is_fixed() -> None:
    """Renaming a field of `Entry` makes stored ones misses: then the version must rise."""
    names = msgspec.msgpack.decode(codec.encode(ENTRY)[9:])

    assert codec.VERSION == 1
    assert set(names) == {
        "key", "status", "reason", "fields", "body", "encoding", "requested_at", "received_at",
        "initial_age", "lifetimes", "request_fields", "tags", "flags",
    }  # fmt: skip
    assert set(names["lifetimes"]) == {
        "ttl", "stale_while_revalidate", "stale_if_error", "keep", "most",
    }  # fmt: skip


def test_the_time_of_receipt_stands_where_a_store_can_read_it() -> None:
    """Bytes 1 to 9 are `received_at`, so that a store sees which of two is newer."""
    early = codec.encode(replace(ENTRY, received_at=1.0))
    late = codec.encode(replace(ENTRY, received_at=2.0))

    assert early[:9] == b"\x01" + bytes.fromhex("3ff0000000000000")
    assert early[1:9] < late[1:9]


def test_a_later_version_may_add_a_field() -> None:
    """Further members of the map are overlooked: such a record can still be read."""
    stored = codec.encode(ENTRY)
    longer = msgspec.msgpack.decode(stored[9:]) | {"more": ["of", "it"]}

    assert codec.decode(stored[:9] + msgspec.msgpack.encode(longer), ENTRY.key) == ENTRY


@pytest.mark.parametrize("size", [len(PROSE), codec.BIG * 4])
async def test_a_body_over_1_kib_is_kept_as_gzip(size: int) -> None:
    """The form says so, the fields stay as they came, and the content is the same."""
    entry = replace(ENTRY, body=(PROSE * (size // len(PROSE) + 1))[:size])
    kept = codec.decode(await codec.packed(entry), ENTRY.key)

    assert kept is not None
    assert kept.encoding == "gzip"
    assert kept.fields == entry.fields
    assert len(kept.body) < len(entry.body) // 3
    assert gzip.decompress(kept.body) == entry.body


@pytest.mark.parametrize(
    "entry",
    [
        replace(ENTRY, body=PROSE[:1024]),
        replace(ENTRY, body=gzip.compress(PROSE), encoding="gzip"),
        replace(ENTRY, body=PROSE, fields=(("Content-Encoding", "br"),)),
        replace(ENTRY, body=PROSE, fields=(("Cache-Control", "public, no-transform"),)),
        replace(ENTRY, body=random.Random(1).randbytes(3000)),
    ],
    ids=["small", "gzip already", "a coding of its own", "no-transform", "gains nothing"],
)
async def test_a_body_that_gains_nothing_or_must_not_stays_as_it_is(entry: Entry) -> None:
    """Small, compressed already, coded by the provider, or not to be transformed."""
    assert codec.decode(await codec.packed(entry), ENTRY.key) == entry
