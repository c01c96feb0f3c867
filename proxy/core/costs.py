"""What a request costs, and how long its answer lives: tables read against its parameters.

A parameter that is repeated is read as one list, its values joined by commas: so it counts every
member, and where one number was expected it is none, which costs the dearest step.
"""

import math
import re
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, TypeAlias, assert_never

import msgspec

from proxy.core.model import Lifetimes, Request
from proxy.core.parameters import Parameters
from proxy.core.privacy import is_private
from proxy.core.routing import Match
from proxy.core.spending import Bill, Charge
from proxy.core.tables import ByValue, Members, PerMember, Sum, Table, UpTo
from proxy.core.upstreams import Cost, Endpoint, Limit, Upstream

_Pick: TypeAlias = Callable[[Iterable[float]], float]

_PLAIN: Final = (float, int)
_is_number = re.compile(r"-?[0-9]+(?:\.[0-9]+)?", re.ASCII).fullmatch
_json_list: Final = msgspec.json.Decoder(list[msgspec.Raw])


def figure(table: Table, parameters: Parameters, doubtful: _Pick = max) -> float:
    """Return what `table` says of decoded `parameters`.

    Where a value is above the last step, or is no number, and the table does not say what then,
    `doubtful` picks among the steps: the dearest for a cost.
    """
    match table:
        case float() | int():
            return float(table)
        case ByValue():
            return figure(_row(table, parameters), parameters, doubtful)
        case UpTo():
            return _step(table, parameters, doubtful)
        case PerMember():
            return _per_member(table, parameters, doubtful)
        case Sum():
            return sum(figure(term, parameters, doubtful) for term in table.terms)
        case _:
            assert_never(table)


def lifetimes(endpoint: Endpoint, parameters: Parameters) -> Lifetimes:
    """Return the configured lifetimes for decoded `parameters`, in seconds; in doubt the shorter.

    The TTL is 0 where none is configured (`obey`). `max_age` and `stretch` are not applied.
    """
    if endpoint.lifetimes is not None:
        return endpoint.lifetimes

    def seconds(table: Table) -> float:
        return max(0.0, figure(table, parameters, min))

    return Lifetimes(
        ttl=0.0 if endpoint.ttl is None else seconds(endpoint.ttl),
        stale_while_revalidate=seconds(endpoint.stale_while_revalidate),
        stale_if_error=seconds(endpoint.stale_if_error),
    )


def arguments(match: Match) -> Parameters:
    """Return what tables look at: the query's parameters, and the path's variables."""
    return match.parameters + match.variables


def bill(
    match: Match,
    request: Request,
    credential: str = "",
    *,
    urgent: bool | None = None,
    answer_within: float | None = None,
) -> Bill:
    """Return what one exchange spends.

    Args:
        match: the rule that the request meets.
        request: the request.
        credential: name of the client's own credential where that goes upstream
            (`privacy.credential`): limits `of: credential` count it by itself.
        urgent: whether it may touch the reserve; by default a private request may.
        answer_within: seconds in which the answer's head comes; by default the timeout.

    """
    upstream, endpoint, own = match.upstream, match.endpoint, request.client.limits
    cost = upstream.unmatched_cost if endpoint is upstream.unmatched else endpoint.cost
    limits = (*upstream.limits, *own) if own else upstream.limits
    spent = None
    if cost.named or not isinstance(cost.general, _PLAIN):
        figures = _Figures(cost, arguments(match))
        spent = tuple(figures.spent(limit) for limit in limits)
    private = is_private(match, request) if urgent is None else urgent
    within = upstream.timeout if answer_within is None else answer_within
    made_of = (id(upstream), id(endpoint), id(own), credential, private, within, spent)
    if (known := _bills.get(made_of)) is not None:
        return known.bill
    if spent is None:
        figures = _Figures(cost, ())
        spent = tuple(figures.spent(limit) for limit in limits)
    charges = (
        Charge(limit, bucket(limit, endpoint, credential), tokens)
        for limit, tokens in zip(limits, spent, strict=True)
        if tokens > 0
    )
    made = Bill(upstream.name, tuple(charges), within, private)
    if len(_bills) >= _MOST_BILLS:
        _bills.clear()
    _bills[made_of] = _Known(made, upstream, endpoint, own)
    return made


