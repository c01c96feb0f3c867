"""The public HTTP cache test suite (npm: http-cache-tests) against the proxy under `obey`.

Nothing of the suite stands here. Where it is installed, and node is on the PATH:

    npm install --prefix SOMEWHERE http-cache-tests
    HTTP_CACHE_TESTS=SOMEWHERE/node_modules/http-cache-tests pytest tests/conformance

Version 0.4.5, the newest on npm, is older than RFC 9111: what it asks for against it is listed
below with the reason, and nothing else may fail.
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

from tests.stories.stage import ROOT, free_ports, until

SUITE: Final = Path(os.environ.get("HTTP_CACHE_TESTS", ""))
NODE: Final = shutil.which("node")
LONGEST: Final = 240.0

pytestmark = pytest.mark.skipif(
    NODE is None or not (SUITE / "cli.mjs").is_file(),
    reason="needs node, and HTTP_CACHE_TESTS to say where the suite is installed",
)

AGE = "RFC 9111 section 5.1: an invalid Age is ignored, and of several the first counts"
SURROGATE = "Surrogate-Control never became a standard: RFC 9213 (CDN-Cache-Control) did"
UNANSWERABLE = "asks for a field of an answer that the origin, which hangs up, never gives"
PART = "parts are forwarded, not stored"
DEVIATIONS: Final[Mapping[str, str]] = {
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
    **dict.fromkeys(
        (
            "partial-store-partial-reuse-partial",
            "partial-store-partial-reuse-partial-byterange",
            "partial-store-partial-reuse-partial-absent",
            "partial-store-partial-reuse-partial-suffix",
            "partial-store-partial-complete",
        ),
        PART,
    ),
    "conditional-lm-fresh-no-lm": "RFC 9111 section 4.3.2: without Last-Modified, Date is compared",
}

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
    origin, port, admin = free_ports(3)
    (tmp_path / "proxy.yaml").write_text(PROXY.format(port=port, admin=admin), encoding="utf-8")
    (tmp_path / "origin.yaml").write_text(ORIGIN.format(origin=origin), encoding="utf-8")
    node = str(NODE)
    environment = {**os.environ, "npm_config_protocol": "http", "npm_package_config_id": ""}
    server = {
        **environment,
        "npm_config_port": str(origin),
        "npm_config_pidfile": str(tmp_path / "origin.pid"),
    }
    serve = (sys.executable, "-m", "proxy", "serve", "--config", str(tmp_path / "proxy.yaml"))
    async with (
        _running(node, "server/server.mjs", cwd=SUITE, env=server, port=origin),
        _running(*serve, cwd=ROOT, env=environment, port=port),
    ):
        client = {**environment, "npm_config_base": f"http://127.0.0.1:{port}"}
        results = await _printed(node, "--no-warnings", "cli.mjs", env=client)
    kinds = await _printed(node, str(Path(__file__).with_name("results.mjs")), str(SUITE))
    failed = {
        name: f"{kind}: {results.get(name)}"
        for name, kind in kinds.items()
        if kind != "check" and results.get(name) is not True and name not in DEVIATIONS
    }

    assert failed == {}


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
