"""What is wrong with a configuration, and where: collected, and raised once, all together."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

Path: TypeAlias = tuple[str | int, ...]
"""Keys and list positions from a document's root down to a value."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One error (or warning). `line` and `column` count from 1."""

    file: str
    line: int
    column: int
    path: str
    """Where in the document: `endpoints.price.ttl`; empty for the document itself."""
    message: str
    """What is wrong, and what is allowed. Never holds a value from the environment."""

    def __str__(self) -> str:
        """`file:line:column: path: what is wrong, and what is allowed`."""
        where = f"{self.file}:{self.line}:{self.column}: "
        return where + (f"{self.path}: " if self.path else "") + self.message


class ConfigurationError(Exception):
    """The configuration is not valid; `problems` are all that is wrong with it, in order."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(map(str, self.problems)))


def shown(path: Path) -> str:
    """Return a path as people write it: `body_checks[0].path`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
