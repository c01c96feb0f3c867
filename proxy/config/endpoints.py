"""Endpoints: from their files to `proxy.core.upstreams.Endpoint`, and what must agree.

Every attribute comes from the endpoint, else from `defaults`, else from the upstream, else it is
the core's own default.
"""

from collections.abc import Iterable
from typing import Any, Final

from proxy.config import batches, series
from proxy.config.problems import Path
from proxy.config.schema_upstream import Behaviour, EndpointFile, UpstreamFile
from proxy.config.validation import Validated
from proxy.core.model import Policy
from proxy.core.shapes import Batch
from proxy.core.tables import Table
from proxy.core.templates import parse_template, ties
from proxy.core.upstreams import Cost, Endpoint, Segment

UNMATCHED: Final = "unmatched"
"""Name of the rule for what meets no endpoint."""

_CLOCKS = frozenset({"time", "servertime", "server_time", "server-time"})
_OF_UPSTREAMS_TOO = frozenset({"methods", "max_wait", "rescue_after", "priority"})
_PLAIN = (
    "methods",
    "max_wait",
    "rescue_after",
    "priority",
    "negative_ttl",
    "negative",
    "stretch",
    "client_refresh",
    "headers",
    "max_size",
    "max_age",
    "refresh_ahead",
    "worn_after",
)


