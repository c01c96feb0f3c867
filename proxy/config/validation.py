"""A document against its schema: the model, and every error with its line.

After an error the part that is wrong is left out and the rest is validated again, so that what
must agree between the parts can still be checked, and all errors are shown at once. What was left
out is `broken`: a later complaint about it, or about what it belongs to, is a mere consequence.
"""

import difflib
import types
from collections.abc import Mapping
from typing import Annotated, Any, Generic, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from proxy.config.problems import Path, Problem
from proxy.config.yaml_nodes import Document

ROUNDS = 4
"""How often to leave out what is wrong and look again; errors hide each other at most twice."""

Model = TypeVar("Model", bound=BaseModel)


class Validated(Generic[Model]):
    """A document, its model (None: it cannot be had), and the problems so far."""

    def __init__(
        self, document: Document, schema: type[Model], stand_ins: Mapping[str, Any] | None = None
    ) -> None:
        """Validate `document` against `schema`.

        `stand_ins` take the place of what must be at the top and is wrong or missing.
        """
        self._stand_ins = stand_ins or {}
        self.document = document
        self.problems: list[Problem] = list(document.problems)
        self.broken: set[Path] = set(document.broken)
        self.model: Model | None = None
        data = {} if document.data is None and not document.problems else document.data
        for _ in range(ROUNDS):
            try:
                self.model = schema.model_validate(data)
            except ValidationError as error:
                data = self._without(data, error.errors(include_url=False), schema)
            else:
                break

    def complain(self, path: Path, message: str, *, of_key: bool = False) -> None:
        """Add a problem, unless it follows from one that was already found."""
        if not self._follows(path):
            self.problems.append(self.document.problem(path, message, of_key=of_key))

    def written(self, *path: str) -> frozenset[str]:
        """Return the keys that the file has in the mapping at `path`, right or wrong."""
        found = self.document.data
        for part in path:
            found = found.get(part) if isinstance(found, dict) else None
        return frozenset(found) if isinstance(found, dict) else frozenset()

    def _follows(self, path: Path) -> bool:
        return any(path[: len(b)] == b or b[: len(path)] == path for b in self.broken)

    def _without(self, data: Any, errors: list[ErrorDetails], schema: type[BaseModel]) -> Any:
        whole = data  # what the errors speak of, though parts of it go one after the other
        for error in errors:
            at = self._actual(whole, error["loc"])
            missing = error["type"] == "missing"
            for path, message in _said(error, schema):
                self.complain((*at, *path), message, of_key=error["type"] == "extra_forbidden")
            if len(at) == 1 and at[0] in self._stand_ins and isinstance(data, dict):
                data = data | {at[0]: self._stand_ins[str(at[0])]}
                self.broken.add(at)
                continue
            data = _cut(data, at[:-1] if missing else at)
            self.broken.add(at[:-1] if missing else at)
        return data

    @staticmethod
    def _actual(data: Any, location: tuple[str | int, ...]) -> Path:
        """Return the document's path for pydantic's, which also names what it tried."""
        path: list[str | int] = []
        for index, part in enumerate(location):
            if isinstance(data, dict) and isinstance(part, str):
                if part in data:
                    data = data[part]
                    path.append(part)
                elif index == len(location) - 1:  # a key that is missing
                    path.append(part)
            elif isinstance(data, list) and isinstance(part, int) and part < len(data):
                data = data[part]
                path.append(part)
        return tuple(path)


def _cut(data: Any, path: Path) -> Any:
    """Return `data` without what stands at `path`; of a list nothing is taken but the whole."""
    if not path:
        return {}
    if isinstance(data, dict) and path[0] in data:
        rest = {key: value for key, value in data.items() if key != path[0]}
        below = data[path[0]]
        if len(path) == 1 or (isinstance(below, list)):
            return rest
        return data | {path[0]: _cut(below, path[1:])}
    return data


def _said(  # noqa: PLR0911 - one line a kind of error
    error: ErrorDetails, schema: type[BaseModel]
) -> list[tuple[Path, str]]:
    """Return what is wrong in our words: `(path below the error's, message)`."""
    context = error.get("ctx", {})
    match error["type"]:
        case "value_error":
            faults = getattr(context["error"], "faults", None)
            return list(faults) if faults else [((), str(context["error"]))]
        case "extra_forbidden":
            return [((), _unknown(error["loc"], schema))]
        case "missing":
            return [((), "is missing")]
        case "literal_error":
            return [((), f"is not allowed here: {context['expected']} is")]
        case "model_type" | "model_attributes_type" | "dict_type":
            return [((), "must be a mapping (`key: value` lines)")]
        case "list_type" | "tuple_type":
            return [((), "must be a list")]
        case _:
            return [((), error["msg"])]


def _unknown(location: tuple[str | int, ...], schema: type[BaseModel]) -> str:
    name = str(location[-1])
    allowed = sorted(_fields(schema, location[:-1]))
    near = difflib.get_close_matches(name, allowed, n=1)
    meant = f", did you mean `{near[0]}`?" if near else ";"
    return f"unknown key{meant} allowed: {', '.join(allowed)}"


def _fields(annotation: Any, location: tuple[str | int, ...]) -> frozenset[str]:
    """Return the keys that the schema allows at a location."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if not location:
            return frozenset(annotation.model_fields)
        found = annotation.model_fields.get(str(location[0]))
        return _fields(found.annotation, location[1:]) if found else frozenset()
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _fields(arguments[0], location)
    if origin in {Union, types.UnionType}:
        return frozenset().union(*(_fields(each, location) for each in arguments))
    if origin in {dict, list, tuple}:
        return _fields(arguments[1 if origin is dict else 0], location[1:])
    return frozenset()
