"""The house's own rules, held by machine: tests, sizes, names, arrows, locks."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.ledger.wire import PARTS

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "proxy").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
LOCKS = ("requirements.lock", "requirements-dev.lock")

MOST_LINES = 400
MOST_LINES_IN_FUNCTION = 40
FORBIDDEN_NAMES = {
    "utils",
    "util",
    "helpers",
    "helper",
    "common",
    "manager",
    "base",
    "impl",
    "misc",
}

_IDS = [str(path.relative_to(ROOT)) for path in SOURCES]


def _tested_by(source: Path) -> Path:
    return ROOT / "tests" / source.relative_to(ROOT / "proxy").with_name(f"test_{source.name}")


def _behaves(source: Path) -> bool:
    """Whether there is anything to test: a file of plain values and protocols only declares."""
    return any(not _declares(each) for each in _functions(source.read_text(encoding="utf-8")))


def _declares(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a function has no body but its docstring and `...`."""
    return all(
        isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant)
        for each in function.body
    )


def _functions(text: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return a function's lines less its docstring's."""
    whole = (function.end_lineno or 0) - function.lineno + 1
    docstring = function.body[0] if ast.get_docstring(function) else None
    return whole - ((docstring.end_lineno or 0) - docstring.lineno + 1 if docstring else 0)


@pytest.mark.parametrize("source", SOURCES, ids=_IDS)
def test_every_source_file_has_its_test_file(source: Path) -> None:
    """proxy/a/b.py is tested by tests/a/test_b.py."""
    if _behaves(source):
        assert _tested_by(source).is_file(), f"{_tested_by(source).relative_to(ROOT)} is missing"


@pytest.mark.parametrize("source", SOURCES, ids=_IDS)
def test_files_and_functions_are_small(source: Path) -> None:
    """No file has more than 400 lines, no function more than 40."""
    text = source.read_text(encoding="utf-8")

    assert len(text.splitlines()) <= MOST_LINES
    long = {each.name: _lines(each) for each in _functions(text)}
    assert {name: n for name, n in long.items() if n > MOST_LINES_IN_FUNCTION} == {}


@pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=str)
def test_files_are_named_after_their_nouns(path: Path) -> None:
    """No file is named after being a bag of things."""
    assert path.stem.removeprefix("test_") not in FORBIDDEN_NAMES


@pytest.mark.parametrize("path", TESTS, ids=[str(path.relative_to(ROOT)) for path in TESTS])
def test_every_test_states_its_fact(path: Path) -> None:
    """A test's docstring says what it proves."""
    without = [
        function.name
        for function in _functions(path.read_text(encoding="utf-8"))
        if function.name.startswith("test_") and not ast.get_docstring(function)
    ]

    assert without == []


def test_scripts_are_small_and_all_in_use() -> None:
    """No part of the ledger's script has more than 400 lines, and none lies there unused."""
    parts = {path.stem: path for path in (ROOT / "proxy").rglob("*.lua")}

    assert set(PARTS) == set(parts)
    for path in parts.values():
        assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def test_nothing_imports_upwards() -> None:
    """import-linter's contracts hold: layers, and a core without I/O."""
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_name_hashes_and_no_host(lock: str) -> None:
    """Every requirement is pinned and hashed; where it comes from is the machine's own matter."""
    text = (ROOT / lock).read_text(encoding="utf-8")

    assert "//" not in text
    assert not re.search(
        r"^\s*-(i|f|-index-url|-extra-index-url|-find-links)\b", text, re.MULTILINE
    )
    for requirement in re.split(r"\n(?=\S)", text.strip()):
        assert re.match(r"[\w.-]+==\S+", requirement), requirement
        assert "--hash=sha256:" in requirement, requirement


def test_what_runs_is_what_is_tested() -> None:
    """Both locks have the same version of everything that the proxy runs on."""
    runs, tests = (
        dict(
            re.findall(
                r"^([\w.-]+)==([^\s;]+)", (ROOT / lock).read_text(encoding="utf-8"), re.MULTILINE
            )
        )
        for lock in LOCKS
    )

    assert runs.items() <= tests.items()
