"""The command line: what each command prints, and how it ends."""

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import structlog
from aiohttp.test_utils import TestServer
from click.testing import CliRunner

from proxy.admin.app import make_admin
from proxy.admin.doors import Doors
from proxy.cli import main
from proxy.config.loading import load
from proxy.config.settings import Settings
from proxy.persistence import opened
from proxy.workers import Worker
from tests.admin.house import MONTH, WrittenHouse
from tests.admin.house import level as standing
from tests.house import Recorder

ROOT = Path(__file__).parents[1]
CONFIG = str(ROOT / "config" / "proxy.yaml")


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """A command sets up logging for its own process, on a stream that ends with the test."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


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
        ["ledger", "export"],
        ["ledger", "import"],
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


@pytest.mark.parametrize("url", ["http://[::1/x", "http://127.0.0.1:99999/x", "http://h:port/x"])
def test_explain_of_no_url(url: str) -> None:
    """A mistyped address is said to be none, in words."""
    status, _, errors = run("explain", url)

    assert status == 2
    assert "is no URL" in errors
    assert "Traceback" not in errors


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
    house.ledger.levels = (standing(MONTH, 1.0, 86400.0),)
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


def test_counts_move_from_store_to_store(tmp_path: Path) -> None:
    """What one ledger exports another takes over, and neither forgets."""
    one, other = (
        {"REDIS_URL": f"sqlite:{tmp_path}/{name}.db", "COINGECKO_API_KEY": "key"}
        for name in ("one", "other")
    )
    loaded = load(CONFIG, one)
    asyncio.run(_use(loaded, "coingecko", "month", 7421.0))
    status, page, _ = run("ledger", "export", "--config", CONFIG, **one)
    (tmp_path / "page.json").write_text(page)
    for _ in range(2):
        taken = run("ledger", "import", str(tmp_path / "page.json"), "--config", CONFIG, **other)
        again = run("ledger", "export", "--config", CONFIG, **other)[1]

        assert (0, "1 of 1 counts taken over\n", "") == taken
        [count] = json.loads(again)["counts"]
        assert ("coingecko", "month") == (count["upstream"], count["bucket"])
        assert 7421.0 == sum(tokens for _, tokens in count["log"])
    assert status == 0


async def _use(loaded: Settings, upstream: str, limit: str, used: float) -> None:
    async with opened(loaded, Recorder(), Worker()) as kept:
        assert await kept.ledger.set_used(upstream, limit, used)


@pytest.mark.parametrize(
    ("store", "page", "said"),
    [
        ("memory:", '{"version": 1, "written": 1, "counts": []}', "kept nowhere"),
        ("redis://127.0.0.1:1/0", '{"version": 1, "written": 1, "counts": [ONE]}', "reached"),
        ("sqlite:DIR/x.db", "{}", "ledger export"),
        ("sqlite:DIR/x.db", '{"version": 2, "written": 1, "counts": []}', "version 2"),
        ("sqlite:DIR/x.db", '{"version": 1, "written": -1, "counts": []}', "below 0"),
    ],
)
def test_counts_that_cannot_be_moved(tmp_path: Path, store: str, page: str, said: str) -> None:
    """It is an error in words, and nothing is half done."""
    one = '{"upstream": "coingecko", "bucket": "month", "log": [[0, 5]]}'
    file = tmp_path / "page.json"
    file.write_text(page.replace("ONE", one))
    environ = {"REDIS_URL": store.replace("DIR", str(tmp_path)), "COINGECKO_API_KEY": "key"}
    status, _, errors = run("ledger", "import", str(file), "--config", CONFIG, **environ)

    assert status == 1
    assert "Traceback" not in errors
    assert said in errors
