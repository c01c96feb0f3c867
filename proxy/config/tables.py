"""TTL and cost tables: from what YAML says to `proxy.core.tables`.

A table must have a way out: a `by` table has `else`; one with `up_to` has `absent` or `else`; one
that counts members (`each`) has `absent`. All faults of a table are found at once, each with the
path of the part it is in.
"""

import re
from collections.abc import Callable
from typing import Any, Final

from proxy.config.problems import Path
from proxy.config.scalars import FaultyError, amount, duration, quoted
from proxy.core.tables import ByValue, Members, PerMember, Sum, Table, UpTo
from proxy.core.upstreams import Cost

WORDS: Final = frozenset(
    {"by", "else", "absent", "up_to", "list", "per", "each", "less", "most", "sum"}
)
"""Words with a meaning in a table; no row can be called so."""
FORMS: Final = ("comma", "json")

_UP_TO = frozenset({"by", "up_to", "absent", "else", "list"})
_PER_MEMBER = frozenset({"by", "list", "per", "each", "less", "absent", "most"})
_step = re.compile(r"[0-9]+(?:\.[0-9]+)?").fullmatch


class TableReader:
    """Reads one table; what is wrong with it gathers in `faults`."""

    def __init__(self, figure: Callable[[object], float], *, counts: bool) -> None:
        """Take the reader of its figures, and whether it may count members and add up (a cost)."""
        self.faults: list[tuple[Path, str]] = []
        self._figure = figure
        self._counts = counts

    def read(self, raw: object, path: Path = ()) -> Table:
        """Return the table; where something is wrong, any figure stands in."""
        if not isinstance(raw, dict):
            return self._plain(raw, path)
        if "sum" in raw:
            return self._sum(raw, path)
        if not isinstance(raw.get("by"), str):
            self._fault(path, "a table says `by:` which parameter it goes")
            return 0.0
        if "up_to" in raw:
            return self._up_to(raw, path)
        if raw.keys() & {"each", "per"}:
            return self._per_member(raw, path)
        return self._by_value(raw, path)

    def _fault(self, path: Path, message: str) -> None:
        self.faults.append((path, message))

    def _plain(self, raw: object, path: Path) -> float:
        try:
            return self._figure(raw)
        except ValueError as error:
            self._fault(path, f"{error}; or a table")
            return 0.0

    def _number(self, raw: dict[str, Any], word: str, default: float, path: Path) -> float:
        if word not in raw:
            return default
        try:
            return amount(raw[word])
        except ValueError as error:
            self._fault((*path, word), str(error))
            return default

    def _only(self, raw: dict[str, Any], allowed: frozenset[str], path: Path) -> None:
        for word in raw.keys() - allowed:
            self._fault((*path, word), f"unknown here; allowed: {', '.join(sorted(allowed))}")

    def _sum(self, raw: dict[str, Any], path: Path) -> Table:
        self._only(raw, frozenset({"sum"}), path)
        terms = raw["sum"]
        if not self._counts or not isinstance(terms, list) or not terms:
            self._fault((*path, "sum"), "a cost may be a `sum:` of a list of tables")
            return 0.0
        return Sum(tuple(self.read(term, (*path, "sum", i)) for i, term in enumerate(terms)))

    def _by_value(self, raw: dict[str, Any], path: Path) -> Table:
        for word in sorted(raw.keys() & (WORDS - {"by", "else", "absent"})):
            self._fault((*path, word), "has no meaning in a table that goes by a value")
        if "else" not in raw:
            self._fault(path, "the table has no way out: give the figure for all others as `else`")
        rows = [key for key in raw if key not in WORDS]
        if not rows and "absent" not in raw:
            self._fault(path, "the table has no rows: `VALUE: figure`, `absent`, `up_to` or `each`")
        return ByValue(
            raw["by"],
            tuple((key, self.read(raw[key], (*path, key))) for key in rows),
            self.read(raw.get("else", 0), (*path, "else")),
            self.read(raw["absent"], (*path, "absent")) if "absent" in raw else None,
        )

    def _up_to(self, raw: dict[str, Any], path: Path) -> Table:
        self._only(raw, _UP_TO, path)
        if "absent" not in raw and "else" not in raw:
            self._fault(
                path, f"the table has no way out: what where `{raw['by']}` is `absent`, or `else`?"
            )
        otherwise = self.read(raw["else"], (*path, "else")) if "else" in raw else None
        return UpTo(
            raw["by"],
            self._steps(raw["up_to"], (*path, "up_to")),
            self.read(raw["absent"], (*path, "absent")) if "absent" in raw else otherwise or 0.0,
            otherwise,
            self._members(raw, path) if "list" in raw else None,
        )

    def _steps(self, raw: object, path: Path) -> tuple[tuple[float, Table], ...]:
        if not isinstance(raw, dict) or not raw:
            self._fault(path, "must map numbers to figures, as in {100: 5, 500: 25}")
            return ((0.0, 0.0),)
        steps = []
        for key, value in raw.items():
            if _step(key) is None:
                self._fault((*path, key), f"{key!r} is no number")
                continue
            steps.append((float(key), self.read(value, (*path, key))))
        return tuple(sorted(steps, key=lambda step: step[0])) or ((0.0, 0.0),)

    def _per_member(self, raw: dict[str, Any], path: Path) -> Table:
        if not self._counts:
            self._fault(path, "a lifetime cannot go by the number of members")
        self._only(raw, _PER_MEMBER, path)
        if "absent" not in raw:
            self._fault(path, f"the table has no way out: what where `{raw['by']}` is `absent`?")
        per = self._number(raw, "per", 1.0, path)
        if per <= 0:
            self._fault((*path, "per"), "must be more than 0")
        return PerMember(
            raw["by"],
            self._members(raw, path),
            per or 1.0,
            self._number(raw, "each", 1.0, path),
            self._number(raw, "less", 0.0, path),
            self.read(raw.get("absent", 0), (*path, "absent")),
            self._number(raw, "most", 0.0, path) if "most" in raw else None,
        )

    def _members(self, raw: dict[str, Any], path: Path) -> Members:
        form = raw.get("list", "comma")
        if form not in FORMS:
            self._fault((*path, "list"), f"{quoted(form)} is no list: {' or '.join(FORMS)}")
        return Members(str(form))


def _raised(reader: TableReader) -> None:
    if reader.faults:
        raise FaultyError(reader.faults)


def lifetime(raw: object) -> Table:
    """Read a lifetime: a duration, or a table of them."""
    reader = TableReader(duration, counts=False)
    table = reader.read(raw)
    _raised(reader)
    return table


def cost(raw: object) -> Cost:
    """Read a cost: a figure or a table, or a map from limits to them."""
    reader = TableReader(amount, counts=True)
    if isinstance(raw, dict) and not raw.keys() & {"by", "sum"}:
        if not raw:
            reader.faults.append(((), "is empty; a figure, a table or {LIMIT: figure} is allowed"))
        read = Cost(named=tuple((name, reader.read(raw[name], (name,))) for name in raw))
    else:
        read = Cost(general=reader.read(raw))
    _raised(reader)
    return read


def least(table: Table) -> float:
    """Return the smallest figure that a table can give."""
    match table:
        case ByValue():
            rows = [row for _, row in table.rows] + [table.otherwise]
            return min(map(least, rows if table.absent is None else [*rows, table.absent]))
        case UpTo():
            rows = [row for _, row in table.steps] + [table.absent]
            return min(map(least, rows))
        case PerMember():
            return 0.0
        case Sum():
            return sum(map(least, table.terms))
        case _:
            return table
