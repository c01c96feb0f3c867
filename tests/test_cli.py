"""The command line: what each command prints, and how it ends."""

import asyncio
import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer
from click.testing import CliRunner

from proxy.admin.app import make_admin
from proxy.admin.doors import Doors
from proxy.cli import main
from tests.admin.house import MONTH, WrittenHouse, level

ROOT = Path(__file__).parents[1]
CONFIG = str(ROOT / "config" / "proxy.yaml")


def run(*arguments: str, **environ: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, arguments, env=environ)
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["serve"],
        ["check"],
        ["explain"],
        ["schema"],
        ["sandbox"],
        ["demo"],
        ["quota"],
        ["quota", "set"],
    ],
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


def test_quota_of_a_proxy_that_does_not_run() -> None:
    """An address that nobody listens on is an error in words."""
    status, _, errors = run("quota", "--admin", "http://127.0.0.1:1", "--config", CONFIG)

    assert status == 1
    assert "Traceback" not in errors
    assert "http://127.0.0.1:1 does not answer" in errors


@pytest.mark.parametrize("limit", ["month", "coingecko.", ".month"])
def test_quota_set_wants_upstream_and_limit(limit: str) -> None:
    """A limit alone could be anybody's."""
    status, _, errors = run("quota", "set", limit, "--used", "1", "--config", CONFIG)

    assert status == 2
    assert "UPSTREAM.LIMIT" in errors


def test_quota_set_wants_a_count() -> None:
    """Nothing, or less than nothing, was not used."""
    for used in ((), ("--used", "-1"), ("--used", "x")):
        assert run("quota", "set", "coingecko.month", *used, "--config", CONFIG)[0] == 2


async def test_quota_is_shown_and_set() -> None:
    """From the terminal into the admin API and back, with the configuration's token."""
    house = WrittenHouse()
    house.ledger.levels = (level(MONTH, 1.0, 86400.0),)
    async with TestServer(make_admin(house.house, Doors("s3cret"))) as server:
        where = ("--admin", str(server.make_url("/")), "--config", CONFIG)
        token = {"QUOTA_PROXY_ADMIN_TOKEN": "s3cret"}
        ask = partial(asyncio.to_thread, run)
        status, table, _ = await ask(
            "quota", "set", "coingecko.month", "--used", "7421", *where, **token
        )
        lost = await ask("quota", *where, "set", "coingecko.year", "--used", "1", **token)
        _, said, _ = await ask("quota", "--json", *where, **token)
        unknown = await ask("quota", *where)

    assert (status, "7,421" in table, "2,579" in table) == (0, True, True)
    assert 7421.0 == json.loads(said)["coingecko"]["limits"]["month"]["used"]
    assert (1, True) == (lost[0], "there are: month" in lost[2])
    assert (1, True) == (unknown[0], "401" in unknown[2])
