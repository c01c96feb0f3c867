"""What must agree between files: one name, prefix, host and port for each; who may come in."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

from proxy.config.addresses import parse_address
from proxy.config.problems import Path, Problem
from proxy.config.schema import ProxyFile
from proxy.config.schema_upstream import UpstreamFile
from proxy.config.settings import Listener, Settings
from proxy.config.tables import least
from proxy.config.validation import Validated
from proxy.core.upstreams import Algorithm, Endpoint, Limit, Upstream

Part: TypeAlias = tuple[Validated[UpstreamFile], Upstream]
"""An upstream with the file that it comes from."""


def own_listeners(parts: Iterable[Part]) -> Iterator[Listener]:
    """Yield the listeners that upstreams have for themselves."""
    for _, upstream in parts:
        if upstream.listen is not None:
            address = parse_address(upstream.listen)
            yield Listener(address.host, address.port, address.loopback, upstream=upstream.name)


def check_upstreams(parts: Sequence[Part]) -> None:
    """Complain of what two upstreams share and must not, and of costs that no limit can hold."""
    seen: dict[tuple[str, str], str] = {}
    for validated, upstream in parts:
        marks: list[tuple[str, str, Path]] = [("name", upstream.name, ("name",))]
        if ("name", upstream.name) not in seen or "prefix" in validated.written():
            marks.append(("prefix", upstream.prefix, ("prefix",)))
        marks += [("host", host, ("hosts", i)) for i, host in enumerate(upstream.hosts)]
        for what, value, path in marks:
            if (what, value) in seen:
                first = seen[what, value]
                validated.complain(path, f"the {what} {value!r} is taken already, in {first}")
            seen.setdefault((what, value), validated.document.file)
        for endpoint in upstream.endpoints:
            _check_payable(validated, upstream, endpoint)


def check_listeners(main: Validated[ProxyFile], parts: Sequence[Part], settings: Settings) -> None:
    """Complain of ports that are used twice, and of doors that stand open."""
    taken: dict[int, str] = {}
    closed = settings.clients is None and not (main.model is not None and main.model.open)
    by_name: dict[str, Validated[Any]] = {each.name: validated for validated, each in parts}
    for index, listener in enumerate((settings.admin.listener, *settings.listeners), start=-1):
        where = by_name.get(listener.upstream, main)
        path: Path = ("admin", "listen") if index < 0 else ("listen",)
        if ("listen", index) in main.document.values and where is main:
            path = ("listen", index)
        name = "admin" if index < 0 else f"{listener.upstream or 'traffic'} {index}"
        if listener.port and taken.setdefault(listener.port, name) != name:
            owner = taken[listener.port].partition(" ")[0]
            where.complain(path, f"port {listener.port} is taken already, by {owner}")
        if closed and index >= 0 and not listener.loopback:
            where.complain(
                path,
                f"{listener.address} is reachable from beyond this machine: name the `clients`"
                " that may come in, or say `open: true` (both in proxy.yaml)",
            )


def check_clients(main: Validated[ProxyFile], settings: Settings) -> None:
    """Complain of clients that name a port or an upstream that is not there."""
    ports = {listener.port for listener in settings.listeners}
    names = {upstream.name for upstream in settings.upstreams}
    for rule in settings.clients.rules if settings.clients else ():
        path: Path = ("clients", "named", rule.name)
        if rule.port is not None and rule.port not in ports:
            main.complain((*path, "port"), f"nothing listens on port {rule.port}")
        for name in sorted((rule.upstreams or frozenset()) - names):
            main.complain(
                (*path, "upstreams"),
                f"there is no upstream {name!r}; there is: {', '.join(sorted(names))}",
            )


def warnings(
    main: Validated[ProxyFile], parts: Sequence[Part], settings: Settings
) -> Iterator[Problem]:
    """Yield what is allowed, and probably not meant."""
    written = main.written()
    counted = "ledger" if "ledger" in written else "store"
    if settings.ledger.kind == "redis" and main.model and main.model.fleet_size is None:
        yield main.document.problem(
            (counted,),
            "fleet_size is not set: an instance that has never reached Redis spends the limits"
            " as if it were alone; say how many instances share it",
        )
    if settings.ledger.kind == "memory":
        yield main.document.problem(
            (counted,), "counts in memory are forgotten at every restart: the provider's are not"
        )
    forwarded = any(upstream.client_credentials == "forward" for _, upstream in parts)
    if settings.store.kind == "redis" and forwarded and not settings.secret:
        yield main.document.problem(
            ("store",),
            "secret is not set: clients' keys are hashed with `namespace`, which others may know;"
            " set the same secret for all instances",
        )
    for validated, upstream in parts:
        yield from _upstream_warnings(validated, upstream)


def _upstream_warnings(validated: Validated[UpstreamFile], upstream: Upstream) -> Iterator[Problem]:
    document = validated.document
    if upstream.disabled:
        yield document.problem(("name",), f"{upstream.name} is disabled: {upstream.disabled}")
    if not upstream.limits:
        yield document.problem(("name",), "has no limits: nothing holds calls to it back")
    if validated.model is not None:
        for name, rule in validated.model.endpoints.items():
            if rule.upstream_cache_control == "obey" and rule.ttl is not None:
                yield document.problem(("endpoints", name, "ttl"), "is not used under `obey`")
    costs = [*(each.cost for each in upstream.endpoints), upstream.unmatched_cost]
    named = {name for cost in costs for name, _ in cost.named}
    for limit in upstream.limits:
        if limit.scope == "named" and limit.name not in named:
            yield document.problem(
                ("limits", limit.name), "is never spent: `scope: named`, and no cost names it"
            )


def _check_payable(
    validated: Validated[UpstreamFile], upstream: Upstream, endpoint: Endpoint
) -> None:
    """Complain of a cost that its limit can never hold: such a request would wait for ever."""
    named = dict(endpoint.cost.named)
    for limit in upstream.limits:
        if limit.counts != "cost" or (limit.scope == "named" and limit.name not in named):
            continue
        spent = least(named.get(limit.name, endpoint.cost.general))
        if spent > _largest(limit):
            validated.complain(
                ("endpoints", endpoint.name, "cost"),
                f"costs {spent:g} at least, and the limit {limit.name!r} never has more than"
                f" {_largest(limit):g}",
            )


def _largest(limit: Limit) -> float:
    is_bucket = limit.algorithm is Algorithm.TOKEN_BUCKET and limit.burst is not None
    return limit.burst or 0.0 if is_bucket else limit.limit
