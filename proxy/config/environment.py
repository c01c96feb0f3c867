"""`${NAME}` and `${NAME:-default}` in a scalar, and the `.env` file beside a configuration.

Replacement happens after YAML has been parsed, so a value can never change the document's shape.
The default stands where the variable is missing or empty. `$${` is a literal `${`. A value from
the environment may be a secret: it is a `Substituted`, and messages show how it was written.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

_reference = re.compile(r"\$\$\{|\$\{[^}]*\}?")
_parts = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^{}]*))?\}").fullmatch
_assignment = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)").fullmatch
_comment = re.compile(r"\s+#.*$")


class Substituted(str):
    """Text of which a part came from the environment; `written` is what the file says."""

    __slots__ = ("variables", "written")
    written: str
    variables: tuple[str, ...]

    @classmethod
    def of(cls, text: str, written: str, variables: tuple[str, ...]) -> "Substituted":
        """Return `text` with its origin."""
        made = cls(text)
        made.written, made.variables = written, variables
        return made


class DotEnv(NamedTuple):
    """What a `.env` file holds, and its lines that are no assignments."""

    values: dict[str, str]
    faults: tuple[tuple[int, str], ...]


def substitute(text: str, environ: Mapping[str, str]) -> str:
    """Replace each reference in `text`; text without one comes back as it is.

    Raises:
        ValueError: a variable without default is missing, or a reference is malformed.

    """
    if "${" not in text:
        return text
    missing: list[str] = []
    variables: list[str] = []

    def replacement(found: re.Match[str]) -> str:
        if found[0] == "$${":
            return "${"
        parts = _parts(found[0])
        if parts is None:
            raise ValueError(
                f"{text!r} has a malformed reference: ${{NAME}} and ${{NAME:-default}} are allowed"
                " ('$${' stands for a literal '${')"
            )
        name, default = parts[1], parts[2]
        variables.append(name)
        value = environ.get(name, "")
        if value or (default is None and name in environ):
            return value
        if default is None:
            missing.append(name)
        return default or ""

    replaced = _reference.sub(replacement, text)
    if missing:
        names = " and ".join(missing)
        raise ValueError(
            f"the environment has no {names}; set it, or give a default: ${{{missing[0]}:-…}}"
        )
    return Substituted.of(replaced, text, tuple(variables)) if variables else replaced


def parse_dotenv(text: str) -> DotEnv:
    """Read `NAME=value` lines; `export`, quotes, blank lines and `#` comments are allowed.

    Single quotes keep everything; in double quotes a backslash escapes, and `n` after it is a new
    line. Faults are `(line, what is wrong)` and never show the line, which may hold a secret.
    """
    values: dict[str, str] = {}
    faults: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        found = _assignment(bare)
        value = None if found is None else _unquoted(found[2])
        if found is None or value is None:
            faults.append((number, "is no NAME=value; quotes must be closed"))
            continue
        values[found[1]] = value
    return DotEnv(values, tuple(faults))


def _unquoted(text: str) -> str | None:
    quote = text[:1]
    if quote not in {"'", '"'} or not quote:
        return _comment.sub("", text) if not text.startswith("#") else ""
    closed = re.fullmatch(
        r"'([^']*)'(?:\s+#.*)?" if quote == "'" else r'"((?:[^"\\]|\\.)*)"(?:\s+#.*)?', text
    )
    if closed is None:
        return None
    if quote == "'":
        return closed[1]
    return re.sub(r"\\(.)", lambda escape: {"n": "\n"}.get(escape[1], escape[1]), closed[1])
