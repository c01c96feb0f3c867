"""What stands in the places of aiohttp's request and response."""

import asyncio
from typing import Any, cast

from aiohttp import EMPTY_PAYLOAD, StreamReader
from aiohttp.base_protocol import BaseProtocol
from aiohttp.client_exceptions import ClientError

from proxy.http.inbound import CLOSE, KEEP, Inbound
from proxy.http.private_names import SHORT


class Settling:
    settled = False


async def test_a_body_that_is_none_is_left_alone() -> None:
    """Aiohttp's own empty body is shared by all: it is never broken."""
    inbound = Inbound(cast(Any, None), EMPTY_PAYLOAD, cast(Any, Settling()))
    inbound._cancel(ClientError())
    assert not inbound.has_body
    assert EMPTY_PAYLOAD.exception() is None


async def test_a_client_that_goes_breaks_its_body() -> None:
    """Whoever reads it hears of it."""
    loop = asyncio.get_running_loop()
    body = StreamReader(BaseProtocol(loop), 2**16, loop=loop)
    inbound = Inbound(cast(Any, None), body, cast(Any, Settling()))
    inbound._cancel(ClientError("gone"))
    assert inbound.has_body
    assert isinstance(body.exception(), ClientError)


async def test_the_end_settles_the_connection() -> None:
    """Aiohttp's loop asks for nothing more of either."""
    settling = Settling()
    inbound = Inbound(cast(Any, None), EMPTY_PAYLOAD, cast(Any, settling))
    inbound._finish()
    assert settling.settled is SHORT
    for finished in (KEEP, CLOSE):
        await finished.prepare(inbound)
        await finished.write_eof()
    assert (KEEP.keep_alive, CLOSE.keep_alive) == (True, False)
