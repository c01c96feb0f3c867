"""What the proxy adds: hits from the first level and from Redis alone, and misses.

    python benchmarks/latency.py

Hits: wrk at 32 connections, as fast as it answers. Misses: one after the other, each for a key
that was never asked, beside the same questions put to the provider directly.
"""

import http.client
import shutil
import statistics
import sys
import time
from urllib.parse import urlsplit

from load import wrk
from stage import proxy, redis, sandbox

PRICE = "/coingecko/api/v3/simple/price?ids=bitcoin&vs_currencies=usd"
MISSES = 300


def asked_one_by_one(origin: str, prefix: str) -> list[float]:
    """Return the milliseconds of `MISSES` questions over one connection, none asked before."""
    parts = urlsplit(origin)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    took = []
    for number in range(MISSES):
        path = f"{parts.path}{prefix}/api/v3/aggTrades?symbol=BTCUSDT&limit={number + 1}"
        began = time.perf_counter()
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        took.append((time.perf_counter() - began) * 1000)
        if answer.status != http.HTTPStatus.OK:
            raise RuntimeError(f"{path}: {answer.status}")
    connection.close()
    return took


def hits(environ: dict[str, str]) -> tuple[float, float, float]:
    """Return p50 and p99 in milliseconds, and hits per second."""
    with proxy(environ) as origin:
        wrk(origin + PRICE, seconds=2)
        runs = [wrk(origin + PRICE, seconds=4) for _ in range(3)]
    return (
        statistics.median(run.p50 for run in runs),
        statistics.median(run.p99 for run in runs),
        statistics.median(run.per_second for run in runs),
    )


def main() -> int:
    """Print the table."""
    missing = [name for name in ("wrk", "redis-server") if shutil.which(name) is None]
    if missing:
        print(f"not installed: {', '.join(missing)}")
        return 1
    print(f"{'':32}{'p50 ms':>9}{'p99 ms':>9}{'per s':>9}")
    with sandbox() as providers, redis() as redis_url:
        for name, extra in (
            ("hit, first level", {}),
            ("hit, Redis alone", {"REDIS_URL": redis_url, "QUOTA_PROXY_MEMORY": "0"}),
        ):
            p50, p99, rate = hits({**providers, **extra})
            print(f"{name:32}{p50:9.2f}{p99:9.2f}{rate:9.0f}")
        direct = asked_one_by_one(providers["BINANCE_BASE_URL"], "")
        with proxy(providers) as origin:
            through = asked_one_by_one(origin, "/binance")
    for name, took in (("provider, directly", direct), ("miss, through the proxy", through)):
        print(
            f"{name:32}{statistics.median(took):9.2f}{statistics.quantiles(took, n=100)[98]:9.2f}"
        )
    added = statistics.median(through) - statistics.median(direct)
    print(f"{'a miss adds':32}{added:9.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
