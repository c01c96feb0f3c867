"""Upstreams: from their files to `proxy.core.upstreams.Upstream`, and what must agree."""

import re
from pathlib import Path as FilePath

from proxy.config.addresses import parse_address, parse_host
from proxy.config.endpoints import Endpoints
from proxy.config.plans import chosen
from proxy.config.problems import Path
from proxy.config.schema_upstream import BodyCheckFile, HoldFile, UpstreamFile, UsageFile
from proxy.config.validation import Validated
from proxy.core.model import Request
from proxy.core.routing import Match, Routes
from proxy.core.upstreams import BodyCheck, Hold, Upstream, Usage, UsageFrom

_AS_WRITTEN = (
    "name",
    "client_credentials",
    "deadline",
    "max_waiting",
    "retry_after_max",
    "when_ledger_lost",
    "user_agent",
    "error_body",
    "rewrite_links",
    "warm",
)
_prefix = re.compile(r"/|(?:/[A-Za-z0-9._-][A-Za-z0-9._~-]*)+").fullmatch


def upstream(validated: Validated[UpstreamFile], folder: FilePath) -> Upstream | None:
    """Return the upstream that a file describes; None where too much is wrong with it.

    Files that it names are relative to `folder`.
    """
    file = validated.model
    if file is None:
        return None
    plan = chosen(validated, file)
    names = frozenset(limit.name for limit in plan.limits)
    rules = Endpoints(validated, file, names)
    made = Upstream(
        base_url=plan.base_url,
        prefix=_prefixed(validated, file),
        endpoints=rules.all(),
        unmatched=rules.unmatched(),
        unmatched_cost=rules.cost(file.unmatched_cost, ("unmatched_cost",)),
        hosts=_hosts(validated, file),
        listen=_listen(validated, file),
        plan=plan.name,
        disabled=plan.disabled,
        credentials=plan.credentials,
        limits=plan.limits,
        secret_parameters=frozenset(_secrets(file, file.secrets.parameters, "query")),
        secret_headers=frozenset(map(str.lower, _secrets(file, file.secrets.headers, "header"))),
        private_headers=frozenset(file.private.headers),
        private_parameters=frozenset(file.private.parameters),
        timeout=min(file.timeout, file.deadline),
        connect_timeout=min(file.connect_timeout, file.timeout, file.deadline),
        body_checks=tuple(map(_body_check, file.body_checks)),
        usage=_usage(validated, file, names),
        usage_from=_usage_from(validated, file, plan.name, names),
        hold=_hold(validated, file.hold),
        outbound_proxy=_outbound_proxy(validated, file),
        tls_ca=existing(validated, ("tls_ca",), file.tls_ca, folder),
        **{name: getattr(file, name) for name in _AS_WRITTEN},
    )
    _check_warm(validated, made)
    return made


def _check_warm(validated: Validated[UpstreamFile], made: Upstream) -> None:
    """Complain of paths to be kept warm whose answers are never stored."""
    for index, path in enumerate(made.warm):
        target, _, query = path.partition("?")
        asking = Request("GET", made.prefix.rstrip("/") + target, query, ())
        route = Routes((made,)).match(asking)
        if not isinstance(route, Match) or route.unmatched or not route.endpoint.refreshable:
            validated.complain(
                ("warm", index),
                f"{path!r} meets no endpoint whose answers are kept (paths stand here as at the"
                " provider, without the prefix)",
            )


def existing(
    validated: Validated[UpstreamFile], path: Path, name: str | None, folder: FilePath
) -> str | None:
    """Return the absolute path of a file that the configuration names, relative to `folder`."""
    if not name:
        return None
    found = (folder / name).absolute()
    if not found.is_file():
        validated.complain(path, f"there is no file {found}")
    return str(found)


def _hosts(validated: Validated[UpstreamFile], file: UpstreamFile) -> tuple[str, ...]:
    hosts = []
    for index, host in enumerate(file.hosts):
        try:
            hosts.append(parse_host(host))
        except ValueError as error:
            validated.complain(("hosts", index), str(error))
    return tuple(hosts)


