"""One proxy before one origin, under each of the three policies: one machine, whose word counts.

The origin says what each story has lined up. What must be old says so with Age or with dates in the
past: nobody waits for it to age.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from proxy.app import serving
from proxy.config.loading import load
from proxy.workers import Worker
from tests.stories.origin import Client, Heard, Origin, origin

HIT, MISS = "HIT", "MISS"
POLICIES = ("obey", "cap", "ignore")
PREFIXES = {"obey": "/", "cap": "/cap", "ignore": "/ignore"}
PROXY = """\
listen: 127.0.0.1:0
admin: {listen: 127.0.0.1:0}
accelerator: "${QUOTA_PROXY_ACCELERATOR:-true}"
store: "memory:"
upstreams: ["*-upstream.yaml"]
"""
UPSTREAM = """\
name: %(policy)s
base_url: http://127.0.0.1:%(port)d
prefix: %(prefix)s
limits: {}
defaults:
  upstream_cache_control: %(policy)s
  ttl: 60s
  negative_ttl: 30s
  negative: {400: 20s}
  content_type: any
  max_size: 64KiB
endpoints:
  graphql: {path: /graphql, cache_body: true}
  serving_stale: {path: "/swr/{id}", stale_while_revalidate: 60s}
  rescuing: {path: "/sie/{id}", stale_if_error: 60s}
  refreshing: {path: "/refresh/{id}", client_refresh: true}
  live: {path: /clock, live: true}
  all: {path: "/{rest:path}"}
"""
STALE = ("Cache-Control: max-age=60", "Age: 80")
"""What is over when it comes, under each of the three policies."""


@dataclass(frozen=True)
class House:
    """A proxy before an origin that a story writes."""

    origin: Origin
    client: Client

    async def words(self, target: str, times: int = 2, **fields: str) -> list[str | None]:
        """Ask one after the other; return what `X-Cache` says each time."""
        return [(await self.client.ask(target, **fields)).verdict for _ in range(times)]


@asynccontextmanager
async def housed(folder: Path) -> AsyncIterator[House]:
    """Open the origin, and the proxy before it; its files are written to the folder."""
    (folder / "proxy.yaml").write_text(PROXY, encoding="utf-8")
    async with origin() as asked:
        for policy, prefix in PREFIXES.items():
            text = UPSTREAM % {"policy": policy, "port": asked.port, "prefix": prefix}
            (folder / f"{policy}-upstream.yaml").write_text(text, encoding="utf-8")
        settings = load(folder / "proxy.yaml", {**os.environ, "QUOTA_PROXY_LOG_LEVEL": "error"})
        async with serving(settings, Worker()) as addresses:
            yield House(asked, Client(int(addresses["traffic"].rpartition(":")[2])))


def through(policy: str, target: str) -> str:
    """Return where the proxy has the origin's target under a policy."""
    return PREFIXES[policy].rstrip("/") + target


def status_of(heard: Heard) -> set[str]:
    """Return the parameters of Cache-Status, without the key and how long it lives."""
    cache, *parameters = (heard.get("Cache-Status") or "").split("; ")
    assert cache == "quota-proxy"
    return {each for each in parameters if not each.startswith(("key=", "ttl="))}
