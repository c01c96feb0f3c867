"""The private names of aiohttp still mean what this package takes them to mean."""

import asyncio
import tomllib
from importlib.metadata import version
from pathlib import Path

import aiohttp
import pytest
from aiohttp.client_proto import ResponseHandler
from aiohttp.web_protocol import RequestHandler

from proxy.http import private_names
from proxy.http.client import _parse
from proxy.http.framing import Framed
from proxy.http.patience import Patience
from proxy.http.whole_answers import WholeAnswer
from tests.http.conftest import Standing, standing, until

GET = b"GET /x HTTP/1.1\r\nHost: P\r\n\r\n"


def test_they_are_all_there() -> None:
    """In the aiohttp that is installed, nothing is switched off."""
    assert private_names.HEAD_CLOCK
    assert private_names.BODY_ERRORS
    assert private_names.SHORT


async def test_a_protocols_parser_can_be_wrapped() -> None:
    """What `frame` puts in its place is what aiohttp then feeds."""
    protocol = ResponseHandler(asyncio.get_running_loop())
    private_names.frame(protocol, bodiless=False)
    assert protocol._parser is None
    protocol.set_response_params()
    private_names.frame(protocol, bodiless=False)
    assert isinstance(protocol._parser, Framed)
    protocol.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok!")
    message, content = await protocol.read()
    assert (message.code, await content.read()) == (200, b"ok")
    assert protocol.should_close


async def test_a_connector_makes_the_protocols_that_it_is_given() -> None:
    """`_factory` is what it asks for them: plain answers are read without aiohttp's parser."""
    async with aiohttp.TCPConnector() as connector:
        assert isinstance(connector._factory(), ResponseHandler)
        private_names.open_responses(connector)
        assert isinstance(connector._factory(), private_names.OpenResponses)


async def test_the_parser_reads_what_is_not_plain() -> None:
    """It is begun with the first octet that came, and only then; the next answers may be plain."""
    protocol = private_names.OpenResponses(asyncio.get_running_loop())
    for _ in range(2):
        protocol.expect(_parse, bodiless=False)
        assert protocol._parser is None
        protocol.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n")
        protocol.data_received(b"\r\no")
        message, content = await protocol.read()
        protocol.data_received(b"k")
        assert (message.code, await content.read()) == (200, b"ok")
        protocol.expect(_parse, bodiless=False)
        protocol.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
        begun: object = await protocol.read()
        assert protocol.should_close
        protocol.data_received(b"k")
        assert isinstance(begun, tuple)
        assert (begun[0].status, await begun[1].read()) == (200, b"ok")
        protocol.expect(_parse, bodiless=False)
        protocol.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        whole: object = await protocol.read()
        assert isinstance(whole, WholeAnswer)
        assert whole.whole == b"ok"
        assert not protocol.should_close
    protocol.data_received(b"more")
    assert protocol.should_close


async def test_a_waiting_connection_awaits_a_head(house: Standing) -> None:
    """`_waiter` is pending exactly while aiohttp's loop has no request to handle."""
    async with house.raw() as client:
        await client.ask(GET)
        [connection] = house.front._server.connections
        assert isinstance(connection, private_names.OpenHandler)
        await until(connection.awaits_head)
        connection._waiter.set_result(None)
        assert not connection.awaits_head()
        connection._messages.append((None, None))  # type: ignore[arg-type]
        assert connection.is_garbled()
        connection._messages.clear()


async def test_without_a_name_its_use_is_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heads lose their clock, and the keep-alive timer cuts a client that hangs all the same."""
    monkeypatch.setattr(private_names, "HEAD_CLOCK", False)
    monkeypatch.setattr(private_names, "BODY_ERRORS", False)
    patience = Patience(head=0.1, keep_alive=0.5)
    async with standing(patience=patience) as house, house.raw() as client:
        client.writer.write(b"GET /x HT")
        assert await client.rest() == b""


def test_nothing_else_reads_a_private_name() -> None:
    """They stand in one file: no other in the package names one of aiohttp's."""
    names = {name for name in RequestHandler.__slots__ if name.startswith("_")}
    names |= {"_retry_connection", "_conns", "_protocol", "_payload_parser", "_buffer", "_factory"}
    own = {"_loop"}  # `Connection` hands its loop to its base, which keeps it under this name
    for file in Path(private_names.__file__).parent.glob("*.py"):
        if file.name != "private_names.py":
            found = {name for name in names - own if f".{name}" in file.read_text()}
            assert not found, file.name


def test_the_range_is_pinned() -> None:
    """The minor version that the tests ran against is the only one that is let in."""
    wanted = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    [pinned] = [each for each in wanted["project"]["dependencies"] if each.startswith("aiohttp")]
    major, minor = map(int, version("aiohttp").split(".")[:2])
    assert pinned == f"aiohttp>={major}.{minor},<{major}.{minor + 1}"
