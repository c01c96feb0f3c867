"""A stage for stories: the real command line in processes of its own, the sandbox as providers.

Processes listen on free ports of 127.0.0.1, are awaited by asking them, and are ended by their own
pid. What they logged is shown when a story fails.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import aiohttp
import yaml
from multidict import CIMultiDictProxy

from tests.berths import free_ports

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 120.0
"""Seconds within which what is awaited must come, however busy the machine."""


async def until(condition: Callable[[], Awaitable[bool] | bool], what: str) -> None:
    """Return once the condition holds; it is asked again and again, and not for ever."""
    deadline = time.monotonic() + PATIENCE  # noqa: TID251 - stories run on the real clock
    while not (holds if isinstance(holds := condition(), bool) else await holds):
        assert time.monotonic() < deadline, f"in vain: {what}"  # noqa: TID251 - as above
        await asyncio.sleep(0.02)


@dataclass(frozen=True)
class Got:
    """An answer, whole."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def verdict(self) -> str:
        """What `X-Cache` says."""
        return self.headers.get("X-Cache", "")

    def json(self) -> Any:
        """Return the body, decoded."""
        return json.loads(self.body)


@dataclass
class Proxy:
    """One instance, started with the real command line."""

    folder: Path
    config: Path
    environment: Mapping[str, str]
    workers: int = 1
    ports: list[int] = field(default_factory=lambda: free_ports(4))
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What bots put before a provider's paths: `{url}/binance/api/v3/…`."""
        return f"http://127.0.0.1:{self.ports[0]}"

    @property
    def admin(self) -> str:
        """Base URL of the admin listener."""
        return f"http://127.0.0.1:{self.ports[1]}"

    @property
    def log(self) -> str:
        """What it logged so far."""
        file = self._log_file
        return file.read_text(encoding="utf-8") if file.exists() else ""

    @property
    def _log_file(self) -> Path:
        return self.folder / f"proxy-{self.ports[0]}.log"

    async def start(self) -> Self:
        """Start it, and return when it is ready to serve."""
        arguments = ["serve", "--config", str(self.config), "--workers", str(self.workers)]
        with self._log_file.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: ASYNC220 - starting it takes no time
                [sys.executable, "-m", "proxy", *arguments],
                cwd=ROOT,
                env={**os.environ, **self._own(), **self.environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        await until(self._ready, f"an instance that is ready; it said:\n{self.log}")
        return self

    def _own(self) -> dict[str, str]:
        traffic, admin, kraken, okx = (f"127.0.0.1:{port}" for port in self.ports)
        return {
            "QUOTA_PROXY_LISTEN": traffic,
            "QUOTA_PROXY_ADMIN_LISTEN": admin,
            "KRAKEN_LISTEN": kraken,
            "OKX_LISTEN": okx,
            "REDIS_URL": f"sqlite:{self.folder / 'quota-proxy.db'}",
        }

    async def _ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"it ended by itself:\n{self.log}"
        try:
            return (await self.get_admin("/readyz")).status == 200
        except aiohttp.ClientError:
            return False

    async def get(self, path: str, **headers: str) -> Got:
        """Ask it, as a bot would."""
        return await ask(self.url + path, headers=headers)

    async def get_admin(self, path: str) -> Got:
        """Ask its admin listener."""
        return await ask(self.admin + path)

    async def stats(self) -> dict[str, Any]:
        """Return `/api/v1/stats`."""
        return dict((await self.get_admin("/api/v1/stats")).json())

    async def quota(self, upstream: str, limit: str) -> dict[str, Any]:
        """Return one limit of `/api/v1/quota`."""
        quota = (await self.get_admin("/api/v1/quota")).json()
        return dict(quota["upstreams"][upstream]["limits"][limit])

    async def stop(self) -> int:
        """End it in peace; return its exit status."""
        return await self._end(signal.SIGTERM)

    async def kill(self) -> int:
        """End it as a crash does: it, and every worker of its own."""
        return await self._end(signal.SIGKILL)

    async def _end(self, signum: signal.Signals) -> int:
        process, self.process = self.process, None
        if process is None:
            return 0
        with contextlib.suppress(ProcessLookupError):
            if signum is signal.SIGKILL:
                os.killpg(process.pid, signum)
            else:
                process.send_signal(signum)
        return await asyncio.to_thread(process.wait, PATIENCE)


async def ask(url: str, **options: Any) -> Got:
    """Send one GET on a connection of its own."""
    async with aiohttp.ClientSession() as session, session.get(url, **options) as answer:
        return Got(answer.status, answer.headers, await answer.read())


async def command(*arguments: str, **environment: str) -> tuple[int, str, str]:
    """Run `quota-proxy` to its end; return its exit status and what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "proxy",
        *arguments,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), PATIENCE)
    return process.returncode or 0, out.decode(), err.decode()


UNHURRIED = {"url": "${REDIS_URL}", "timeout": "60s", "connect_timeout": "60s"}
"""A store (`store:`) that is not taken for lost only because this machine is busy."""


def unhurried(upstream: dict[str, Any]) -> None:
    """Let an exchange take as long as this machine makes it."""
    upstream.update({"deadline": f"{PATIENCE:g}s", "timeout": f"{PATIENCE:g}s"})


def shipped(
    folder: Path, changes: Mapping[str, Callable[[dict[str, Any]], None]], **settings: Any
) -> Path:
    """Copy the shipped configuration, change some providers' files, and return its main file.

    `settings` are written into the main file.
    """
    target = folder / "config"
    shutil.copytree(ROOT / "config", target)
    for name, change in changes.items():
        file = target / "upstreams" / f"{name}.yaml"
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        change(content)
        file.write_text(yaml.safe_dump(content), encoding="utf-8")
    main = target / "proxy.yaml"
    content = yaml.safe_load(main.read_text(encoding="utf-8"))
    main.write_text(yaml.safe_dump({**content, **settings}), encoding="utf-8")
    return main


def written(folder: Path, *upstreams: Mapping[str, Any], **settings: Any) -> Path:
    """Write a configuration of the story's own, and return its main file."""
    target = folder / "config"
    target.mkdir(exist_ok=True)
    files = []
    for upstream in upstreams:
        files.append(f"{upstream['name']}.yaml")
        (target / files[-1]).write_text(yaml.safe_dump(dict(upstream)), encoding="utf-8")
    main = {
        "listen": "${QUOTA_PROXY_LISTEN}",
        "admin": {"listen": "${QUOTA_PROXY_ADMIN_LISTEN}"},
        "store": "${REDIS_URL}",
        "accelerator": "${QUOTA_PROXY_ACCELERATOR:-true}",
        "upstreams": files,
        **settings,
    }
    (target / "proxy.yaml").write_text(yaml.safe_dump(main), encoding="utf-8")
    return target / "proxy.yaml"


class Stage:
    """Where a story's instances stand."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        """Take a folder for files and logs, and what points the configuration at the sandbox."""
        self.folder = folder
        self._environment = environment
        self.instances: list[Proxy] = []

    async def proxy(self, config: Path | None = None, workers: int = 1, **more: str) -> Proxy:
        """Start an instance with the shipped configuration, or another."""
        environment = {**self._environment, **more}
        main = config or ROOT / "config" / "proxy.yaml"
        instance = Proxy(self.folder, main, environment, workers)
        self.instances.append(instance)
        return await instance.start()

    async def clear(self) -> None:
        """End what still runs, and show what it said."""
        for instance in self.instances:
            status = await instance.stop()
            print(f"── {instance.url}, ended with {status}\n{instance.log}")  # noqa: T201 - pytest shows it on failure


async def together(works: Iterable[Awaitable[Got]]) -> list[Got]:
    """Do all at once."""
    return list(await asyncio.gather(*works))


@contextlib.asynccontextmanager
async def staged(folder: Path, environment: Mapping[str, str]) -> AsyncIterator[Stage]:
    """Set a stage, and clear it in the end."""
    stage = Stage(folder, environment)
    try:
        yield stage
    finally:
        await stage.clear()
