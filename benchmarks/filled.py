"""The proxy with a first level that is full already: nobody waits for a million misses.

    python benchmarks/filled.py PORT ENTRIES CONFIG

Serves what `serve` would, with `ENTRIES` fresh entries of `bench:item:/N` in the first level
before the first request comes. Bodies are small (100 bytes), so that a million fit into the memory
of most machines; the bound on the first level is lifted.
"""

import os
import sys
from pathlib import Path

import stage

from proxy import app, clock
from proxy.config.loading import load
from proxy.core.model import Entry, Lifetimes
from proxy.store.memory import Memory

FIELDS = (
    ("Content-Type", "application/json"),
    ("Date", "Sat, 21 Nov 2026 03:17:38 GMT"),
    ("Server", "nginx"),
    ("Vary", "Accept-Encoding"),
    ("Cache-Control", "no-cache"),
)
LIMIT = 64 * 1024**3


def filled(number: int) -> Memory:
    """Return a first level with so many entries."""
    memory = Memory(LIMIT)
    lifetimes = Lifetimes(86400.0)
    now = clock.steady_wall()
    for each in range(number):
        body = b'{"item":%9d,"data":"%b"}' % (each, b"x" * 73)
        key = f"bench:item:/{each}"
        memory.put(Entry(key, 200, "OK", FIELDS, body, "", now, now, 0.0, lifetimes))
    return memory


def main() -> int:
    """Serve."""
    port, number, config = sys.argv[1:]
    environ = {
        **os.environ,
        "QUOTA_PROXY_LISTEN": f"127.0.0.1:{port}",
        "QUOTA_PROXY_ADMIN_LISTEN": f"127.0.0.1:{stage.free_port()}",
        "REDIS_URL": "memory:",
    }
    memory = filled(int(number))
    app.Memory = lambda _limit: memory  # type: ignore[assignment,misc]  # the one that is full
    return app.run(load(Path(config), environ))


if __name__ == "__main__":
    sys.exit(main())
