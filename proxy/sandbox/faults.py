"""What can be made to go wrong, and how long answers take."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from random import Random


class Faults(StrEnum):
    """Ways to fail. All but `down` happen after the request was counted."""

    DROP = "drop"
    """The connection is closed without an answer."""
    HALF = "half"
    """Half of the body comes, then the connection is closed."""
    GARBAGE = "garbage"
    """Bytes that are not HTTP."""
    HANG = "hang"
    """No answer, ever; the connection stays open."""
    ERROR = "error"
    """500 with a page of HTML."""
    UNAVAILABLE = "unavailable"
    """503 with a page of HTML."""
    CHALLENGE = "challenge"
    """A challenge page: 200 and text/html."""
    DOWN = "down"
    """The connection is closed as soon as the head has come; nothing is counted."""


@dataclass(slots=True)
class Fault:
    """Something that goes wrong with the requests to come."""

    kind: Faults | str
    times: int | None = None
    """How many requests it meets; None: all, until it is taken away."""
    path: str = ""
    """Only paths that begin so."""

    def __post_init__(self) -> None:
        self.kind = Faults(self.kind)

    def meets(self, path: str) -> bool:
        """Tell whether this request goes wrong, and count it if so."""
        if self.times == 0 or not path.startswith(self.path):
            return False
        if self.times is not None:
            self.times -= 1
        return True


def struck(faults: Iterable[Fault], path: str, *, before: bool) -> Faults | None:
    """Return what happens to a request: `before` or after it is counted."""
    for fault in faults:
        kind = Faults(fault.kind)
        if (kind is Faults.DOWN) is before and fault.meets(path):
            return kind
    return None


@dataclass(frozen=True, slots=True)
class Latency:
    """How long things take, in seconds; each is `mean` ± up to `jitter`, never below 0."""

    mean: float = 0.0
    """From the request's arrival, where it is counted, to its answer."""
    jitter: float = 0.0
    transit: float = 0.0
    """The way to the provider: before the request is counted."""
    transit_jitter: float = 0.0

    def answer(self, random: Random) -> float:
        """Draw the time from arrival to answer."""
        return _drawn(self.mean, self.jitter, random)

    def way(self, random: Random) -> float:
        """Draw the time before arrival."""
        return _drawn(self.transit, self.transit_jitter, random)


def _drawn(mean: float, jitter: float, random: Random) -> float:
    return max(0.0, mean + random.uniform(-jitter, jitter)) if jitter else mean