class _Known(NamedTuple):
    """A bill, and what it was made of: as long as that is held, nothing else has its id."""

    bill: Bill
    upstream: Upstream
    endpoint: Endpoint
    own: tuple[Limit, ...]


_MOST_BILLS: Final = 4096
_bills: Final[dict[tuple[object, ...], _Known]] = {}
"""Bills that were made of late: most requests of an endpoint spend the same."""


def bucket(limit: Limit, endpoint: Endpoint, credential: str = "") -> str:
    """Return the name of the count that `endpoint` spends from: `weight`, `second/book@1f…`."""
    name = f"{limit.name}/{endpoint.name}" if limit.each_endpoint else limit.name
    return f"{name}@{credential}" if credential and limit.of == "credential" else name


def buckets(upstream: Upstream, endpoint: Endpoint) -> frozenset[str]:
    """Return the names of the counts that requests of an endpoint spend from."""
    named = {limit for limit, _ in endpoint.cost.named}
    return frozenset(
        bucket(limit, endpoint)
        for limit in upstream.limits
        if limit.scope == "all" or limit.name in named
    )


class _Figures:
    """A cost, read against the parameters of one request."""

    def __init__(self, cost: Cost, parameters: Parameters) -> None:
        self._cost = cost
        self._named = dict(cost.named)
        self._parameters = parameters

    def spent(self, limit: Limit) -> float:
        """Return how many tokens of `limit` the request takes."""
        named = self._named.get(limit.name)
        if named is None and limit.scope == "named":
            return 0.0
        if limit.counts == "requests":
            # 1, whatever it costs; a map that says 0 takes the endpoint out.
            return 1.0 if named is None or figure(named, self._parameters) > 0 else 0.0
        return figure(self._cost.general if named is None else named, self._parameters)


# ── Tables ──


def _value(parameters: Parameters, name: str) -> str | None:
    values = [value for key, value in parameters if key == name]
    return ",".join(values) if values else None


def _row(table: ByValue, parameters: Parameters) -> Table:
    value = _value(parameters, table.parameter)
    if value is None:
        return table.otherwise if table.absent is None else table.absent
    return next((row for key, row in table.rows if key == value), table.otherwise)


def _step(table: UpTo, parameters: Parameters, doubtful: _Pick) -> float:
    value = _value(parameters, table.parameter)
    if value is None:
        return figure(table.absent, parameters, doubtful)
    number = _number(value) if table.members is None else _count(table.members, value)
    if number is not None:
        for most, row in table.steps:
            if number <= most:
                return figure(row, parameters, doubtful)
    if table.otherwise is not None:
        return figure(table.otherwise, parameters, doubtful)
    return doubtful(figure(row, parameters, doubtful) for _, row in table.steps)


def _per_member(table: PerMember, parameters: Parameters, doubtful: _Pick) -> float:
    value = _value(parameters, table.parameter)
    if value is None:
        return figure(table.absent, parameters, doubtful)
    count = _count(table.members, value)
    if count is None:
        if table.most is not None:
            return table.most
        count = value.count(",") + 1  # no list: what it looks like
    spent = max(0.0, math.ceil((count - table.less) / table.per) * table.each)
    return spent if table.most is None else min(spent, table.most)


def _number(text: str) -> float | None:
    return float(text) if _is_number(text) else None


def _count(members: Members, value: str) -> int | None:
    """Return how many members a list has; None where it is none."""
    if members.form == "comma":
        return value.count(",") + 1
    try:
        return len(_json_list.decode(value.encode("utf-8", "surrogateescape")))
    except (msgspec.MsgspecError, RecursionError):  # the latter: brackets by the thousand
        return None
