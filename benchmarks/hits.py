"""Hits: the real `serve` beside nginx, HAProxy, Varnish and Traffic Server, each on one core.

    python benchmarks/hits.py [--seconds 4] [--rounds 3] [--bytes 1024]

The load generator (wrk, 32 keep-alive connections) has the other core. Runs alternate, medians are
printed, and our figure as a ratio to each peer's of the same rounds. Peers that are not installed
are named and left out.
"""

import argparse
import contextlib
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator

from peers import haproxy, nginx, trafficserver, varnish
from stage import ROOT, Load, await_answer, free_port, proxy, running, wrk

PATH = "/fng/"
"""A shipped endpoint (Fear & Greed), which takes any query."""


@contextlib.contextmanager
def origin(size: int) -> Iterator[str]:
    """Run a provider that answers everything with `size` bytes."""
    port = free_port()
    command = [sys.executable, str(ROOT / "benchmarks" / "origin.py"), str(port), str(size)]
    with running(command):
        await_answer(f"http://127.0.0.1:{port}/")
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def contenders(provider: str) -> Iterator[dict[str, str]]:
    """Start everyone; yield the URL of a hit at each."""
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(proxy({"FEAR_AND_GREED_BASE_URL": provider}))
        urls = {"quota-proxy": f"{ours}/fear-and-greed{PATH}"}
        peers = {
            "nginx": nginx(provider, open_file_cache=False, sendfile=True),
            "nginx open_file_cache": nginx(provider, open_file_cache=True, sendfile=True),
            "nginx best": nginx(provider, open_file_cache=True, sendfile=False),
            "HAProxy": haproxy(provider),
            "Varnish": varnish(provider),
            "Traffic Server": trafficserver(provider),
        }
        for name, peer in peers.items():
            found = stack.enter_context(peer)
            if found is None:
                print(f"{name}: not installed, left out")
            else:
                urls[name] = found + PATH
        for url in urls.values():
            await_answer(url)
        yield urls


def version(name: str) -> str:
    """Return what a peer says of its version."""
    flag = {"haproxy": "-v", "nginx": "-v", "varnishd": "-V", "traffic_server": "-V"}[name]
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])
    program = shutil.which(name, path=path)
    if program is None:
        return f"{name} -"
    said = subprocess.run([program, flag], capture_output=True, text=True, check=False)
    return (said.stdout + said.stderr).strip().splitlines()[0]


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bytes", type=int, default=1024)
    asked = parser.parse_args()
    if shutil.which("wrk") is None:
        print("not installed: wrk")
        return 1
    for name in ("nginx", "haproxy", "varnishd", "traffic_server"):
        print(version(name))
    loads: dict[str, list[Load]] = {}
    with origin(asked.bytes) as provider, contenders(provider) as urls:
        for url in urls.values():
            wrk(url, seconds=1)
        for _ in range(asked.rounds):
            for name, url in urls.items():
                loads.setdefault(name, []).append(wrk(url, seconds=asked.seconds))
    ours = [load.per_second for load in loads["quota-proxy"]]
    print(f"\n{asked.bytes} bytes, 32 connections, one core each")
    print(f"{'':24}{'hits/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'ours/its':>10}")
    for name, rows in loads.items():
        rate = statistics.median(load.per_second for load in rows)
        ratio = statistics.median(
            one / load.per_second for one, load in zip(ours, rows, strict=True)
        )
        p50, p99 = (statistics.median(getattr(load, at) for load in rows) for at in ("p50", "p99"))
        print(f"{name:24}{rate:9.0f}{p50:9.2f}{p99:9.2f}{ratio:10.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
