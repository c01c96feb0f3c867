"""What can be made to go wrong."""

from random import Random

import pytest

from proxy.sandbox.faults import Fault, Faults, Latency, struck


def test_a_fault_meets_as_many_requests_as_it_was_given() -> None:
    """`times` counts down; other paths do not count."""
    faults = [Fault("drop", times=2, path="/api")]

    seen = [struck(faults, path, before=False) for path in ("/api/x", "/fng", "/api", "/api")]

    assert seen == [Faults.DROP, None, Faults.DROP, None]


def test_only_down_strikes_before_the_count() -> None:
    """Every other fault takes an answer that was counted."""
    for kind in Faults:
        assert (struck([Fault(kind)], "/", before=True) is not None) == (kind is Faults.DOWN)
        assert (struck([Fault(kind)], "/", before=False) is not None) == (kind is not Faults.DOWN)


def test_an_unknown_fault_is_an_error() -> None:
    """A misspelt name does not silently do nothing."""
    with pytest.raises(ValueError, match="dorp"):
        Fault("dorp")


def test_latency_is_drawn_around_its_mean_and_never_negative() -> None:
    """Jitter is symmetric, and cut at 0."""
    latency, random = Latency(mean=0.1, jitter=0.3, transit=0.2), Random(1)

    drawn = [latency.answer(random) for _ in range(500)]

    assert min(drawn) == 0.0
    assert 0.35 < max(drawn) <= 0.4
    assert latency.way(random) == 0.2
