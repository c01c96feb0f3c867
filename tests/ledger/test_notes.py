"""Counts noted in a file beside."""

import os
from pathlib import Path

import pytest

from proxy.core.transfers import Carried
from proxy.ledger.notes import Notes

MONTH = Carried("up", "month", ((90.0, 5.0), (0.0, 1.0)))


async def test_what_was_noted_is_older_when_it_is_read(tmp_path: Path) -> None:
    """Noted, and read by the next process an hour later."""
    now = [1000.0]
    await Notes(tmp_path / "var" / "notes", lambda: now[0]).write([MONTH])
    now[0] += 3600.0
    noted = await Notes(tmp_path / "var" / "notes", lambda: now[0]).read()

    assert noted == (Carried("up", "month", ((3690.0, 5.0), (3600.0, 1.0))),)


@pytest.mark.parametrize("content", [None, b"", b"{", b'{"version":9,"written":1,"counts":[]}'])
async def test_what_cannot_be_read_is_nothing(tmp_path: Path, content: bytes | None) -> None:
    """The ledger itself is what counts; the notes only ever raise it."""
    if content is not None:
        (tmp_path / "notes").write_bytes(content)

    assert await Notes(tmp_path / "notes", lambda: 0.0).read() == ()


async def test_the_same_is_not_written_again(tmp_path: Path) -> None:
    """Time alone is no news; another sum is. Nothing is left beside the file."""
    notes = Notes(tmp_path / "notes", lambda: 0.0)
    await notes.write([MONTH])
    (tmp_path / "notes").unlink()
    await notes.write([Carried("up", "month", ((95.0, 5.0), (5.0, 1.0)))])
    unchanged = (tmp_path / "notes").exists()
    await notes.write([Carried("up", "month", ((95.0, 7.0),))])

    assert not unchanged
    assert os.listdir(tmp_path) == ["notes"]  # noqa: PTH208 - a test may block


async def test_a_place_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    """It is said in the log, and tried again with the next change."""
    (tmp_path / "file").touch()
    notes = Notes(tmp_path / "file" / "notes", lambda: 0.0)
    await notes.write([MONTH])

    assert await notes.read() == ()
