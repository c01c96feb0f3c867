"""A request as the flow works on it: with the rule it meets, its key, lifetimes and patience."""

from msgspec import Struct
from msgspec.structs import replace

from proxy.core import candles, costs, keys, parameters, privacy
from proxy.core.model import Lifetimes, Request
from proxy.core.routing import Match
from proxy.core.spending import Bill
from proxy.core.wordings import Wording, wording
from proxy.queues import Patience
from proxy.urgency import Urgency

MOST_URGENT = 0


class Asked(Struct, frozen=True):
    """A request and all that is read off it once."""

    request: Request
    match: Match
    private: bool
    key: str
    """Empty for a private request."""
    lifetimes: Lifetimes
    began: float
    """Time of the loop."""
    secret: bytes
    """Keys the HMAC of a client's own credentials."""
    said: Wording
    """What the request's method and fields say to the endpoint."""

    @property
    def uri(self) -> str:
        """Absolute URI that the upstream is asked for, as far as invalidation goes by it."""
        match = self.match
        base = match.upstream.base_url.rstrip("/")
        return f"{base}{match.path}?{match.query}" if match.query else base + match.path

    @property
    def deadline(self) -> float:
        """Time of the loop by which the client must have its answer."""
        return self.began + self.match.upstream.deadline

    @property
    def waits_until(self) -> float:
        """Time of the loop until which it would wait for quota."""
        return self.began + self.max_wait

    def bill(self) -> Bill:
        """Return what one exchange for it spends."""
        match, request, private = self.match, self.request, self.private
        credential = ""
        if private or self.said.forwards:
            credential = privacy.credential(match, request, self.secret, private=private)
        return costs.bill(match, request, credential, urgent=private)

    def patience(self, *, waits: bool, urgency: Urgency | None = None) -> Patience:
        """Return how long, and how urgently, it would wait for quota; not at all if not `waits`.

        `urgency` is that of the flight that it is asked for, which others may join.
        """
        endpoint, client = self.match.endpoint, self.request.client
        wished = self.said.urgency if client.priority is None else client.priority
        priority = endpoint.priority if wished is None else wished
        return Patience(
            client,
            MOST_URGENT if self.private else priority,
            self.max_wait if waits else 0.0,
            self.match.upstream.max_waiting,
            urgency,
        )

    @property
    def max_wait(self) -> float:
        """Seconds that it would wait for quota: its own `Prefer: wait`, within the endpoint's."""
        longest = min(self.match.endpoint.max_wait, self.match.upstream.deadline)
        wished = self.said.wait
        return longest if wished is None else min(wished, longest)

    def by(self, request: Request) -> "Asked":
        """Return the same, asked by another request for the same target."""
        match = self.match
        said = wording(match.upstream, match.endpoint, request.method, request.fields)
        return replace(self, request=request, said=said)


def asked(request: Request, match: Match, began: float, secret: bytes) -> Asked:
    """Read off a request all that the flow needs of it."""
    said = wording(match.upstream, match.endpoint, request.method, request.fields)
    private = privacy.private_because(match, request, said) is not None
    if match.endpoint.round is not None and not private:
        request, match = _rounded(request, match)
    lifetimes = match.endpoint.lifetimes
    if lifetimes is None:
        lifetimes = costs.lifetimes(match.endpoint, costs.arguments(match))
    key = "" if private else keys.key(match, request, secret, said)
    return Asked(request, match, private, key, lifetimes, began, secret, said)


def _rounded(request: Request, match: Match) -> tuple[Request, Match]:
    """Return the request that has the same answer, and the times in it at which candles open."""
    query = candles.rounded(match.endpoint, match.query)
    if query == match.query:
        return request, match
    pairs = parameters.decode(query)
    return replace(request, query=query), replace(match, query=query, parameters=pairs)
