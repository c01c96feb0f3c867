"""Calls that the thread of a SQLite file carries out, joined where they are of one kind.

What fails undoes only itself: a call stands in a savepoint, and one that fails for several askers
is done for each of them by itself.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")

Heard: TypeAlias = Callable[[Any, BaseException | None], None]
"""Hears, in the loop, that what was asked has been done, or why not."""


@dataclass(slots=True, eq=False)
class Call:
    """Work for the thread: what is asked of it, who waits for each answer, and what came of it."""

    work: Callable[[sqlite3.Connection, list[Any]], Any]
    writes: bool
    asked: list[Any]
    futures: "list[asyncio.Future[Any]]"
    heard: Heard | None = None
    """Who hears of all that was asked, where nobody waits: there are no futures."""
    answers: Any = ()
    """Of work that somebody waits for: one for each that was asked, in their order."""
    error: BaseException | None = None
    done: bool = False
    """It ran, and what it wrote is committed."""
    parts: "list[Call]" = field(default_factory=list)
    """Its askers, each by itself, where it failed for all of them together."""

    def split(self) -> "list[Call]":
        """Return a call for each asker."""
        self.parts = [
            Call(self.work, self.writes, [asked], self.futures[at : at + 1], self.heard)
            for at, asked in enumerate(self.asked)
        ]
        return self.parts

    def tell(self) -> None:
        """Answer those who still wait."""
        if self.parts and self.error is None:
            for part in self.parts:
                part.tell()
        elif self.heard is not None:
            self._be_heard(self.heard)
        elif self.error is not None:
            for future in self.futures:
                if not future.done():
                    future.set_exception(self.error)
        else:
            for future, answer in zip(self.futures, self.answers, strict=True):
                if not future.done():
                    future.set_result(answer)

    def _be_heard(self, heard: Heard) -> None:
        for asked in self.asked:
            try:
                heard(asked, self.error)
            except Exception as error:  # noqa: BLE001 - the others are told all the same
                told = {"message": "what came of a write was not heard", "exception": error}
                asyncio.get_running_loop().call_exception_handler(told)


def in_savepoint(connection: sqlite3.Connection, call: Call) -> None:
    """Do one piece of work so that its failure undoes only itself.

    An error of SQLite that ended the whole transaction (disk full, damage) is raised.
    """
    connection.execute("SAVEPOINT work")
    try:
        call.answers = call.work(connection, call.asked)
    except Exception as error:
        if ended_all(connection, error):
            raise
        connection.execute("ROLLBACK TO work")
        if len(call.asked) > 1:
            for part in call.split():
                in_savepoint(connection, part)
        else:
            call.error = error
    connection.execute("RELEASE work")


def ended_all(connection: sqlite3.Connection, error: Exception) -> bool:
    """Whether an error was the end of the whole transaction."""
    if not connection.in_transaction:
        return True
    return isinstance(error, sqlite3.Error) and not isinstance(error, sqlite3.IntegrityError)


def alone(
    work: Callable[[sqlite3.Connection], T],
) -> Callable[[sqlite3.Connection, list[None]], tuple[T]]:
    """Return work that is joined with no other."""
    return lambda connection, _asked: (work(connection),)


def tell_all(calls: Iterable[Call]) -> None:
    """Answer all who still wait for calls."""
    for call in calls:
        call.tell()
