"""Operations on a store that may be away."""

import pytest

from proxy.backends.errors import BackendLostError, BackendReplyError
from proxy.observation import StoreObservation
from proxy.store.operations import Operations


async def work() -> str:
    return "done"


async def test_an_operation_is_told_once_with_how_it_went() -> None:
    """Success and loss are both observed; the loss gives what was agreed."""
    told: list[StoreObservation] = []
    operations = Operations(told.append)

    async def lost() -> str:
        raise BackendLostError("away")

    assert await operations.attempt("get", work, None) == "done"
    assert await operations.attempt("put", lost, None) is None
    assert [(each.operation, each.failed) for each in told] == [("get", False), ("put", True)]
    assert operations.errors == {"put": 1}
    assert operations.done == 2


async def test_a_bug_is_not_taken_for_a_loss() -> None:
    """Only errors of the backends are met; all else comes through."""

    async def wrong() -> str:
        raise LookupError

    with pytest.raises(LookupError):
        await Operations(lambda _told: None).attempt("get", wrong, None)


async def test_the_same_refusal_is_logged_once(capsys: pytest.CaptureFixture[str]) -> None:
    """A server that is out of memory refuses every write; one line says so."""
    operations = Operations(lambda _told: None)

    async def refused() -> None:
        raise BackendReplyError("OOM command not allowed")

    for _ in range(3):
        await operations.attempt("put", refused, None)

    assert capsys.readouterr().out.count("OOM") == 1


def test_lost_and_found_are_told_once_each() -> None:
    """A store that is up at the start tells nothing; one that is not tells its loss."""
    told: list[bool] = []
    operations = Operations(lambda _told: None)
    operations.watch(lambda up, _reason: told.append(up))
    for up in (True, False, False, True, True):
        operations.note(up, "")

    assert told == [False, True]


def test_look_ups_are_counted() -> None:
    """Hits and misses of this process."""
    operations = Operations(lambda _told: None)
    operations.looked_up(found=True)
    operations.looked_up(found=False)

    assert (operations.hits, operations.misses) == (1, 1)
