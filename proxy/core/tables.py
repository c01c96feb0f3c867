"""Tables: a figure that depends on a query parameter. TTLs and costs are both written so.

    ttl:  {by: interval, 1m: 60s, 1h: 10m, else: 60s}
    cost: {by: limit, absent: 5, up_to: {100: 5, 500: 25, 1000: 50, 5000: 250}}
    cost: {by: symbols, list: json, up_to: {20: 2, 100: 40}, else: 80,
           absent: {by: symbol, absent: 80, else: 2}}
    cost: {by: ids, list: comma, per: 100, each: 1}                # ceil(members / 100) * 1
    cost: {sum: [{by: id, list: comma, per: 100, each: 1},
                 {by: convert, list: comma, absent: 0, each: 1, less: 1}]}

A figure may itself be a table. What a table looks at is named once (`by`); how the value is read
is `list` (count the members) or the value itself.
"""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class ByValue:
    """The figure of the row whose key equals the parameter's value; else `otherwise`."""

    parameter: str
    rows: tuple[tuple[str, "Table"], ...]
    otherwise: "Table"
    absent: "Table | None" = None
    """The figure where the parameter is absent; None: `otherwise`."""


@dataclass(frozen=True, slots=True)
class UpTo:
    """The figure of the first step at or above the parameter's number (or count of members).

    A value above the last step, or no number, costs `otherwise`, or the dearest step.
    """

    parameter: str
    steps: tuple[tuple[float, "Table"], ...]
    """Ascending."""
    absent: "Table"
    otherwise: "Table | None" = None
    members: "Members | None" = None


@dataclass(frozen=True, slots=True)
class PerMember:
    """`ceil((members - less) / per) * each`, at least 0 and at most `most`."""

    parameter: str
    members: "Members"
    per: float = 1.0
    each: float = 1.0
    less: float = 0.0
    absent: "Table" = 0.0
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Sum:
    """The sum of several tables."""

    terms: tuple["Table", ...]


@dataclass(frozen=True, slots=True)
class Members:
    """How a list stands in one parameter: separated (`comma`) or a JSON array (`json`)."""

    form: str
    """`comma` or `json`."""


Table: TypeAlias = float | ByValue | UpTo | PerMember | Sum
