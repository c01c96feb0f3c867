"""Entries that were decoded last."""

import pytest

from proxy.store import codec
from proxy.store.decoded import LONGEST, Decoded
from tests.store.entries import NOW, entry


def test_the_same_bytes_are_the_same_entry() -> None:
    """What was made of an entry is found again only for the very same one."""
    decoded, value = Decoded(), codec.encode(entry("a"))
    first = decoded.decode(value, "a")
    assert first == entry("a")
    assert decoded.decode(bytes(bytearray(value)), "a") is first


def test_other_bytes_are_another_entry() -> None:
    """The store is believed, not what was remembered."""
    decoded = Decoded()
    decoded.decode(codec.encode(entry("a")), "a")
    newer = entry("a", b"[]", NOW + 1)
    assert decoded.decode(codec.encode(newer), "a") == newer


@pytest.mark.parametrize("nothing", [None, b"", b"\x7fgarbage"])
def test_nothing_is_nothing(nothing: bytes | None) -> None:
    """What is gone, or cannot be read, is not answered from what was there before."""
    decoded = Decoded()
    decoded.decode(codec.encode(entry("a")), "a")
    assert decoded.decode(nothing, "a") is None
    assert len(decoded) == 0


def test_another_key_is_not_answered() -> None:
    """The same bytes under another key are nothing, as the codec has it."""
    decoded, value = Decoded(), codec.encode(entry("a"))
    decoded.decode(value, "a")
    assert decoded.decode(value, "b") is None


def test_it_is_bounded() -> None:
    """In number, in bytes, and by the longest value; what was not asked for goes first."""
    few = Decoded(most=2)
    values = {key: codec.encode(entry(key)) for key in "abc"}
    first = few.decode(values["a"], "a")
    few.decode(values["b"], "b")
    assert few.decode(values["a"], "a") is first
    few.decode(values["c"], "c")
    assert len(few) == 2
    assert few.decode(values["a"], "a") is first
    small = Decoded(most_bytes=3 * len(values["a"]))
    for key, value in values.items():
        small.decode(value, key)
    assert len(small) == 1
    long = Decoded()
    long.decode(codec.encode(entry("a", b"x" * LONGEST)), "a")
    assert len(long) == 0
