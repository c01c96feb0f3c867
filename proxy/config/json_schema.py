"""The configuration's JSON Schema: what editors complete and check by.

One schema for both kinds of file: one with `name` or `base_url` is an upstream's, any other is
`proxy.yaml`. What only the whole configuration can tell (references, ties) is `check`'s matter.
"""

from typing import Any

from proxy.config.fields import DURATION_FORMS, FIGURE_FORMS, REFERENCE
from proxy.config.schema import ProxyFile
from proxy.config.schema_upstream import UpstreamFile
from proxy.config.tables import FORMS

PLACEHOLDER = "x-definition"
"""Where a schema names one of the tables, which are no models."""


def json_schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12) of `proxy.yaml` and of the upstreams' files."""
    definitions = _tables()
    for model in (ProxyFile, UpstreamFile):
        made = model.model_json_schema()
        definitions |= made.pop("$defs", {})
        definitions[model.__name__] = made
    upstream = {"anyOf": [{"required": ["name"]}, {"required": ["base_url"]}]}
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "quota-proxy",
        "if": upstream,
        "then": {"$ref": f"#/$defs/{UpstreamFile.__name__}"},
        "else": {"$ref": f"#/$defs/{ProxyFile.__name__}"},
        "$defs": dict(sorted(definitions.items())),
    }
    readable: dict[str, Any] = _readable(schema)
    return readable


def _readable(part: Any) -> Any:
    """Return `part` with tables as references, and without the titles that pydantic makes up."""
    if isinstance(part, list):
        return [_readable(each) for each in part]
    if not isinstance(part, dict):
        return part
    made: dict[str, Any] = {}
    for key, value in part.items():
        if key == PLACEHOLDER:
            made["$ref"] = f"#/$defs/{value}"
        elif key == "properties":
            made[key] = {name: _readable(each) for name, each in value.items()}
        elif key != "title" or value == "quota-proxy":
            made[key] = _readable(value)
    if made.get("type") == "string" and "enum" in made:
        words = {"type": made.pop("type"), "enum": made.pop("enum")}
        made["anyOf"] = [words, REFERENCE]
    return made


def _tables() -> dict[str, Any]:
    return {
        "Lifetime": _table(
            "A duration, or a table of them by a parameter.", DURATION_FORMS, "Lifetime", {}
        ),
        "CostTable": _table(
            "A figure, or a table of them by a parameter.",
            FIGURE_FORMS,
            "CostTable",
            {
                "per": {"type": "number", "description": "Members for each step. Default 1."},
                "each": {"type": "number", "description": "What a step costs. Default 1."},
                "less": {"type": "number", "description": "Members that cost nothing."},
                "most": {"type": "number", "description": "Most that it can cost."},
                "sum": {
                    "type": "array",
                    "items": {"$ref": "#/$defs/CostTable"},
                    "description": "Tables whose figures are added.",
                },
            },
        ),
        "Cost": {
            "description": "A figure or a table for every limit, or a map from limits to them.",
            "anyOf": [
                {"$ref": "#/$defs/CostTable"},
                {"type": "object", "additionalProperties": {"$ref": "#/$defs/CostTable"}},
            ],
        },
    }


def _table(
    description: str, figure: tuple[dict[str, Any], ...], name: str, more: dict[str, Any]
) -> dict[str, Any]:
    nested = {"$ref": f"#/$defs/{name}"}
    words = {
        "by": {"type": "string", "description": "Query parameter or path variable to go by."},
        "else": nested | {"description": "For every other value."},
        "absent": nested | {"description": "Where the parameter is absent."},
        "up_to": {
            "type": "object",
            "additionalProperties": nested,
            "description": "Steps: a value up to 100 costs 5, as in {100: 5, 500: 25}.",
        },
        "list": {"enum": list(FORMS), "description": "Count the members of a list."},
    }
    table = {"type": "object", "properties": words | more, "additionalProperties": nested}
    return {"description": description, "anyOf": [*figure, table]}
