"""Who sends, read off a head once."""

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp.http import HttpVersion10, HttpVersion11

from proxy.answer import Answer
from proxy.config.settings import ClientRule, ClientSettings
from proxy.core.model import Request
from proxy.http.clients import OpenClients
from proxy.http.known_clients import KnownClients
from proxy.http.senders import LONGEST, is_decided
from proxy.http.targets import Target
from tests.http.conftest import Standing, standing, whole


class Counting(OpenClients):
    """Lets everybody in, and counts how often it was asked."""

    def __init__(self) -> None:
        self.generation = 0
        self.asked = 0

    def identify(self, *said: Any) -> Any:
        self.asked += 1
        return super().identify(*said)


def head(target: str = "/x", more: str = "", version: str = "1.1") -> bytes:
    return f"GET {target} HTTP/{version}\r\nHost: P\r\n{more}\r\n".encode()


async def seen(house: Standing, *heads: bytes) -> list[Request]:
    """Return what the flow was asked by these heads, over one connection."""
    before = len(house.flow.asked)
    async with house.raw() as client:
        for each in heads:
            await client.ask(each)
    return house.flow.asked[before:]


async def test_the_same_fields_are_read_once() -> None:
    """Whatever they ask for, and with the very same fields: what is known of those holds on."""
    clients = Counting()
    async with standing(clients=clients) as house:
        first, second, third = await seen(house, head("/x"), head("/y?z"), head("/x"))
    assert clients.asked == 1
    assert first.fields is second.fields is third.fields
    assert [("/x", ""), ("/y", "z")] == [(each.path, each.query) for each in (first, second)]


@pytest.mark.parametrize(
    "other",
    [head(more="X: y\r\n"), head("/~grid/x"), head("http://Q/x"), head().replace(b": P", b": Q")],
)
async def test_another_head_is_read_anew(other: bytes) -> None:
    """Other fields, a name in the path, a host in the target; and the next is read as it stands."""
    async with standing() as house:
        plain, between, again = await seen(house, head(), other, head())
        [alone] = await seen(house, other)
    assert _said(alone) == _said(between) != _said(plain)
    assert _said(plain) == _said(again)


@pytest.mark.parametrize(("size", "times"), [(9, 1), (LONGEST, 2)])
async def test_long_fields_are_not_held_with_a_connection(size: int, times: int) -> None:
    """There may be fifty thousand, and each may send as much as a head may hold."""
    clients = Counting()
    async with standing(clients=clients) as house:
        await seen(house, *[head(more=f"X: {'y' * size}\r\n")] * 2)
    assert times == clients.asked


def _said(request: Request) -> tuple[object, ...]:
    return request.path, request.host, request.fields, request.client


@pytest.mark.parametrize(
    ("target", "version", "decided"),
    [
        (Target("/x", ""), HttpVersion11, True),
        (Target("/x", "", "other"), HttpVersion11, False),
        (Target("/~grid/x", ""), HttpVersion11, False),
        (Target("/~", ""), HttpVersion11, False),
        (Target("/x", ""), HttpVersion10, False),
    ],
)
def test_what_else_says_who_sends(target: Target, version: Any, *, decided: bool) -> None:
    """The target may name the client or the host; HTTP/1.0 may name none."""
    assert decided is is_decided(cast(Any, SimpleNamespace(version=version)), target)


async def test_new_rules_are_in_force_from_the_next_head_on() -> None:
    """What was read under the old ones is read again."""
    clients = KnownClients(ClientSettings((ClientRule("here", addresses=("127.0.0.1",)),)))
    async with standing(clients=clients) as house, house.raw() as client:
        assert (await client.ask(head())).status == 200
        clients.configure(ClientSettings((ClientRule("away", addresses=("192.0.2.1",)),)))
        assert (await client.ask(head())).status == 401


async def test_interim_answers_find_the_client_of_a_known_head(house: Standing) -> None:
    """Each request has what relays a 1xx answer, the second as the first."""

    async def hint(request: Request, body: AsyncIterator[bytes] | None) -> Answer:
        assert request.inform is not None
        await request.inform(103, (("Link", "</a>"),))
        return whole()

    house.flow.answer = hint
    async with house.raw() as client:
        for _ in range(2):
            client.writer.write(head())
            interim = await client.reader.readuntil(b"\r\n\r\n")
            assert interim == b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
            assert (await client.hear()).body == b"hello"
