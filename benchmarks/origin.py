"""A provider of one answer: a body of the size asked for, as a body of JSON, fresh for an hour.

python benchmarks/origin.py PORT BYTES
"""

import asyncio
import sys

import uvloop
from aiohttp import web


async def serve(port: int, size: int) -> None:
    """Answer everything with the same body until ended."""
    body = b'{"data":"' + b"x" * (size - 11) + b'"}'
    headers = {"Content-Type": "application/json", "Cache-Control": "max-age=3600"}

    async def answer(_: web.BaseRequest) -> web.Response:
        return web.Response(body=body, headers=headers)

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), int(sys.argv[2])))
