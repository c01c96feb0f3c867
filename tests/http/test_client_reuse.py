"""A pooled connection at the moment it is taken: what came over it since, the loop has not seen."""

import asyncio
import socket
from collections.abc import Callable

import pytest

from proxy.core.model import Failed
from proxy.core.upstreams import Upstream
from proxy.http.client import open_client
from proxy.ports import Exchange, Outbound

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
PATIENCE = 60.0


def answered(listener: socket.socket) -> socket.socket:
    """Take a connection, read a request and answer it; return the connection, kept open."""
    connection, _ = listener.accept()
    connection.recv(65536)
    connection.sendall(OK)
    return connection


def hung_up(connection: socket.socket) -> None:
    """Close it, as origins do with what was idle for their own few seconds."""
    connection.close()


def spoken(connection: socket.socket) -> None:
    """Answer what nobody has asked."""
    connection.sendall(OK.replace(b"ok", b"NO"))


@pytest.mark.parametrize("happens", [hung_up, spoken])
async def test_a_pooled_connection_on_which_something_came_is_not_used(
    happens: Callable[[socket.socket], None],
) -> None:
    """RFC 9112 sections 9.3, 9.6: neither an end nor an answer to nothing meets a new request.

    It happens between two turns of the loop, as under load: the loop itself has not noticed it.
    """
    client, loop = open_client(), asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        upstream = Upstream("u", f"http://127.0.0.1:{listener.getsockname()[1]}", "/u", (), None)
        outbound = Outbound(upstream, "PUT", "/x", (), b"1", PATIENCE, None)
        try:
            first = loop.run_in_executor(None, answered, listener)
            assert b"ok" == await _body(await client.send(outbound))
            happens(await first)
            second = loop.run_in_executor(None, answered, listener)

            heard = await _body(await client.send(outbound))

            assert b"ok" == heard
            (await second).close()
        finally:
            await client.close()


async def _body(answer: Exchange | Failed) -> bytes:
    assert not isinstance(answer, Failed), answer
    return b"".join([chunk async for chunk in answer.body()])
