"""Which upstream and which endpoint a request meets.

Upstream: a port of its own, then Host, then the longest prefix; the prefix is cut off only where
it was what met. Endpoint: literal segments before `{id}` before `{rest:path}`, left to right, then
more query conditions; methods do not choose. Segments are compared decoded; double slashes and a
trailing one make no difference to what is met.

What is forwarded: a met path with double slashes collapsed and a trailing one removed (kept where
the template has one); under `obey`, and where no endpoint is met, as it was written, save that a
path outside `obey` never begins with two slashes, which some read as a host.

Dot segments, in any spelling that some server resolves, and control characters are out of bounds:
they would meet one endpoint here and another at the provider. An `%2F` inside a segment is data.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias
from urllib.parse import unquote

from msgspec import Struct

from proxy.core.model import Policy, Request
from proxy.core.parameters import Parameters, decode
from proxy.core.paths import OutOfBounds, Segments, is_plain, parsed
from proxy.core.templates import parse_template, specificity, ties
from proxy.core.tries import Node, candidates, step, trie
from proxy.core.upstreams import Endpoint, Upstream

__all__ = [
    "Match",
    "NoMatch",
    "OutOfBounds",
    "Route",
    "Routes",
    "parse_template",
    "specificity",
    "ties",
]

_Target: TypeAlias = tuple[str, str, str, int]
_Folder: TypeAlias = tuple[str, str, int]

REMEMBERED: Final = 4096
"""Matches that are kept at hand: bots ask for the same targets again and again."""

_MOST_PLACES: Final = 1024
"""Folders of paths that are remembered."""

_SHORT: Final = 512
"""Longest target that is remembered, in characters, its host among them: a bound on what that
takes."""

_OBEY: Final = Policy.OBEY


class Match(Struct, frozen=True, eq=False, gc=False):
    """The rule that a request meets, and what of the request the rule speaks of.

    Compared by identity, so that what is worked out from it can be remembered with it.
    """

    upstream: Upstream
    endpoint: Endpoint
    path: str
    """Raw upstream path to forward, without the base URL's own."""
    written: str
    """The same as the client wrote it: what a signature may cover, so private requests keep it."""
    query: str
    """Raw query as the client wrote it."""
    variables: Parameters
    """Decoded values of the template's variables, in order; a rest keeps its slashes."""
    parameters: Parameters
    """Decoded query parameters, in the order in which they were written."""
    segments: Segments
    """Decoded segments of the upstream path."""
    by: str
    """What met the upstream: `port`, `host` or `prefix`."""

    @property
    def unmatched(self) -> bool:
        """Whether no endpoint was met, and the upstream's rule for that case stands in."""
        return self.endpoint is self.upstream.unmatched


@dataclass(frozen=True, slots=True)
class NoMatch:
    """No upstream, or none of its endpoints where it refuses the rest: 404."""

    reason: str
    upstreams: tuple[str, ...]
    """Names of those there are."""
    upstream: str = ""
    """The one that was met, if any."""


Route: TypeAlias = Match | NoMatch | OutOfBounds


class _Place(Struct, frozen=True):
    """What all paths share that differ in a last, plain segment: where it stands in the trie.

    It depends on what stands before the last slash, on Host and on the port.
    """

    upstream: Upstream
    by: str
    segments: Segments
    """Those of the upstream path that come before the last."""
    start: int
    """Where the upstream path begins in what the client writes."""
    node: Node


