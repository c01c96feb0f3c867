"""The public HTTP cache test suite (http-tests/cache-tests) against the proxy under `obey`.

Nothing of the suite stands here. Where it is installed, and node is on the PATH:

    npm install --prefix SOMEWHERE http-cache-tests
    HTTP_CACHE_TESTS=SOMEWHERE/node_modules/http-cache-tests pytest tests/conformance

or, for the suite of today, a checkout of its repository in which `npm install` has run:

    HTTP_CACHE_TESTS=SOMEWHERE/cache-tests pytest tests/conformance

Today's has 365 tests for a shared cache: 160 of 160 required ones pass, and 99 of 105 optimal ones.
On npm the newest is 0.4.5, older than RFC 9111 and RFC 9213; what it asks for against them is
listed below. As the suite counts, a test passes only where those that it depends on do.
"""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from tests.berths import free_ports
from tests.stories.stage import ROOT, until

SUITE: Final = Path(os.environ.get("HTTP_CACHE_TESTS", ""))
NODE: Final = shutil.which("node")
LONGEST: Final = 240.0

pytestmark = pytest.mark.skipif(
    NODE is None or not (SUITE / "tests" / "index.mjs").is_file(),
    reason="needs node, and HTTP_CACHE_TESTS to say where the suite is installed",
)

LIE = "says six bytes and sends five (RFC 9112 section 6.3): not stored, so not used again"
PART = "parts are forwarded, not stored (RFC 9111 section 3.3 leaves it to the cache)"
NO_DATE = "RFC 9111 section 4.3.2: without Last-Modified, Date is compared, and it is later"
TODAY: Final[Mapping[str, str]] = {
    "partial-store-partial-reuse-partial": LIE,
    "partial-store-partial-reuse-partial-byterange": LIE,
    "partial-store-partial-reuse-partial-absent": LIE,
    "partial-store-partial-reuse-partial-suffix": LIE,
    "partial-store-partial-complete": PART,
    "conditional-lm-fresh-no-lm": NO_DATE,
}
"""Optimal tests of today's suite that are not passed, and why."""

AGE = "RFC 9111 section 5.1: an invalid Age is ignored, and of several the first counts"
SURROGATE = "Surrogate-Control never became a standard: RFC 9213 (CDN-Cache-Control) did"
ANOTHER = "RFC 9111 section 4.3.4: a 304 whose tag is not the stored one's updates nothing"
UNANSWERABLE = "asks for a field of an answer that the origin, which hangs up, never gives"
VERSION_0_4_5: Final[Mapping[str, str]] = {
    **TODAY,
    **dict.fromkeys(
        (
            "age-parse-nonnumeric",
            "age-parse-negative",
            "age-parse-float",
            "age-parse-prefix-twoline",
            "age-parse-dup-0",
            "age-parse-dup-0-twoline",
            "age-parse-dup-old",
            "age-parse-parameter",
            "age-parse-numeric-parameter",
        ),
        AGE,
    ),
    **dict.fromkeys(
        (
            "surrogate-max-age",
            "surrogate-max-age-max",
            "surrogate-max-age-max-plus",
            "surrogate-max-age-me-target",
            "surrogate-max-age-extension",
            "surrogate-max-age-case-insensitive",
            "surrogate-max-age-expires",
            "surrogate-max-age-cc-max-age-invalid-expires",
            "surrogate-max-age-0-expires",
            "surrogate-max-age-short-cc-max-age",
            "surrogate-max-age-long-cc-max-age",
            "surrogate-no-store-cc-fresh",
            "surrogate-fresh-cc-nostore",
            "surrogate-max-age-0",  # this and the next two depend on the first
            "surrogate-max-age-age",
            "surrogate-max-age-other-target",
        ),
        SURROGATE,
    ),
    **dict.fromkeys(
        (
            "stale-close-must-revalidate",
            "stale-close-proxy-revalidate",
            "stale-close-no-cache",
            "stale-close-s-maxage=2",
        ),
        UNANSWERABLE,
    ),
    "304-etag-update-response-ETag": ANOTHER,
}
"""Likewise of the version on npm; the first four groups are asked for as required."""

PROXY = """\
listen: 127.0.0.1:{port}
admin: {{listen: 127.0.0.1:{admin}}}
store: "memory:"
upstreams: [origin.yaml]
"""
ORIGIN = """\
name: origin
base_url: http://127.0.0.1:{origin}
prefix: /
limits: {{}}
defaults: {{upstream_cache_control: obey}}
endpoints:
  all: {{path: "/{{rest:path}}"}}
"""


async def test_nothing_fails_but_what_the_rfcs_have_overruled(tmp_path: Path) -> None:
    """Every required and every optimal test passes, but for the deviations named above."""
    today = (SUITE / "test-engine").is_dir()
    tests = await _printed(str(NODE), str(Path(__file__).with_name("results.mjs")), str(SUITE))
    results = await _results(tmp_path, SUITE / "test-engine" if today else SUITE)

    failed = {
        name
        for name, test in tests.items()
        if test["kind"] != "check" and not _passed(name, tests, results)
    }
    expected = TODAY if today else VERSION_0_4_5
    untold = {name: results.get(name) for name in failed - expected.keys()}
    assert untold == {}
    assert failed == set(expected)


def _passed(name: str, tests: Mapping[str, Any], results: Mapping[str, Any]) -> bool:
    """Return whether a test is passed as the suite counts: itself, and what it depends on."""
    needed = tests[name]["depends_on"]
    return results.get(name) is True and all(_passed(each, tests, results) for each in needed)


async def _results(folder: Path, engine: Path) -> dict[str, Any]:
    """Run the suite's origin, the proxy before it, and the suite's client."""
    origin, port, admin = free_ports(3)
    (folder / "proxy.yaml").write_text(PROXY.format(port=port, admin=admin), encoding="utf-8")
    (folder / "origin.yaml").write_text(ORIGIN.format(origin=origin), encoding="utf-8")
    environment = {**os.environ, "npm_config_protocol": "http", "npm_package_config_id": ""}
    server = {
        **environment,
        "npm_config_port": str(origin),
        "npm_config_pidfile": str(folder / "origin.pid"),
    }
    serve = (sys.executable, "-m", "proxy", "serve", "--config", str(folder / "proxy.yaml"))
    async with (
        _running(str(NODE), f"{engine}/server/server.mjs", cwd=SUITE, env=server, port=origin),
        _running(*serve, cwd=ROOT, env=environment, port=port),
    ):
        client = {**environment, "npm_config_base": f"http://127.0.0.1:{port}"}
        return await _printed(str(NODE), "--no-warnings", str(engine / "cli.mjs"), env=client)


@asynccontextmanager
async def _running(
    *command: str, cwd: Path, env: Mapping[str, str], port: int
) -> AsyncIterator[None]:
    """Run a server until the block ends; enters once it listens."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        env=env,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )

    async def listens() -> bool:
        assert process.returncode is None, f"{command} has ended"
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        return True

    try:
        await until(listens, f"{command} listens")
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _printed(*command: str, env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run a program in the suite's folder and return the JSON that it prints."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=SUITE, env=env, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(LONGEST):
        printed, _ = await process.communicate()
    found: dict[str, Any] = json.loads(printed)
    return found