def _prefixed(validated: Validated[UpstreamFile], file: UpstreamFile) -> str:
    prefix = file.prefix if file.prefix is not None else f"/{file.name}"
    if len(prefix) > 1:
        prefix = prefix.rstrip("/")
    if _prefix(prefix) is None:
        validated.complain(
            ("prefix",), "is no prefix: '/', or segments of letters, digits, '.', '_', '-' and '~'"
        )
    return prefix


def _listen(validated: Validated[UpstreamFile], file: UpstreamFile) -> str | None:
    if not file.listen or file.listen == "off":
        return None
    try:
        parse_address(file.listen)
    except ValueError as error:
        validated.complain(("listen",), str(error))
        return None
    return file.listen


def _secrets(file: UpstreamFile, marked: tuple[str, ...], part: str) -> tuple[str, ...]:
    """Return all names that may carry a key: those of every plan, for bots bring any of them."""
    every = [file.credentials, *(plan.credentials for plan in file.plans.values())]
    named = [getattr(each, part) for each in every if each is not None]
    return (*marked, *(name for name in named if name))


def _body_check(file: BodyCheckFile) -> BodyCheck:
    return BodyCheck(file.path, file.values, file.statuses, file.counts_as, file.contains)


def _known_limits(validated: Validated[UpstreamFile]) -> frozenset[str]:
    """Return the names of all limits, those of plans that are not in force among them."""
    return frozenset(validated.written("limits")).union(
        *(validated.written("plans", plan, "limits") for plan in validated.written("plans"))
    )


def _usage_from(
    validated: Validated[UpstreamFile], file: UpstreamFile, plan: str, limits: frozenset[str]
) -> UsageFrom | None:
    """Return how to ask what was spent, where the plan in force has it."""
    asked = file.usage_from
    if asked is None:
        return None
    if asked.limit not in (known := _known_limits(validated)):
        there = ", ".join(sorted(known)) or "none at all"
        validated.complain(
            ("usage_from", "limit"), f"there is no limit {asked.limit!r}; there is: {there}"
        )
    if asked.limit not in limits or (asked.plans and plan not in asked.plans):
        return None
    return UsageFrom(asked.path, asked.used, asked.limit)


def _usage(
    validated: Validated[UpstreamFile], file: UpstreamFile, limits: frozenset[str]
) -> tuple[Usage, ...]:
    known = _known_limits(validated)
    for index, each in enumerate(file.usage):
        path = ("usage", index)
        if each.limit not in known:
            there = ", ".join(sorted(known)) or "none at all"
            validated.complain(
                (*path, "limit"), f"there is no limit {each.limit!r}; there is: {there}"
            )
        if (each.header is None) == (each.body is None):
            validated.complain(path, "say either `header` or `body`: where the figure stands")
    return tuple(_one_usage(each) for each in file.usage if each.limit in limits)


def _one_usage(file: UsageFile) -> Usage:
    return Usage(file.limit, file.header, file.body, file.means, file.reset_header, file.reset_unit)


def _hold(validated: Validated[UpstreamFile], file: HoldFile) -> Hold:
    for index, pattern in enumerate(file.until):
        try:
            groups = re.compile(pattern).groups
        except re.error as error:
            validated.complain(("hold", "until", index), f"is no regular expression: {error}")
            continue
        if groups != 1:
            validated.complain(("hold", "until", index), "must have one group: the epoch in ms")
    return Hold(
        statuses=file.statuses,
        body_patterns=file.until,
        blocked_statuses=tuple((each.status, each.contains, each.hold) for each in file.blocks),
        first=file.first,
        most=max(file.first, file.most),
    )


def _outbound_proxy(validated: Validated[UpstreamFile], file: UpstreamFile) -> str | None:
    if file.outbound_proxy and not file.outbound_proxy.startswith("http://"):
        validated.complain(
            ("outbound_proxy",), "is no HTTP proxy: http://[user:password@]host:port"
        )
    return file.outbound_proxy or None