class Routes:
    """All upstreams, indexed once; a match costs the same with ten endpoints and ten thousand."""

    def __init__(
        self, upstreams: Iterable[Upstream], ports: Mapping[int, str] | None = None
    ) -> None:
        """Index `upstreams`.

        `ports` names the upstream behind each listener of its own, where the system chose the
        port; without it the ports are those that the configuration names.
        """
        self._upstreams = {upstream.name: upstream for upstream in upstreams}
        self._names = tuple(sorted(self._upstreams))
        named = {name: _port(each.listen) for name, each in self._upstreams.items()}
        own = {port: name for name, port in named.items() if port} if ports is None else ports
        self._ports = {port: self._upstreams[name] for port, name in own.items()}
        self._hosts: dict[str, Upstream] = {}
        self._prefixes: dict[Segments, Upstream] = {}
        for upstream in self._upstreams.values():
            self._hosts.update((host.lower(), upstream) for host in upstream.hosts)
            self._prefixes[_prefix(upstream)] = upstream
        self._longest = max(map(len, self._prefixes), default=0)
        self._tries = {name: trie(each.endpoints) for name, each in self._upstreams.items()}
        self._met: dict[_Target, Route] = {}
        self._met_before: dict[_Target, Route] = {}
        self._places: dict[_Folder, _Place | None] = {}

    @property
    def upstreams(self) -> Mapping[str, Upstream]:
        """The upstreams by name."""
        return self._upstreams

    def match(self, request: Request) -> Route:
        """Return the rule that `request` meets; the same object for the same target, mostly."""
        asked = (request.path, request.query, request.host, request.port)
        if (known := self._met.get(asked)) is not None:
            return known
        route = self._met_before.get(asked) or self._match(request)
        if len(request.path) + len(request.query) + len(request.host) <= _SHORT:
            if len(self._met) >= REMEMBERED // 2:  # those that are not asked for again are let go
                self._met_before, self._met = self._met, {}
            self._met[asked] = route
        return route

    def _match(self, request: Request) -> Route:
        folder, slash, last = request.path.rpartition("/")
        if slash and last and is_plain(last) and len(folder) + len(request.host) <= _SHORT:
            where = (folder, request.host, request.port)
            place = self._places.get(where) or self._noted(where)
            found = _in_place(place, request, last) if place else None
            if found is not None:
                return found
        return self._walked(request)

    def _noted(self, where: _Folder) -> _Place | None:
        """Return, and remember, what the paths of a folder share; None: nothing."""
        if where in self._places:
            return None
        if len(self._places) >= _MOST_PLACES:
            self._places.clear()
        place = self._places[where] = self._place(*where)
        return place

    def _place(self, folder: str, host: str, port: int) -> _Place | None:
        start, *written = folder.split("/")
        if start or not all(written) or not all(map(is_plain, written)):
            return None
        segments = tuple(written)
        upstream, by, cut = self._upstream(host, port, segments)
        if upstream is None or (by == "prefix" and self._longest > len(segments)):
            return None  # the last segment may yet be of a longer prefix
        node: Node | None = self._tries[upstream.name]
        if node is not None and node.rest:
            return None
        for segment in segments[cut:]:
            node = None if node is None else step(node, segment)
        if node is None:
            return None
        cut_off = sum(1 + len(segment) for segment in segments[:cut])
        return _Place(upstream, by, segments[cut:], cut_off, node)

    def _walked(self, request: Request) -> Route:
        """Return what a path meets that is like no other."""
        read = parsed(request.path)
        if isinstance(read, OutOfBounds):
            return read
        raw, decoded = read
        upstream, by, cut = self._upstream(request.host, request.port, decoded)
        if upstream is None:
            return NoMatch(f"no upstream is met by {request.path!r}", self._names)
        segments = decoded[cut:]
        parameters = decode(request.query)
        endpoint = self._endpoint(upstream, segments, parameters)
        if endpoint is None:
            reason = f"no endpoint of {upstream.name} is met by {request.path!r}"
            return NoMatch(reason, self._names, upstream.name)
        written = _after(request.path, cut)
        obey = endpoint.policy is _OBEY
        if not obey and written.startswith("//"):
            written = "/" + written.lstrip("/")
        as_written = obey or endpoint is upstream.unmatched
        return Match(
            upstream,
            endpoint,
            written if as_written else _tidy(endpoint, raw[cut:]),
            written,
            request.query,
            _variables(endpoint, segments),
            parameters,
            segments,
            by,
        )

    def explain(self, request: Request) -> tuple[str, ...]:
        """Say in a few lines what `request` meets, and why it is not something else."""
        route = self.match(request)
        match route:
            case OutOfBounds(reason):
                return (f"out of bounds: {reason}",)
            case NoMatch(reason):
                return (reason, f"upstreams: {', '.join(self._names) or 'none'}")
            case Match():
                return (_why_upstream(route, request), *self._why_endpoint(route))

    def _upstream(
        self, host: str, port: int, segments: Segments
    ) -> tuple[Upstream | None, str, int]:
        """Return the upstream, what met it, and how many segments to cut off."""
        if (found := self._ports.get(port)) is not None:
            return found, "port", 0
        if (found := self._hosts.get(host)) is not None:
            return found, "host", 0
        count = min(self._longest, len(segments))
        while count >= 0:
            if (found := self._prefixes.get(segments[:count])) is not None:
                return found, "prefix", count
            count -= 1
        return None, "", 0

    def _endpoint(
        self, upstream: Upstream, segments: Segments, parameters: Parameters
    ) -> Endpoint | None:
        for endpoint in candidates(self._tries[upstream.name], segments):
            if not endpoint.conditions or not _unmet(endpoint, parameters):
                return endpoint
        return upstream.unmatched

    def _why_endpoint(self, match: Match) -> Iterator[str]:
        taken = match.endpoint
        if match.unmatched:
            yield f"endpoint {taken.name}: no path of {match.upstream.name} is met"
        for endpoint in candidates(self._tries[match.upstream.name], match.segments):
            missing = _unmet(endpoint, match.parameters)
            if endpoint is taken:
                yield f"endpoint {taken.name}: {taken.path} {_how(match)}"
            elif missing:
                yield f"not {endpoint.name}: it wants {_listed(missing)}"
            else:
                yield f"not {endpoint.name}: {endpoint.path} is less particular"


