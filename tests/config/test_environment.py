"""The environment: references in scalars, and `.env`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.environment import Substituted, parse_dotenv, substitute

ENVIRON = {"SET": "value", "EMPTY": "", "SHAPE": "a: {b: [c"}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("plain", "plain"),
        ("${SET}", "value"),
        ("a ${SET} b ${SET}", "a value b value"),
        ("${NONE:-other}", "other"),
        ("${NONE:-}", ""),
        ("${EMPTY:-other}", "other"),
        ("${EMPTY}", ""),
        ("${SET:-other}", "value"),
        ("${NONE:-127.0.0.1:8080}", "127.0.0.1:8080"),
        ("$${SET}", "${SET}"),
        ("$SET and $$", "$SET and $$"),
        ("${SHAPE}", "a: {b: [c"),
    ],
)
def test_references_are_replaced(written: str, expected: str) -> None:
    """A reference gives the variable, its default where that is missing or empty."""
    assert substitute(written, ENVIRON) == expected


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("${NONE}", "the environment has no NONE; set it, or give a default: ${NONE:-…}"),
        ("${NONE} ${OTHER}", "no NONE and OTHER"),
        ("${1}", "malformed reference"),
        ("${SET", "malformed reference"),
        ("${A:-${B}}", "malformed reference"),
        ("${A-b}", "malformed reference"),
    ],
)
def test_what_cannot_be_replaced_is_an_error(written: str, message: str) -> None:
    """A missing variable without default, and a malformed reference, say so."""
    with pytest.raises(ValueError, match=r"the environment|malformed") as raised:
        substitute(written, ENVIRON)

    assert message in str(raised.value)


def test_what_came_from_the_environment_knows_how_it_was_written() -> None:
    """A value from outside carries the file's own text, which messages may show."""
    replaced = substitute("${SET:-x}", ENVIRON)

    assert isinstance(replaced, Substituted)
    assert (replaced.written, replaced.variables) == ("${SET:-x}", ("SET",))


def test_dotenv_lines() -> None:
    """Assignments, `export`, quotes and comments are read; anything else is a fault."""
    found = parse_dotenv(
        "# comment\n"
        "A=1\n"
        "export B = two words  # comment\n"
        "C='single $x # kept'\n"
        'D="line\\nnext \\"quoted\\""  # comment\n'
        "E=\n"
        "\n"
        "no assignment\n"
        "F='open\n"
    )

    assert found.values == {
        "A": "1",
        "B": "two words",
        "C": "single $x # kept",
        "D": 'line\nnext "quoted"',
        "E": "",
    }
    assert [line for line, _ in found.faults] == [8, 9]


@given(st.text())
def test_dotenv_never_raises_and_never_shows_a_line(text: str) -> None:
    """Any text is read; what is wrong is said without repeating it."""
    assert {message for _, message in parse_dotenv(text).faults} <= {
        "is no NAME=value; quotes must be closed"
    }
