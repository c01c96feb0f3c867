"""What aiohttp does without a proxy: the handlers that we are compared with, on uvloop.

    python benchmarks/handlers.py barest PORT BYTES
    python benchmarks/handlers.py redis PORT REDIS_URL
    python benchmarks/handlers.py through PORT ORIGIN

`barest` answers from memory and does nothing else. `redis` looks up one key for each request with
one GET of redis-py: the target, less its slash. `through` asks the same target of another server
with aiohttp's own client and hands the answer on: a proxy without a cache, a count or a rule.
All stand on aiohttp's low-level server: no router, no middleware, no access log.
"""

import asyncio
import sys

import aiohttp
import uvloop
from aiohttp import web
from redis.asyncio import Redis


def barest(size: str) -> web.Server:
    """Return a server that gives the same body to everyone."""
    body = b"x" * int(size)

    async def answer(_: web.BaseRequest) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    return web.Server(answer)


def redis(url: str) -> web.Server:
    """Return a server that looks each answer up with a GET of its own."""
    client = Redis.from_url(url)

    async def answer(request: web.BaseRequest) -> web.Response:
        body = await client.get(request.path_qs[1:])
        if body is None:
            return web.Response(status=404)
        return web.Response(body=body, content_type="application/json")

    return web.Server(answer)


def through(origin: str) -> web.Server:
    """Return a server that asks another, and hands on what that says."""
    session = aiohttp.ClientSession(auto_decompress=False)

    async def answer(request: web.BaseRequest) -> web.Response:
        async with session.get(origin + request.path_qs) as reply:
            body = await reply.read()
            kind = {"Content-Type": reply.headers["Content-Type"]}
            return web.Response(status=reply.status, body=body, headers=kind)

    return web.Server(answer)


async def serve(kind: str, port: int, about: str) -> None:
    """Serve until ended."""
    runner = web.ServerRunner({"barest": barest, "redis": redis, "through": through}[kind](about))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