class Endpoints:
    """The endpoints of one upstream's file."""

    def __init__(
        self, validated: Validated[UpstreamFile], file: UpstreamFile, limits: Iterable[str]
    ) -> None:
        """Take the names of the limits of the plan in force."""
        self._validated = validated
        self._file = file
        self._limits = frozenset(limits)
        self._named = validated.written("limits").union(
            *(validated.written("plans", plan, "limits") for plan in validated.written("plans"))
        )

    def all(self) -> tuple[Endpoint, ...]:
        """Return the endpoints, in the order of the file."""
        made = tuple(self._endpoint(name, each) for name, each in self._file.endpoints.items())
        for one, other in ties(made):
            self._validated.complain(
                ("endpoints", other.name),
                f"ties with `{one.name}`: a request can meet both, and neither is more particular;"
                " change a path, or tell them apart by `query`",
                of_key=True,
            )
        return made

    def unmatched(self) -> Endpoint | None:
        """Return the rule for what meets no endpoint; None: it is refused."""
        file = self._file
        if file.unmatched == "refuse":
            return None
        ttl: Table = 0.0
        policy = Policy.IGNORE
        if file.unmatched == "cache":
            policy = Policy(file.defaults.upstream_cache_control or "ignore")
            if file.defaults.ttl is None and policy is not Policy.OBEY:
                self._validated.complain(
                    ("unmatched",), "`cache` keeps answers for the defaults' ttl, and there is none"
                )
            ttl = file.defaults.ttl or 0.0
        segments = (Segment("rest", "path"),)
        rule = EndpointFile(path="/{rest:path}")
        return self._made(
            UNMATCHED,
            rule,
            segments,
            policy,
            ttl,
            self.cost(file.unmatched_cost, ("unmatched_cost",)),
        )

    def cost(self, cost: Cost | None, path: Path) -> Cost:
        """Return `cost` for the plan in force; what names a limit of no plan is an error."""
        if cost is None:
            return Cost()
        for name, _ in cost.named:
            if name not in self._named:
                known = ", ".join(sorted(self._named)) or "none at all"
                self._validated.complain(
                    (*path, name), f"there is no limit {name!r}; there is: {known}", of_key=True
                )
        kept = tuple((name, table) for name, table in cost.named if name in self._limits)
        return Cost(cost.general, kept)

    def _endpoint(self, name: str, file: EndpointFile) -> Endpoint:
        path: Path = ("endpoints", name)
        if name == UNMATCHED:
            self._validated.complain(path, f"no endpoint can be called {UNMATCHED}", of_key=True)
        segments: tuple[Segment, ...] = ()
        try:
            segments = parse_template(file.path)
        except ValueError as error:
            self._validated.complain((*path, "path"), str(error))
        policy = Policy(self._pick(file, "upstream_cache_control", "ignore"))
        ttl = self._ttl(file, path, segments, policy)
        self._check(file, path, ttl)
        cost = self._pick(file, "cost", None)
        where = (*path, "cost") if file.cost is not None else ("defaults", "cost")
        series.check(file, lambda key, message: self._validated.complain((*path, key), message))
        return self._made(name, file, segments, policy, ttl, self.cost(cost, where))

    def _pick(self, file: Behaviour, attribute: str, default: Any) -> Any:
        for layer in (file, self._file.defaults):
            found = getattr(layer, attribute)
            if found is not None:
                return found
        found = getattr(self._file, attribute) if attribute in _OF_UPSTREAMS_TOO else None
        return default if found is None else found

    def _ttl(
        self, file: EndpointFile, path: Path, segments: tuple[Segment, ...], policy: Policy
    ) -> Table | None:
        own = file.ttl is not None
        if file.live:
            if own:
                self._validated.complain((*path, "ttl"), "`live` answers are never stored: no ttl")
            return 0.0
        ttl: Table | None = self._pick(file, "ttl", None)
        if policy is Policy.OBEY:
            return None
        if ttl is None and not file.private:
            self._validated.complain(
                path, "has no ttl, neither its own nor by `defaults`; or say `live: true`"
            )
        last = segments[-1] if segments else None
        is_clock = last is not None and last.kind == "literal" and last.text.lower() in _CLOCKS
        if is_clock and ttl not in {None, 0.0} and not file.private:
            self._validated.complain(
                (*path, "ttl"),
                "a provider's clock cannot be cached: bots set their own by it; say `live: true`",
            )
        return 0.0 if ttl is None else ttl

    def _check(self, file: EndpointFile, path: Path, ttl: Table | None) -> None:
        longest = self._pick(file, "max_age", None)
        if longest is not None and isinstance(ttl, float) and longest < ttl:
            where = "max_age" if file.max_age is not None or file.ttl is None else "ttl"
            self._validated.complain((*path, where), "max_age is shorter than the ttl")
        methods = self._pick(file, "methods", None)
        if file.cache_body and methods is not None and "POST" not in methods:
            self._validated.complain((*path, "cache_body"), "is for POST, which `methods` refuses")
        if file.worn_after and self._pick(file, "refresh_ahead", None) is None:
            self._validated.complain(
                (*path, "worn_after"), "is of refreshes ahead: say `refresh_ahead: true`"
            )

    def _made(
        self,
        name: str,
        file: EndpointFile,
        segments: tuple[Segment, ...],
        policy: Policy,
        ttl: Table | None,
        cost: Cost,
    ) -> Endpoint:
        content_type = self._pick(file, "content_type", "application/json")
        picked = {name: self._pick(file, name, None) for name in _PLAIN}
        return Endpoint(
            name=name,
            upstream=self._file.name,
            path=file.path,
            segments=segments,
            conditions=file.query,
            policy=policy,
            ttl=ttl,
            stale_while_revalidate=self._pick(file, "stale_while_revalidate", 0.0),
            stale_if_error=self._pick(file, "stale_if_error", 0.0),
            cost=cost,
            live=file.live,
            private=file.private,
            cache_body=file.cache_body,
            needs_client_key=file.needs_client_key,
            ignored_parameters=frozenset(self._pick(file, "ignored_parameters", ())),
            content_type=None if content_type == "any" else content_type,
            ignore_usage=file.ignore_usage,
            tags=file.tags,
            batch=self._batch(name, file, segments),
            align=file.align,
            round=None if file.round is None else file.round.made(),
            settled=file.settled,
            contains=None if file.contains is None else file.contains.made(),
            **{name: value for name, value in picked.items() if value is not None},
        )

    def _batch(self, name: str, file: EndpointFile, segments: tuple[Segment, ...]) -> Batch | None:
        if file.batch is None:
            return None

        def complain(key: str, message: str) -> None:
            self._validated.complain(("endpoints", name, "batch", key), message)

        return batches.made(file.batch, segments, complain)
