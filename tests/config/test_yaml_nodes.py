"""YAML: scalars of the core schema, positions, and what is no configuration at all."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.environment import Substituted
from proxy.config.yaml_nodes import DEEPEST, Position, core_scalar, parse


def data(text: str, **environ: str) -> Any:
    """Return what a sound document holds."""
    document = parse(text, "f", environ)
    assert document.problems == []
    return document.data


def problems(text: str) -> list[str]:
    """Return what is wrong with a document."""
    return [str(problem) for problem in parse(text, "f", {}).problems]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no", "no"),
        ("on", "on"),
        ("12:30", "12:30"),
        ("1_000", "1_000"),
        ("2001-01-01", "2001-01-01"),
        ("0o17", 15),
        ("0x1F", 31),
        ("012", 12),
        ("-7", -7),
        ("1.5e3", 1500.0),
        (".5", 0.5),
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("~", None),
        ("null", None),
        ("", None),
        ("1m", "1m"),
        ("-.inf", -math.inf),
        ("1" + "0" * 50, 1e50),
    ],
)
def test_plain_scalars_follow_the_core_schema(text: str, expected: object) -> None:
    """YAML 1.2, section 10.3.2: what looks like a time, a date or a `no` is a text."""
    assert core_scalar(text) == expected
    assert type(core_scalar(text)) is type(expected)


def test_not_a_number() -> None:
    """`.nan` is a number that is none."""
    assert math.isnan(core_scalar(".nan"))


def test_quotes_and_a_text_tag_make_texts() -> None:
    """What is quoted is a text, whatever it looks like."""
    assert data("a: '1'\nb: \"true\"\nc: !!str 12\nd: |\n  x\n") == {
        "a": "1",
        "b": "true",
        "c": "12",
        "d": "x\n",
    }


def test_keys_are_texts_as_written() -> None:
    """A table's `1m`, `100` and `true` rows keep their names."""
    assert data("{1m: a, 100: b, true: c, 012: d}") == {
        "1m": "a",
        "100": "b",
        "true": "c",
        "012": "d",
    }


def test_positions_of_keys_and_values() -> None:
    """Lines and columns count from 1."""
    document = parse("a:\n  - x: 1\n    y: 2\n", "f", {})

    assert document.keys["a", 0, "y"] == Position(3, 5)
    assert document.values["a", 0, "y"] == Position(3, 8)


def test_a_problem_of_something_missing_stands_at_its_mapping() -> None:
    """What is not written is complained of where it should have been."""
    document = parse("a:\n  b: 1\n", "f", {})

    assert str(document.problem(("a", "c"), "is missing")) == "f:1:1: a.c: is missing"


def test_the_environment_is_put_in_after_parsing() -> None:
    """A value from outside can change neither the shape nor the type of the document."""
    found = data("a: ${X}\nb: '${X}'\nc: ${Y:-}\nd: '${Y:-}'\n", X="{z: 1}")

    assert found == {"a": "{z: 1}", "b": "{z: 1}", "c": None, "d": ""}
    assert isinstance(found["a"], Substituted)


def test_anchors_repeat_values() -> None:
    """An alias stands for what its anchor named."""
    assert data("a: &x {b: 1}\nc: *x\n") == {"a": {"b": 1}, "c": {"b": 1}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\na: 2\n", ["f:2:1: a: the key stands twice; the first one is on line 1"]),
        (
            "a: ${NO}\n",
            ["f:1:4: a: the environment has no NO; set it, or give a default: ${NO:-…}"],
        ),
        ("a: 1\n---\nb: 2\n", ["f:2:1: a second document begins here: one a file"]),
        ("? [a]\n: 1\n", ["f:1:3: a key must be a plain text"]),
        ("a: *x\n", ["f:1:4: *x refers to nothing before it"]),
        ("a: &x [*x]\n", ["f:1:8: *x refers to nothing before it"]),
        ("a: !!python/none 1\n", ["f:1:4: a: tags are not used here; !!str alone is allowed"]),
        ("a: [1\n", None),
        ("\ta: 1\n", None),
        ("a: \x07\n", None),
    ],
)
def test_what_is_no_configuration(text: str, expected: list[str] | None) -> None:
    """Each is said with its place; a broken syntax in the parser's own words."""
    found = problems(text)

    if expected is None:
        assert len(found) == 1
        assert "is no YAML" in found[0]
    else:
        assert found == expected


def test_depth_is_bounded() -> None:
    """A document that nests without end is refused, not followed."""
    assert "nested deeper" in problems("[" * (DEEPEST + 2) + "]" * (DEEPEST + 2))[0]
    assert problems("[" * 100_000)


def test_what_aliases_repeat_is_bounded() -> None:
    """Ten levels of ten aliases are ten thousand million values: refused at once."""
    lines = ["a0: &a0 [x]"] + [
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 11)
    ]

    assert "holds more than" in problems("\n".join(lines))[0]


@given(st.text(alphabet="ab:-[]{},&*!|>'\"#%@`?$ \n\t1.~"))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    """Nothing but problems comes of garbage."""
    parse(text, "f", {})
