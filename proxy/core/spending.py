"""What passes between the flow and a ledger: bills, receipts, grants, what settles them.

No absolute times: every ledger counts on its own clock (the Redis server's, the machine's
boot-time clock, the wall only for calendars), so all that is said to it is how long.
"""

import math

from msgspec import Struct

from proxy.core.upstreams import Limit


class Charge(Struct, frozen=True, gc=False):
    """A cost that is spent from one count."""

    limit: Limit
    bucket: str
    """Name of the count: the limit's, with `/endpoint` and `@credential` where it has several."""
    cost: float


class Bill(Struct, frozen=True, gc=False):
    """All that one exchange spends: granted whole or not at all."""

    upstream: str
    charges: tuple[Charge, ...]
    answer_within: float
    """Seconds within which the head of the answer comes, if ever: the spend is booked then."""
    urgent: bool = False
    """May touch the reserve, and runs ahead of `pace`."""


class Level(Struct, frozen=True, gc=False):
    """How a count stands, as last known to this process."""

    limit: str
    bucket: str
    size: float
    used: float
    resets_in: float
    """Seconds until `remaining` is `size` again, if nothing more is spent."""
    algorithm: str = ""
    window: float = 0.0
    """Seconds; for calendars the length of the present window."""

    @property
    def remaining(self) -> float:
        """Tokens left; never below 0."""
        return max(0.0, self.size - self.used)


class Outlook(Struct, frozen=True, gc=False):
    """What may be spent of a count now by who is not urgent, and when more of it comes."""

    room: float
    """Tokens, as last known to this process."""
    returns: tuple[tuple[float, float], ...]
    """When others come back: `(seconds from now, tokens)`, in order."""
    again: float
    """Seconds after which as many as `returns` tells of come back once more."""
    resets_in: float
    """As in `Level`."""
    brim: float = math.inf
    """With so much room it fills no further: what comes then is lost."""
    ends_in: float | None = None
    """Seconds until all that is left is lost and the next window begins; None: never so."""


class Receipt(Struct, frozen=True):
    """A granted spend, to be settled once. `id` makes repeats recognisable."""

    id: str
    bill: Bill
    booking: object = None
    """The ledger's own note of where it counted the spend."""
    probe: bool = False
    """The first call after a hold: until it is settled nobody else is let through."""


class Granted(Struct, frozen=True, gc=False):
    """The call may go."""

    receipt: Receipt


class Report(Struct, frozen=True, gc=False):
    """What the provider's answer says of one limit (absent parts: None)."""

    limit: str
    used: float | None = None
    remaining: float | None = None
    size: float | None = None
    cost: float | None = None
    """What this exchange really cost."""
    resets_in: float | None = None
    """Seconds until it is whole again: a refusal that names no time lasts until then."""


class HoldFor(Struct, frozen=True, gc=False):
    """Leave the upstream alone. `seconds` None: by growing steps from `first`, at most `most`."""

    reason: str
    seconds: float | None
    first: float = 10.0
    most: float = 3600.0


class Settled(Struct, frozen=True, gc=False):
    """How an exchange ended, told to the ledger when the answer's head came, or none will."""

    sent: bool
    """False: nothing left this machine; the spend is refunded whole."""
    answered: bool
    """True: the head came just now, the spend is moved to now; False: it stays where booked."""
    status: int | None = None
    reports: tuple[Report, ...] = ()
    hold: HoldFor | None = None
    date: float | None = None
    """Epoch seconds of the answer's `Date` field, where the provider itself wrote it (no `Age`, no
    CDN's mark): from it the ledger learns when the provider's windows begin."""


OWN = "~"
"""With this the name of a client's own limit begins (`~grid-1/minute`); no upstream's does."""


def is_own(limit: str) -> bool:
    """Return whether a limit of this name is a client's own budget."""
    return limit.startswith(OWN)


HOLD = "hold"
"""`Denied.limit` where the upstream must be left alone."""

LOST = "ledger"
"""`Denied.limit` where the ledger cannot be reached: nothing is known, so nothing is granted."""
