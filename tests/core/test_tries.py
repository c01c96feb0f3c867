"""Where templates lead: the most particular first, and by one way alone where there is one."""

import pytest

from proxy.core.templates import parse_template
from proxy.core.tries import candidates, step, trie
from proxy.core.upstreams import Endpoint


def rule(name: str, path: str, **query: str) -> Endpoint:
    return Endpoint(name, "u", path, parse_template(path), tuple(query.items()), ttl=1.0)


ROOT = trie(
    (
        rule("all", "/{rest:path}"),
        rule("coin", "/coins/{id}"),
        rule("coin_plain", "/coins/{id}", plain="1"),
        rule("list", "/coins/list"),
        rule("ping", "/ping"),
        rule("files", "/files/{rest:path}"),
        rule("range", "/coins/{id}/range"),
    )
)


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("", "all"),
        ("coins", "all"),
        ("coins/list", "list coin_plain coin all"),
        ("coins/x", "coin_plain coin all"),
        ("coins/list/range", "range all"),
        ("files", "files all"),
        ("files/a/b", "files all"),
        ("ping", "ping all"),
    ],
)
def test_the_most_particular_comes_first(path: str, names: str) -> None:
    """Literal before variable before rest, left to right; then more conditions."""
    found = candidates(ROOT, tuple(path.split("/")) if path else ())

    assert names == " ".join(endpoint.name for endpoint in found)


@pytest.mark.parametrize(
    ("segments", "name"),
    [
        (("ping",), "ping"),
        (("coins", "x"), "coin_plain"),
        (("coins", "list"), None),
        (("files",), None),
        (("absent",), None),
    ],
)
def test_one_way_is_taken_where_there_is_no_other(
    segments: tuple[str, ...], name: str | None
) -> None:
    """Where a literal stands beside a variable, or a rest takes what remains, none is the one."""
    node = ROOT
    for segment in segments:
        after = step(node, segment)
        if after is None:
            assert name is None
            return
        node = after

    assert name == node.here[0].name
