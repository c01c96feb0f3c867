"""Urgency: a wait is as urgent as whoever in it is in the greatest hurry.

The interleaving that this defends against:
    1. a request of low priority begins a flight, which stands in the line for quota;
    2. one of high priority asks for the same, and joins the flight;
    3. others of middle priority come, and are served before both.
    So whoever joins a flight lends it its own priority, also while it stands in line.
"""

from collections.abc import Callable

from proxy.core.preferences import LEAST_URGENT


class Urgency:
    """The priority of a wait that several share: 0 goes first, 7 last (RFC 9218)."""

    __slots__ = ("_rose", "level")

    def __init__(self) -> None:
        self.level = LEAST_URGENT
        self._rose: Callable[[], None] | None = None

    def join(self, level: int) -> None:
        """Take in one of this priority."""
        if level < self.level:
            self.level = level
            if self._rose is not None:
                self._rose()

    def watch(self, rose: Callable[[], None] | None) -> None:
        """Have `rose` called whenever it becomes more urgent; None: nobody any more."""
        self._rose = rose
