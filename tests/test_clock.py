"""The clocks."""

import pytest

from proxy import clock


def test_steady_wall_is_unix_time() -> None:
    """Entries are dated in Unix time."""
    assert clock.steady_wall() == pytest.approx(clock.wall(), abs=60)


def test_no_clock_runs_backwards() -> None:
    """Durations and the dates of entries never shrink while a process lives."""
    for read in (clock.steady_wall, clock.boottime):
        times = [read() for _ in range(100)]

        assert sorted(times) == times


def test_one_boot_has_one_name() -> None:
    """The boot id says whether two readings of the boot-time clock can be compared."""
    assert clock.boot_id() == clock.boot_id()
