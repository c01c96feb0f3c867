"""`batch:` of an endpoint: what it means, and what it lacks."""

import pytest

from proxy.config.batches import BatchFile, made
from proxy.core.routing import parse_template
from proxy.core.shapes import Batch, Case, ListForm, Order

SEGMENTS = parse_template("/tokens/{chain}/{addresses}")


def read(**written: object) -> tuple[Batch | None, list[tuple[str, str]]]:
    told: list[tuple[str, str]] = []
    file = BatchFile.model_validate(written)
    return made(file, SEGMENTS, lambda key, message: told.append((key, message))), told


def test_a_list_in_the_query() -> None:
    """A parameter's list, its form, and the one for a member alone."""
    batch, told = read(
        list="symbols", form="json", single="symbol", array="symbol", unique=True, most=20
    )

    assert told == []
    assert batch == Batch(
        "symbols",
        form=ListForm.JSON,
        most=20,
        accepts=20,
        single="symbol",
        field=("symbol",),
        unique=True,
    )


def test_a_list_in_the_path() -> None:
    """The name of a variable of the template means the path."""
    batch, _ = read(list="addresses", array="baseToken.address", several=True, case="hex")

    assert batch == Batch(
        "addresses",
        in_path=True,
        accepts=100,
        field=("baseToken", "address"),
        several=True,
        case=Case.HEX,
    )


def test_a_sorted_object() -> None:
    """An object by name, in the provider's order."""
    batch, _ = read(list="ids", separator=";", order="sorted", at="data", unless=["page"])

    assert batch == Batch(
        "ids",
        separator=";",
        accepts=100,
        at="data",
        order=Order.SORTED,
        unless=frozenset({"page"}),
    )


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ({}, "list"),
        ({"single": "symbol", "array": "symbol"}, "list"),
        ({"list": "symbols", "single": "symbol"}, "array"),
        ({"list": "ids", "most": 50, "accepts": 20}, "accepts"),
        ({"list": "ids", "separator": "::"}, "separator"),
        ({"list": "ids", "separator": "a"}, "separator"),
        ({"list": "ids", "separator": "/"}, "separator"),
        ({"list": "ids", "separator": "\n"}, "separator"),
        ({"list": "ids", "separator": ";", "form": "json"}, "separator"),
    ],
)
def test_what_is_missing_is_said(written: dict[str, object], key: str) -> None:
    """What cannot work is told with its key, and makes no batch."""
    batch, told = read(**written)

    assert batch is None
    assert [key] == [named for named, _ in told]