def _port(listen: str | None) -> int:
    _, _, port = (listen or "").rpartition(":")
    return int(port) if port.isdecimal() else 0


def _prefix(upstream: Upstream) -> Segments:
    return tuple(unquote(part) for part in upstream.prefix.split("/") if part)


# ── Paths ──


def _in_place(place: _Place, request: Request, last: str) -> Match | None:
    """Return what is met by a path of which all but the plain `last` segment is known."""
    node = step(place.node, last)
    if node is None:
        return None
    parameters = decode(request.query) if request.query else ()
    for endpoint in node.here:
        if not endpoint.conditions or not _unmet(endpoint, parameters):
            break
    else:
        return None
    written = request.path[place.start :]
    tail = endpoint.policy is not _OBEY and endpoint.path.endswith("/")
    segments = (*place.segments, last)
    return Match(
        place.upstream,
        endpoint,
        written + "/" if tail else written,
        written,
        request.query,
        tuple([(name, segments[index]) for name, index in endpoint.variables]),
        parameters,
        segments,
        place.by,
    )


def _tidy(endpoint: Endpoint, raw: Segments) -> str:
    """Return a met path as it is forwarded."""
    tail = "/" if raw and endpoint.path.endswith("/") else ""
    return "/" + "/".join(raw) + tail


def _after(path: str, count: int) -> str:
    """Return what stands in a raw path after its first `count` segments; at least a slash."""
    position = 0
    for _ in range(count):
        while path[position] == "/":
            position += 1
        found = path.find("/", position)
        position = found if found >= 0 else len(path)
    return path[position:] or "/"


# ── Endpoints ──


def _unmet(endpoint: Endpoint, parameters: Parameters) -> Parameters:
    """Return the conditions that `parameters` do not meet; a repeated one must agree throughout."""
    return tuple(
        (name, wanted)
        for name, wanted in endpoint.conditions
        if {value for key, value in parameters if key == name} != {wanted}
    )


def _variables(endpoint: Endpoint, segments: Segments) -> Parameters:
    found = [(name, segments[index]) for name, index in endpoint.variables]
    if endpoint.rest:
        index = len(endpoint.segments) - 1
        found.append((endpoint.segments[index].text, "/".join(segments[index:])))
    return tuple(found)


# ── Reasons ──


def _why_upstream(match: Match, request: Request) -> str:
    name = match.upstream.name
    match match.by:
        case "port":
            return f"upstream {name}: port {request.port} is its own"
        case "host":
            return f"upstream {name}: Host {request.host} is its own"
        case _:
            return f"upstream {name}: {match.upstream.prefix} is the longest prefix that is met"


def _how(match: Match) -> str:
    endpoint = match.endpoint
    parts = [f"{{{name}}} = {value!r}" for name, value in match.variables]
    parts += [f"{name}={value} as it wants" for name, value in endpoint.conditions]
    return f"is met ({', '.join(parts)})" if parts else "is met"


def _listed(conditions: Parameters) -> str:
    return ", ".join(f"{name}={value}" for name, value in conditions)
