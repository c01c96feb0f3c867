"""Who shares a ledger, and what is withheld for the silent."""

import pytest

from proxy.core.spenders import LEASE, SILENT, Spender, in_turns, met, withheld


def test_a_call_renews_the_lease() -> None:
    """Who calls is alive as of now, and one of all that are."""
    spenders = met(met(met((), "a", 100.0), "b", 101.0), "a", 102.0)

    assert spenders == (Spender("b", 101.0, 2), Spender("a", 102.0, 2))


def test_a_lease_ends() -> None:
    """Who has not called for a lease's time is no longer one of us."""
    spenders = met((Spender("a", 100.0, 1), Spender("b", 110.0, 2)), "c", 100.0 + LEASE)

    assert [each.id for each in spenders] == ["b", "c"]


@pytest.mark.parametrize(("now", "share"), [(101.0, 0.0), (102.5, 0.25), (103.5, 0.75)])
def test_a_share_is_withheld_for_the_silent(now: float, share: float) -> None:
    """One of as many as it knew of, from two seconds of silence on."""
    spenders = (Spender("a", 100.0, 4), Spender("b", 101.0, 2))

    assert SILENT == 2.0
    assert withheld(spenders, now) == share


def test_no_more_than_all_is_withheld() -> None:
    """Shares of different times may add up to more than there is."""
    assert withheld((Spender("a", 0.0, 1), Spender("b", 0.0, 2)), 10.0) == 1.0


def test_small_limits_are_left_to_those_who_take_turns() -> None:
    """While one that was alone with two others is silent, a limit of two may be all in use."""
    spenders = (Spender("a", 100.0, 3, alone=True), Spender("b", 100.0, 5))

    assert in_turns(spenders, 101.0) == 0
    assert in_turns(spenders, 103.0) == 3
