"""A YAML document as plain values, with the line and column of every key and value.

Scalars follow the core schema of YAML 1.2 (section 10.3.2): `no`, `12:30` and `1_000` are texts.
Mapping keys are always texts, as written. Duplicate keys, tags, a second document and keys that
are no scalars are errors. `${…}` is replaced here, in values only, after parsing.

Values are built from PyYAML's events and not from its nodes: so depth and the size of what
aliases repeat are bounded, and libyaml does the scanning where it is there.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from proxy.config.environment import Substituted, substitute
from proxy.config.problems import Path, Problem, shown

DEEPEST = 32
"""Levels of nesting; a configuration has six."""
MOST_VALUES = 200_000
"""Values in one document, what aliases repeat counted each time."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_is_integer = re.compile(r"[-+]?[0-9]{1,40}").fullmatch
_is_octal_or_hex = re.compile(r"0o[0-7]{1,40}|0x[0-9a-fA-F]{1,40}").fullmatch
_is_float = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?").fullmatch
_is_infinity = re.compile(r"[-+]?\.(?:inf|Inf|INF)").fullmatch
_NOT_A_NUMBER = frozenset({".nan", ".NaN", ".NAN"})
_TEXT_TAG = "tag:yaml.org,2002:str"


@dataclass(frozen=True, slots=True)
class Position:
    """Counted from 1."""

    line: int
    column: int


@dataclass(slots=True)
class Document:
    """A parsed file. `data` is made of dicts, lists and scalars."""

    file: str
    data: Any = None
    keys: dict[Path, Position] = field(default_factory=dict)
    values: dict[Path, Position] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    """What is wrong with the YAML itself."""
    broken: set[Path] = field(default_factory=set)
    """Where a value could not be made: nothing more is to be said of it."""
    variables: dict[Path, tuple[str, ...]] = field(default_factory=dict)
    """Environment variables that a value names, whether they are set or not."""

    def problem(self, path: Path, message: str, *, of_key: bool = False) -> Problem:
        """Return a problem at `path`, or at the nearest of its ancestors that is written down."""
        at = self._position(path, self.keys if of_key else self.values)
        return Problem(self.file, at.line, at.column, shown(path), message)

    def _position(self, path: Path, first: Mapping[Path, Position]) -> Position:
        if path in first:
            return first[path]
        for length in range(len(path), -1, -1):
            # Of what is missing in a mapping, the mapping's own key is the best place.
            found = self.keys.get(path[:length]) or self.values.get(path[:length])
            if found is not None:
                return found
        return Position(1, 1)


def parse(text: str, file: str, environ: Mapping[str, str]) -> Document:
    """Parse one YAML document; never raises: what is wrong stands in `problems`."""
    builder = _Builder(Document(file), environ)
    try:
        builder.build(yaml.parse(text, Loader=_LOADER))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        builder.fault((), f"is no YAML: {_said(error)}", mark)
    except yaml.YAMLError as error:
        builder.fault((), f"is no YAML: {str(error).splitlines()[0]}", None)
    except _UnusableError as error:
        builder.fault((), str(error), error.mark)
    return builder.document


class _UnusableError(Exception):
    """The document cannot be read on."""

    def __init__(self, message: str, mark: Any) -> None:
        super().__init__(message)
        self.mark = mark


class _Builder:
    def __init__(self, document: Document, environ: Mapping[str, str]) -> None:
        self.document = document
        self._environ = environ
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._count = 0

    def build(self, events: Iterator[Any]) -> None:
        """Read the whole stream."""
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _UnusableError(
                        "a second document begins here: one a file", event.start_mark
                    )
                self.document.data = self._value(next(events), events, ())

    def fault(self, path: Path, message: str, mark: Any) -> None:
        """Note what is wrong at `mark`."""
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        problem = Problem(self.document.file, line, column, shown(path), message)
        self.document.problems.append(problem)
        self.document.broken.add(path)

    def _value(self, event: Any, events: Iterator[Any], path: Path) -> Any:
        if len(path) > DEEPEST:
            raise _UnusableError(f"is nested deeper than {DEEPEST} levels", event.start_mark)
        mark = event.start_mark
        # What begins on a line of its own is found by its key, which says what it is.
        in_block = getattr(event, "flow_style", True) is False and path in self.document.keys
        position = Position(mark.line + 1, mark.column + 1)
        self.document.values[path] = self.document.keys[path] if in_block else position
        before = self._counted(1, mark)
        if isinstance(event, yaml.AliasEvent):
            return self._repeated(event)
        tag = event.tag
        if tag not in {None, "!"} and not (tag == _TEXT_TAG and hasattr(event, "value")):
            self.fault(path, "tags are not used here; !!str alone is allowed", mark)
        value = self._made(event, events, path)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, self._count - before + 1)
        return value

    def _made(self, event: Any, events: Iterator[Any], path: Path) -> Any:
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(events, path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(events, path)
        try:
            text = substitute(event.value, self._environ)
        except ValueError as error:
            self.fault(path, str(error), event.start_mark)
            return None
        if isinstance(text, Substituted):
            self.document.variables[path] = text.variables
        if not event.implicit[0]:
            return text
        if isinstance(text, Substituted):  # its type is settled by where it stands; empty is null
            return text or None
        return core_scalar(text)

    def _mapping(self, events: Iterator[Any], path: Path) -> dict[str, Any]:
        made: dict[str, Any] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            mark = event.start_mark
            if not isinstance(event, yaml.ScalarEvent):
                raise _UnusableError("a key must be a plain text", mark)
            key = event.value
            here = (*path, key)
            if key in made:
                first = self.document.keys[here].line
                message = f"the key stands twice; the first one is on line {first}"
                self.document.problems.append(
                    Problem(
                        self.document.file, mark.line + 1, mark.column + 1, shown(here), message
                    )
                )
                self._value(next(events), events, (*path, key, "twice"))
                continue
            self.document.keys[here] = Position(mark.line + 1, mark.column + 1)
            made[key] = self._value(next(events), events, here)
        return made

    def _sequence(self, events: Iterator[Any], path: Path) -> list[Any]:
        made: list[Any] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            made.append(self._value(event, events, (*path, len(made))))
        return made

    def _repeated(self, event: Any) -> Any:
        if event.anchor not in self._anchors:
            raise _UnusableError(f"*{event.anchor} refers to nothing before it", event.start_mark)
        value, size = self._anchors[event.anchor]
        self._counted(size, event.start_mark)
        return value

    def _counted(self, size: int, mark: Any) -> int:
        self._count += size
        if self._count > MOST_VALUES:
            raise _UnusableError(f"holds more than {MOST_VALUES} values", mark)
        return self._count


def core_scalar(text: str) -> Any:  # noqa: PLR0911 - one line a type of the schema
    """Return what a plain scalar means in the core schema of YAML 1.2."""
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _is_integer(text):
        return int(text)
    if _is_octal_or_hex(text):
        return int(text, 0)
    if _is_float(text):
        return float(text)
    if _is_infinity(text):
        return float(text.replace(".", ""))
    return float("nan") if text in _NOT_A_NUMBER else text


def _said(error: yaml.MarkedYAMLError) -> str:
    parts = (error.context, error.problem)
    return ", ".join(str(part) for part in parts if part)
