"""What a provider saw: the sandbox's own account, against which the proxy's is held."""

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from proxy.core.fields import Fields

REMEMBERED = 1000
"""How many received requests are kept whole."""


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came in, to the byte."""

    at: float
    method: str
    target: str
    fields: Fields
    body: bytes
    status: int
    """What it was answered (0: a fault took the answer away)."""


@dataclass(slots=True)
class Counts:
    """All that one provider saw since the last reset."""

    requests: int = 0
    """Every request that arrived, refused ones included."""
    granted: int = 0
    """Those within the limits."""
    refused: int = 0
    """429, 418, and what says the same otherwise."""
    banned: int = 0
    """Of these, those met by a ban (418)."""
    turned_away: int = 0
    """Requests that a provider that is down never counted."""
    spent: int = 0
    """Weight or credits of the granted requests."""
    by_path: Counter[str] = field(default_factory=Counter)
    by_status: Counter[int] = field(default_factory=Counter)
    arrivals: list[float] = field(default_factory=list)
    """Unix times, in order."""
    granted_arrivals: list[float] = field(default_factory=list)
    received: deque[Received] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def shown(self) -> dict[str, Any]:
        """Return the figures as JSON may hold them (arrivals and requests are asked for apart)."""
        return {
            "requests": self.requests,
            "granted": self.granted,
            "refused": self.refused,
            "banned": self.banned,
            "turned_away": self.turned_away,
            "spent": self.spent,
            "by_path": dict(self.by_path),
            "by_status": {str(status): count for status, count in self.by_status.items()},
        }
