"""Whether a process has ended."""

import subprocess
import sys

import pytest

from proxy.ledger import processes


def test_a_process_that_runs_has_not_ended() -> None:
    """This one, for instance."""
    assert not processes.has_ended(processes.here())


def test_a_process_that_was_killed_has_ended() -> None:
    """Its successor sees it, and needs no goodbye; while it ran it was seen to run."""
    code = "from proxy.ledger import processes; print(processes.here(), flush=True); input()"
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    name = child.stdout.readline().strip()
    running = processes.has_ended(name)
    child.kill()
    child.communicate()

    assert (running, processes.has_ended(name)) == (False, True)


def test_an_id_that_is_used_again_is_another_process() -> None:
    """The same id, begun at another time: the one that was meant has ended."""
    machine_and_pid, _, began = processes.here().rpartition("/")

    assert processes.has_ended(f"{machine_and_pid}/{int(began) - 1}")


@pytest.mark.parametrize("name", ["", "x", "other-boot/1/2", "//", "a/b/c", "3f2a9c"])
def test_of_others_nothing_is_known(name: str) -> None:
    """Another machine, another container, another kind of name."""
    assert not processes.has_ended(name)
