"""Spacing: shared calls wait for each other where quota is scarce, in this process.

How far apart they go says `core.spacing`. Nobody is kept waiting for longer than `SHARE` of what it
would wait for quota: whoever would not wait at all has its call leave at once, with all who are
there.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final

from proxy.asked import Asked
from proxy.core import spacing
from proxy.core.spending import Bill, Level

SHARE: Final = 0.8
MOST: Final = 1024
"""Counts whose last call is known; the one that was spent from longest ago makes room."""


class Spacing:
    """When the next shared call may leave."""

    def __init__(
        self, levels: Callable[[str], tuple[Level, ...]], time: Callable[[], float]
    ) -> None:
        """Take what says how an upstream's counts stand, and the clock of the loop."""
        self._levels = levels
        self._time = time
        self._left: OrderedDict[str, float] = OrderedDict()

    def sent(self, bill: Bill) -> None:
        """Note that a shared call has left."""
        for charge in bill.charges:
            self._left[charge.bucket] = self._time()
            self._left.move_to_end(charge.bucket)
        while len(self._left) > MOST:
            self._left.popitem(last=False)

    def wait(self, bill: Bill, asked: Iterable[Asked]) -> float:
        """Return for how many seconds a call stays for others to come; 0: it leaves now."""
        last = max((self._left.get(charge.bucket, 0.0) for charge in bill.charges), default=0.0)
        if not last:
            return 0.0
        leaves = last + spacing.pause(bill, self._levels(bill.upstream))
        patient = min((each.began + SHARE * each.max_wait for each in asked), default=leaves)
        return max(0.0, min(leaves, patient) - self._time())
