"""How answers lie in time, as a file says it: `round` and `contains` of an endpoint."""

from collections.abc import Callable
from typing import Literal, Protocol

from pydantic import Field

from proxy.config.fields import Count, Counts, Name, Place
from proxy.config.schema import Strict
from proxy.core.series import Contains, Span
from proxy.core.tables import Table

_UNITS = {"ms": 1, "s": 1000}


class RoundFile(Strict):
    """The parameters between which candles are asked for."""

    start: Name = Field(description="Parameter with the earliest opening, as in startTime.")
    end: Name = Field(description="Parameter with the latest opening, as in endTime.")
    unit: Literal["ms", "s"] = Field(default="ms", description="What they count. Default ms.")

    def made(self) -> Span:
        """Return what it means."""
        return Span(self.start, self.end, _UNITS[self.unit])


class ContainsFile(Strict):
    """Requests that differ in one parameter alone: a longer answer holds a shorter one."""

    parameter: Name = Field(description="Parameter that says how many elements, as in limit.")
    absent: Count | None = Field(
        default=None, description="How many come where it is left out. Default: not known."
    )
    keeps: Literal["last", "first"] = Field(
        default="last", description="Which elements of the longer one the shorter has."
    )
    first_from: Name | None = Field(
        default=None, description="Parameter whose presence makes it the first ones."
    )
    opens: Place | None = Field(
        default=None,
        description="Where in each element the time stands that `first_from` counts from, as in 0:"
        " what is asked from a moment on is cut from the latest answer that reaches back to it.",
    )
    fetch: Counts = Field(
        default=(),
        description="How many are asked for in a shorter one's place, as in 500: the most of these"
        " that cost no more.",
    )

    def made(self) -> Contains:
        """Return what it means."""
        return Contains(
            self.parameter,
            self.absent,
            self.keeps,
            self.first_from or "",
            self.opens,
            tuple(sorted(self.fetch, reverse=True)),
        )


class SeriesFile(Protocol):
    """What an endpoint says of time."""

    align: str | Table | None
    round: RoundFile | None
    settled: float
    contains: ContainsFile | None


def check(endpoint: SeriesFile, complain: Callable[[str, str], None]) -> None:
    """Tell `complain(key, message)` what of an endpoint's words about time hangs in the air."""
    if endpoint.align is None and endpoint.round is not None:
        complain("round", "rounds to candles: say by `align` how long they are")
    if endpoint.settled and endpoint.round is None:
        complain("settled", "goes by the end of a range: say by `round` which parameter that is")
    contains = endpoint.contains
    if contains is None or contains.opens is None:
        return
    if endpoint.round is None or endpoint.round.start != contains.first_from:
        complain("contains", "`opens` goes by `first_from`: say by `round` that it is the start")
