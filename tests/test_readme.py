"""The README is true: its commands, its Python and its YAML are run as they stand there.

What it says for 127.0.0.1:8080 and :8081 is asked of an instance on free ports, with the sandbox as
the providers. Blocks without a language are not run here: .ci/run runs `make run` and `make test`.
"""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.sandbox import Sandbox
from tests.stories.stage import PATIENCE, ROOT, Proxy, command, staged

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    return [text for name, text in BLOCKS if name == language]


@pytest.fixture
async def proxy(tmp_path: Path) -> AsyncIterator[Proxy]:
    async with Sandbox() as sandbox, staged(tmp_path, sandbox.environment()) as stage:
        yield await stage.proxy()


async def run(proxy: Proxy, *program: str) -> str:
    """Run a program against the instance; return what it printed."""
    pointed = [
        part.replace("http://127.0.0.1:8080", proxy.url).replace(
            "http://127.0.0.1:8081", proxy.admin
        )
        for part in program
    ]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    process = await asyncio.create_subprocess_exec(
        *pointed,
        cwd=ROOT,
        env={**os.environ, "PATH": path},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert process.returncode == 0, err.decode()
    return out.decode()


async def test_its_commands_work(proxy: Proxy) -> None:
    """In their order, each ending well; the second curl is a HIT, as it says."""
    said = [
        await run(proxy, "bash", "-euo", "pipefail", "-c", block.replace("curl -", "curl -f"))
        for block in blocks("sh")
    ]

    assert ["MISS", "HIT"] == re.findall(r"X-Cache: (\w+)", said[0])
    assert "endpoint   klines" in said[1]
    assert '"calls_saved":1' in said[2]
    assert "quota_proxy_requests_total" in said[2]


async def test_its_python_works(proxy: Proxy) -> None:
    """A bot with nothing changed but what the README changes."""
    assert len(blocks("python")) == 3

    for block in blocks("python"):
        assert (await run(proxy, sys.executable, "-c", block)).strip()


@pytest.mark.parametrize("block", blocks("yaml"))
async def test_its_yaml_is_right(tmp_path: Path, block: str) -> None:
    """A provider of one's own, as it stands there, passes `check`."""
    (tmp_path / "example.yaml").write_text(block, encoding="utf-8")
    (tmp_path / "proxy.yaml").write_text("upstreams: [example.yaml]\n", encoding="utf-8")

    status, out, err = await command("check", "--config", str(tmp_path / "proxy.yaml"))

    assert (0, "") == (status, err)
    assert "1 upstreams, 3 endpoints, no error" in out


def test_every_target_and_file_it_names_exists() -> None:
    """Targets of make, and links."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")

    for target in set(re.findall(r"\bmake ([a-z_-]+)", README)):
        if target.startswith("bench-"):  # a pattern of the Makefile's: the script of that name
            assert (ROOT / "benchmarks" / f"{target.removeprefix('bench-')}.py").exists(), target
        else:
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for link in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / link).exists(), link


def test_every_variable_it_names_is_read() -> None:
    """In the shipped configuration, or by the proxy."""
    config = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "config").rglob("*.yaml"))

    for name in set(re.findall(r"\b(?:QUOTA_PROXY|COINGECKO|BINANCE)_[A-Z_]+\b", README)):
        assert name in config, name
