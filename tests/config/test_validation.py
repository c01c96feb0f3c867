"""Validation: every invalid fixture says what is wrong with it, at its line and column, at once.

A fixture ends in comments that hold its problems, in order; `…` stands for the rest of a line.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.config.problems import Problem
from proxy.config.schema import ProxyFile
from proxy.config.validation import Validated
from proxy.config.yaml_nodes import parse

INVALID = Path(__file__).parent / "invalid"


def expected(text: str) -> list[str]:
    """Return the problems that a fixture says it has."""
    return [line.removeprefix("# ") for line in text.splitlines() if line.startswith("# ")]


def said(problem: Problem, line: str) -> str:
    """Return a problem without its file, cut where the expected line is."""
    text = str(problem).partition(f"{problem.file}:")[2]
    kept, cut, _ = line.partition("…") if line.endswith("…") else (line, "", "")
    return text[: len(kept)] + cut if cut else text


@pytest.mark.parametrize("fixture", sorted(INVALID.glob("*/*.yaml")), ids=lambda path: path.stem)
def test_each_problem_is_said_at_its_place(
    complaints: Callable[..., tuple[Problem, ...]], fixture: Path
) -> None:
    """All errors of a file come at once, each with line, column, path, and what is allowed."""
    text = fixture.read_text(encoding="utf-8")
    wanted = expected(text)
    sound = "name: a\nbase_url: http://a\n"
    is_proxy = fixture.parent.name == "proxy"
    found = complaints(text, a=sound) if is_proxy else complaints(a=text)
    rest = wanted + [""] * len(found)

    assert wanted == [said(problem, line) for problem, line in zip(found, rest, strict=False)]


@pytest.mark.parametrize("fixture", sorted(INVALID.glob("*/*.yaml")), ids=lambda path: path.stem)
def test_no_problem_shows_a_secret(
    complaints: Callable[..., tuple[Problem, ...]], fixture: Path
) -> None:
    """Keys, tokens and passwords that stand in a faulty file are in no message."""
    text = fixture.read_text(encoding="utf-8")
    is_proxy = fixture.parent.name == "proxy"
    found = complaints(text) if is_proxy else complaints(a=text)

    assert not any("s3cr3t" in str(problem) for problem in found)


def test_what_follows_from_an_error_is_not_an_error() -> None:
    """After a wrong value, its absence and its effects are not complained of as well."""
    validated = Validated(parse("log: {level: chatty}\n", "f", {}), ProxyFile)
    validated.complain(("log",), "a consequence")
    validated.complain(("log", "level", "deeper"), "another")

    assert [problem.path for problem in validated.problems] == ["log.level"]
    assert validated.model is not None


@pytest.mark.parametrize("text", ["[]", "1", "text", "- a\n- b\n"])
def test_a_document_that_is_no_mapping(text: str) -> None:
    """A list or a scalar is refused as a whole."""
    validated = Validated(parse(text, "f", {}), ProxyFile)

    assert [str(problem) for problem in validated.problems] == [
        "f:1:1: must be a mapping (`key: value` lines)"
    ]


def test_an_empty_document_is_all_defaults() -> None:
    """`proxy.yaml` may be empty."""
    validated = Validated(parse("", "f", {}), ProxyFile)

    assert validated.problems == []
    assert validated.model == ProxyFile()
