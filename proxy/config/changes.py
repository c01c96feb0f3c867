"""What differs between two configurations, in the words of the files; no secret is shown."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from proxy.config.settings import Settings

SECRET = "(secret)"  # noqa: S105 - what stands in for one
_NOT_CONFIGURED = frozenset(
    {
        "counts_in_body", "file", "files", "heeded", "keys_in_fields", "keys_in_query", "lifetimes",
        "rest", "segments", "telling", "variables", "warnings",
    }
)  # fmt: skip
"""Fields that follow from others, or from where the files are."""


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """One difference. Values are shown as text; None: it is not there."""

    path: str
    """As in `upstreams.coingecko.endpoints.price.ttl`."""
    before: str | None
    after: str | None

    def __str__(self) -> str:
        """`path: before -> after`, `path: added`, `path: removed`."""
        if self.before is None:
            return f"{self.path}: added"
        if self.after is None:
            return f"{self.path}: removed"
        return f"{self.path}: {self.before} -> {self.after}"


def changes(before: Settings, after: Settings) -> tuple[Change, ...]:
    """Return every difference, in the order of the settings."""
    return tuple(_differences("", before, after, secret=False))


def _differences(path: str, before: Any, after: Any, *, secret: bool) -> Iterator[Change]:
    if before == after:
        return
    if dataclasses.is_dataclass(before) and type(before) is type(after):
        for part in dataclasses.fields(before):
            if part.name not in _NOT_CONFIGURED:
                yield from _differences(
                    f"{path}.{part.name}" if path else part.name,
                    getattr(before, part.name),
                    getattr(after, part.name),
                    secret=not part.repr,
                )
    elif _are_named(before) and _are_named(after):
        yield from _by_name(path, before, after)
    else:
        shown = (SECRET, f"another {SECRET}") if secret else (_text(before), _text(after))
        yield Change(path, *shown)


def _by_name(path: str, before: tuple[Any, ...], after: tuple[Any, ...]) -> Iterator[Change]:
    old = {each.name: each for each in before}
    new = {each.name: each for each in after}
    for name in old | new:
        here = f"{path}.{name}"
        if name not in new:
            yield Change(here, "there", None)
        elif name not in old:
            yield Change(here, None, "there")
        else:
            yield from _differences(here, old[name], new[name], secret=False)


def _are_named(value: Any) -> bool:
    return isinstance(value, tuple) and all(hasattr(each, "name") for each in value)


def _text(value: Any) -> str:
    if isinstance(value, frozenset):
        return "{" + ", ".join(sorted(map(str, value))) + "}"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
