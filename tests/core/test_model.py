"""The values that pass between the rooms: what little they work out themselves."""

import pytest

from proxy.core.model import (
    Entry,
    Lifetimes,
    Nothing,
    Put,
    Refuse,
    Reply,
    Settlement,
    Touch,
    Verdict,
    Write,
)

ENTRY = Entry("k", 200, "", (), b"", "", 99.0, 100.0, 5.0, Lifetimes(60.0))


@pytest.mark.parametrize(("now", "age"), [(100.0, 5.0), (107.5, 12.5), (90.0, 5.0)])
def test_an_entry_ages_with_the_clock_and_never_grows_younger(now: float, age: float) -> None:
    """9111 4.2.3: the age at receipt, and the time since; a clock that stepped back adds none."""
    assert age == ENTRY.age(now)


@pytest.mark.parametrize(
    ("lifetimes", "usable"),
    [
        (Lifetimes(60.0), 60.0),
        (Lifetimes(60.0, 30.0, 600.0), 660.0),
        (Lifetimes(60.0, 900.0, 600.0), 960.0),
        (Lifetimes(0.0, keep=86400.0), 86400.0),
    ],
)
def test_an_entry_is_kept_while_anything_can_use_it(lifetimes: Lifetimes, usable: float) -> None:
    """The longest of stale-while-revalidate, stale-if-error and validation, after the TTL."""
    assert usable == lifetimes.usable


@pytest.mark.parametrize(
    ("write", "stored"), [(Put(ENTRY), True), (Touch(ENTRY), True), (Nothing(), False)]
)
def test_those_who_waited_get_what_is_kept(write: Write, *, stored: bool) -> None:
    """What is stored holds no field meant for one client; what is not stored is given as it is."""
    reply = Reply(200, "", (("X", "for one"),), b"")
    settlement = Settlement(reply, write, Verdict.MISS)

    assert settlement.shared is (ENTRY if stored else reply)


def test_a_refusal_is_everyones() -> None:
    """A problem of the proxy's own is told to all who waited."""
    refuse = Refuse(504, "Upstream too late", "")

    assert Settlement(refuse, Nothing(), Verdict.REFUSED).shared is refuse
