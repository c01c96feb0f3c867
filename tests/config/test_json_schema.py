"""The JSON Schema: current in the repository, named by each file, and whole."""

import json
from pathlib import Path
from typing import Any

from proxy.config.json_schema import PLACEHOLDER, json_schema

CONFIG = Path(__file__).parents[2] / "config"


def test_the_shipped_schema_is_current() -> None:
    """`config/schema.json` is what `quota-proxy schema` prints."""
    shipped = json.loads((CONFIG / "schema.json").read_text(encoding="utf-8"))

    assert shipped == json_schema(), "run: quota-proxy schema > config/schema.json"


def test_each_shipped_file_names_it() -> None:
    """Editors find the schema by the first line of a file."""
    for file in (CONFIG / "proxy.yaml", *(CONFIG / "upstreams").glob("*.yaml")):
        first = file.read_text(encoding="utf-8").splitlines()[0]
        named = first.removeprefix("# yaml-language-server: $schema=")

        assert (file.parent / named).resolve() == CONFIG / "schema.json", file


def parts(schema: Any) -> list[dict[str, Any]]:
    """Return a schema and all that is in it."""
    if isinstance(schema, list):
        return [each for part in schema for each in parts(part)]
    if not isinstance(schema, dict):
        return []
    return [schema, *(each for part in schema.values() for each in parts(part))]


def test_every_reference_leads_somewhere() -> None:
    """Tables and models stand under `$defs`, and no placeholder is left."""
    schema = json_schema()
    names = {f"#/$defs/{name}" for name in schema["$defs"]}

    assert {part["$ref"] for part in parts(schema) if isinstance(part.get("$ref"), str)} <= names
    assert not any(PLACEHOLDER in part for part in parts(schema))
    assert not any("title" in part for part in schema["$defs"].values())


def test_an_upstreams_file_is_known_by_its_name_or_address() -> None:
    """One schema serves both kinds of file."""
    schema = json_schema()

    assert schema["if"] == {"anyOf": [{"required": ["name"]}, {"required": ["base_url"]}]}
    assert schema["then"] == {"$ref": "#/$defs/UpstreamFile"}
    assert schema["else"] == {"$ref": "#/$defs/ProxyFile"}


def test_the_environment_may_stand_for_any_scalar() -> None:
    """An editor does not complain of `${NAME}` where a number or a word is expected."""
    proxy = json_schema()["$defs"]["ProxyFile"]["properties"]
    log = json_schema()["$defs"]["LogFile"]["properties"]
    reference = {"type": "string", "pattern": r"\$\{"}

    assert reference in proxy["fleet_size"]["anyOf"]
    assert reference in proxy["open"]["anyOf"]
    assert reference in log["level"]["anyOf"]
