"""The admin API from a terminal: addresses, tables, and answers that are none."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from proxy.remote import Admin, RemoteError, local, table

MONTH = {
    "limit": 10000.0,
    "used": 7421.0,
    "remaining": 2579.0,
    "resets_at": "2026-11-28T11:06:40Z",
    "forecast": None,
}


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8081"),
        ("", "http://127.0.0.1:8081"),
        ("0.0.0.0", "http://127.0.0.1:8081"),  # noqa: S104 - what is listened on
        ("::", "http://[::1]:8081"),
        ("admin.example", "http://admin.example:8081"),
    ],
)
def test_a_listener_is_reached_from_its_own_machine(host: str, url: str) -> None:
    """One on all addresses by loopback."""
    assert url == local(host, 8081)


def test_the_table_has_a_line_for_each_limit() -> None:
    """Figures stand on the right; who is held is said beneath."""
    standing = {"limits": {"month": MONTH}, "blocked_until": "2026-11-18T11:07:00Z"}
    head, line, held = table({"coingecko": standing}).splitlines()

    assert ["UPSTREAM", "LIMIT", "USED", "OF", "LEFT", "RESETS", "RUNS", "OUT"] == head.split()
    assert ["coingecko", "month", "7,421", "10,000", "2,579", "2026-11-28T11:06:40Z", "-"] == (
        line.split()
    )
    assert head.index("USED") + 4 == line.index("7,421") + 5
    assert "coingecko is held until 2026-11-18T11:07:00Z" == held


@pytest.mark.parametrize("url", ["", "127.0.0.1:8081", "ftp://x/", "http://[", "http://x:y/"])
def test_what_is_no_url_is_said(url: str) -> None:
    """An address that cannot be asked is an error in words."""
    with pytest.raises(RemoteError, match="URL"):
        Admin(url).quota()


@pytest.fixture
async def stranger() -> AsyncIterator[TestServer]:
    """Another server than an admin listener."""

    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<html>")

    async def other(_: web.Request) -> web.Response:
        return web.json_response({"some": "figures"})

    async def elsewhere(_: web.Request) -> web.Response:
        raise web.HTTPFound("http://127.0.0.1:1/stolen")

    app = web.Application()
    app.add_routes([web.get("/page/api/v1/quota", page), web.get("/moved/api/v1/quota", elsewhere)])
    app.add_routes([web.get("/other/api/v1/quota", other)])
    app.add_routes([web.put("/other/api/v1/quota/{upstream}/{limit}", other)])
    async with TestServer(app) as server:
        yield server


@pytest.mark.parametrize(("base", "said"), [("page", "200 without"), ("moved/", "302 without")])
async def test_another_server_is_told_apart(stranger: TestServer, base: str, said: str) -> None:
    """No page is taken for an answer, and no redirect is followed: the token would go along."""
    asked = Admin(str(stranger.make_url(f"/{base}")), "s3cret")
    with pytest.raises(RemoteError, match=said) as caught:
        await asyncio.to_thread(asked.quota)

    assert "s3cret" not in str(caught.value) + repr(asked)


async def test_another_program_with_json_is_told_apart(stranger: TestServer) -> None:
    """What speaks JSON and knows no quota is an error in words as well."""
    asked = Admin(str(stranger.make_url("/other")))
    with pytest.raises(RemoteError, match="no upstreams"):
        await asyncio.to_thread(asked.quota)
    with pytest.raises(RemoteError, match="not an admin listener"):
        await asyncio.to_thread(asked.set_used, "coingecko", "month", 1.0)


async def test_the_token_and_the_figure_arrive() -> None:
    """As the admin listener takes them; the limit's name is quoted."""
    seen: list[Any] = []

    async def used(request: web.Request) -> web.Response:
        seen.extend([request.raw_path, request.headers["Authorization"], await request.json()])
        return web.json_response(MONTH)

    app = web.Application()
    app.router.add_put("/{rest:.*}", used)
    async with TestServer(app) as server:
        asked = Admin(str(server.make_url("/")), "s3cret")
        figures = await asyncio.to_thread(asked.set_used, "coin gecko", "minute/a b", 5.0)

    assert MONTH == figures
    assert ["/api/v1/quota/coin%20gecko/minute/a%20b", "Bearer s3cret", {"used": 5.0}] == seen
