"""The command line: what each command prints, and how it ends."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from proxy.cli import main

ROOT = Path(__file__).parents[1]
CONFIG = str(ROOT / "config" / "proxy.yaml")


def run(*arguments: str, **environ: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, arguments, env=environ)
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize(
    "command", [[], ["serve"], ["check"], ["explain"], ["schema"], ["sandbox"], ["demo"]]
)
def test_help(command: list[str]) -> None:
    """Every command explains itself."""
    status, said, _ = run(*command, "--help")

    assert status == 0
    assert "Usage:" in said


def test_check_says_what_there_is() -> None:
    """A valid configuration is summed up, upstream by upstream."""
    status, said, _ = run("check", "--config", CONFIG)

    assert status == 0
    assert "no error" in said
    assert "binance" in said


def test_check_shows_every_error_with_its_line(tmp_path: Path) -> None:
    """All that is wrong is said at once, on standard error, with status 1."""
    file = tmp_path / "proxy.yaml"
    file.write_text("listen: 8080x\nmemory: lots\nunknown: 1\n")
    status, said, errors = run("check", "--config", str(file))

    assert (status, said) == (1, "")
    assert [f"{file}:{line}:" in errors for line in (1, 2, 3)] == [True] * 3


def test_explain_for_programs() -> None:
    """JSON names rule, key, lifetimes and cost."""
    url = "/coingecko/api/v3/simple/price?ids=bitcoin"
    status, said, _ = run("explain", url, "--json", "--config", CONFIG)
    found = json.loads(said)

    assert (status, found["endpoint"], found["ttl"]) == (0, "price", 90.0)


def test_explain_of_nothing() -> None:
    """A URL that meets nothing is an error, and says so."""
    status, said, _ = run("explain", "/nowhere", "--config", CONFIG)

    assert status == 1
    assert "nothing" in said


def test_explain_takes_headers() -> None:
    """A signature makes a request private; a header that is none is refused."""
    url = "/binance/api/v3/account"
    _, said, _ = run("explain", url, "--header", "Authorization: x", "--config", CONFIG)

    assert "private" in said
    assert run("explain", url, "--header", "broken", "--config", CONFIG)[0] == 2


def test_schema_is_json() -> None:
    """The schema is what editors read."""
    status, said, _ = run("schema")

    assert status == 0
    assert json.loads(said)["$schema"]


def test_no_traceback(tmp_path: Path) -> None:
    """A file that is not there is an error in words."""
    status, _, errors = run("serve", "--config", str(tmp_path / "none.yaml"))

    assert status == 1
    assert "Traceback" not in errors
    assert "none.yaml" in errors


def test_help_imports_nothing_heavy() -> None:
    """`--help` pays for no server, no client and no YAML."""
    code = (
        "import sys; from click.testing import CliRunner; from proxy.cli import main;"
        "CliRunner().invoke(main, ['--help']);"
        "print(sorted({'aiohttp', 'pydantic', 'yaml', 'redis'} & set(sys.modules)))"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )

    assert said.stdout.strip() == "[]"
