"""What a connection needs of the front: who is let in, and what answers a head."""

from typing import TYPE_CHECKING, Protocol

from proxy.answer import Problem
from proxy.http.accelerator import Accelerator
from proxy.http.inbound import Finished, Inbound
from proxy.http.patience import Patience
from proxy.http.rows import Row

if TYPE_CHECKING:
    from proxy.http.connection import Connection  # which stands on this


class Reception(Protocol):
    """What a connection needs of the front."""

    patience: Patience

    def admit(self, connection: "Connection") -> bool:
        """Return whether there is room for one more connection."""
        ...

    def accelerator(self) -> Accelerator | None:
        """Return what knows heads, in the state of now; None: there is none."""
        ...

    def at_once(self, inbound: Inbound, head: bytes | None) -> bool:
        """Answer what takes a turn, if that takes no waiting; `head` is all of its head."""
        ...

    async def handle(self, inbound: Inbound) -> Finished:
        """Answer a request, waiting for whatever that needs."""
        ...

    async def look_up(self, connection: "Connection", row: Row) -> bool:
        """Answer a known head whose entry only the store has; False: it is not known any more."""
        ...

    def refuse(self, connection: "Connection", problem: Problem) -> None:
        """Write a problem to a connection that is about to be closed."""
        ...
