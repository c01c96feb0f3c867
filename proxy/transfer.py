"""Counts between stores: what `ledger export` writes, and `ledger import` takes.

A count is told by how many seconds ago it was spent, and the page by when it was written: the time
on the way is added when it arrives, so what has gone by meanwhile is not counted again. Counts only
rise: importing twice, or where more is known already, takes nothing away. Both may be done while
proxies run on the ledger.
"""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from proxy import clock
from proxy.admin.observations import Observations
from proxy.backends.errors import BackendError
from proxy.config.settings import Settings
from proxy.core.transfers import Carried
from proxy.persistence import KeptLedger, opened
from proxy.workers import Worker

VERSION = 1


class Page(msgspec.Struct, frozen=True):
    """All counts of a ledger."""

    version: int
    written: float
    """Unix time."""
    counts: tuple[Carried, ...]


class TransferError(Exception):
    """The counts could not be moved."""


async def exported(settings: Settings) -> bytes:
    """Return the configured ledger's counts as JSON.

    Raises:
        TransferError: the ledger keeps nothing, or cannot be reached.
        OSError: it holds what this version cannot read.

    """
    async with _ledger(settings) as ledger:
        page = Page(VERSION, clock.wall(), await ledger.carried())
    return msgspec.json.format(msgspec.json.encode(page), indent=2)


async def imported(settings: Settings, page: Page) -> tuple[Carried, ...]:
    """Give the configured ledger a page's counts; return those that the configuration has not.

    Raises:
        TransferError: the ledger keeps nothing, or cannot be reached.
        OSError: it holds what this version cannot read.

    """
    passed = max(0.0, clock.wall() - page.written)
    unknown = []
    async with _ledger(settings) as ledger:
        for each in page.counts:
            aged = tuple((ago + passed, tokens) for ago, tokens in each.log)
            if not await ledger.take_over((msgspec.structs.replace(each, log=aged),)):
                unknown.append(each)
    return tuple(unknown)


def read(content: bytes) -> Page:
    """Return the page that a file holds.

    Raises:
        TransferError: it holds none, or one of another version.

    """
    try:
        page = msgspec.json.decode(content, type=Page)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TransferError(f"this is not what `ledger export` writes: {error}") from None
    if page.version != VERSION:
        raise TransferError(f"version {page.version} of an export; {VERSION} can be read")
    figures = [figure for each in page.counts for entry in each.log for figure in entry]
    if not all(math.isfinite(figure) and figure >= 0 for figure in (page.written, *figures)):
        raise TransferError("a figure below 0, or none at all, is no count")
    return page


@asynccontextmanager
async def _ledger(settings: Settings) -> AsyncIterator[KeptLedger]:
    if settings.ledger.kind == "memory":
        raise TransferError("the ledger is `memory:`, and counts are kept nowhere but in the proxy")
    try:
        async with opened(settings, Observations(), Worker()) as kept:
            yield kept.ledger
    except BackendError as error:
        raise TransferError(f"the ledger cannot be reached: {error}") from None
