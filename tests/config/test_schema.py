"""The schema of `proxy.yaml`: its short forms."""

import pytest
from pydantic import BaseModel

from proxy.config.schema import ListenerFile, ProxyFile
from proxy.config.schema_upstream import UpstreamFile


@pytest.mark.parametrize(
    "listen",
    ["h:1", ["h:1"], {"address": "h:1"}, [{"address": "h:1"}]],
)
def test_a_listener_has_short_forms(listen: object) -> None:
    """An address stands for a mapping, one for a list of one."""
    assert ProxyFile.model_validate({"listen": listen}).listen == (ListenerFile(address="h:1"),)


def test_a_store_has_a_short_form() -> None:
    """Its URL stands for the mapping."""
    model = ProxyFile.model_validate({"store": "memory:", "ledger": {"url": "redis://h"}})

    assert model.store.url == "memory:"
    assert model.ledger is not None
    assert model.ledger.url == "redis://h"


@pytest.mark.parametrize("schema", [ProxyFile, UpstreamFile])
def test_every_key_is_described(schema: type[BaseModel]) -> None:
    """Editors show what each key means."""
    parts = [schema.model_json_schema(), *schema.model_json_schema()["$defs"].values()]

    undescribed = [
        f"{part['title']}.{key}"
        for part in parts
        for key, said in part["properties"].items()
        if not said.get("description")
    ]
    assert undescribed == []
