"""Path templates: `/api/v3/coins/{id}`, `/files/{rest:path}`.

- `{id}` takes one whole segment; a last `{rest:path}` takes all that remains, possibly nothing.
- Literal text is compared decoded; double slashes and a trailing one make no difference to what
  is met. A template that itself ends in a slash is forwarded with it (`/fng/`: the provider would
  redirect otherwise).
- Two endpoints tie where one request could meet both and nothing says which is meant.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from itertools import combinations
from urllib.parse import unquote

from proxy.core.upstreams import Endpoint, Segment

_variable = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(:path)?\}").fullmatch


def parse_template(path: str) -> tuple[Segment, ...]:
    """Return the segments of a path template.

    Raises:
        ValueError: it is no template; the message says what is wrong and what is allowed.

    """
    if not path.startswith("/"):
        raise ValueError(f"a path begins with '/', and {path!r} does not")
    if "?" in path or "#" in path:
        raise ValueError(f"{path!r} is more than a path: conditions on the query go under 'query'")
    parts = path[1:].removesuffix("/").split("/") if path != "/" else []
    segments = tuple(_segment(part, path) for part in parts)
    if any(segment.kind == "rest" for segment in segments[:-1]):
        raise ValueError(f"'{{…:path}}' takes all that remains, so it must stand last in {path!r}")
    names = [segment.text for segment in segments if segment.kind != "literal"]
    if len(set(names)) < len(names):
        raise ValueError(f"a variable stands twice in {path!r}")
    return segments


def ties(endpoints: Iterable[Endpoint]) -> tuple[tuple[Endpoint, Endpoint], ...]:
    """Return the pairs between which no request that meets both could choose.

    That is: the same shape of path, equally many query conditions, and none that contradict.
    """
    alike: defaultdict[tuple[object, ...], list[Endpoint]] = defaultdict(list)
    for endpoint in endpoints:
        alike[_shape(endpoint)].append(endpoint)
    return tuple(
        (one, other)
        for group in alike.values()
        for one, other in combinations(group, 2)
        if not _exclusive(one, other)
    )


def specificity(endpoint: Endpoint) -> tuple[object, ...]:
    """Return a key that sorts endpoints from the most to the least particular."""
    rank = {"literal": 0, "variable": 2, "rest": 3}
    path = tuple(rank[segment.kind] for segment in endpoint.segments)
    return ((*path, 1), -len(endpoint.conditions))  # a path that ends comes before a `rest`


def _segment(part: str, path: str) -> Segment:
    if not part:
        raise ValueError(f"{path!r} has an empty segment ('//')")
    found = _variable(part)
    if found:
        return Segment("rest" if found[2] else "variable", found[1])
    if "{" in part or "}" in part:
        raise ValueError(
            f"{part!r} in {path!r}: a variable takes a whole segment, as '{{name}}' "
            "or, at the end, '{name:path}'"
        )
    text = unquote(part, errors="surrogateescape")
    if text in {".", ".."}:
        raise ValueError(f"{path!r} has a segment {text!r}, which no request can meet")
    return Segment("literal", text)


def _shape(endpoint: Endpoint) -> tuple[object, ...]:
    path = tuple(
        (segment.kind, segment.text if segment.kind == "literal" else "")
        for segment in endpoint.segments
    )
    return (path, len(endpoint.conditions))


def _exclusive(one: Endpoint, other: Endpoint) -> bool:
    wanted = dict(one.conditions)
    return any(wanted.get(name, value) != value for name, value in other.conditions)
