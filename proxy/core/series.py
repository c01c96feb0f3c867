"""How the answers of an endpoint lie in time, as an operator declares it: see `candles`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """The parameters between which candles are asked for, by their opening."""

    start: str
    end: str
    unit: int = 1
    """Milliseconds that one of the parameters' units is: 1, or 1000 for seconds."""


@dataclass(frozen=True, slots=True)
class Contains:
    """A longer answer holds a shorter one: they differ in one parameter alone."""

    parameter: str
    """How many elements are asked for."""
    absent: int | None = None
    """How many come where it is left out; None: not known."""
    keeps: str = "last"
    """Which of the longer answer's elements a shorter one has: the `last` or the `first`."""
    first_from: str = ""
    """Parameter whose presence makes it the first ones, whatever `keeps` says."""
    opens: int | None = None
    """Where in an element the time stands that `first_from` counts from; None: not known."""
    fetch: tuple[int, ...] = ()
    """How many may be asked for in place of fewer, the most first."""
