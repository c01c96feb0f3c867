"""Notes: the counts of long windows, kept in a file beside, for a ledger that forgets.

A month's count that is lost with Redis would be a month's quota spent twice. So each process notes
what it last saw; when it starts again the ledger takes what was noted where that is more. Several
processes may write one file: each sees the same counts, and the last word is as good as any.
"""

import asyncio
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
import structlog

from proxy.core.transfers import Carried

_log = structlog.get_logger("ledger")

VERSION = 1


class _Page(msgspec.Struct, frozen=True):
    version: int
    written: float
    """Unix time."""
    counts: tuple[Carried, ...]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Page).decode


class Notes:
    """A file of counts."""

    def __init__(self, file: Path, wall: Callable[[], float]) -> None:
        """Take where they are, and Unix time."""
        self._file = file
        self._wall = wall
        self._written: tuple[tuple[str, str, float], ...] = ()

    async def read(self) -> tuple[Carried, ...]:
        """Return what was noted, its ages as of now; nothing where it cannot be read."""
        page = await asyncio.to_thread(self._read)
        if page is None:
            return ()
        passed = max(0.0, self._wall() - page.written)
        return tuple(
            msgspec.structs.replace(
                each, log=tuple((ago + passed, tokens) for ago, tokens in each.log)
            )
            for each in page.counts
        )

    async def write(self, counts: Iterable[Carried]) -> None:
        """Note the counts, where they differ from those noted last."""
        noted = tuple(counts)
        sums = tuple(
            (each.upstream, each.bucket, sum(tokens for _, tokens in each.log)) for each in noted
        )
        if sums == self._written:
            return
        page = _encode(_Page(VERSION, self._wall(), noted))
        if await asyncio.to_thread(self._replace, page):
            self._written = sums

    def _read(self) -> _Page | None:
        try:
            page = _decode(self._file.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            _log.warning("notes_unreadable", file=str(self._file), reason=str(error))
            return None
        return page if page.version == VERSION else None

    def _replace(self, page: bytes) -> bool:
        """Write a new file and put it in the old one's place: a reader sees one or the other."""
        aside = self._file.with_name(f"{self._file.name}.{os.getpid()}")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            aside.write_bytes(page)
            aside.replace(self._file)
        except OSError as error:
            _log.warning("notes_unwritable", file=str(self._file), reason=str(error))
            return False
        return True
