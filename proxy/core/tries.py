"""Tries: the path templates of an upstream, so that one walk finds what meets a path.

Literal segments come before `{id}`, and that before `{rest:path}`, left to right; then more query
conditions.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from proxy.core.upstreams import Endpoint


@dataclass(slots=True)
class Node:
    """What is known of the templates after some segments."""

    literals: dict[str, "Node"] = field(default_factory=dict)
    variable: "Node | None" = None
    here: tuple[Endpoint, ...] = ()
    """What ends here."""
    rest: tuple[Endpoint, ...] = ()
    """What takes all that remains from here on."""


def trie(endpoints: Iterable[Endpoint]) -> Node:
    """Return the trie of some endpoints' templates."""
    root = Node()
    for endpoint in sorted(endpoints, key=lambda each: -len(each.conditions)):
        node = root
        for segment in endpoint.segments:
            if segment.kind == "literal":
                node = node.literals.setdefault(segment.text, Node())
            elif segment.kind == "variable":
                node.variable = node.variable or Node()
                node = node.variable
        if endpoint.rest:
            node.rest += (endpoint,)
        else:
            node.here += (endpoint,)
    return root


def candidates(root: Node, segments: tuple[str, ...]) -> list[Endpoint]:
    """Return the endpoints whose path is met, the most particular first."""
    found: list[Endpoint] = []
    _gather(root, segments, 0, found)
    return found


def _gather(node: Node, segments: tuple[str, ...], index: int, found: list[Endpoint]) -> None:
    if index == len(segments):
        found += node.here
    else:
        if (literal := node.literals.get(segments[index])) is not None:
            _gather(literal, segments, index + 1, found)
        if node.variable is not None:
            _gather(node.variable, segments, index + 1, found)
    found += node.rest


def step(node: Node, segment: str) -> Node | None:
    """Return the one node that can follow on `segment`, or None: there is none, or several ways.

    Where every step of a path has one way and ends at a node, the candidates are what ends there.
    """
    literal = node.literals.get(segment)
    after = node.variable if literal is None else literal
    if after is None or after.rest or (literal is not None and node.variable is not None):
        return None
    return after
