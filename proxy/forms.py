"""What is made of an entry and kept beside it: its rendering, a known hit, a row of a table.

A form lives as long as its entry is held in the first level: it is counted there, in the same
bound, and goes when the entry does. So nothing that was made of an entry outlives it, and whoever
set the bound has set it for all of it.
"""

from typing import Protocol

from proxy.core.model import Entry


class Form(Protocol):
    """Something made of an entry."""

    size: int
    """Bytes that it takes beside the entry."""

    def gone(self) -> None:
        """Hear that the entry is not held any more, and the form with it."""
        ...


class Forms(Protocol):
    """Where forms are kept: the first level."""

    def forms(self, entry: Entry) -> tuple[Form, ...]:
        """Return what is kept beside this very entry."""
        ...

    def keep(self, entry: Entry, form: Form) -> bool:
        """Keep a form as long as its entry, and count it; False: the entry is not held.

        Room is made for it, be it that of other entries, or of this one: then it hears at once.
        """
        ...

    def drop(self, entry: Entry, form: Form) -> None:
        """Let a form go before its entry; it does not hear of it."""
        ...

    def hold(self, size: int) -> None:
        """Count bytes that are held beside all entries; negative: so many fewer."""
        ...


class Unkept:
    """A place that keeps nothing, for who has no first level."""

    def forms(self, entry: Entry) -> tuple[Form, ...]:
        """Return none."""
        del entry
        return ()

    def keep(self, entry: Entry, form: Form) -> bool:
        """Keep nothing."""
        del entry, form
        return False

    def drop(self, entry: Entry, form: Form) -> None:
        """Let nothing go."""

    def hold(self, size: int) -> None:
        """Count nothing."""


UNKEPT = Unkept()
