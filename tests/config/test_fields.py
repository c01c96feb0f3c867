"""The types of fields: read by one function, described to editors."""

import pytest
from pydantic import BaseModel, ValidationError

from proxy.config.fields import (
    Count,
    Duration,
    FieldNames,
    Statuses,
    StatusesOrAll,
    StatusTtls,
)


class Example(BaseModel):
    """A few fields."""

    wait: Duration = 1.0
    again: Duration = 2.0
    count: Count | None = None
    names: FieldNames = ()
    statuses: Statuses = frozenset()
    charged: StatusesOrAll = None
    negative: StatusTtls = ()


def test_fields_are_read() -> None:
    """What YAML says becomes what the core takes."""
    model = Example.model_validate(
        {
            "wait": "500ms",
            "count": 3,
            "names": ["X-A", "x-b"],
            "statuses": 429,
            "charged": [200],
            "negative": {"400": "30s"},
        }
    )

    assert model.model_dump() == {
        "wait": 0.5,
        "again": 2.0,
        "count": 3,
        "names": ("x-a", "x-b"),
        "statuses": {429},
        "charged": {200},
        "negative": ((400, 30.0),),
    }
    assert Example.model_validate({"charged": "all"}).charged is None


@pytest.mark.parametrize("wrong", [{"negative": {"4000": 1}}, {"negative": {"abc": 1}}])
def test_faults_are_pydantics_errors(wrong: dict[str, object]) -> None:
    """A reader's ValueError is an error of the field."""
    with pytest.raises(ValidationError):
        Example.model_validate(wrong)


def test_schemas_are_not_shared() -> None:
    """Two fields of one type keep their own defaults in the JSON Schema."""
    properties = Example.model_json_schema()["properties"]

    assert (properties["wait"]["default"], properties["again"]["default"]) == (1.0, 2.0)
