"""The types of a schema's fields: how each is read, and what editors are told of it.

pydantic calls the reader and nothing else; what it would build for a type as well (serialisers,
the checks of the type itself) would double the time that the schema takes to make at every start.
"""

import copy
from collections.abc import Callable
from typing import Annotated, Any, Final

from pydantic.annotated_handlers import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from proxy.config import scalars
from proxy.config.tables import cost, lifetime
from proxy.core.tables import Table
from proxy.core.upstreams import CalendarUnit, Cost

REFERENCE: Final[dict[str, Any]] = {"type": "string", "pattern": r"\$\{"}
"""`${…}` may stand for any scalar."""


class Read:
    """Says that a field is read by a function, and how a JSON Schema describes it."""

    def __init__(self, read: Callable[[Any], Any], *forms: dict[str, Any]) -> None:
        self._read = read
        self._schema = forms[0] if len(forms) == 1 else {"anyOf": list(forms)}

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        del source, handler
        return core_schema.no_info_plain_validator_function(self._read)

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        del core, handler
        return copy.deepcopy(self._schema)  # pydantic writes defaults into it


def _status_key(key: str) -> int:
    return _STATUS(int(key) if key.isdecimal() and len(key) < 4 else key)  # noqa: PLR2004 - digits


_STRING: Final[dict[str, Any]] = {"type": "string"}
_STRINGS: Final[dict[str, Any]] = {"type": "array", "items": _STRING}
_PLAIN: Final[dict[str, Any]] = {"type": ["string", "boolean", "integer"]}
DURATION_FORMS: Final[tuple[dict[str, Any], ...]] = (
    {"type": "number", "minimum": 0},
    {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?(ms|s|m|h|d)?$"},
    REFERENCE,
)
FIGURE_FORMS: Final[tuple[dict[str, Any], ...]] = ({"type": "number", "minimum": 0}, REFERENCE)

_NAME = scalars.matching(
    r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}",
    "a name is up to 64 letters, digits, '-', '_' and '.', and begins with a letter or digit",
)
_FIELD_NAME = scalars.matching(
    r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", "it must be the name of a header field"
)
_METHOD = scalars.matching(
    r"[A-Z][A-Z-]*", "methods are written in capitals, as in GET, HEAD, POST"
)
_STATUS = scalars.whole(100, 599)


def _lowered(value: object) -> str:
    return _FIELD_NAME(value).lower()


def _or_text(pattern: str, *types: str) -> tuple[dict[str, Any], ...]:
    return (*({"type": each} for each in types), {"type": "string", "pattern": pattern}, REFERENCE)


def _integer(least: int, most: int) -> Read:
    bounds = {"type": "integer", "minimum": least, "maximum": most}
    return Read(scalars.whole(least, most), bounds, REFERENCE)


_SIZE = r"[0-9]+(\.[0-9]+)?\s*([kKMGT]i?)?B?"

Text = Annotated[str, Read(scalars.text, _STRING)]
Name = Annotated[str, Read(_NAME, _STRING)]
Secret = Annotated[str, Read(scalars.secret, _STRING)]
Flag = Annotated[bool, Read(scalars.flag, {"type": "boolean"}, REFERENCE)]
Duration = Annotated[float, Read(scalars.duration, *DURATION_FORMS)]
PositiveDuration = Annotated[float, Read(scalars.positive_duration, *DURATION_FORMS)]
Window = Annotated[
    float | CalendarUnit,
    Read(scalars.window, {"enum": [unit.value for unit in CalendarUnit]}, *DURATION_FORMS),
]
Size = Annotated[int, Read(scalars.size, *_or_text(f"^{_SIZE}$", "integer"))]
SizeOrAny = Annotated[float, Read(scalars.size_or_any, *_or_text(f"^(any|{_SIZE})$", "integer"))]
Share = Annotated[float, Read(scalars.share, *_or_text("%$", "number"))]
Pace = Annotated[float, Read(scalars.pace, *_or_text("^even$|%$", "number"))]
Factor = Annotated[float, Read(scalars.factor, *_or_text("x$", "number"))]
Amount = Annotated[float, Read(scalars.amount, *FIGURE_FORMS)]
Count = Annotated[int, _integer(1, 1_000_000)]
Counts = Annotated[
    tuple[int, ...],
    Read(
        scalars.list_of(scalars.whole(1, 1_000_000)),
        {"type": "integer", "minimum": 1},
        {"type": "array", "items": {"type": "integer", "minimum": 1}},
    ),
]
Place = Annotated[int, _integer(0, 100)]
Urgency = Annotated[int, _integer(0, 7)]
Port = Annotated[int, _integer(1, 65535)]
Status = Annotated[int, _integer(100, 599)]
Texts = Annotated[tuple[str, ...], Read(scalars.list_of(scalars.text), _STRING, _STRINGS)]
Plains = Annotated[
    tuple[str, ...], Read(scalars.list_of(scalars.plain), {"type": "array", "items": _PLAIN})
]
FieldName = Annotated[str, Read(_FIELD_NAME, _STRING)]
FieldNames = Annotated[tuple[str, ...], Read(scalars.list_of(_lowered), _STRINGS)]
Methods = Annotated[frozenset[str], Read(scalars.set_of(_METHOD), _STRINGS)]
Statuses = Annotated[
    frozenset[int], Read(scalars.set_of(_STATUS), {"type": "array", "items": {"type": "integer"}})
]
StatusesOrAll = Annotated[
    frozenset[int] | None,
    Read(
        lambda value: None if value == "all" else scalars.set_of(_STATUS)(value),
        {"const": "all"},
        {"type": "array", "items": {"type": "integer"}},
    ),
]
Conditions = Annotated[
    tuple[tuple[str, str], ...],
    Read(
        scalars.mapping_of(str, scalars.plain), {"type": "object", "additionalProperties": _PLAIN}
    ),
]
StatusTtls = Annotated[
    tuple[tuple[int, float], ...],
    Read(
        scalars.mapping_of(_status_key, scalars.duration),
        {
            "type": "object",
            "patternProperties": {"^[1-5][0-9]{2}$": {"anyOf": list(DURATION_FORMS)}},
        },
    ),
]
ContentType = Annotated[str, Read(scalars.text, {"type": "string", "examples": ["any"]})]
Resets = Annotated[
    Any,
    Read(lambda value: value, {"type": "integer", "minimum": 1, "maximum": 31}, {"type": "string"}),
]
Lifetime = Annotated[Table, Read(lifetime, {"x-definition": "Lifetime"})]
Interval = Annotated[
    str | Table,
    Read(
        lambda value: lifetime(value) if isinstance(value, dict) else _NAME(value),
        _STRING,
        {"x-definition": "Lifetime"},
    ),
]
CostTable = Annotated[Cost, Read(cost, {"x-definition": "Cost"})]
